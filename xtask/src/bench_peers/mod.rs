//! `cargo xtask bench-peers`: redis and Isogrid side by side on this machine, in turns within one run.
//!
//! Operations per second of a shared machine mean little; their ratio within one run does, and so does the processor time
//! per operation, as the operating system accounts it. docs/performance.md says how to read the table.
//!
//! | module | what it does |
//! |---|---|
//! | [`install`] | gets redis and builds the binary `isogrid` |
//! | [`redis`], [`isogrid`] | start one peer, fill it, put it under load |
//! | [`fill`] | gives redis exactly so many keys |
//! | [`processes`] | servers that end with their owner, clients with their processor time |
//! | [`accounting`], [`os`] | what the operating system knows about a process |
//! | [`load`] | what a peer is put under, and what came out |
//! | [`loads`] | throughput and latency, in turns |
//! | [`memory`] | memory per entry |
//! | [`start`] | time to connectable, and memory when idle |
//! | [`isogrid_cluster`], [`redis_cluster`] | start three nodes, or three masters with their replicas |
//! | [`three_nodes`], [`three_nodes_table`] | what a synchronous backup costs |
//! | [`disk`], [`disk_table`] | what it costs to keep puts on disk |
//! | [`recovery`] | how long the data take to come back after a kill |
//! | [`report`] | all raw figures |
//! | [`rows`], [`table`] | the figures that have targets, and how they are printed |

mod accounting;
mod disk;
mod disk_table;
mod fill;
mod install;
mod isogrid;
mod isogrid_cluster;
mod load;
mod loads;
mod memory;
mod os;
pub(crate) mod processes;
mod recovery;
mod redis;
mod redis_cluster;
mod report;
mod rows;
mod start;
mod table;
mod three_nodes;
mod three_nodes_table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use report::{Report, Setting};

/// The options of the chore.
#[derive(Args)]
pub(crate) struct Options {
    /// A smoke test: one round of one second with 100,000 keys. Its figures are not for keeping.
    #[arg(long)]
    quick: bool,
    /// How often each load is run; the median counts [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: Option<u32>,
    /// How long each load lasts [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: Option<u32>,
    /// How many keys there are; memory is measured with so many and with five times as many [default: 1000000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    keys: Option<u32>,
    /// Run this section alone; may be given several times
    #[arg(long, value_enum, value_name = "SECTION")]
    only: Vec<Section>,
    /// Write all raw figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the table to this file too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Measure this binary instead of building one
    #[arg(long, value_name = "FILE")]
    isogrid: Option<PathBuf>,
}

/// A part of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Many operations in flight: operations per second, processor time of each process.
    Throughput,
    /// One operation in flight: how long it takes.
    Latency,
    /// Memory per entry.
    Memory,
    /// Time from start to connectable, and memory when idle.
    Start,
    /// Three nodes with a synchronous backup, beside one node and beside a redis cluster.
    ThreeNodes,
    /// Puts that are kept on disk, beside redis with its log.
    Disk,
    /// From a kill until five times as many records are served again, beside redis.
    Recovery,
}

impl Options {
    fn setting(&self) -> Setting {
        let (rounds, seconds, keys) = if self.quick { (1, 1, 100_000) } else { (3, 5, 1_000_000) };
        Setting {
            rounds: self.rounds.unwrap_or(rounds),
            seconds: self.seconds.unwrap_or(seconds),
            keys: self.keys.unwrap_or(keys),
            quick: self.quick,
        }
    }

    fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }
}

/// Runs the comparison and prints its table. A missed target is a figure like any other, not a failure of the chore.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    ensure!(Path::new("/proc/self/stat").exists(), "bench-peers reads /proc: it needs Linux");
    let setting = options.setting();
    let redis_version = install::redis()?;
    let binary = match &options.isogrid {
        Some(binary) => binary.canonicalize().with_context(|| binary.display().to_string())?,
        None => install::isogrid(root)?,
    };

    let mut report = Report::new(setting, redis_version)?;
    if options.wants(Section::Start) {
        report.starts = start::measure(&binary)?;
    }
    let loads = loads::wanted(options.wants(Section::Throughput), options.wants(Section::Latency));
    if !loads.is_empty() {
        report.loads = loads::measure(&binary, &loads, &setting)?;
    }
    if options.wants(Section::Memory) {
        report.memory = memory::measure(&binary, &setting)?;
    }
    if options.wants(Section::ThreeNodes) {
        report.three_nodes = three_nodes::measure(&binary, &setting)?;
    }
    if options.wants(Section::Disk) {
        report.disk = disk::measure(&binary, &setting)?;
    }
    if options.wants(Section::Recovery) {
        report.recoveries = recovery::measure(&binary, &setting)?;
    }

    if let Some(path) = &options.json {
        write(path, &(serde_json::to_string_pretty(&report)? + "\n"))?;
    }
    let table = table::markdown(&report);
    print!("{table}");
    if let Some(path) = &options.markdown {
        write(path, &table)?;
    }
    Ok(true)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Says on standard error how far it is: standard output is for the table.
fn progress(line: &str) {
    eprintln!("bench-peers: {line}");
}
