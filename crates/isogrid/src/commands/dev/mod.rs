//! `isogrid dev`: a local cluster for development. Every node is a process of its own, started as `isogrid start`, and
//! ends with this one, however this one ends.
//!
//! | module | what it does |
//! |---|---|
//! | [`blueprint`], [`ports`] | what each node is started with |
//! | [`child`], [`signal`] | a node as a child process |
//! | [`keeper`] | a task that has one node, restarts it, and says how it is |
//! | [`fleet`] | all nodes |
//! | [`action`] | what is done to them, by a key or a line |
//! | [`mod@announce`] | what is printed once they are there |
//! | [`view`] | the live view |

mod action;
mod announce;
mod blueprint;
mod child;
mod fleet;
mod keeper;
mod ports;
mod signal;
mod view;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use isogrid_client::{ClusterStatus, Operator};
use tokio::sync::mpsc;

use crate::commands::start::RunningNode;
use crate::commands::status::table::headline;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, tell};

use self::action::Action;
use self::announce::announce;
use self::blueprint::Blueprint;
use self::child::LogTo;
use self::fleet::{Changes, Fleet};
use self::keeper::{Change, Phase};

use super::stop::StopSignals;

/// How often it is asked whether the cluster is safe.
const SAFE_LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// After this long without being safe it is told what is missing, each time that changes.
const SAFE_PATIENCE: Duration = Duration::from_secs(10);

/// How many lines of standard input may wait.
const LINES_MAX: usize = 16;

/// What the cluster looks like.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// How many nodes; without this as many as the data folder has, else three
    #[arg(long, value_name = "N")]
    nodes: Option<u16>,

    /// Keep what must survive a restart here, in a folder for each node
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The gRPC port of the first node; its HTTP port is 80 above. 0 takes free ports
    #[arg(long, value_name = "PORT", default_value_t = ports::BASE_DEFAULT)]
    port_base: u16,

    /// Set a configuration key of every node; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Print lines instead of showing a live view, also on a terminal
    #[arg(long)]
    no_view: bool,
}

pub(crate) fn run(args: &DevArgs, format: Format) -> CommandResult {
    let blueprint = Blueprint {
        port_base: args.port_base,
        nodes: blueprint::node_count(args.nodes, args.data_dir.as_deref())?,
        data_dir: args.data_dir.clone(),
        set: args.set.clone(),
        keeps_log_level: std::env::var_os("ISOGRID__LOG__LEVEL").is_some(),
    };
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let has_view = is_terminal && format == Format::Table && !args.no_view;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(cluster(blueprint, format, has_view))
}

/// Runs the cluster until a signal comes, it is told to end, or none of its nodes is left.
async fn cluster(blueprint: Blueprint, format: Format, has_view: bool) -> CommandResult {
    let mut signals = StopSignals::listen(false)?;
    let log_to = if has_view { LogTo::Pipe } else { LogTo::Here };
    let (fleet, mut changes) = Fleet::start(blueprint, log_to)?;
    let begun = tokio::select! {
        begun = begin(&fleet, &mut changes) => begun,
        _ = signals.next() => {
            fleet.stop().await;
            return Ok(Exit::Ok);
        }
    };
    let nodes = match begun {
        Ok(nodes) => nodes,
        // It has said why on standard error, which is ours too, unless it is kept for the view.
        Err(exit) => {
            fleet.keepers.iter().flat_map(|keeper| keeper.log()).for_each(tell);
            fleet.stop().await;
            return Ok(exit);
        }
    };
    announce(&nodes, format)?;
    if has_view {
        return view::run(fleet, &mut changes, &mut signals).await;
    }
    attend(fleet, &mut changes, &mut signals).await
}

/// Waits until all nodes run and the cluster is safe.
async fn begin(fleet: &Fleet, changes: &mut Changes) -> Result<Vec<RunningNode>, Exit> {
    let nodes = fleet.ready(changes).await?;
    let begun = tokio::time::Instant::now();
    let mut told = String::new();
    loop {
        let missing = match look(&nodes).await {
            Ok(status) if is_complete(&status, nodes.len()) => return Ok(nodes),
            Ok(status) => headline(&status),
            Err(failure) => failure.text().unwrap_or_default(),
        };
        if begun.elapsed() > SAFE_PATIENCE && missing != told {
            tell(format!("not safe yet: {missing}"));
            told = missing;
        }
        tokio::select! {
            change = changes.next() => {
                if let Phase::Ended { exit, .. } = change.phase {
                    return Err(exit);
                }
            }
            () = tokio::time::sleep(SAFE_LOOK_INTERVAL) => {}
        }
    }
}

/// What the first node that answers says.
async fn look(nodes: &[RunningNode]) -> Result<ClusterStatus, Failure> {
    let mut last = Failure::Io(std::io::Error::other("no node runs"));
    for node in nodes {
        let status = async { Operator::connect(&node.grpc).await?.status(true).await };
        match status.await {
            Ok(status) => return Ok(status),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Whether all nodes are members, and the cluster is as well as it can be.
fn is_complete(status: &ClusterStatus, nodes: usize) -> bool {
    let active = status.members.iter().filter(|member| member.state == "active").count();
    active >= nodes && is_well(status)
}

/// Whether a cluster for development is as well as it can be: a single copy never is safe, and two nodes have no council that
/// could lose one.
fn is_well(status: &ClusterStatus) -> bool {
    let cannot_be_safe = status.copies < 2 || status.members.len() < 3;
    status.health == "healthy" && (status.safe || cannot_be_safe)
}

/// Without a view: tells what happens to nodes, and does what lines on standard input say.
async fn attend(
    mut fleet: Fleet,
    changes: &mut Changes,
    signals: &mut StopSignals,
) -> CommandResult {
    let mut lines = lines_of_stdin()?;
    loop {
        tokio::select! {
            _ = signals.next() => {
                fleet.stop().await;
                return Ok(Exit::Ok);
            }
            change = changes.next() => {
                tell_change(&fleet, change);
                if let Some(exit) = end_of_all(&fleet) {
                    fleet.stop().await;
                    return Ok(exit);
                }
            }
            Some(line) = lines.recv() => match Action::parse(&line) {
                Ok(action) if !action.perform_aloud(&mut fleet) => {
                    fleet.stop().await;
                    return Ok(Exit::Ok);
                }
                Ok(_) => {}
                Err(text) => tell(text),
            }
        }
    }
}

fn tell_change(fleet: &Fleet, change: Change) {
    let name = &fleet.keepers[usize::from(change.index)].name;
    match change.phase {
        Phase::Running(node) => tell(format!("{name} runs, pid {}", node.pid)),
        Phase::Ended { how, was_told: true, .. } => tell(format!("{name}: {how}")),
        Phase::Ended { how, .. } => {
            tell(format!("{name} ended by itself ({how}); its log stands above"));
        }
        other => tell(format!("{name}: {}", other.word())),
    }
}

/// When no node is left, and nobody asked for that, so is the cluster.
fn end_of_all(fleet: &Fleet) -> Option<Exit> {
    let is_left = |phase: &Phase| !matches!(phase, Phase::Ended { was_told: false, .. });
    let any_left = fleet.keepers.iter().any(|keeper| is_left(&keeper.phase()));
    (!any_left).then_some(Exit::Failed)
}

/// The lines of standard input. A thread of its own reads them: the runtime's would have to be waited for at the end.
fn lines_of_stdin() -> std::io::Result<mpsc::Receiver<String>> {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if !line.trim().is_empty() && sender.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use isogrid_client::MemberStatus;

    #[test]
    fn a_cluster_is_complete_when_all_are_there_and_one_may_go() {
        let mut status = ClusterStatus::default();
        let mut member = MemberStatus::default();
        member.state = "active".into();
        status.members = vec![member.clone(), member.clone()];
        (status.health, status.copies) = ("healthy".into(), 2);
        assert!(is_complete(&status, 2), "as safe as two nodes can be");
        status.members.push(member);
        assert!(!is_complete(&status, 3), "not safe");
        status.safe = true;
        assert!(is_complete(&status, 3) && !is_complete(&status, 4));
        (status.safe, status.copies) = (false, 1);
        assert!(is_complete(&status, 3), "as safe as one copy can be");
    }
}
