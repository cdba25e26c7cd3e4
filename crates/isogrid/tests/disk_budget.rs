//! `disk.budget`: a node whose log and snapshots reach it refuses writes, loses nothing, and takes them again by itself.

mod common;

use std::sync::OnceLock;

use bytes::Bytes;
use common::data::{grid, runtime};
use common::{Node, eventually, http_get, isogrid};
use isogrid_client::{Error, Grid, Retry};
use isogrid_core::ErrorCode;
use serde_json::Value;

/// The smallest there is.
const BUDGET: u64 = 128 << 20;

const VALUE_BYTES: usize = 512 << 10;

/// More than the budget has room for, by far.
const ENTRIES_MAX: u32 = 1_000;

fn key(number: u32) -> String {
    format!("k{number}")
}

/// A value that no compression makes smaller, and that is another one for each key.
fn value(number: u32) -> Bytes {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    let noise = NOISE.get_or_init(|| {
        let mut state = 1_u64;
        let words = (0..VALUE_BYTES / 8).flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        words.collect()
    });
    let (before, after) = noise.split_at(number as usize % VALUE_BYTES);
    [after, before].concat().into()
}

fn start(folder: &str, budget: &str) -> Node {
    let budget = format!("disk.budget={budget}");
    Node::start(&["--data-dir", folder, "--set", "node.partitions=4", "--set", &budget])
}

/// A client that tries nothing twice: every refusal is seen.
async fn impatient(node: &Node) -> Grid {
    let client = Grid::builder().seeds([node.endpoint.as_str()]).retry(Retry::none());
    client.build().await.expect("it is there")
}

async fn put(grid: &Grid, number: u32) -> Result<(), Error> {
    grid.raw_map("m").put(key(number).as_bytes(), &value(number)).await.map(|_| ())
}

/// Puts from this number on until one is refused. Says which, and why.
async fn fill(node: &Node, from: u32) -> (u32, Error) {
    let grid = impatient(node).await;
    for number in from..from + ENTRIES_MAX {
        if let Err(why) = put(&grid, number).await {
            return (number, why);
        }
    }
    panic!("it takes more than it may");
}

/// That what was acknowledged is there, and nothing else.
async fn has(node: &Node, numbers: std::ops::Range<u32>) {
    let grid = grid(&node.endpoint).await;
    let map = grid.raw_map("m");
    for number in numbers.clone() {
        let found: Option<Bytes> = map.get(key(number).as_bytes()).await.expect("reads go on");
        assert!(found == Some(value(number)), "{number} is as it was written");
    }
    assert_eq!(map.len().await.expect("reads go on"), numbers.len() as u64);
}

fn member(node: &Node) -> Value {
    node.run(&["status", "-o", "json"]).json()["members"][0].clone()
}

fn used(member: &Value) -> u64 {
    let bytes = |name: &str| member[name].as_u64().expect("a number");
    bytes("disk_log_bytes") + bytes("disk_snapshot_bytes")
}

#[test]
fn over_the_budget_writes_are_refused_and_go_on_by_themselves_when_data_are_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("text");
    let mut node = start(folder, "128MiB");
    assert_eq!(
        (&member(&node)["disk"], &member(&node)["disk_budget_bytes"]),
        (&"ok".into(), &BUDGET.into())
    );
    let runtime = runtime();
    let (first, why) = runtime.block_on(fill(&node, 0));
    assert_eq!(why.code(), ErrorCode::DiskRefuses, "{why}");
    let text = why.to_string();
    assert!(text.contains("disk.budget is 134217728") && text.contains("delete data"), "{text}");
    assert!(u64::from(first) * VALUE_BYTES as u64 > BUDGET / 4, "it had room for more: {first}");
    runtime.block_on(has(&node, 0..first));

    // Killed, it is as it was: all is there, and it still refuses.
    node.process.signal("KILL");
    node.process.wait();
    let node = start(folder, "128MiB");
    runtime.block_on(has(&node, 0..first));
    // However the space was shared before, what is refused now is refused until data go.
    let (filled, why) = runtime.block_on(fill(&node, first));
    assert_eq!(why.code(), ErrorCode::DiskRefuses, "{why}");
    eventually("status says so", || member(&node)["disk"] == "over_budget");
    let figures = http_get(&node.http, "/metrics").expect("it listens");
    assert!(figures.contains("\nisogrid_disk_over_budget 1\n"), "{figures}");
    let shown = node.run(&["status"]);
    assert!(shown.text().contains(" of 128.0 MiB, OVER BUDGET"), "{}", shown.text());

    let kept = filled / 8;
    runtime.block_on(async {
        let grid = grid(&node.endpoint).await;
        for number in kept..filled {
            let gone = grid.raw_map("m").delete(key(number).as_bytes()).await;
            assert!(gone.expect("deletes go on"), "{number} was there");
        }
    });
    eventually("it takes writes again", || {
        runtime.block_on(async { put(&impatient(&node).await, kept).await.is_ok() })
    });
    runtime.block_on(has(&node, 0..kept + 1));
    // What was deleted goes from the disk partition by partition.
    eventually("it is below its budget", || {
        let member = member(&node);
        member["disk"] == "ok" && used(&member) < BUDGET
    });
}

#[test]
fn a_raised_budget_is_room_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("text");
    let mut node = start(folder, "128MiB");
    let runtime = runtime();
    let (filled, _) = runtime.block_on(fill(&node, 0));
    node.process.signal("TERM");
    node.process.wait();
    let node = start(folder, "1GiB");
    runtime.block_on(async {
        let grid = impatient(&node).await;
        for number in filled..filled + 20 {
            put(&grid, number).await.expect("it has room");
        }
    });
    runtime.block_on(has(&node, 0..filled + 20));
    assert_eq!(member(&node)["disk"], "ok");
    let small = isogrid(&["config", "validate", "--set", "disk.budget=1MiB"]);
    let said = |part: &str| small.stderr.contains(part);
    assert!(
        small.code != 0 && said("disk.budget") && said("134217728 or more"),
        "{}",
        small.stderr
    );
}
