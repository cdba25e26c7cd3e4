//! `isogrid dev`: a local cluster that ends with its command.

mod common;

use std::io::Write;
use std::net::TcpListener;

use common::{PATIENCE, Running, eventually, is_alive, isogrid, signal};
use serde_json::Value;

const DEV: &[&str] = &["dev", "--nodes", "1", "--port-base", "0", "-o", "json"];

fn start() -> (Running, Value) {
    start_with(&[])
}

fn start_with(more: &[&str]) -> (Running, Value) {
    let (running, line) = Running::start(&[DEV, more].concat());
    let announced = serde_json::from_str(&line).expect("one JSON object");
    (running, announced)
}

fn pid(announced: &Value) -> u32 {
    announced["nodes"][0]["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a number")
}

fn endpoint(announced: &Value) -> &str {
    announced["nodes"][0]["grpc"].as_str().expect("an address")
}

fn ends(pid: u32) {
    eventually("the node ends", || !is_alive(pid));
}

fn answers(endpoint: &str) -> bool {
    isogrid(&["status", "--endpoint", endpoint]).code == 0
}

#[test]
fn a_cluster_is_announced_and_ends_with_its_command() {
    for name in ["TERM", "INT"] {
        let (mut dev, announced) = start();
        let node = &announced["nodes"][0];
        assert_eq!(node["name"], "node-0");
        assert!(node["http"].as_str().is_some_and(|http| http.starts_with("127.0.0.1:")));
        let endpoint = endpoint(&announced);
        let put = isogrid(&["map", "put", "m", "k", "v", "--endpoint", endpoint]);
        assert_eq!(put.code, 0, "{}", put.stderr);
        assert_eq!(isogrid(&["map", "get", "m", "k", "--endpoint", endpoint]).stdout, b"v");
        dev.signal(name);
        assert_eq!(dev.wait().code(), Some(0), "SIG{name}");
        ends(pid(&announced));
    }
}

#[test]
fn nodes_do_not_outlive_a_killed_command() {
    let (mut dev, announced) = start();
    dev.signal("KILL");
    dev.wait();
    ends(pid(&announced));
}

#[test]
fn a_paused_node_does_not_outlive_its_command_either() {
    for name in ["TERM", "KILL"] {
        let (mut dev, announced) = start();
        let mut stdin = dev.0.stdin.take().expect("piped");
        writeln!(stdin, "pause node-0").expect("it listens");
        let node = pid(&announced);
        eventually("it stands still", || stands_still(node));
        dev.signal(name);
        dev.wait();
        ends(node);
    }
}

/// Whether all threads of a process were stopped: the system wakes only such a process when the one above it dies.
fn stands_still(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = threads.map(|thread| std::fs::read_to_string(thread.path().join("stat")));
    let states: Vec<Option<char>> =
        stats.map(|stat| stat.ok()?.rsplit(") ").next()?.chars().next()).collect();
    !states.is_empty() && states.iter().all(|state| *state == Some('T'))
}

#[test]
fn a_node_that_ends_by_itself_is_told() {
    let (mut dev, announced) = start();
    signal(pid(&announced), "KILL");
    assert_eq!(dev.wait().code(), Some(1));
    assert!(dev.stderr().contains("node-0 ended by itself (killed)"));
}

#[test]
fn lines_on_standard_input_do_things_to_nodes() {
    let (mut dev, announced) = start();
    let (endpoint, first) = (endpoint(&announced), pid(&announced));
    let mut stdin = dev.0.stdin.take().expect("piped");
    let mut say = |line: &str| writeln!(stdin, "{line}").expect("it listens");
    say("burn node-0");
    say("pause node-0");
    eventually("it stands still", || stands_still(first));
    say("pause node-0");
    eventually("it goes on", || answers(endpoint));
    // At once one after the other: each change is told all the same.
    say("kill node-0");
    say("restart node-0");
    eventually("it runs again", || !is_alive(first) && answers(endpoint));
    say("restart node-7");
    say("quit");
    assert_eq!(dev.wait().code(), Some(0));
    assert!(!answers(endpoint));
    let told = dev.stderr();
    for text in [
        "\"burn node-0\": known are kill NODE",
        "node-0: killed",
        "node-0 runs, pid",
        "node-0: paused",
        "there is no node-7",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
}

#[test]
fn a_node_that_is_cut_off_is_given_up_and_comes_back() {
    let (mut dev, line) = Running::start(&["dev", "--port-base", "0", "-o", "json"]);
    let announced: Value = serde_json::from_str(&line).expect("one JSON object");
    let endpoint = |node: usize| announced["nodes"][node]["grpc"].as_str().expect("an address");
    let status = |node: usize| isogrid(&["status", "-o", "json", "--endpoint", endpoint(node)]);
    let state = |of: &str| -> Option<String> {
        let told: Value = serde_json::from_slice(&status(0).stdout).ok()?;
        let members = told["members"].as_array()?;
        let member = members.iter().find(|member| member["node"] == of)?;
        Some(member["state"].as_str()?.to_owned())
    };
    let mut stdin = dev.0.stdin.take().expect("piped");
    writeln!(stdin, "cut node-2").expect("it listens");
    eventually("the others give it up", || state("node-2").as_deref() == Some("down"));
    let put = isogrid(&["map", "put", "m", "k", "v", "--endpoint", endpoint(0)]);
    assert_eq!(put.code, 0, "{}", put.stderr);
    assert_ne!(status(2).code, 0, "alone it knows that it is not safe");
    writeln!(stdin, "cut node-2").expect("it listens");
    eventually("it is back", || state("node-2").as_deref() == Some("active"));
    writeln!(stdin, "quit").expect("it listens");
    assert_eq!(dev.wait().code(), Some(0));
    assert!(dev.stderr().contains("node-2: cut off"), "{}", dev.stderr());
}

#[test]
fn the_same_folder_has_the_same_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (mut dev, announced) = start_with(&["--data-dir", path]);
        assert_eq!(announced["nodes"][0]["name"], "node-0");
        let status = isogrid(&["status", "-o", "json", "--endpoint", endpoint(&announced)]).json();
        ids.push(status["cluster_id"].clone());
        dev.signal("TERM");
        assert_eq!(dev.wait().code(), Some(0));
    }
    assert!(folder.path().join("node-0").is_dir());
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn a_taken_port_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let ran = isogrid(&["dev", "--nodes", "1", "--port-base", &port]);
    // The ports above may lie beyond the end of the range, which is another clear error.
    assert!(ran.code == 1 || ran.code == 2, "{}", ran.stderr);
    assert!(ran.stderr.contains(&port) && ran.stderr.contains("--port-base"), "{}", ran.stderr);
}

#[test]
fn a_wrong_setting_ends_it_with_the_reason() {
    let ran = isogrid(&[DEV, &["--set", "node.colour=red"]].concat());
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("IG-0601"), "{}", ran.stderr);
}

#[test]
fn the_connect_lines_are_for_people() {
    let (mut dev, first) = Running::start(&["dev", "--nodes", "1", "--port-base", "0"]);
    assert!(first.contains("1 node, ready"), "{first}");
    dev.signal("TERM");
    assert_eq!(dev.wait().code(), Some(0));
    assert!(PATIENCE.as_secs() > 15, "longer than a node may take to stop");
}
