//! Nodes that keep their data on disk: all of them are killed at once and come back, in any order, also without one of them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use isogrid_client::Grid;

use crate::cluster::{Cluster, Setup};
use crate::load::Load;
use crate::{ONE, from_environment, load_average, probe, say};

async fn kill_all_cycles(cycles: u32) {
    let _one = ONE.lock().await;
    let mut cluster = Cluster::start(Setup { on_disk: true, ..Setup::default() }).await;
    let grid = cluster.grid().await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let load = Load::start(&grid);
    load.under_way().await;
    let mut figures = probe::Figures::default();
    for cycle in 0..cycles {
        cluster.until_whole().await;
        let order = [0, 1, 2].map(|node| (node + cycle as usize) % 3);
        for node in order {
            cluster.kill(node);
        }
        // The last one killed is sometimes the first to come back, and in each second cycle one stays away at first.
        let is_one_missing = cycle % 2 == 1;
        let back = if cycle % 3 == 0 { [order[2], order[0], order[1]] } else { order };
        let since = Instant::now();
        for node in &back[..2] {
            cluster.run(*node);
        }
        if !is_one_missing {
            cluster.run(back[2]);
        }
        let worst = figures.add(probe::writable(&grid, cluster.partitions(), since).await);
        if is_one_missing {
            cluster.run(back[2]);
        }
        let whole = cluster.until_whole().await;
        let losses = cluster.losses().await;
        say(&format!(
            "cycle {cycle}: all killed, back as {back:?}{}; writable after {worst:?}, whole {whole:?} later; {losses} declared losses; load average {}",
            if is_one_missing { ", the last one later" } else { "" },
            load_average()
        ));
        assert_eq!(losses, 0, "everything is on disk");
    }
    say(&format!("all killed: {figures}"));
    let outcomes = load.judge(&grid).await;
    assert!(outcomes.unique > 0 && outcomes.increments > 0);
    assert_eq!(figures.failed(), 0, "every partition became writable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_killed_together_lose_nothing() {
    kill_all_cycles(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: see docs/reliability.md"]
async fn nodes_killed_together_lose_nothing_for_long() {
    kill_all_cycles(from_environment("ISOGRID_TEST_CYCLES", 30)).await;
}

/// So large a disk has the node that runs out of it.
const DISK_BYTES: u64 = 96 << 20;

/// A small disk, which one process keeps and others enter.
struct SmallDisk {
    folder: PathBuf,
    keeper: Child,
}

impl SmallDisk {
    /// `None` where that is impossible.
    fn new() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let mount = format!("mount -t tmpfs -o size={DISK_BYTES} tmpfs {}", folder.display());
        let script = format!("{mount} && echo ready && exec cat");
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = command.spawn().ok()?;
        let mut said = [0; 5];
        let is_ready = keeper.stdout.take()?.read_exact(&mut said).is_ok();
        let disk = SmallDisk { folder, keeper };
        is_ready.then_some(disk)
    }

    /// What starts a process that has the disk.
    fn starter(&self) -> Vec<String> {
        let keeper = self.keeper.id().to_string();
        let words = ["nsenter", "-t", &keeper, "-U", "-m", "--preserve-credentials"];
        words.map(str::to_owned).to_vec()
    }

    /// A file there, seen from here.
    fn file(&self, name: &str) -> PathBuf {
        let folder = self.folder.strip_prefix("/").expect("it is absolute");
        Path::new(&format!("/proc/{}/root", self.keeper.id())).join(folder).join(name)
    }

    /// Takes all the space there is.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.file("filler")).expect("a file");
        let page = vec![7; 1 << 12];
        let full = (0..=DISK_BYTES / page.len() as u64).find_map(|_| file.write_all(&page).err());
        assert_eq!(full.map(|why| why.kind()), Some(std::io::ErrorKind::StorageFull));
    }

    fn free(&self) {
        std::fs::remove_file(self.file("filler")).expect("it was there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Waits until a node says so of its disk.
async fn until_disk_is(grid: &Grid, node: &str, wanted: &str) {
    let begun = Instant::now();
    loop {
        let status = grid.status().await.expect("a node answers");
        let member = status.members.iter().find(|member| member.node_id == node);
        let disk = member.map_or("", |member| member.disk.as_str());
        if disk == wanted {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{node} says {disk:?} of its disk");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_loses_nothing() {
    let _one = ONE.lock().await;
    let Some(disk) = SmallDisk::new() else {
        return say("SKIPPED: no disk of its own can be mounted here (unshare -rm)");
    };
    let setup = Setup { on_disk: true, nodes: 1, backups: 0, ..Setup::default() };
    let mut host = Cluster::hosts(1).remove(0);
    host.started_by = disk.starter();
    host.data_dir = Some(disk.folder.join("data"));
    let mut cluster = Cluster::start_at(setup, vec![host]).await;
    let grid = cluster.grid().await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let load = Load::start(&grid);
    load.under_way().await;
    let map = grid.map::<String, u64>("full");
    map.put("first", &1).await.map(|_| ()).expect("there is room yet");
    disk.fill();
    until_disk_is(&grid, "n0", "refuses").await;
    let there = grid.map::<String, u64>("probes");
    let (mut reads, mut accepted, mut refused) = (0, Vec::new(), BTreeMap::new());
    for key in probe::keys(cluster.partitions()) {
        match map.put(key.as_str(), &2).timeout(Duration::from_millis(100)).await {
            // The last page of a full disk may have room for a little.
            Ok(_) => accepted.push(key),
            Err(error) => {
                let kind = format!("{} {:?}", error.code(), error.outcome());
                *refused.entry(kind).or_insert(0) += 1;
                reads += usize::from(matches!(there.get(key.as_str()).await, Ok(Some(1))));
            }
        }
    }
    say(&format!("the disk is full: {reads} reads, {} writes taken, {refused:?}", accepted.len()));
    assert!(refused.contains_key("IG-0312 NotApplied"), "{refused:?}");
    disk.free();
    until_disk_is(&grid, "n0", "ok").await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    // What was acknowledged is on the disk, also what came in between.
    cluster.kill(0);
    cluster.run(0);
    assert!(reads > 0, "reads go on");
    for key in accepted {
        let found = map.get(key.as_str()).await.expect("the node is back");
        assert_eq!(found, Some(2), "{key} was acknowledged");
    }
    let outcomes = load.judge(&grid).await;
    assert_eq!(outcomes.failed, 0, "the client rode it out: {:#?}", outcomes.failures);
}

/// So much is written over and over, and so fast at the most.
const OVERWRITTEN_KEYS: u64 = 16_000;
const OVERWRITTEN_VALUE_BYTES: usize = 6_000;
const BYTES_PER_S: u64 = 24 << 20;
const SEGMENT_BYTES: u64 = 64 << 20;

/// Text that nobody can make smaller by looking for repetitions.
fn noise(bytes: usize, seed: &mut u64) -> String {
    let next = |_| {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + ((*seed >> 33) % 90) as u8)
    };
    (0..bytes).map(next).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_and_snapshots_take_at_most_twice_the_data_and_a_segment() {
    let _one = ONE.lock().await;
    let setup = Setup { on_disk: true, nodes: 1, backups: 0, ..Setup::default() };
    let mut cluster = Cluster::start(setup).await;
    let grid = cluster.grid().await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let map = grid.map::<u64, String>("overwritten");
    let (mut seed, mut most, mut before, mut shortened) = (1, (0.0, 0, 0, 0), 0, 0);
    let begun = Instant::now();
    let (mut written, mut last) = (0, BTreeMap::new());
    for round in 0..6 {
        for first in (0..OVERWRITTEN_KEYS).step_by(200) {
            let keys = first..first + 200;
            let entries: Vec<_> =
                keys.map(|key| (key, noise(OVERWRITTEN_VALUE_BYTES, &mut seed))).collect();
            last.extend(entries.iter().filter(|(key, _)| key % 97 == 0).cloned());
            let report = map.put_many(entries).await.expect("the node is there");
            assert!(report.is_complete(), "{:?}", report.failed.first());
            written += 200 * OVERWRITTEN_VALUE_BYTES as u64;
            let member = grid.status().await.expect("the node answers").members.remove(0);
            let (data, log) = (member.data_bytes, member.disk_log_bytes);
            shortened += u32::from(log < before);
            before = log;
            if round > 0 {
                let together = log + member.disk_snapshot_bytes;
                let share = together.saturating_sub(SEGMENT_BYTES) as f64 / data as f64;
                if share > most.0 {
                    most = (share, data, log, member.disk_snapshot_bytes);
                }
            }
            let due = Duration::from_millis(written * 1_000 / BYTES_PER_S);
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        }
    }
    say(&format!(
        "overwritten: at most {:.2} times the data and a segment: data {}, log {}, snapshots {}; the log became shorter {shortened} times; load average {}",
        most.0,
        most.1,
        most.2,
        most.3,
        load_average()
    ));
    assert!(shortened >= 2, "{shortened}");
    assert!(most.0 <= 2.0, "{most:?}");
    // Images that were taken while others wrote, and the log behind them, are everything.
    cluster.kill(0);
    cluster.run(0);
    for (key, value) in last {
        let found = map.get(&key).await.expect("the node is back");
        assert!(found.as_ref() == Some(&value), "{key} is not what was written last");
    }
}
