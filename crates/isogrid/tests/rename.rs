//! Renames with real processes: what the command says, what a watcher sees, and that a record is at one key alone while nodes
//! are killed and after all of them came back from their disks.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{Node, Ran, Running, eventually, isogrid, signal};
use isogrid_client::blocking::{Grid, Map};
use isogrid_client::{Outcome, Version};
use serde_json::{Value, json};

#[test]
fn a_key_is_renamed_over_another_or_only_if_there_is_none() {
    let node = Node::start(&[]);
    let ok = |arguments: &[&str]| {
        let ran = node.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        ran
    };
    let rename = |arguments: &[&str]| -> Ran {
        node.run(&[&["map", "rename-key", "m"], arguments].concat())
    };
    let missing = rename(&["{t}a", "{t}b"]);
    assert_eq!((missing.code, missing.stdout.len()), (1, 0), "{}", missing.stderr);
    assert!(missing.stderr.contains("not renamed: no \"{t}a\" in map \"m\""), "{}", missing.stderr);
    ok(&["map", "put", "m", "{t}a", "first", "--ttl", "1h"]);
    ok(&["map", "put", "m", "{t}b", "second"]);
    let before = ok(&["map", "get", "m", "{t}a", "-o", "json"]).json();
    let kept = rename(&["{t}a", "{t}b", "--if-absent", "-o", "json"]);
    assert_eq!((kept.code, &kept.json()["renamed"]), (1, &json!(false)));
    let renamed = rename(&["{t}a", "{t}b", "-o", "json"]);
    assert_eq!((renamed.code, &renamed.json()["renamed"]), (0, &json!(true)), "{}", renamed.stderr);
    let after = ok(&["map", "get", "m", "{t}b", "-o", "json"]).json();
    assert_eq!((&after["value"], &after["version"]), (&json!("first"), &renamed.json()["version"]));
    assert_eq!(after["expires_at_ms"], before["expires_at_ms"], "the expiry travels");
    assert!(after["version"].as_u64() > before["version"].as_u64());
    assert_eq!(node.run(&["map", "get", "m", "{t}a"]).code, 1);

    let apart = rename(&["{t}b", "{other}b"]);
    assert_eq!(apart.code, 1, "{}", apart.stderr);
    for part in ["IG-0114", "one in partition", "why:", "next: give both keys the same tag"] {
        assert!(apart.stderr.contains(part), "{part}: {}", apart.stderr);
    }
    assert_eq!(node.run(&["map", "get", "m", "{t}b"]).stdout, b"first");
}

#[test]
fn a_watcher_sees_both_halves_also_when_it_goes_on_between_them() {
    let node = Node::start(&[]);
    let ok = |arguments: &[&str]| {
        let ran = node.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        ran
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let file = file.to_str().expect("text");
    let watch = |more: &[&str]| -> Vec<Value> {
        let ran = ok(&[&["map", "watch", "m", "--resume", file, "-o", "json"], more].concat());
        ran.text().lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    };
    ok(&["map", "put", "m", "{t}a", "v"]);
    let partitions = ok(&["status", "-o", "json"]).json()["partitions"].to_string();
    let partitions: u64 = partitions.parse().expect("a number");
    watch(&["--snapshot", "--limit", &(partitions + 1).to_string()]);
    ok(&["map", "rename-key", "m", "{t}a", "{t}b"]);
    let told = |events: &[Value]| -> Vec<(Value, Value)> {
        events.iter().map(|event| (event["event"].clone(), event["key"].clone())).collect()
    };
    let gone = (json!("deleted"), json!("{t}a"));
    let put = (json!("put"), json!("{t}b"));
    assert_eq!(told(&watch(&["--limit", "1"])), std::slice::from_ref(&gone));
    let both = watch(&["--limit", "2"]);
    assert_eq!(told(&both), [gone, put]);
    assert_eq!(both[0]["version"], both[1]["version"], "one change");
    ok(&["map", "put", "m", "{t}c", "next"]);
    assert_eq!(told(&watch(&["--limit", "1"])), [(json!("put"), json!("{t}c"))]);
}

/// Three nodes, each with its disk.
struct Cluster {
    dev: Running,
    stdin: ChildStdin,
    nodes: Vec<Value>,
}

impl Cluster {
    fn start(folder: &Path) -> Cluster {
        let folder = folder.to_str().expect("text");
        let dev = ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
        let (mut dev, line) = Running::start(&[&dev[..], &["--data-dir", folder]].concat());
        let Ok(announced) = serde_json::from_str::<Value>(&line) else {
            dev.wait();
            panic!("the cluster does not start: {}", dev.stderr());
        };
        let stdin = dev.0.stdin.take().expect("piped");
        let nodes = announced["nodes"].as_array().expect("a list").clone();
        Cluster { dev, stdin, nodes }
    }

    fn endpoint(&self, node: usize) -> &str {
        self.nodes[node]["grpc"].as_str().expect("an address")
    }

    fn kill(&self, node: usize) {
        let pid = self.nodes[node]["pid"].as_u64().and_then(|pid| pid.try_into().ok());
        signal(pid.expect("a number"), "KILL");
    }

    fn safe(&self) {
        let arguments = ["status", "--exit-when-safe", "--timeout", "60s", "--interval", "100ms"];
        let ran = isogrid(&[&arguments[..], &["--endpoint", self.endpoint(0)]].concat());
        assert_eq!(ran.code, 0, "{} {}", ran.text(), ran.stderr);
    }

    fn map(&self) -> Map<String, String> {
        let seeds = (0..self.nodes.len()).map(|node| self.endpoint(node).to_owned());
        let builder = isogrid_client::Grid::builder().seeds(seeds);
        Grid::build(builder).expect("a client").map("moving")
    }

    fn stop(mut self) {
        self.dev.signal("TERM");
        assert_eq!(self.dev.wait().code(), Some(0), "{}", self.dev.stderr());
    }
}

const TAGS: usize = 8;

fn keys(tag: usize) -> [String; 2] {
    [format!("{{tag-{tag}}}left"), format!("{{tag-{tag}}}right")]
}

/// On which side the record of a tag is: on one, and whole. With its version.
fn side(map: &Map<String, String>, tag: usize) -> (usize, Version) {
    let found = keys(tag).map(|key| map.get_versioned(&key).expect("it is read"));
    let sides: Vec<(usize, Version)> = found
        .iter()
        .enumerate()
        .filter_map(|(side, found)| found.as_ref().map(|found| (side, found.version)))
        .collect();
    assert_eq!(sides.len(), 1, "tag {tag} is at one key alone: {found:?}");
    let value = found.iter().flatten().map(|found| found.value.as_str()).next();
    assert_eq!(value, Some(format!("value {tag}").as_str()));
    sides[0]
}

/// Renames the record of a tag to and fro until it is told to stop. Says where it is at last, and its version if it is known.
fn to_and_fro(
    map: &Map<String, String>,
    tag: usize,
    (stop, renames): (&AtomicBool, &AtomicU64),
) -> (usize, Version) {
    let keys = keys(tag);
    let (mut at, mut version) = side(map, tag);
    while !stop.load(Ordering::Relaxed) {
        match map.rename(&keys[at], &keys[1 - at]) {
            Ok(Some(newer)) => {
                assert!(newer > version, "versions grow: {version}, {newer}");
                (at, version) = (1 - at, newer);
                renames.fetch_add(1, Ordering::Relaxed);
            }
            Ok(None) => {
                panic!("tag {tag}: {:?} is gone, though only this thread moves it", keys[at])
            }
            Err(error) if error.outcome() == Outcome::NotApplied => {}
            Err(_) => (at, version) = side(map, tag),
        }
    }
    (at, version)
}

#[test]
fn a_record_is_at_one_key_alone_whatever_dies() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = Cluster::start(folder.path());
    let map = cluster.map();
    for tag in 0..TAGS {
        map.put(&keys(tag)[0], &format!("value {tag}")).expect("written");
    }
    let (stop, renames) = (AtomicBool::new(false), AtomicU64::new(0));
    let last: Vec<(usize, Version)> = std::thread::scope(|scope| {
        let counts = (&stop, &renames);
        let movers: Vec<_> = (0..TAGS)
            .map(|tag| {
                let map = map.clone();
                scope.spawn(move || to_and_fro(&map, tag, counts))
            })
            .collect();
        let reaches = |more: u64| {
            let goal = renames.load(Ordering::Relaxed) + more;
            eventually("records move", || renames.load(Ordering::Relaxed) >= goal);
        };
        reaches(200);
        cluster.kill(1);
        reaches(200);
        writeln!(cluster.stdin, "restart node-1").expect("it listens");
        cluster.safe();
        reaches(200);
        stop.store(true, Ordering::Relaxed);
        movers.into_iter().map(|mover| mover.join().expect("nothing was lost or doubled")).collect()
    });
    for (tag, expected) in last.iter().enumerate() {
        assert_eq!(side(&map, tag), *expected, "tag {tag}");
    }
    assert_eq!(map.len().expect("counted"), TAGS as u64, "no record is at two keys");
    drop(map);
    cluster.stop();

    let again = Cluster::start(folder.path());
    again.safe();
    let map = again.map();
    for (tag, expected) in last.iter().enumerate() {
        assert_eq!(side(&map, tag), *expected, "tag {tag} after all came back from disk");
    }
    drop(map);
    again.stop();
    let nodes = std::fs::read_dir(folder.path()).expect("a folder");
    let inspected = nodes
        .map(|node| node.expect("an entry").path())
        .filter(|node| node.join("data/log").is_dir())
        .map(|node| isogrid(&["disk", "inspect", "--entries", node.to_str().expect("text")]));
    let found = inspected.into_iter().any(|ran| ran.text().contains(" rename map "));
    assert!(found, "renames can be read from disk");
}
