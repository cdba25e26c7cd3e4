//! `GET /metrics`: what is there is described, what is described is there, and the figures are those of what was done.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use common::data::{grid, runtime};
use common::{Node, eventually, http_get, isogrid};

const DESCRIBED: &str = include_str!("../../../docs/metrics.md");

const VALUE_BYTES: usize = 1_000;
const ENTRIES: u32 = 1_000;

/// The samples of a page: names with their labels, and values.
fn scrape(node: &Node) -> BTreeMap<String, f64> {
    let page = http_get(&node.http, "/metrics").expect("it listens");
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    assert!(page.contains("content-type: text/plain; version=0.0.4"), "{page}");
    let (_, body) = page.split_once("\r\n\r\n").expect("a head and a body");
    let samples = body.lines().filter(|line| line.starts_with("isogrid_"));
    let samples = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    });
    samples.collect()
}

/// The families of samples: a histogram's samples are of one.
fn families(samples: &BTreeMap<String, f64>) -> BTreeSet<&str> {
    let family = |sample: &str| -> usize {
        let name = sample.find('{').unwrap_or(sample.len());
        let of_histogram = ["_bucket", "_sum", "_count"];
        let suffix = of_histogram.iter().find(|suffix| sample[..name].ends_with(**suffix));
        name - suffix.map_or(0, |suffix| suffix.len())
    };
    samples.keys().map(|sample| &sample[..family(sample)]).collect()
}

/// The names in the first column of the tables.
fn described() -> BTreeSet<&'static str> {
    let names = DESCRIBED.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names.collect()
}

#[test]
fn what_is_there_is_described_and_tells_what_the_disk_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("text");
    let budget = ["--set", "disk.budget=1GiB", "--set", "node.partitions=4"];
    let node = Node::start(&[&["--data-dir", folder], &budget[..]].concat());
    let before = scrape(&node);
    let made =
        isogrid(&["map", "create", "m", "--durability", "fsync", "--endpoint", &node.endpoint]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    runtime().block_on(async {
        let grid = grid(&node.endpoint).await;
        let entries = (0..ENTRIES).map(|n| (n.to_be_bytes(), Bytes::from(vec![7; VALUE_BYTES])));
        let entries = entries.map(|(key, value)| (Bytes::copy_from_slice(&key), value));
        grid.raw_map("m").put_many(entries).await.expect("it takes writes").all().expect("all");
    });
    let after = scrape(&node);
    let grown = |name: &str| after[name] - before[name];
    let least = f64::from(ENTRIES) * VALUE_BYTES as f64;
    assert!(grown("isogrid_disk_log_written_bytes_total") >= least, "{after:?}");
    assert!(grown("isogrid_disk_log_written_bytes_total") < least * 1.5, "{after:?}");
    assert!(grown("isogrid_disk_log_bytes") >= least, "{after:?}");
    assert!(grown("isogrid_disk_sync_seconds_count") >= 1.0, "{after:?}");
    assert!(grown("isogrid_disk_sync_seconds_sum") > 0.0, "{after:?}");
    assert!(after["isogrid_disk_free_bytes"] > 0.0);
    assert_eq!(after["isogrid_disk_budget_bytes"], f64::from(1 << 30));
    for at_rest in
        ["isogrid_disk_refusing", "isogrid_disk_over_budget", "isogrid_disk_errors_total"]
    {
        assert_eq!(after[at_rest], 0.0, "{at_rest}");
    }
    let version = format!("isogrid_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(after.get(&version), Some(&1.0), "{after:?}");

    // Those that only several nodes have are told by the cluster of another test.
    let unknown: Vec<&str> = families(&after).difference(&described()).copied().collect();
    assert!(unknown.is_empty(), "docs/metrics.md does not describe {unknown:?}");
}

#[test]
fn snapshots_are_counted_and_a_node_without_a_disk_has_no_figures_of_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("text");
    let node = Node::start(&["--data-dir", folder, "--set", "node.partitions=4"]);
    let value = Bytes::from(vec![7; 1 << 20]);
    runtime().block_on(async {
        let grid = grid(&node.endpoint).await;
        // More than a log of so few data may have.
        for round in 0..200u32 {
            let key = (round % 8).to_be_bytes();
            grid.raw_map("m").put(&key[..], &value).await.expect("it takes writes");
        }
    });
    eventually("snapshots are written", || {
        let now = scrape(&node);
        let counted = ["snapshots_total", "snapshot_written_bytes_total", "snapshot_bytes"];
        counted.iter().all(|name| now[&format!("isogrid_disk_{name}")] > 0.0)
    });
    let in_memory = Node::start(&["--set", "node.partitions=4"]);
    let there = scrape(&in_memory);
    assert!(there.keys().all(|name| !name.starts_with("isogrid_disk")), "{there:?}");
    assert!(!there.is_empty());
}
