//! `isogrid start`: a node from its first log line to its end.

mod common;

use common::{Node, isogrid};

#[test]
fn a_node_stops_gracefully_on_either_signal() {
    for signal in ["TERM", "INT"] {
        let mut node = Node::start(&[]);
        assert_eq!(node.run(&["status"]).code, 0);
        node.process.signal(signal);
        let status = node.process.wait();
        assert_eq!(status.code(), Some(0), "SIG{signal}: {}", node.process.stderr());
        assert!(node.process.stderr().contains(&format!("SIG{signal}")));
        assert_eq!(node.run(&["status"]).code, 3, "it is gone");
    }
}

#[test]
fn the_first_line_of_the_log_says_what_runs_where() {
    let mut node = Node::start(&["--name", "first", "--set", "node.cluster=blue"]);
    node.process.signal("TERM");
    node.process.wait();
    let log = node.process.stderr();
    let first = log.lines().next().unwrap_or_default();
    for said in ["starting", env!("CARGO_PKG_VERSION"), "blue", "grpc", "gossip", "http"] {
        assert!(first.contains(said), "{said}: {first}");
    }
    assert!(!log.contains('\u{1b}'), "no colours where nobody looks: {log}");
}

#[test]
fn the_log_can_be_json() {
    let mut node = Node::start(&["--set", "log.format=json"]);
    node.process.signal("TERM");
    node.process.wait();
    for line in node.process.stderr().lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
        assert!(object["level"].is_string() && object["message"].is_string(), "{line}");
    }
}

#[test]
fn a_taken_address_is_named() {
    let node = Node::start(&[]);
    let ran = isogrid(&["start", "--grpc-addr", &node.endpoint, "--http-addr", "127.0.0.1:0"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("IG-0604") && ran.stderr.contains(&node.endpoint),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_name_survives_in_the_data_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let mut node = Node::start(&["--data-dir", path, "--name", "anna"]);
    let second = isogrid(&["start", "--data-dir", path, "--grpc-addr", "127.0.0.1:0"]);
    assert_eq!(second.code, 1, "{}", second.stderr);
    node.process.signal("TERM");
    assert_eq!(node.process.wait().code(), Some(0));
    let node = Node::start(&["--data-dir", path]);
    assert_eq!(node.run(&["status", "-o", "json"]).json()["members"][0]["node"], "anna");
}
