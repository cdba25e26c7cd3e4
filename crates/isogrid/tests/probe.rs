//! Probes: what a node says of itself, alone, among others, on its way in and out, and what `isogrid probe` makes of it.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;

use common::{Node, Ran, Running, eventually, http_get, isogrid, isogrid_with, signal};
use serde_json::Value;

fn probe(http: &str, probe: &str) -> Ran {
    isogrid(&["probe", probe, "--http", http])
}

/// The codes of the five probes: live, ready, startup, pre-restart, post-restart.
fn codes(http: &str) -> [i32; 5] {
    ["live", "ready", "startup", "pre-restart", "post-restart"].map(|name| probe(http, name).code)
}

#[test]
fn a_node_alone_is_ready_and_would_be_missed() {
    let node = Node::start(&[]);
    eventually("it is ready", || codes(&node.http) == [0, 0, 0, 3, 0]);
    let missed = probe(&node.http, "pre-restart");
    assert!(missed.stderr.starts_with("missed: "), "{}", missed.stderr);
    let ran = isogrid(&["probe", "ready", "--http", &node.http, "-o", "json"]);
    assert_eq!(ran.json(), serde_json::json!({ "probe": "ready", "ok": true, "reason": "ready" }));
    for (path, says) in [("live", "live\n"), ("ready", "ready\n"), ("startup", "started\n")] {
        let answer = http_get(&node.http, &format!("/health/{path}")).expect("it listens");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(says), "{answer}");
    }
}

#[test]
fn a_node_that_waits_for_others_lives_and_is_not_ready() {
    let alone = ["--set", "cluster.expect=2", "--set", "cluster.seeds=127.0.0.1:9"];
    let node = Node::start(&alone);
    assert_eq!(codes(&node.http), [0, 3, 3, 3, 3]);
    for name in ["ready", "startup", "pre-restart", "post-restart"] {
        let said = probe(&node.http, name).stderr;
        assert!(said.starts_with("joining: no cluster"), "{name}: {said}");
    }
    let answer = http_get(&node.http, "/health/ready").expect("it listens");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[test]
fn the_address_is_that_of_the_node_s_configuration() {
    let node = Node::start(&[]);
    let variable = [("ISOGRID__NODE__HTTP_ADDR", node.http.as_str())];
    assert_eq!(isogrid_with(&variable, &["probe", "live"]).code, 0);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("isogrid.toml");
    // What listens at all addresses is asked at this machine's own.
    let everywhere = node.http.replace("127.0.0.1", "0.0.0.0");
    std::fs::write(&file, format!("[node]\nhttp_addr = \"{everywhere}\"\n")).expect("written");
    let path = file.to_str().expect("text");
    assert_eq!(isogrid(&["probe", "live", "--config", path]).code, 0);
    assert_eq!(isogrid_with(&[("ISOGRID_CONFIG", path)], &["probe", "live"]).code, 0);
    std::fs::write(&file, "[node]\nhtp_addr = \"x\"\n").expect("written");
    assert_eq!(isogrid(&["probe", "live", "--config", path]).code, 2);
}

#[test]
fn nobody_is_three_and_somebody_else_is_one() {
    let ran = probe("127.0.0.1:1", "live");
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("does not answer"), "{}", ran.stderr);
    for wrong in [
        &["probe"] as &[&str],
        &["probe", "alive"],
        &["probe", "live", "--http", "no port"],
        &["probe", "live", "--http", "http://127.0.0.1:1"],
        &["probe", "live", "--timeout", "5"],
    ] {
        assert_eq!(isogrid(wrong).code, 2, "{wrong:?}");
    }
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    let answers = std::thread::spawn(move || {
        let (mut socket, _) = other.accept().expect("a caller");
        let _ = socket.read(&mut [0; 1_024]);
        socket.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").expect("it listens");
    });
    let ran = probe(&address, "live");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    answers.join().expect("it has answered");
}

/// Some nodes of one cluster, on free ports.
struct Cluster(Vec<Node>);

impl Cluster {
    fn start(names: &[&str]) -> Cluster {
        let free: Vec<String> = names.iter().map(|_| free_udp()).collect();
        let seeds = format!("cluster.seeds={}", free.join(","));
        let expect = format!("cluster.expect={}", names.len());
        let start = |(name, gossip): (&&str, &String)| {
            let gossip = gossip.clone();
            let arguments = ["--name", name, "--gossip-addr", &gossip, "--set", &seeds];
            let more = ["--set", &expect, "--set", "node.partitions=16"];
            Node::start_at(&[&arguments[..], &more].concat())
        };
        let cluster = Cluster(names.iter().zip(&free).map(start).collect());
        for node in &cluster.0 {
            eventually("it is as well as it can be", || {
                probe(&node.http, "post-restart").code == 0
            });
        }
        cluster
    }

    fn http(&self, node: usize) -> &str {
        &self.0[node].http
    }
}

fn free_udp() -> String {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address").to_string()
}

impl Node {
    /// Starts a node that says itself where it gossips.
    fn start_at(arguments: &[&str]) -> Node {
        let mut all = vec!["start", "-o", "json", "--set", "node.cores=1"];
        all.extend(["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"]);
        // Nobody reads its log: a node whose pipe is full stands still.
        all.extend(["--set", "log.level=off"]);
        all.extend(arguments);
        let (process, line) = Running::start(&all);
        let node: Value = serde_json::from_str(&line).expect("it says where it listens");
        let address = |name: &str| node[name].as_str().expect("an address").to_owned();
        Node { endpoint: address("grpc"), http: address("http"), pg: None, process }
    }
}

#[test]
fn a_node_stays_ready_while_others_die() {
    let cluster = Cluster::start(&["a", "b", "c"]);
    eventually("any may be restarted", || codes(cluster.http(0)) == [0; 5]);
    signal(cluster.0[1].process.0.id(), "KILL");
    signal(cluster.0[2].process.0.id(), "KILL");
    eventually("they are missed", || codes(cluster.http(0)) == [0, 0, 0, 3, 3]);
    let said = probe(cluster.http(0), "post-restart").stderr;
    assert!(said.starts_with("unavailable: ") || said.starts_with("degraded: "), "{said}");
}

#[test]
fn one_node_is_restarted_at_a_time() {
    let cluster = Cluster::start(&["a", "b", "c"]);
    assert_eq!(probe(cluster.http(0), "pre-restart").code, 0);
    // Nobody has to say which node: it is the one that is asked.
    let ran = cluster.0[1].run(&["cluster", "can-stop", "-o", "json"]);
    assert_eq!((ran.code, ran.json()["node"].as_str()), (3, Some("b")), "{}", ran.stderr);
    let ran = cluster.0[1].run(&["cluster", "restart", "--wait", "--timeout", "20s"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    eventually("the others know", || probe(cluster.http(0), "pre-restart").code == 3);
    let said = probe(cluster.http(0), "pre-restart").stderr;
    assert!(said.contains("b is about to restart"), "{said}");
    assert_eq!(probe(cluster.http(1), "pre-restart").code, 0, "it is its own turn");
    assert_eq!(cluster.0[0].run(&["cluster", "stay", "b"]).code, 0);
    eventually("it is taken back", || probe(cluster.http(0), "pre-restart").code == 0);
}

#[test]
fn who_leaves_or_stops_is_not_ready() {
    let mut cluster = Cluster::start(&["a", "b", "c"]);
    assert_eq!(cluster.0[0].run(&["cluster", "leave", "c", "--yes"]).code, 0);
    eventually("it leaves", || codes(cluster.http(2))[..3] == [0, 3, 0]);
    assert!(probe(cluster.http(2), "ready").stderr.starts_with("leaving: "));
    assert_eq!(cluster.0[0].run(&["cluster", "stay", "c"]).code, 0);
    eventually("it stays", || probe(cluster.http(2), "ready").code == 0);

    // With somebody who stands still it takes a moment to hand everything over.
    signal(cluster.0[1].process.0.id(), "STOP");
    cluster.0[2].process.signal("TERM");
    eventually("it stops", || probe(cluster.http(2), "ready").stderr.starts_with("stopping: "));
    assert_eq!(codes(cluster.http(2))[..3], [0, 3, 0]);
    signal(cluster.0[1].process.0.id(), "CONT");
    assert_eq!(cluster.0[2].process.wait().code(), Some(0));
}

#[test]
fn a_leave_may_be_said_again_when_it_is_done() {
    let mut cluster = Cluster::start(&["a", "b", "c"]);
    let leave = ["cluster", "leave", "c", "--yes", "--wait", "--timeout", "30s"];
    assert_eq!(cluster.0[0].run(&leave).code, 0);
    cluster.0[2].process.signal("TERM");
    assert_eq!(cluster.0[2].process.wait().code(), Some(0));
    let is_forgotten = || {
        let status = cluster.0[0].run(&["status", "-o", "json"]).json();
        status["members"].as_array().is_some_and(|members| members.len() == 2)
    };
    eventually("it is forgotten", is_forgotten);
    for node in 0..2 {
        let again = cluster.0[node].run(&leave);
        assert_eq!(again.code, 0, "{}", again.stderr);
        assert!(again.stderr.contains("c has left already"), "{}", again.stderr);
    }
    assert_eq!(cluster.0[0].run(&["cluster", "leave", "d", "--yes"]).code, 2);
    assert_eq!(cluster.0[0].run(&["cluster", "leave", "c"]).code, 2, "without a yes");
}

#[test]
fn two_nodes_are_well_and_not_safe() {
    let mut cluster = Cluster::start(&["a", "b"]);
    for node in 0..2 {
        let status = cluster.0[node].run(&["status", "-o", "json"]).json();
        assert_eq!((status["health"].as_str(), &status["safe"]), (Some("healthy"), &false.into()));
        assert_eq!(status["council"]["voters"].as_array().map(Vec::len), Some(1), "{status}");
        // It hands over what it leads, and its vote, before it ends.
        eventually("it may be restarted", || probe(cluster.http(node), "pre-restart").code == 0);
    }
    assert_eq!(cluster.0[0].run(&["map", "put", "m", "k", "v"]).code, 0);
    cluster.0[0].process.signal("TERM");
    assert_eq!(cluster.0[0].process.wait().code(), Some(0));
    assert_eq!(cluster.0[1].run(&["map", "get", "m", "k"]).stdout, b"v");
    assert_eq!(cluster.0[1].run(&["map", "put", "m", "other", "v"]).code, 0);
}

#[test]
fn others_reach_a_node_by_its_name() {
    let gossip = free_udp();
    let first = ["--name", "a", "--gossip-addr", &gossip, "--set", "node.advertise=localhost"];
    let first = Node::start_at(&first);
    let (seeds, other) = (format!("cluster.seeds={gossip}"), free_udp());
    let second = ["--name", "b", "--gossip-addr", &other, "--set", &seeds];
    let second = Node::start_at(&[&second[..], &["--set", "node.advertise=localhost"]].concat());
    for node in [&first, &second] {
        eventually("it is well", || probe(&node.http, "post-restart").code == 0);
    }
    let status = first.run(&["status", "-o", "json"]).json();
    let port = second.endpoint.rsplit(':').next().expect("a port");
    let expected = format!("localhost:{port}");
    assert_eq!(status["members"][1]["grpc"], expected.as_str(), "{status}");
    assert_eq!(first.run(&["map", "put", "m", "k", "v"]).code, 0);
    assert_eq!(second.run(&["map", "get", "m", "k"]).stdout, b"v");
    let ran = isogrid(&["start", "--set", "node.advertise=a:7700"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}
