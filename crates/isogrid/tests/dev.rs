//! `isogrid dev`: a local cluster that ends with its command.

mod common;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use common::{PATIENCE, Running, is_alive, isogrid, signal};
use serde_json::Value;

fn start() -> (Running, Value) {
    let (running, line) = Running::start(&["dev", "--port-base", "0", "-o", "json"]);
    let announced = serde_json::from_str(&line).expect("one JSON object");
    (running, announced)
}

fn pid(announced: &Value) -> u32 {
    announced["nodes"][0]["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a number")
}

fn ends(pid: u32) -> bool {
    let begun = Instant::now();
    while is_alive(pid) && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    !is_alive(pid)
}

#[test]
fn a_cluster_is_announced_and_ends_with_its_command() {
    for name in ["TERM", "INT"] {
        let (mut dev, announced) = start();
        let node = &announced["nodes"][0];
        assert_eq!(node["name"], "node-1");
        let endpoint = node["grpc"].as_str().expect("an address");
        assert!(node["http"].as_str().is_some_and(|http| http.starts_with("127.0.0.1:")));
        let put = isogrid(&["map", "put", "m", "k", "v", "--endpoint", endpoint]);
        assert_eq!(put.code, 0, "{}", put.stderr);
        assert_eq!(isogrid(&["map", "get", "m", "k", "--endpoint", endpoint]).stdout, b"v");
        dev.signal(name);
        assert_eq!(dev.wait().code(), Some(0), "SIG{name}");
        assert!(ends(pid(&announced)), "the node ends with its command");
    }
}

#[test]
fn nodes_do_not_outlive_a_killed_command() {
    let (mut dev, announced) = start();
    dev.signal("KILL");
    dev.wait();
    assert!(ends(pid(&announced)));
}

#[test]
fn a_node_that_ends_by_itself_is_told() {
    let (mut dev, announced) = start();
    signal(pid(&announced), "KILL");
    assert_eq!(dev.wait().code(), Some(1));
    assert!(dev.stderr().contains("node-1 ended by itself"));
}

#[test]
fn a_taken_port_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let ran = isogrid(&["dev", "--port-base", &port]);
    // The ports above may lie beyond the end of the range, which is another clear error.
    assert!(ran.code == 1 || ran.code == 2, "{}", ran.stderr);
    assert!(ran.stderr.contains(&port) && ran.stderr.contains("--port-base"), "{}", ran.stderr);
}

#[test]
fn a_wrong_setting_ends_it_with_the_reason() {
    let ran = isogrid(&["dev", "--port-base", "0", "--set", "node.colour=red"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("IG-0601"), "{}", ran.stderr);
}

#[test]
fn the_connect_lines_are_for_people() {
    let (mut dev, first) = Running::start(&["dev", "--port-base", "0"]);
    assert!(first.contains("1 node, ready"), "{first}");
    dev.signal("TERM");
    assert_eq!(dev.wait().code(), Some(0));
}
