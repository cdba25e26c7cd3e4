//! A local cluster of three nodes, operated from the command line.

mod common;

use std::io::Write;
use std::process::ChildStdin;

use common::{Ran, Running, eventually, is_alive, isogrid, signal};
use serde_json::{Value, json};

/// A cluster of `isogrid dev`.
struct Cluster {
    dev: Running,
    stdin: ChildStdin,
    nodes: Vec<Value>,
}

impl Cluster {
    fn start(more: &[&str]) -> Cluster {
        let dev = ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
        let (mut dev, line) = Running::start(&[&dev, more].concat());
        let Ok(announced) = serde_json::from_str::<Value>(&line) else {
            dev.wait();
            panic!("the cluster does not start: {}", dev.stderr());
        };
        let stdin = dev.0.stdin.take().expect("piped");
        let nodes = announced["nodes"].as_array().expect("a list").clone();
        Cluster { dev, stdin, nodes }
    }

    fn pid(&self, node: usize) -> u32 {
        self.nodes[node]["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a number")
    }

    fn endpoint(&self, node: usize) -> &str {
        self.nodes[node]["grpc"].as_str().expect("an address")
    }

    /// Runs a command against one of the nodes.
    fn at(&self, node: usize, arguments: &[&str]) -> Ran {
        isogrid(&[arguments, &["--endpoint", self.endpoint(node)]].concat())
    }

    /// The same, and it must succeed.
    fn ok(&self, node: usize, arguments: &[&str]) -> Ran {
        let ran = self.at(node, arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {} {}", ran.text(), ran.stderr);
        ran
    }

    fn status(&self, node: usize) -> Value {
        self.ok_or_not(node, &["status", "-o", "json"])
    }

    fn ok_or_not(&self, node: usize, arguments: &[&str]) -> Value {
        let ran = self.at(node, arguments);
        serde_json::from_slice(&ran.stdout).unwrap_or(Value::Null)
    }

    fn safe(&self, node: usize) {
        self.ok(node, &["status", "--exit-when-safe", "--timeout", "60s", "--interval", "100ms"]);
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").expect("it listens");
    }

    fn stop(mut self) {
        self.dev.signal("TERM");
        assert_eq!(self.dev.wait().code(), Some(0), "{}", self.dev.stderr());
    }
}

fn member<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["members"].as_array()?.iter().find(|member| member["node"] == name)
}

/// How many copies a member holds; none if it is no member.
fn held(status: &Value, name: &str) -> u64 {
    let count = |name: &str, field: &str| member(status, name).and_then(|m| m[field].as_u64());
    ["primaries", "backups", "learners"].iter().filter_map(|field| count(name, field)).sum()
}

#[test]
fn three_nodes_are_one_safe_cluster_whoever_is_asked() {
    let cluster = Cluster::start(&[]);
    assert_eq!(cluster.nodes.len(), 3);
    for node in 0..3 {
        let status = cluster.status(node);
        assert_eq!((&status["health"], &status["safe"]), (&json!("healthy"), &json!(true)));
        assert_eq!(status["members"].as_array().map(Vec::len), Some(3));
        assert_eq!(status["partitions_under_replicated"], 0);
        for name in ["node-0", "node-1", "node-2"] {
            let member = member(&status, name).expect("it is listed");
            assert!(member["has_answered"] == true && member["is_live"] == true, "{member}");
            assert!(member["primaries"].as_u64() > Some(0), "{member}");
        }
    }
    cluster.ok(0, &["map", "put", "m", "k", "v"]);
    for node in 0..3 {
        assert_eq!(cluster.ok(node, &["map", "get", "m", "k"]).stdout, b"v");
    }
    let trace = cluster.ok(1, &["trace", "k", "--map", "m", "-o", "json"]).json();
    assert_eq!(trace["backups"].as_array().map(Vec::len), Some(1));
    assert_eq!(trace["hops"].as_array().map(Vec::len), Some(3));
    let map = cluster.ok(2, &["map", "info", "m", "-o", "json"]).json();
    assert_eq!(map["entries"], 1, "copies count once");
    let pids: Vec<u32> = (0..3).map(|node| cluster.pid(node)).collect();
    cluster.stop();
    assert!(!pids.into_iter().any(is_alive), "all nodes have ended");
}

#[test]
fn a_killed_node_is_missed_and_comes_back() {
    let mut cluster = Cluster::start(&[]);
    cluster.ok(0, &["map", "put", "m", "k", "v"]);
    signal(cluster.pid(1), "KILL");
    eventually("it is missed", || {
        let status = cluster.status(0);
        status["health"] == "degraded" && status["partitions_without_primary"] == 0
    });
    assert_eq!(cluster.at(0, &["map", "get", "m", "k"]).stdout, b"v");
    cluster.say("restart node-1");
    cluster.safe(0);
    assert_eq!(cluster.at(1, &["map", "get", "m", "k"]).stdout, b"v");
    cluster.stop();
}

#[test]
fn the_same_folder_is_the_same_cluster() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let first = Cluster::start(&["--data-dir", path]);
    let id = first.status(0)["cluster_id"].clone();
    first.stop();
    let again = Cluster::start(&["--data-dir", path]);
    assert_eq!(again.nodes.len(), 3);
    let status = again.status(0);
    assert_eq!(status["cluster_id"], id);
    assert!(member(&status, "node-2").is_some_and(|m| m["incarnation"].as_u64() > Some(1)));
    again.stop();
}

#[test]
fn a_node_is_drained_filled_again_and_leaves() {
    let mut cluster = Cluster::start(&[]);
    let plan = cluster.at(0, &["cluster", "drain", "node-2", "-o", "json"]);
    assert_eq!(plan.code, 2, "{}", plan.stderr);
    assert!(plan.json()["moves"].as_array().is_some_and(|moves| !moves.is_empty()));
    assert!(held(&cluster.status(0), "node-2") > 0, "nothing was done");

    cluster.ok(0, &["cluster", "drain", "node-2", "--yes", "--wait", "--timeout", "60s"]);
    assert_eq!(held(&cluster.status(0), "node-2"), 0);
    cluster.ok(0, &["cluster", "stay", "node-2"]);
    eventually("it is filled again", || held(&cluster.status(0), "node-2") > 0);
    cluster.safe(0);

    cluster.ok(0, &["cluster", "leave", "node-2", "--yes", "--wait", "--timeout", "60s"]);
    cluster.ok(0, &["cluster", "can-stop", "node-2", "--wait", "--timeout", "10s"]);
    signal(cluster.pid(2), "TERM");
    eventually("it is forgotten", || member(&cluster.status(0), "node-2").is_none());
    cluster.say("add");
    eventually("another comes", || member(&cluster.status(0), "node-3").is_some());
    cluster.safe(0);
    cluster.stop();
}

#[test]
fn a_node_is_prepared_for_a_restart() {
    let cluster = Cluster::start(&[]);
    let refused = cluster.at(0, &["cluster", "can-stop", "node-1", "-o", "json"]);
    assert_eq!((refused.code, &refused.json()["can_stop"]), (3, &json!(false)));
    let ran = cluster
        .ok(0, &["cluster", "restart", "node-1", "--wait", "--timeout", "20s", "-o", "json"]);
    assert_eq!(ran.json()["can_stop"], true);
    assert_eq!(member(&cluster.status(0), "node-1").map(|m| &m["primaries"]), Some(&json!(0)));
    cluster.ok(0, &["cluster", "stay", "node-1"]);
    cluster.stop();
}

#[test]
fn maps_are_created_altered_applied_and_dropped() {
    let cluster = Cluster::start(&[]);
    cluster.ok(0, &["map", "create", "orders", "--backups", "2", "--min-in-sync", "2"]);
    assert_eq!(cluster.at(1, &["map", "create", "orders"]).code, 1, "it exists");
    let info = |node| cluster.ok(node, &["map", "info", "orders", "-o", "json"]).json();
    eventually("all know of it", || (0..3).all(|node| info(node)["backups"] == 2));
    cluster.safe(0);
    let altered =
        cluster.ok(2, &["map", "alter", "orders", "--acknowledge", "async", "-o", "json"]);
    let changes = json!({ "acknowledge": { "from": "sync", "to": "async" } });
    assert_eq!(altered.json()["changes"], changes);

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("maps.yaml");
    std::fs::write(&file, "maps:\n  orders: {backups: 1}\n  users: {read: any}\n")
        .expect("written");
    let file = file.to_str().expect("text");
    let applied = cluster.ok(1, &["apply", "-f", file, "-o", "json"]).json();
    let what = |applied: &Value| -> Vec<Value> {
        applied["maps"].as_array().expect("maps").iter().map(|map| map["change"].clone()).collect()
    };
    assert_eq!(what(&applied), ["altered", "created"]);
    let again = cluster.ok(1, &["apply", "-f", file, "-o", "json"]).json();
    assert_eq!(what(&again), ["unchanged", "unchanged"]);
    cluster.ok(0, &["map", "drop", "users", "--yes"]);
    assert_eq!(cluster.at(0, &["map", "drop", "users", "--yes"]).code, 1);
    cluster.stop();
}

#[test]
fn a_map_is_watched_and_the_watch_goes_on_where_it_stood() {
    let cluster = Cluster::start(&[]);
    for key in ["a", "b", "c"] {
        cluster.ok(0, &["map", "put", "m", key, "v"]);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let file = file.to_str().expect("text");
    let watch = |more: &[&str]| -> Vec<Value> {
        let watch = ["map", "watch", "m", "--resume", file, "-o", "json"];
        let ran = cluster.ok(1, &[&watch, more].concat());
        ran.text().lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    };
    // Every partition says once that its snapshot is told.
    let partitions = cluster.status(0)["partitions"].to_string().parse::<u64>().expect("a number");
    let events = watch(&["--snapshot", "--limit", &(partitions + 3).to_string()]);
    let puts = events.iter().filter(|event| event["event"] == "put");
    assert_eq!(puts.count(), 3);
    cluster.ok(0, &["map", "del", "m", "b"]);
    let events = watch(&["--limit", "1"]);
    assert_eq!((&events[0]["event"], &events[0]["key"]), (&json!("deleted"), &json!("b")));
    cluster.stop();
}
