//! `isogrid dev`: a local cluster for development. Every node is a process of its own, started as `isogrid start`, and
//! ends with this one, however this one ends.

mod child;
mod ports;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::exit::{CommandResult, Exit, Failure, wrong_argument};
use crate::output::{Format, print, print_json, tell};

use self::child::Child;
use self::ports::Ports;

use super::start::RunningNode;
use super::stop::StopSignals;

/// What the cluster looks like.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 1)]
    nodes: u16,

    /// Keep what must survive a restart here, in a folder for each node
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The gRPC port of the first node; its HTTP port is 80 above. 0 takes free ports
    #[arg(long, value_name = "PORT", default_value_t = ports::BASE_DEFAULT)]
    port_base: u16,

    /// Set a configuration key of every node; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(crate) fn run(args: &DevArgs, format: Format) -> CommandResult {
    check_nodes(args.nodes)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(cluster(args, format))
}

/// How many nodes this version can join into one cluster.
const NODES_MAX: u16 = 1;

fn check_nodes(nodes: u16) -> Result<(), Failure> {
    match nodes {
        1..=NODES_MAX => Ok(()),
        0 => Err(wrong_argument("--nodes 0; a cluster has at least one node")),
        _ => Err(wrong_argument(format!(
            "--nodes {nodes}; clusters of several nodes are not in this version, only --nodes 1 is"
        ))),
    }
}

/// Runs the cluster until a signal comes or a node ends by itself.
async fn cluster(args: &DevArgs, format: Format) -> CommandResult {
    let mut signals = StopSignals::listen(false)?;
    let mut children = Vec::new();
    for index in 0..args.nodes {
        let ports = Ports::of_node(args.port_base, index)?;
        ports.check_free()?;
        children.push(Child::spawn(&start_arguments(args, index, ports))?);
    }
    let mut nodes = Vec::new();
    for child in &mut children {
        tokio::select! {
            ready = child.ready() => match ready? {
                Ok(node) => nodes.push(node),
                // It has said why on standard error, which is ours too.
                Err(exit) => return Ok(exit),
            },
            _ = signals.next() => return stop(children).await,
        }
    }
    announce(&nodes, format)?;
    tokio::select! {
        _ = signals.next() => stop(children).await,
        name = first_end(&mut children, &nodes) => {
            tell(format!("{name} ended by itself; its log stands above"));
            stop(children).await?;
            Ok(Exit::Failed)
        }
    }
}

/// The command line of a node.
fn start_arguments(args: &DevArgs, index: u16, ports: Ports) -> Vec<String> {
    let name = format!("node-{}", index + 1);
    let mut arguments: Vec<String> = Vec::new();
    // A developer wants to see what goes wrong, not every connection; whoever says otherwise is heard.
    if std::env::var_os("ISOGRID__LOG__LEVEL").is_none() {
        arguments.extend(["--set".into(), "log.level=warn".into()]);
    }
    for pair in &args.set {
        arguments.extend(["--set".into(), pair.clone()]);
    }
    if let Some(folder) = &args.data_dir {
        let folder = folder.join(&name);
        arguments.extend(["--data-dir".into(), folder.to_string_lossy().into_owned()]);
    }
    arguments.extend(["--name".into(), name]);
    arguments.extend(["--grpc-addr".into(), ports.grpc_addr()]);
    arguments.extend(["--gossip-addr".into(), ports.grpc_addr()]);
    arguments.extend(["--http-addr".into(), ports.http_addr()]);
    arguments
}

/// Waits until one of the nodes ends, and says which.
async fn first_end(children: &mut [Child], nodes: &[RunningNode]) -> String {
    let ends = children.iter_mut().zip(nodes).map(|(child, node)| {
        Box::pin(async move {
            // How it ended makes no difference: it should not have.
            let _ = child.ended().await;
            node.name.clone()
        })
    });
    futures::future::select_all(ends).await.0
}

async fn stop(children: Vec<Child>) -> CommandResult {
    for child in children {
        child.stop().await?;
    }
    Ok(Exit::Ok)
}

fn announce(nodes: &[RunningNode], format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return print_json(&json!({ "nodes": nodes }));
    }
    let Some(first) = nodes.first() else { return Ok(()) };
    let grpc = &first.grpc;
    let endpoint = match grpc.as_str() {
        "127.0.0.1:7700" => String::new(),
        other => format!(" --endpoint {other}"),
    };
    let count = if nodes.len() == 1 { "1 node".into() } else { format!("{} nodes", nodes.len()) };
    let mut text = format!("isogrid {}, {count}, ready\n\n", isogrid_node::VERSION);
    for node in nodes {
        text.push_str(&format!(
            "  {}  grpc {}  http {}  pid {}\n",
            node.name, node.grpc, node.http, node.pid
        ));
    }
    text.push_str(&format!(
        "
  Rust      let grid = Grid::connect(\"isogrid://{grpc}\").await?;
  CLI       isogrid map put greetings hello world{endpoint}
            isogrid map get greetings hello{endpoint}
            isogrid status{endpoint}
  grpcurl   grpcurl -plaintext {grpc} list
            grpcurl -plaintext {grpc} isogrid.v1.Admin/Status

Ctrl-C stops it.
"
    ));
    print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_nodes_are_refused_clearly() {
        assert!(check_nodes(1).is_ok());
        for nodes in [0, 3] {
            let failure = check_nodes(nodes).expect_err("refused");
            assert_eq!(failure.exit(), Exit::Usage);
        }
        let text = check_nodes(3).expect_err("refused").text().unwrap_or_default();
        assert!(text.contains("clusters of several nodes are not in this version"), "{text}");
    }

    #[test]
    fn each_node_has_its_name_ports_and_folder() {
        let args = DevArgs {
            nodes: 1,
            data_dir: Some("data".into()),
            port_base: 7_800,
            set: vec!["node.cores=1".into()],
        };
        let ports = Ports::of_node(args.port_base, 0).expect("in range");
        let line = start_arguments(&args, 0, ports).join(" ");
        assert!(line.ends_with(
            "--set node.cores=1 --data-dir data/node-1 --name node-1 --grpc-addr 127.0.0.1:7800 --gossip-addr \
             127.0.0.1:7800 --http-addr 127.0.0.1:7880"
        ));
    }
}
