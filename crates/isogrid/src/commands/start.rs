//! `isogrid start`: run a node until it is told to stop.

use std::thread;

use clap::Args;
use isogrid_node::{Node, VERSION, logging};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print_json};

use super::settings::SettingArgs;
use super::stop::StopSignals;

/// How a node runs.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    settings: SettingArgs,

    /// Stop when standard input ends: how `isogrid dev` takes its nodes with it, however it ends itself
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
}

/// A running node, as `-o json` prints it once clients can connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningNode {
    /// Its name.
    pub(crate) name: String,
    /// Its process.
    pub(crate) pid: u32,
    /// Where clients connect.
    pub(crate) grpc: String,
    /// Where it serves HTTP.
    pub(crate) http: String,
    /// Where PostgreSQL's clients connect, if they can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pg: Option<String>,
}

pub(crate) fn run(args: &StartArgs, format: Format) -> CommandResult {
    let config = args.settings.load()?.config;
    logging::init(&config.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Listening begins before the node: a signal that comes while it starts is not lost.
    let mut signals = {
        let _inside = runtime.enter();
        StopSignals::listen(args.stop_with_stdin)?
    };
    info!(
        version = VERSION,
        cluster = config.node.cluster,
        grpc = config.node.grpc_addr,
        gossip = config.node.gossip_addr,
        http = config.node.http_addr,
        pg = config.node.pg_addr,
        "isogrid starting"
    );
    let node = Node::start(config)?;
    if format == Format::Json {
        print_json(&describe(&node))?;
    }
    let failure = runtime.block_on(attend(&node, &mut signals));
    if let Some(why) = failure {
        error!(%why, "the node cannot go on");
        runtime.block_on(stop(node, &mut signals))?;
        return Ok(Exit::Failed);
    }
    runtime.block_on(stop(node, &mut signals))
}

/// Until the node is to stop, or cannot go on: then says why.
async fn attend(node: &Node, signals: &mut StopSignals) -> Option<String> {
    let mut orders = signals.take_orders();
    let mut next_order = async || match &mut orders {
        Some(orders) => orders.recv().await,
        None => None,
    };
    loop {
        tokio::select! {
            cause = signals.next() => {
                info!(cause, "isogrid stopping");
                return None;
            }
            why = node.failed() => return Some(why),
            Some(is_cut) = next_order() => node.cut_off(is_cut),
        }
    }
}

fn describe(node: &Node) -> RunningNode {
    RunningNode {
        name: node.id().to_string(),
        pid: std::process::id(),
        grpc: node.grpc_addr().to_string(),
        http: node.http_addr().to_string(),
        pg: node.pg_addr().map(|address| address.to_string()),
    }
}

/// Stops the node gracefully. A second signal means that somebody has no patience: then the process just ends.
async fn stop(node: Node, signals: &mut StopSignals) -> Result<Exit, Failure> {
    let (stopped, when_stopped) = oneshot::channel();
    thread::Builder::new().name("stop".into()).spawn(move || {
        node.stop();
        // Nobody waits any more after a second signal.
        let _ = stopped.send(());
    })?;
    tokio::select! {
        _ = when_stopped => Ok(Exit::Ok),
        cause = signals.next_signal() => {
            warn!(cause, "isogrid ends without waiting for its clients");
            Ok(Exit::Failed)
        }
    }
}
