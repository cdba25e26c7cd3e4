//! `isogrid bench kv`: gets and puts of one map.
//!
//! 1. every thread connects with a [`Grid`] of its own;
//! 2. if reads are to be measured, the threads write all keys;
//! 3. all begin together; after a warm-up, what they do is measured;
//! 4. their tallies are added up.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Args;
use isogrid_client::Grid;
use isogrid_core::{Error, ErrorCode};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::cli::Global;
use crate::exit::{CommandResult, Failure, wrong_argument};
use crate::output::tell;
use crate::{connect, duration, progress};

use super::fill::{self, Filled};
use super::plan::{Plan, Window, value};
use super::report::Report;
use super::tally::Tally;
use super::{clock, closed, cpu, keys, open};

/// What is measured, and how.
#[derive(Debug, Args)]
pub(crate) struct KvArgs {
    /// How many calls are under way at most
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    callers: u32,

    /// How long it is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// How long the load runs before it is measured
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    warmup_seconds: u64,

    /// How many keys there are; each operation picks one at random
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=keys::KEYS_MAX))]
    keys: u64,

    /// How long the values are
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=16_777_216))]
    value_bytes: u32,

    /// How many of a hundred operations read; the others write
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=100))]
    reads: u64,

    /// How many operations one call has
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,

    /// Start so many operations per second on schedule, and measure latency from when each was due (open loop). 0: every
    /// caller starts the next call when it has the reply of the one before (closed loop)
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1_000_000_000))]
    rate: u64,

    /// Written entries expire after this, as in 10s
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    ttl: Option<Duration>,

    /// The map
    #[arg(long, value_name = "NAME", default_value = "bench")]
    map: String,

    /// Do not write all keys before reads are measured
    #[arg(long)]
    no_fill: bool,

    /// How many threads send the calls, each with a client of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
}

impl KvArgs {
    fn plan(&self, endpoint: &str) -> Result<Plan, Failure> {
        if self.callers < self.threads {
            let (callers, threads) = (self.callers, self.threads);
            let detail =
                format!("--callers {callers} --threads {threads}; a thread needs a caller");
            return Err(wrong_argument(detail));
        }
        Ok(Plan {
            endpoint: endpoint.to_owned(),
            map: self.map.clone(),
            callers: self.callers as usize,
            threads: self.threads as usize,
            keys: self.keys,
            reads_percent: self.reads,
            batch: self.batch as usize,
            rate: self.rate,
            ttl: self.ttl,
            value: value(self.value_bytes as usize),
            warmup: Duration::from_secs(self.warmup_seconds),
            measured: Duration::from_secs(self.seconds),
        })
    }
}

pub(super) fn run(args: &KvArgs, global: &Global) -> CommandResult {
    let plan = Arc::new(args.plan(&global.endpoint)?);
    let fills = plan.reads_percent > 0 && !args.no_fill;
    let filled = fills.then(|| Filled::new(plan.keys));
    let threads = start_threads(&plan, filled.as_ref())?;
    let threads: Vec<Waiting> =
        threads.into_iter().map(Starting::wait).collect::<Result<_, _>>()?;
    if let Some(filled) = filled {
        filled.finish();
    }
    let window = Window::new(&plan);
    let mut joins = Vec::new();
    for waiting in threads {
        // A thread that is gone is found when it is joined.
        let _ = waiting.go.send(window);
        joins.push(waiting.join);
    }
    let cpu = watch(&plan, window);
    let mut tally = Tally::default();
    for join in joins {
        let part = join.join().map_err(|_| Error::new(ErrorCode::Internal, "a caller panicked"))?;
        tally.add(&part?);
    }
    let report = Report { plan: &plan, tally, cpu };
    report.print(global.output)?;
    Ok(report.exit())
}

/// A thread that connects and fills.
struct Starting {
    ready: mpsc::Receiver<()>,
    waiting: Waiting,
}

/// A thread that waits for the window to begin.
struct Waiting {
    go: oneshot::Sender<Window>,
    join: JoinHandle<Result<Tally, Failure>>,
}

impl Starting {
    /// Waits until the thread is ready; if it fails before, this is why.
    fn wait(self) -> Result<Waiting, Failure> {
        match self.ready.recv() {
            Ok(()) => Ok(self.waiting),
            Err(_) => match self.waiting.join.join() {
                Ok(Err(failure)) => Err(failure),
                _ => Err(Error::new(ErrorCode::Internal, "a caller ended early").into()),
            },
        }
    }
}

fn start_threads(plan: &Arc<Plan>, filled: Option<&Filled>) -> Result<Vec<Starting>, Failure> {
    let start = |thread: usize| {
        let (plan, filled) = (plan.clone(), filled.cloned());
        let (ready, when_ready) = mpsc::sync_channel(1);
        let (go, when_go) = oneshot::channel();
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .on_thread_unpark(clock::forget)
                .build()?;
            let grid = prepare(&runtime, &plan, filled.as_ref(), thread)?;
            // The main thread may have given up because of another thread.
            let _ = ready.send(());
            measure(&runtime, &plan, &grid, when_go, thread)
        };
        let join = thread::Builder::new().name(format!("bench-{thread}")).spawn(body)?;
        Ok(Starting { ready: when_ready, waiting: Waiting { go, join } })
    };
    (0..plan.threads).map(start).collect()
}

fn prepare(
    runtime: &Runtime,
    plan: &Plan,
    filled: Option<&Filled>,
    thread: usize,
) -> Result<Grid, Failure> {
    runtime.block_on(async {
        let grid = connect::grid_without_retries(&plan.endpoint).await?;
        if let Some(filled) = filled {
            fill::fill(plan, &grid, filled, thread).await?;
        }
        Ok(grid)
    })
}

fn measure(
    runtime: &Runtime,
    plan: &Arc<Plan>,
    grid: &Grid,
    go: oneshot::Receiver<Window>,
    thread: usize,
) -> Result<Tally, Failure> {
    runtime.block_on(async {
        // Without a window there is nothing to measure: another thread could not start.
        let Ok(window) = go.await else { return Ok(Tally::default()) };
        match plan.rate {
            0 => Ok(closed::run(plan, grid, window, thread).await),
            _ => open::run(plan, grid, window, thread).await,
        }
    })
}

/// Waits for the end of the window behind a progress bar, and says how much processor time it took.
fn watch(plan: &Plan, window: Window) -> Duration {
    thread::sleep(window.start.saturating_duration_since(Instant::now()));
    let before = cpu::used();
    let seconds = plan.measured.as_secs();
    let bar = progress::bar("measuring, seconds", Some(seconds));
    for second in 1..=seconds {
        let until = window.start + Duration::from_secs(second);
        thread::sleep(until.saturating_duration_since(Instant::now()));
        bar.inc(1);
    }
    let used = cpu::used().saturating_sub(before);
    bar.finish_and_clear();
    if used.is_zero() {
        tell("this system does not tell the processor time of a process");
    }
    used
}
