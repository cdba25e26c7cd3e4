//! Backup, verify and restore of real clusters, by the built binary.

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use common::data::{Contents, contents, grid, ok, put, runtime};
use common::{Node, PATIENCE, Ran, Running, command, eventually, isogrid, signal};
use isogrid_client::{Dump, DumpAsk, DumpPiece, Grid, Operator};
use isogrid_core::Hlc;
use isogrid_core::slot::PartitionCount;
use isogrid_replica::entry::Entries;
use serde_json::Value;

fn backup(endpoint: &str, place: &Path, more: &[&str]) -> Ran {
    let place = place.to_str().expect("text");
    let all = ["cluster", "backup", "--to", place, "-o", "json", "--endpoint", endpoint];
    isogrid(&[&all[..], more].concat())
}

fn restore(endpoint: &str, place: &Path, more: &[&str]) -> Ran {
    let place = place.to_str().expect("text");
    let all = ["cluster", "restore", "--from", place, "-o", "json", "--endpoint", endpoint];
    isogrid(&[&all[..], more].concat())
}

fn verify(place: &Path) -> Ran {
    isogrid(&["cluster", "verify", "--from", place.to_str().expect("text"), "-o", "json"])
}

/// A moment far enough that nothing expires during a test.
fn in_ten_minutes() -> SystemTime {
    SystemTime::now() + Duration::from_secs(600)
}

/// A cluster of `isogrid dev`.
struct Cluster {
    dev: Running,
    nodes: Vec<Value>,
}

impl Cluster {
    fn start() -> Cluster {
        let mut dev = vec!["dev", "--nodes", "3", "--port-base", "0", "-o", "json"];
        dev.extend(["--set", "node.cores=1", "--set", "node.partitions=16"]);
        let (dev, line) = Running::start(&dev);
        let announced: Value = serde_json::from_str(&line).expect("the cluster starts");
        let nodes = announced["nodes"].as_array().expect("a list").clone();
        Cluster { dev, nodes }
    }

    fn endpoint(&self, node: usize) -> &str {
        self.nodes[node]["grpc"].as_str().expect("an address")
    }

    fn stop(mut self) {
        self.dev.signal("TERM");
        self.dev.wait();
    }
}

/// What the first backup finds.
async fn write_first(endpoint: &str) -> Contents {
    let grid = grid(endpoint).await;
    for number in 0..300 {
        put(&grid, "m", &format!("k{number}"), format!("first {number}").as_bytes()).await;
    }
    for number in 0..20 {
        let value = Bytes::from_static(b"expires");
        let map = grid.raw_map("limited");
        let put =
            map.put(format!("t{number}").as_bytes(), &value).expires_at(in_ten_minutes()).await;
        put.expect("it takes writes");
        put_and_clear(&grid, number).await;
    }
    put(&grid, "m", "{moves}from", b"moved").await;
    contents(endpoint, "m").await
}

/// What changes until the second.
async fn change(endpoint: &str) -> (Contents, Contents) {
    let grid = grid(endpoint).await;
    for number in 0..50 {
        put(&grid, "m", &format!("k{number}"), b"overwritten").await;
        let removed = grid.raw_map("m").delete(format!("k{}", 100 + number).as_bytes()).await;
        assert!(removed.expect("it takes writes"));
        put(&grid, "m", &format!("new{number}"), b"new").await;
    }
    let moved = grid.raw_map("m").rename(b"{moves}from", b"{moves}to").await;
    assert!(moved.expect("it takes writes").is_some());
    grid.raw_map("cleared").clear().await.expect("it takes writes");
    (contents(endpoint, "m").await, contents(endpoint, "limited").await)
}

/// Not unless it is said that what is there may go.
fn the_first_is_restored_over_it(target: &str, (place, id): (&Path, &str)) {
    let refused = restore(target, place, &[]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("--overwrite"), "{}", refused.stderr);
    ok(restore(target, place, &["--overwrite", "--map", "m", "--backup", id]));
}

#[test]
fn a_chain_is_restored_into_a_cluster_of_another_size_as_the_source_was_at_the_cut() {
    let place = tempfile::tempdir().expect("a folder");
    let source = Node::start(&["--set", "node.partitions=16"]);
    let target = Node::start(&["--set", "node.partitions=4"]);
    ok(source.run(&[
        "map",
        "create",
        "limited",
        "--eviction",
        "lru",
        "--entries-max",
        "9999",
        "-o",
        "json",
    ]));
    let runtime = runtime();
    let first = runtime.block_on(write_first(&source.endpoint));
    let full = ok(backup(&source.endpoint, place.path(), &[]));
    assert_eq!((full["parent"].is_null(), &full["partitions"]["whole"]), (true, &16.into()));
    let (second, limited) = runtime.block_on(change(&source.endpoint));
    let increment = ok(backup(&source.endpoint, place.path(), &[]));
    assert_eq!(increment["parent"], full["backup"]);
    assert_eq!(increment["partitions"]["entries"], 16, "the log reaches back: {increment}");
    assert!(increment["bytes"].as_u64() < full["bytes"].as_u64(), "{increment} {full}");
    runtime
        .block_on(async { put(&grid(&source.endpoint).await, "m", "later", b"not in it").await });

    let verified = ok(verify(place.path()));
    assert_eq!(
        (&verified["sound"], verified["chain"].as_array().map(Vec::len)),
        (&true.into(), Some(2))
    );
    let restored = ok(restore(&target.endpoint, place.path(), &[]));
    assert_eq!(restored["entries"], second.len() + limited.len());
    runtime.block_on(async {
        assert_eq!(contents(&target.endpoint, "m").await, second);
        let there = contents(&target.endpoint, "limited").await;
        assert_eq!(there, limited, "each expires when it would have");
        assert!(there.values().all(|(_, expires_at)| expires_at.is_some()));
        assert_eq!(contents(&target.endpoint, "cleared").await, Contents::new());
    });
    let info = ok(target.run(&["map", "info", "limited", "-o", "json"]));
    assert_eq!((&info["eviction"], &info["entries_max"]), (&"lru".into(), &9999.into()));

    let id = full["backup"].as_str().expect("a name");
    the_first_is_restored_over_it(&target.endpoint, (place.path(), id));
    runtime.block_on(async {
        let there = contents(&target.endpoint, "m").await;
        assert_eq!(there, first, "the earlier backup, and no key more");
        assert_eq!(contents(&target.endpoint, "limited").await, limited, "it was not asked for");
    });
    let unknown = restore(&target.endpoint, place.path(), &["--map", "nowhere"]);
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    let listed = ok(isogrid(&[
        "cluster",
        "backup",
        "--list",
        "--to",
        place.path().to_str().expect("text"),
        "-o",
        "json",
    ]));
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    let again = ok(backup(&source.endpoint, place.path(), &["--full"]));
    assert_eq!((again["parent"].is_null(), &again["partitions"]["whole"]), (true, &16.into()));
}

async fn put_and_clear(grid: &Grid, number: u32) {
    put(grid, "cleared", &format!("c{number}"), b"soon gone").await;
}

#[test]
fn an_increment_beyond_the_log_loses_no_delete() {
    let place = tempfile::tempdir().expect("a folder");
    let source = Node::start(&["--set", "node.partitions=2"]);
    let target = Node::start(&["--set", "node.partitions=8"]);
    let runtime = runtime();
    runtime.block_on(async {
        let grid = grid(&source.endpoint).await;
        for number in 0..200 {
            put(&grid, "m", &format!("k{number}"), &[number; 300]).await;
        }
    });
    let full = ok(backup(&source.endpoint, place.path(), &[]));
    let expected = runtime.block_on(async {
        let grid = grid(&source.endpoint).await;
        for number in 0..40 {
            grid.raw_map("m")
                .delete(format!("k{number}").as_bytes())
                .await
                .expect("it takes writes");
            put(&grid, "m", &format!("k{}", 50 + number), b"overwritten").await;
        }
        // More than a log's window in both partitions.
        for round in 0..150u8 {
            for number in 0..4 {
                put(&grid, "m", &format!("big{number}"), &vec![round; 64 << 10]).await;
            }
        }
        contents(&source.endpoint, "m").await
    });
    let increment = ok(backup(&source.endpoint, place.path(), &[]));
    assert_eq!(increment["parent"], full["backup"]);
    assert_eq!(increment["partitions"]["changes"], 2, "{increment}");
    assert!(increment["records"].as_u64() < Some(60), "only what changed: {increment}");
    ok(verify(place.path()));
    ok(restore(&target.endpoint, place.path(), &[]));
    runtime.block_on(async {
        let restored = contents(&target.endpoint, "m").await;
        assert!(restored == expected, "{} keys, {}", restored.len(), expected.len());
        assert!(!restored.contains_key("k7") && restored["k60"].0 == b"overwritten");
    });
}

/// What is committed in a partition from now on.
async fn follow(cluster: &Cluster, partition: u32) -> Dump {
    let any = Operator::connect(cluster.endpoint(0)).await.expect("it is there");
    let primary =
        any.partitions(&[partition]).await.expect("it answers").partitions.remove(0).primary;
    let status = any.status(false).await.expect("it answers");
    let member = status.members.iter().find(|member| member.node_id == primary).expect("a member");
    let owner = Operator::connect(&member.grpc_addr).await.expect("it is there");
    owner.dump(&[DumpAsk { partition, held: None }]).await.expect("it leads")
}

/// The clock of the next entry that puts this key.
async fn clock_of(dump: &mut Dump, key: &str) -> Hlc {
    loop {
        let piece = tokio::time::timeout(PATIENCE, dump.next()).await.expect("in time");
        let (_, piece) = piece.expect("it goes on").expect("it goes on");
        let DumpPiece::Entries(entries) = piece else { continue };
        let of_key =
            Entries::new(&entries).flatten().find_map(|encoded| match encoded.entry.effect {
                isogrid_core::Effect::Put { key: put, .. } if put == key.as_bytes() => {
                    Some(encoded.entry.hlc)
                }
                _ => None,
            });
        if let Some(hlc) = of_key {
            return hlc;
        }
    }
}

#[test]
fn what_a_client_writes_after_an_answer_has_a_later_time_on_whatever_node() {
    let cluster = Cluster::start();
    runtime().block_on(async {
        let operator = Operator::connect(cluster.endpoint(0)).await.expect("it is there");
        let table = operator.partitions(&[]).await.expect("it answers");
        let ahead = &table.partitions[0];
        let other =
            table.partitions.iter().find(|one| one.primary != ahead.primary).expect("three nodes");
        let count = PartitionCount::new(16).expect("a power of two");
        let key_in = |partition: u32, name: &str| {
            let keys = (0..).map(|number| format!("{name}{number}"));
            let mut fitting =
                keys.filter(|key| u32::from(count.partition_of_key(key.as_bytes()).0) == partition);
            fitting.next().expect("there is one")
        };
        // One partition's clock runs three seconds ahead.
        let now_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        let status = operator.status(false).await.expect("it answers");
        let address = &status
            .members
            .iter()
            .find(|m| m.node_id == ahead.primary)
            .expect("a member")
            .grpc_addr;
        let owner = Operator::connect(address).await.expect("it is there");
        owner.fence((now_ms + 3_000) << 16, &[ahead.partition]).await.expect("within bounds");
        let refused =
            owner.fence((now_ms + 60_000) << 16, &[ahead.partition]).await.expect_err("too far");
        assert_eq!(refused.code(), isogrid_core::ErrorCode::ClocksApart);

        let (seeing, blind) = (grid(cluster.endpoint(0)).await, grid(cluster.endpoint(1)).await);
        let (first, second) = (key_in(ahead.partition, "first"), key_in(other.partition, "second"));
        let apart = key_in(other.partition, "apart");
        let mut of_ahead = follow(&cluster, ahead.partition).await;
        let mut of_other = follow(&cluster, other.partition).await;
        // It is there once it has told its records.
        for dump in [&mut of_ahead, &mut of_other] {
            let begun = tokio::time::timeout(PATIENCE, dump.next()).await.expect("in time");
            assert!(matches!(begun, Ok(Some((_, DumpPiece::Begun { .. })))), "{begun:?}");
        }
        put(&seeing, "m", &first, b"1").await;
        let first = clock_of(&mut of_ahead, &first).await;
        assert!(first.timestamp().0 >= now_ms + 3_000, "it runs ahead");
        put(&blind, "m", &apart, b"knows nothing").await;
        let apart = clock_of(&mut of_other, &apart).await;
        assert!(apart < first, "who saw nothing is not late");
        put(&seeing, "m", &second, b"2").await;
        let second = clock_of(&mut of_other, &second).await;
        assert!(second > first, "{second:?} is later than {first:?}");
    });
    cluster.stop();
}

#[test]
fn what_was_written_after_another_is_in_a_backup_only_with_it() {
    let cluster = Cluster::start();
    let place = tempfile::tempdir().expect("a folder");
    let target = Node::start(&["--set", "node.partitions=4"]);
    let runtime = runtime();
    let endpoints: Vec<String> = (0..3).map(|node| cluster.endpoint(node).to_owned()).collect();
    for round in 0..3 {
        let (first, path) = (endpoints[0].clone(), place.path().to_owned());
        let pairs = AtomicU64::new(0);
        let taken = std::thread::scope(|scope| {
            let written = || pairs.load(Ordering::Relaxed) >= 50;
            let backup = scope.spawn(move || {
                eventually("they write", written);
                backup(&first, &path, &[])
            });
            runtime.block_on(async {
                let writers = (0..8).map(|writer| {
                    let (endpoints, backup, pairs) = (&endpoints, &backup, &pairs);
                    async move {
                        let grid = grid(&endpoints[writer % 3]).await;
                        let mut number = 0;
                        while !backup.is_finished() {
                            let name = format!("{round}-{writer}-{number}");
                            put(&grid, "m", &format!("a-{name}"), b"before").await;
                            put(&grid, "m", &format!("b-{name}"), b"after").await;
                            number += 1;
                            pairs.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
                futures::future::join_all(writers).await
            });
            backup.join().expect("it ends")
        });
        let taken = ok(taken);
        assert_eq!(taken["parent"].is_null(), round == 0);
    }
    ok(restore(&target.endpoint, place.path(), &[]));
    runtime.block_on(async {
        let (there, all) =
            (contents(&target.endpoint, "m").await, contents(&endpoints[0], "m").await);
        assert!(there.len() < all.len(), "the cut is before the end");
        let after = there.keys().filter_map(|key| key.strip_prefix("b-"));
        let after: Vec<&str> = after.collect();
        assert!(after.iter().any(|name| name.starts_with("2-")), "the last backup saw writes");
        for name in after {
            assert!(there.contains_key(&format!("a-{name}")), "b-{name} without a-{name}");
        }
        assert!(there.iter().all(|(key, value)| all.get(key) == Some(value)));
    });
    cluster.stop();
}

#[test]
fn an_owner_killed_under_way_costs_nothing_that_was_acknowledged() {
    let cluster = Cluster::start();
    let place = tempfile::tempdir().expect("a folder");
    let target = Node::start(&["--set", "node.partitions=4"]);
    let runtime = runtime();
    let expected = runtime.block_on(async {
        let grid = grid(cluster.endpoint(0)).await;
        let map = grid.raw_map("m");
        // Each call has a deadline, which a busy machine must be able to keep.
        let mut written = 0;
        for first in (0..20_000u32).step_by(1_000) {
            let entry = |n| (Bytes::from(format!("k{n}")), Bytes::from(vec![n as u8; 500]));
            let put = map.put_many((first..first + 1_000).map(entry)).await;
            written += put.expect("it takes writes").all().expect("all of them");
        }
        written
    });
    let to = place.path().to_str().expect("text");
    let mut running = command(&[
        "cluster",
        "backup",
        "--to",
        to,
        "-o",
        "json",
        "--endpoint",
        cluster.endpoint(0),
    ]);
    let running =
        running.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let mut running = running.expect("the binary runs");
    // From its first object on, until it has ended, whenever the kill hits: what is promised is the same.
    let begun = || place.path().join("objects").exists();
    eventually("the backup writes", || begun() || running.try_wait().expect("a state").is_some());
    let victim =
        cluster.nodes[2]["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a number");
    signal(victim, "KILL");
    let ran: Ran = running.wait_with_output().expect("it ends").into();
    if ran.code == 0 {
        ok(verify(place.path()));
        let restored = ok(restore(&target.endpoint, place.path(), &[]));
        assert_eq!(restored["entries"], expected);
    } else {
        assert!(ran.stderr.contains("IG-"), "it says why: {}", ran.stderr);
        assert!(!place.path().join("manifests").exists(), "there is no backup");
    }
    cluster.stop();
}

#[test]
fn damage_is_named_and_nothing_is_restored_from_it() {
    let place = tempfile::tempdir().expect("a folder");
    let node = Node::start(&["--set", "node.partitions=2"]);
    assert_eq!(verify(place.path()).code, 1, "no backup is there");
    runtime().block_on(async { put(&grid(&node.endpoint).await, "m", "k", b"v").await });
    let taken = ok(backup(&node.endpoint, place.path(), &[]));
    let id = taken["backup"].as_str().expect("a name");
    let folder = place.path().join("objects").join(id);
    let object =
        std::fs::read_dir(&folder).expect("objects").next().expect("one").expect("readable").path();
    let bytes = std::fs::read(&object).expect("readable");
    let mut flipped = bytes.clone();
    *flipped.last_mut().expect("not empty") ^= 1;
    std::fs::write(&object, flipped).expect("written");
    let name = object.file_name().and_then(|name| name.to_str()).expect("text");
    let ran = verify(place.path());
    assert_eq!((ran.code, &ran.json()["sound"]), (1, &false.into()));
    assert!(ran.text().contains(name), "{}", ran.text());
    let refused = restore(&node.endpoint, place.path(), &["--overwrite"]);
    assert!(refused.code == 1 && refused.stderr.contains("IG-0608"), "{}", refused.stderr);
    std::fs::write(&object, bytes).expect("written");
    ok(verify(place.path()));
    std::fs::remove_file(&object).expect("it is there");
    assert!(verify(place.path()).text().contains("is missing"));
    let manifest = place.path().join(format!("manifests/{id}.json"));
    let whole = std::fs::read(&manifest).expect("readable");
    std::fs::write(&manifest, &whole[..whole.len() - 20]).expect("written");
    assert!(verify(place.path()).text().contains("is damaged"));
    assert_eq!(backup(&node.endpoint, place.path(), &[]).code, 1, "it builds on nothing damaged");
    ok(backup(&node.endpoint, place.path(), &["--full"]));
}
