//! `isogrid cluster stop`: prepares a stop of the whole cluster. All nodes write to disk what is not there yet, and nothing
//! moves when they end one after the other. Whoever runs the nodes ends them.

use std::time::{Duration, Instant};

use clap::Args;
use isogrid_client::{ClusterStatus, Intent, Operator, StopVerdict};
use serde_json::json;

use crate::duration;
use crate::exit::{CommandResult, Exit, Failure, wrong_argument};
use crate::output::{Format, print_json, tell};
use crate::progress;

use super::{LOOK_INTERVAL, counted};

/// How the cluster is stopped.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Yes, all of it
    #[arg(long)]
    yes: bool,

    /// Give up waiting after this, and exit with 3
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,
}

pub(super) async fn run(operator: &Operator, args: &StopArgs, format: Format) -> CommandResult {
    let status = operator.status(false).await?;
    let up = up(&status);
    if !args.yes {
        let detail = format!(
            "this would stop cluster {}: {} ({}) write everything to disk and can then be ended; say --yes",
            status.cluster_name,
            counted(up.len() as u64, "node"),
            up.join(", ")
        );
        return Err(wrong_argument(detail));
    }
    operator.set_intent_of_all(Intent::Stop).await?;
    let begun = Instant::now();
    let bar = progress::bar("nodes flushed", Some(up.len() as u64));
    let mut waits_for = up.clone();
    while let Some(node) = waits_for.first() {
        if matches!(operator.can_stop(node).await?, StopVerdict::Yes(_)) {
            waits_for.remove(0);
            bar.inc(1);
            continue;
        }
        if args.timeout.is_some_and(|timeout| begun.elapsed() >= timeout) {
            bar.abandon();
            tell(format!(
                "not in time: {}; `isogrid cluster stay --all` takes it back",
                waits_for.join(", ")
            ));
            return Ok(Exit::NotReady);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    bar.finish_and_clear();
    told(&up, format)?;
    Ok(Exit::Ok)
}

fn up(status: &ClusterStatus) -> Vec<String> {
    let members = status.members.iter().filter(|member| member.state != "down");
    members.map(|member| member.node_id.clone()).collect()
}

fn told(nodes: &[String], format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return print_json(&json!({ "intent": "stop", "can_stop": nodes }));
    }
    tell(format!("all is on disk: end {} in any order (SIGTERM)", nodes.join(", ")));
    Ok(())
}
