//! What the disk side costs: appends of entries of 116 bytes in batches, a snapshot written and read, a log recovered. In a
//! temporary folder, or in the folder given; the best of some rounds counts.
//!
//! `cargo run --release -p isogrid-wal --example speed -- [folder]`

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "measures and prints; the log itself has no clock"
)]

use std::error::Error;
use std::time::Instant;

use isogrid_core::{Hlc, LogPosition, PartitionId};
use isogrid_wal::{
    LogSettings, NodeLog, OsDisk, Record, SnapshotEnd, SnapshotHead, SnapshotWriter, open,
};

const STORAGE: u128 = 1;
const ENTRY_BYTES: usize = 116;
const PARTITIONS: u64 = 256;
const ROUNDS: usize = 5;
const ROUND_ENTRIES: u64 = 200_000;
const PAGE_BYTES: usize = 1 << 20;
const PAGES: usize = 400;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let temporary = tempfile::tempdir()?;
    let given = std::env::args().nth(1);
    let folder = given.map_or(temporary.path().to_path_buf(), Into::into);
    let disk = OsDisk::lock(&folder)?;
    let (mut log, _) = open(&disk, STORAGE, LogSettings::default())?;
    let mut seqs = vec![0; PARTITIONS as usize];
    for (batch, runs) in [(32, 1), (32, 32), (1_024, 1), (1_024, 256), (1_024, 1_024)] {
        let mut best = f64::MAX;
        for _ in 0..ROUNDS {
            best = best.min(append(&mut log, (batch, runs), &mut seqs)?);
            log.sync()?;
        }
        println!("append, batches of {batch:>5} in {runs:>5} runs: {best:>7.1} ns per entry");
    }
    let started = Instant::now();
    for _ in 0..100 {
        append_batch(&mut log, (1_024, 256), &mut seqs)?;
        log.sync()?;
    }
    let per_sync = started.elapsed().as_secs_f64() / 100.0;
    println!("append and sync, batches of 1,024: {:.2} ms each", per_sync * 1e3);
    snapshot(&disk, &log)?;
    let bytes = log.disk_bytes() as f64;
    drop(log);
    let started = Instant::now();
    let (_, recovery) = open(&disk, STORAGE, LogSettings::default())?;
    println!(
        "open, {:.0} MB of log and the snapshot: {:.0} MB/s of log",
        bytes / 1e6,
        rate(bytes, started)
    );
    let started = Instant::now();
    let mut entries = 0;
    recovery.replay(|_| true, |_, run| entries += run.entries.len() / ENTRY_BYTES)?;
    println!(
        "replay: {:.0} MB/s, {:.1} M entries/s",
        rate(bytes, started),
        rate(entries as f64, started)
    );
    Ok(())
}

fn rate(count: f64, started: Instant) -> f64 {
    count / started.elapsed().as_secs_f64() / 1e6
}

/// Nanoseconds per entry of a round of appends.
fn append(log: &mut NodeLog<OsDisk>, shape: (usize, usize), seqs: &mut [u64]) -> Outcome<f64> {
    let batches = ROUND_ENTRIES / shape.0 as u64;
    let started = Instant::now();
    for _ in 0..batches {
        append_batch(log, shape, seqs)?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / (batches * shape.0 as u64) as f64)
}

fn append_batch(
    log: &mut NodeLog<OsDisk>,
    (batch, runs): (usize, usize),
    seqs: &mut [u64],
) -> Outcome<()> {
    let entries = [7; ENTRY_BYTES * 1_024];
    let each = batch / runs;
    let record = |run: usize| {
        let partition = run % seqs.len();
        let first = seqs[partition] + 1;
        seqs[partition] += each as u64;
        Record::Entries {
            partition: PartitionId(partition as u16),
            first: LogPosition::new(1, first),
            last: LogPosition::new(1, seqs[partition]),
            entries: &entries[..each * ENTRY_BYTES],
        }
    };
    let records: Vec<Record<'_>> = (0..runs).map(record).collect();
    log.append(&records)?;
    Ok(())
}

/// A page of records as a store gives them: keys that look random, values of JSON.
fn page(number: usize) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE_BYTES + 200);
    let mut mixed = number as u64 + 1;
    while page.len() < PAGE_BYTES {
        mixed =
            mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        page.extend_from_slice(&mixed.to_le_bytes());
        page.extend_from_slice(&(mixed >> 40).to_le_bytes());
        let value = format!(
            "{{\"id\":{},\"name\":\"user-{}\",\"mail\":\"u{}@example.org\",\"balance\":{},\"on\":true}}",
            mixed >> 30,
            mixed >> 50,
            mixed >> 44,
            mixed >> 40
        );
        page.extend_from_slice(format!("{value:100}").as_bytes());
    }
    page
}

fn snapshot(disk: &OsDisk, log: &NodeLog<OsDisk>) -> Outcome<()> {
    let pages: Vec<Vec<u8>> = (0..16).map(page).collect();
    let head = SnapshotHead {
        partition: PartitionId(300),
        position: LogPosition::new(1, 1),
        replay_from: log.end(),
        hlc: Hlc(1),
        loss_generation: 0,
        sessions: Vec::new(),
    };
    let started = Instant::now();
    let mut writer = SnapshotWriter::create(disk, STORAGE, head)?;
    for number in 0..PAGES {
        let page = &pages[number % pages.len()];
        writer.block(page, (page.len() / ENTRY_BYTES) as u32)?;
    }
    let written = started.elapsed().as_secs_f64();
    let end = SnapshotEnd { complete_at: LogPosition::new(1, 1), log_end: log.synced() };
    let info = writer.publish(end, log.synced())?;
    let synced = started.elapsed().as_secs_f64();
    let bytes = info.bytes as f64 / 1e6;
    let packed = info.bytes as f64 / info.file_bytes as f64;
    println!(
        "snapshot of {bytes:.0} MB, packed to 1/{packed:.1}: written at {:.0} MB/s, {:.0} MB/s with its sync",
        bytes / written,
        bytes / synced
    );
    let started = Instant::now();
    let mut reader = isogrid_wal::SnapshotReader::open(disk, STORAGE, &info.path)?;
    while reader.next_block()?.is_some() {}
    println!("snapshot read at {:.0} MB/s", rate(info.bytes as f64, started));
    Ok(())
}
