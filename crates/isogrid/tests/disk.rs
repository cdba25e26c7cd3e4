//! A node's data on disk: they are there after a crash, can be looked at without the node, and damage is found.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Node, eventually, isogrid};
use serde_json::Value;

fn start(folder: &Path) -> Node {
    Node::start(&["--data-dir", folder.to_str().expect("text"), "--name", "anna"])
}

/// Ends the node as a crash does.
fn crash(mut node: Node) {
    node.process.signal("KILL");
    node.process.wait();
}

fn disk(command: &[&str], folder: &Path) -> common::Ran {
    let folder = folder.to_str().expect("text");
    isogrid(&[&["disk"], command, &[folder]].concat())
}

fn lines(ran: &common::Ran) -> Vec<Value> {
    ran.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn first_segment(folder: &Path) -> PathBuf {
    let log = fs::read_dir(folder.join("data/log")).expect("a log");
    let segments = log.map(|entry| entry.expect("a segment").path());
    segments.min().expect("a segment")
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash_with_version_and_expiry() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = start(folder.path());
    for command in [
        &["map", "put", "m", "plain", "1"][..],
        &["map", "put", "m", "plain", "2"],
        &["map", "put", "m", "gone", "3"],
        &["map", "put", "m", "brief", "4", "--ttl", "1h"],
        &["map", "del", "m", "gone"],
    ] {
        assert_eq!(node.run(command).code, 0, "{command:?}");
    }
    let get = |node: &Node, key: &str| node.run(&["map", "get", "m", key, "-o", "json"]);
    let before: Vec<Value> = ["plain", "brief"].map(|key| get(&node, key).json()).into();
    crash(node);
    let node = start(folder.path());
    let mut after = Vec::new();
    eventually("the node answers for what it had", || {
        after = ["plain", "brief"].map(|key| get(&node, key)).into();
        after.iter().all(|ran: &common::Ran| ran.code == 0)
    });
    for (before, after) in before.iter().zip(&after) {
        let after = after.json();
        for field in ["value", "version", "expires_at_ms"] {
            assert_eq!(before[field], after[field], "{field}: {before} {after}");
        }
    }
    assert_eq!(get(&node, "gone").code, 1);
    let info = node.run(&["map", "info", "m", "-o", "json"]).json();
    assert_eq!(info["durability"], "os", "{info}");
    let status = node.run(&["status", "-o", "json"]).json();
    assert_eq!(status["members"][0]["disk"], "ok", "{status}");
}

#[test]
fn a_folder_can_be_looked_at_without_its_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = start(folder.path());
    assert_eq!(node.run(&["map", "put", "m", "hello", "world"]).code, 0);
    let refused = disk(&["repair", "--dry-run"], folder.path());
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("another process"), "{}", refused.stderr);
    crash(node);
    let listed = disk(&["inspect", "--entries", "-o", "json"], folder.path());
    let puts = lines(&listed);
    let put = puts.iter().find(|line| line["effect"] == "put").expect("the put is in the log");
    assert_eq!((put["key"].as_str(), put["value_bytes"].as_u64()), (Some("hello"), Some(5)));
    let sound = disk(&["verify"], folder.path());
    assert_eq!(sound.code, 0, "{}", sound.text());
    assert!(sound.text().contains("every byte"), "{}", sound.text());
    let nowhere = disk(&["verify"], Path::new("/proc"));
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stderr.contains("holds no data of a node"), "{}", nowhere.stderr);
}

#[test]
fn damage_is_found_and_says_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = start(folder.path());
    for (key, value) in [("{a}1", "one"), ("{a}2", "two"), ("{a}3", "three")] {
        assert_eq!(node.run(&["map", "put", "m", key, value]).code, 0);
    }
    crash(node);
    let segment = first_segment(folder.path());
    let mut bytes = fs::read(&segment).expect("readable");
    let place = bytes.windows(4).rposition(|four| four == b"}2tw").expect("the second put");
    bytes[place] ^= 1;
    fs::write(&segment, &bytes).expect("writable");
    let found = disk(&["verify", "-o", "json"], folder.path());
    assert_eq!(found.code, 1);
    let found = found.json();
    assert_eq!(found["damages"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found["damaged_partitions"].as_array().map(Vec::len), Some(1), "{found}");
    // It is the only copy: the node comes back with what is sound, and says that something may be lost.
    let mut node = start(folder.path());
    let get = |node: &Node, key: &str| node.run(&["map", "get", "m", key]);
    eventually("what is sound is there", || get(&node, "{a}1").text() == "one");
    assert_eq!(get(&node, "{a}2").code, 1);
    let status = node.run(&["status"]);
    assert!(status.text().contains("losses"), "{}", status.text());
    // What is written from now on stands behind an image, not behind the damage.
    assert_eq!(node.run(&["map", "put", "m", "{a}4", "four"]).code, 0);
    node.process.signal("KILL");
    node.process.wait();
    assert!(node.process.stderr().contains("damaged"), "{}", node.process.stderr());
    for life in 2..4 {
        let node = start(folder.path());
        let what = format!("life {life} has what was written after the damage");
        eventually(&what, || get(&node, "{a}4").text() == "four");
        assert_eq!(get(&node, "{a}1").text(), "one");
        crash(node);
    }
}
