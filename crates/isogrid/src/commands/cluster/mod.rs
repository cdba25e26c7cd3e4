//! `isogrid cluster`: who is in the cluster, who holds what, and what an operator wants of nodes.

mod backup;
mod can_stop;
mod empty;
mod intent;
mod members;
mod partitions;
mod place;
mod plan;
mod remove;
mod restore;
mod stop;
mod verify;

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use isogrid_client::{ClusterStatus, MemberStatus, Operator};
use isogrid_node::config::suggest::nearest;

pub(crate) use self::partitions::object as partition_object;

use crate::cli::Global;
use crate::connect::{grid, in_runtime, operator, with_operator};
use crate::duration;
use crate::exit::{CommandResult, Failure, wrong_argument};
use crate::output::Format;

/// How often the cluster is asked while a command waits.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// For how long nobody may answer a command that waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to do with the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// List the members
    Members,
    /// Show who holds which partition
    Partitions(partitions::PartitionsArgs),
    /// Show what the cluster still moves by itself
    Rebalance(plan::RebalanceArgs),
    /// Empty a node, which stays a member
    Drain(intent::LeavingArgs),
    /// Empty a node for good: it is forgotten once it is empty and down
    Leave(intent::LeavingArgs),
    /// Take back what was wanted of a node: it is to stay
    Stay(intent::StayArgs),
    /// Hand over what a node leads, so that it can be restarted: its copies stay
    Restart(intent::RestartArgs),
    /// Forget a node that is down and holds nothing
    Remove(remove::RemoveArgs),
    /// Say whether a node can be stopped now without anybody missing it
    CanStop(can_stop::CanStopArgs),
    /// Prepare a stop of the whole cluster: everything goes to disk, and nothing moves
    Stop(stop::StopArgs),
    /// Write a consistent image of all maps to a folder or an object store, while writes go on
    Backup(backup::BackupArgs),
    /// Write a backup into this cluster, whatever its size
    Restore(restore::RestoreArgs),
    /// Read every byte of a backup, and say what is damaged
    Verify(verify::VerifyArgs),
}

/// How long a command waits.
#[derive(Clone, Copy, Debug, Args)]
struct WaitArgs {
    /// Wait until it is so
    #[arg(long)]
    wait: bool,

    /// With --wait: give up after this, and exit with 3
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "wait")]
    timeout: Option<Duration>,
}

pub(crate) fn run(command: ClusterCommand, global: &Global) -> CommandResult {
    let format = global.output;
    match command {
        ClusterCommand::Backup(args) if args.is_offline() => {
            in_runtime(async || backup::list(&args, format).await)
        }
        ClusterCommand::Verify(args) => in_runtime(async || verify::run(&args, format).await),
        ClusterCommand::Restore(args) => in_runtime(async || {
            let operator = operator(&global.endpoint).await?;
            let grid = grid(&global.endpoint).await?;
            restore::run(&operator, &grid, &args, format).await
        }),
        other => with_operator(global, async |operator| ask(other, &operator, format).await),
    }
}

/// The commands that need no more than a node's admin service.
async fn ask(command: ClusterCommand, operator: &Operator, format: Format) -> CommandResult {
    match command {
        ClusterCommand::Members => members::run(operator, format).await,
        ClusterCommand::Partitions(args) => partitions::run(operator, &args, format).await,
        ClusterCommand::Rebalance(args) => plan::run(operator, &args, format).await,
        ClusterCommand::Drain(args) => intent::drain(operator, &args, format).await,
        ClusterCommand::Leave(args) => intent::leave(operator, &args, format).await,
        ClusterCommand::Stay(args) => intent::stay(operator, &args, format).await,
        ClusterCommand::Restart(args) => intent::restart(operator, &args, format).await,
        ClusterCommand::Remove(args) => remove::run(operator, &args, format).await,
        ClusterCommand::CanStop(args) => can_stop::run(operator, &args, format).await,
        ClusterCommand::Stop(args) => stop::run(operator, &args, format).await,
        ClusterCommand::Backup(args) => backup::run(operator, &args, format).await,
        ClusterCommand::Restore(_) | ClusterCommand::Verify(_) => {
            unreachable!("what needs a client, or no node, is run apart")
        }
    }
}

/// Asks for what changes nothing, again and again: a node that is busy for a moment ends no command that waits.
async fn ask_patiently<T>(ask: impl AsyncFn() -> isogrid_client::Result<T>) -> Result<T, Failure> {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if begun.elapsed() >= PATIENCE => return Err(error.into()),
            Err(_) => tokio::time::sleep(LOOK_INTERVAL).await,
        }
    }
}

/// The member of this name, or an error that names the nearest.
fn member<'a>(status: &'a ClusterStatus, node: &str) -> Result<&'a MemberStatus, Failure> {
    let names = || status.members.iter().map(|member| member.node_id.as_str());
    let found = status.members.iter().find(|member| member.node_id == node);
    found.ok_or_else(|| {
        let hint = match nearest(node, names()) {
            Some(name) => format!("did you mean {name:?}?"),
            None => format!("the members are {}", names().collect::<Vec<_>>().join(", ")),
        };
        wrong_argument(format!("no member {node:?}; {hint}"))
    })
}

/// The node of this name, or the one that answers.
async fn named_or_own(operator: &Operator, node: Option<&str>) -> Result<String, Failure> {
    let status = operator.status(false).await?;
    match node {
        Some(node) => Ok(member(&status, node)?.node_id.clone()),
        None => Ok(status.answered_by),
    }
}

/// `1 partition`, `2 partitions`.
fn counted(count: impl Into<u64>, what: &str) -> String {
    match count.into() {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_member_is_met_with_the_nearest_name() {
        let mut status = ClusterStatus::default();
        for name in ["node-0", "node-1"] {
            let mut member = MemberStatus::default();
            member.node_id = name.into();
            status.members.push(member);
        }
        assert!(member(&status, "node-1").is_ok());
        let text = |node| member(&status, node).expect_err("unknown").text().unwrap_or_default();
        assert!(text("nod-1").contains("did you mean \"node-1\"?"));
        assert!(text("something").contains("the members are node-0, node-1"));
        assert_eq!(
            (counted(1u32, "copy"), counted(2u32, "node")),
            ("1 copy".into(), "2 nodes".into())
        );
    }
}
