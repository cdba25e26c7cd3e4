//! What is printed once the cluster is there: one JSON object, or how to connect.

use serde_json::json;

use crate::commands::start::RunningNode;
use crate::exit::Failure;
use crate::output::{Format, print, print_json};

/// Says how to connect.
pub(super) fn announce(nodes: &[RunningNode], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => print_json(&json!({ "nodes": nodes })),
        Format::Table => print(&text(nodes)),
    }
}

fn text(nodes: &[RunningNode]) -> String {
    let Some(first) = nodes.first() else { return String::new() };
    let grpc = &first.grpc;
    let endpoint = match grpc.as_str() {
        "127.0.0.1:7700" => String::new(),
        other => format!(" --endpoint {other}"),
    };
    let count = if nodes.len() == 1 { "1 node".into() } else { format!("{} nodes", nodes.len()) };
    let mut text = format!("isogrid {}, {count}, ready\n\n", isogrid_node::VERSION);
    for node in nodes {
        let pg = node.pg.as_ref().map(|pg| format!("  pg {pg}")).unwrap_or_default();
        text.push_str(&format!(
            "  {}  grpc {}  http {}{pg}  pid {}\n",
            node.name, node.grpc, node.http, node.pid
        ));
    }
    let psql = first.pg.as_ref().and_then(|pg| pg.rsplit_once(':'));
    let psql = psql.map(|(host, port)| format!("  psql      psql -h {host} -p {port}\n"));
    let psql = psql.unwrap_or_default();
    text.push_str(&format!(
        "
  Rust      let grid = Grid::connect(\"isogrid://{grpc}\").await?;
  CLI       isogrid map put greetings hello world{endpoint}
            isogrid map get greetings hello{endpoint}
            isogrid status{endpoint}
  grpcurl   grpcurl -plaintext {grpc} list
            grpcurl -plaintext {grpc} isogrid.v1.Admin/Status
{psql}
Ctrl-C stops it.
"
    ));
    text
}
