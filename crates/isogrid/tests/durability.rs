//! What a receipt says of the disk, snapshots that become old, and watches that go on over a restart.

mod common;

use std::path::Path;

use bytes::Bytes;
use common::data::{grid, runtime};
use common::{Node, eventually, http_get};
use isogrid_client::{Durability, Receipt};
use serde_json::Value;

fn start(folder: &Path, more: &[&str]) -> Node {
    let folder = folder.to_str().expect("text");
    Node::start(&[&["--data-dir", folder, "--set", "node.partitions=4"], more].concat())
}

fn crash(mut node: Node) {
    node.process.signal("KILL");
    node.process.wait();
}

/// The receipt of a write to this map.
fn receipt(node: &Node, map: &str) -> Receipt {
    runtime().block_on(async {
        let grid = grid(&node.endpoint).await;
        let map = grid.raw_map(map);
        let written = map.put(&b"k"[..], &Bytes::from_static(b"v")).with_receipt().await;
        *written.expect("it takes writes").receipt().expect("something was written")
    })
}

fn create(node: &Node, map: &str, mode: &[&str]) {
    let ran = node.run(&[&["map", "create", map], mode].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn a_receipt_says_what_the_write_survives() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = start(folder.path(), &[]);
    create(&node, "synced", &["--durability", "fsync"]);
    create(&node, "early", &["--durability", "fsync", "--acknowledge", "async"]);
    assert_eq!(receipt(&node, "synced").durability, Durability::Fsync);
    assert_eq!(receipt(&node, "usual").durability, Durability::Os);
    let early = receipt(&node, "early").durability;
    assert_eq!(early, Durability::Memory, "it was acknowledged before it was anywhere else");
    let in_memory = Node::start(&["--set", "node.partitions=4"]);
    assert_eq!(receipt(&in_memory, "usual").durability, Durability::Memory);
}

fn snapshots(node: &Node) -> u64 {
    let page = http_get(&node.http, "/metrics").expect("it listens");
    let name = "\nisogrid_disk_snapshots_total ";
    let (_, value) = page.split_once(name).unwrap_or_else(|| panic!("{page}"));
    value.lines().next().and_then(|value| value.parse().ok()).expect("a number")
}

#[test]
fn entries_do_not_stand_behind_their_snapshot_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = start(folder.path(), &["--set", "disk.snapshot_age_ms=1000"]);
    receipt(&node, "m");
    eventually("a snapshot of what was written", || snapshots(&node) > 0);
    let mut settled = 0;
    eventually("all partitions have one", || {
        settled = snapshots(&node);
        settled >= 4
    });
    receipt(&node, "m");
    eventually("a snapshot of what was written since", || snapshots(&node) > settled);
    crash(node);
    let node = start(folder.path(), &[]);
    eventually("it is there from the snapshot", || {
        let found = node.run(&["map", "get", "m", "k"]);
        found.code == 0 && found.text().trim() == "v"
    });
}

#[test]
fn a_watch_goes_on_after_all_processes_were_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    let token = token.to_str().expect("text");
    let data = folder.path().join("node");
    let watch = |node: &Node, more: &[&str]| -> Vec<Value> {
        let ran =
            node.run(&[&["map", "watch", "m", "--resume", token, "-o", "json"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.text().lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    };
    let node = start(&data, &[]);
    assert_eq!(node.run(&["map", "put", "m", "{a}1", "before"]).code, 0);
    // Each of four partitions says once that its snapshot is told.
    let told = watch(&node, &["--snapshot", "--limit", "5"]);
    assert!(told.iter().any(|event| event["key"] == "{a}1"), "{told:?}");
    assert_eq!(node.run(&["map", "put", "m", "{a}2", "unseen"]).code, 0);
    crash(node);

    let node = start(&data, &[]);
    eventually("it takes writes", || node.run(&["map", "put", "m", "{a}3", "after"]).code == 0);
    let events = watch(&node, &["--limit", "2"]);
    let seen: Vec<_> = events.iter().map(|event| (&event["event"], &event["key"])).collect();
    let put = Value::from("put");
    assert_eq!(seen, [(&put, &Value::from("{a}2")), (&put, &Value::from("{a}3"))], "{events:?}");
}
