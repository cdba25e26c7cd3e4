//! `isogrid status`: the members of the cluster and how they are, once, again and again, or until it is safe.

pub(crate) mod json;
pub(crate) mod table;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use clap::Args;
use isogrid_client::{ClusterStatus, Operator};

use crate::cli::Global;
use crate::connect::{in_runtime, operator};
use crate::duration;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print, print_json, tell, terminal_width};

/// Clears the screen and goes to its first line.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// How the state is shown.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show it again and again
    #[arg(long)]
    watch: bool,

    /// End as soon as the cluster is safe: the loss of any one node would lose nothing
    #[arg(long)]
    exit_when_safe: bool,

    /// How long between two looks
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1s")]
    interval: Duration,

    /// With --exit-when-safe: give up after this, and exit with 3
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "exit_when_safe")]
    timeout: Option<Duration>,
}

pub(crate) fn run(args: &StatusArgs, global: &Global) -> CommandResult {
    in_runtime(async || {
        if args.exit_when_safe {
            until_safe(args, global).await
        } else if args.watch {
            watch(args, global).await
        } else {
            let status = operator(&global.endpoint).await?.status(true).await?;
            show(&status, global.output)?;
            Ok(exit_of(&status))
        }
    })
}

fn exit_of(status: &ClusterStatus) -> Exit {
    if status.health == "healthy" { Exit::Ok } else { Exit::NotReady }
}

fn show(status: &ClusterStatus, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => print_json(&json::object(status)),
        Format::Table => print(&table::text(status, terminal_width())),
    }
}

/// Shows it until the reader has seen enough. A node that does not answer is told and asked again.
async fn watch(args: &StatusArgs, global: &Global) -> CommandResult {
    let mut looks = Looks::new(&global.endpoint);
    loop {
        match looks.look().await {
            Ok(status) => show_again(&status, global.output)?,
            Err(failure) => tell_failure(&failure),
        }
        tokio::time::sleep(args.interval).await;
    }
}

fn show_again(status: &ClusterStatus, format: Format) -> Result<(), Failure> {
    if format == Format::Table {
        let before = if std::io::stdout().is_terminal() { CLEAR } else { "\n" };
        print(before)?;
    }
    show(status, format)
}

/// Waits until the cluster is safe, whatever happens meanwhile, and shows what it then is.
async fn until_safe(args: &StatusArgs, global: &Global) -> CommandResult {
    let begun = Instant::now();
    let mut looks = Looks::new(&global.endpoint);
    let mut told = String::new();
    loop {
        let why = match looks.look().await {
            Ok(status) if status.safe => {
                show(&status, global.output)?;
                return Ok(Exit::Ok);
            }
            Ok(status) => {
                if args.watch {
                    show_again(&status, global.output)?;
                }
                table::headline(&status)
            }
            // It would be no better the next time.
            Err(failure) if failure.exit() == Exit::Usage => return Err(failure),
            Err(failure) => failure.text().unwrap_or_default(),
        };
        // Each reason once: whoever waits wants to know for what.
        if why != told && !args.watch {
            tell(&why);
        }
        told = why;
        if args.timeout.is_some_and(|timeout| begun.elapsed() >= timeout) {
            tell("not safe in time");
            return Ok(Exit::NotReady);
        }
        tokio::time::sleep(args.interval).await;
    }
}

fn tell_failure(failure: &Failure) {
    if let Some(text) = failure.text() {
        tell(text);
    }
}

/// Looks at the cluster through one connection, and a new one where that breaks.
pub(crate) struct Looks {
    endpoint: String,
    operator: Option<Operator>,
}

impl Looks {
    /// Connects with the first look.
    pub(crate) fn new(endpoint: &str) -> Self {
        Looks { endpoint: endpoint.to_owned(), operator: None }
    }

    /// One look.
    pub(crate) async fn look(&mut self) -> Result<ClusterStatus, Failure> {
        let asked = match self.operator.take() {
            Some(asked) => asked,
            None => operator(&self.endpoint).await?,
        };
        let status = asked.status(true).await?;
        self.operator = Some(asked);
        Ok(status)
    }
}
