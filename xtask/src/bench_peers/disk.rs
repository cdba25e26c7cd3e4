//! Puts that are kept on disk: a node without a log, with one, and with one that is synced before it answers, beside redis
//! without a log, with one that is synced every second, and with one that is synced before it answers. One of them stands at a
//! time, so that no other takes processor time; every round has all of them.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::isogrid::{self, Isogrid};
use super::isogrid_cluster::{NO_BACKUPS, await_whole};
use super::load::{Load, Measured as Loaded, Operation, Sample};
use super::processes::{free_udp_address, new_folder};
use super::progress;
use super::redis::{self, Redis};
use super::report::Setting;

/// Callers, or connections, and how many operations each has under way: 16,384 together.
const CALLERS: u32 = 256;
const PER_CALLER: u32 = 64;

/// The map that the benchmark writes.
const MAP: &str = "bench";

/// How much longer than its load redis-benchmark may take.
const GRACE: Duration = Duration::from_secs(60);

/// What is done before a write is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kept {
    /// Nothing is written to disk at all.
    Memory,
    /// It is written to the log.
    Written,
    /// It is written to the log, and the log is synced.
    Synced,
}

/// What stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Setup {
    Isogrid(Kept),
    Redis(Kept),
}

impl Setup {
    /// All, in the order in which they are measured.
    pub(super) const ALL: [Setup; 6] = [
        Setup::Isogrid(Kept::Memory),
        Setup::Isogrid(Kept::Written),
        Setup::Isogrid(Kept::Synced),
        Setup::Redis(Kept::Memory),
        Setup::Redis(Kept::Written),
        Setup::Redis(Kept::Synced),
    ];

    fn load(self) -> Load {
        match self {
            Setup::Isogrid(_) => Load::isogrid(Operation::Set, CALLERS, PER_CALLER),
            Setup::Redis(_) => Load::redis(Operation::Set, CALLERS, PER_CALLER),
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Setup::Isogrid(Kept::Memory) => "isogrid in memory",
            Setup::Isogrid(Kept::Written) => "isogrid, durability os",
            Setup::Isogrid(Kept::Synced) => "isogrid, durability fsync",
            Setup::Redis(Kept::Memory) => "redis without a log",
            Setup::Redis(Kept::Written) => "redis, appendfsync everysec",
            Setup::Redis(Kept::Synced) => "redis, appendfsync always",
        })
    }
}

/// All runs on a setup.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    /// What stood there.
    pub(super) setup: Setup,
    /// The load and one sample per round.
    pub(super) loaded: Loaded,
}

/// Measures all of it.
pub(super) fn measure(binary: &Path, setting: &Setting) -> Result<Vec<Measured>> {
    let mut all = Setup::ALL.map(|setup| Measured {
        setup,
        loaded: Loaded { load: setup.load(), samples: Vec::new() },
    });
    for round in 1..=setting.rounds {
        for measured in &mut all {
            let sample = run(measured.setup, binary, setting)?;
            progress(&format!(
                "round {round} of {}: {}: {:.0} SET/s, p99 {:.0} us, CPU ns/op: server {:.0}",
                setting.rounds,
                measured.setup,
                sample.ops_per_second,
                sample.p99_us,
                sample.server_cpu_ns_per_op,
            ));
            measured.loaded.samples.push(sample);
        }
    }
    Ok(all.into())
}

/// Starts and fills one, and puts it under load.
fn run(setup: Setup, binary: &Path, setting: &Setting) -> Result<Sample> {
    let (keys, seconds) = (setting.keys, setting.seconds);
    match setup {
        Setup::Isogrid(kept) => {
            let node = start(binary, kept)?;
            node.fill(keys)?;
            let operation = Operation::Set;
            let (callers, batch) = (CALLERS, PER_CALLER);
            let load = isogrid::Benchmark { operation, callers, batch, keys, seconds };
            Sample::of(&node.server, || node.bench(load))
        }
        Setup::Redis(kept) => {
            let log = if kept == Kept::Memory { "no" } else { "yes" };
            let synced = if kept == Kept::Synced { "always" } else { "everysec" };
            let settings = ["--appendonly", log, "--appendfsync", synced];
            let server = Redis::start_in(&settings, new_folder()?)?;
            server.fill(keys)?;
            let load = redis::Benchmark {
                operation: Operation::Set,
                connections: CALLERS,
                pipeline: PER_CALLER,
                keys,
            };
            let requests = server.requests_in(seconds, load)?;
            let timeout = Duration::from_secs(u64::from(seconds)) * 5 + GRACE;
            Sample::of(&server.server, || server.bench(load, requests, timeout))
        }
    }
}

fn start(binary: &Path, kept: Kept) -> Result<Isogrid> {
    let mut settings = vec![NO_BACKUPS.to_owned()];
    if kept != Kept::Memory {
        settings.push("node.data_dir=data".to_owned());
    }
    let node = Isogrid::start_with(binary, free_udp_address()?, &settings)?;
    await_whole(&node, 1, 0)?;
    if kept == Kept::Synced {
        node.ask(&["map", "create", MAP, "--durability", "fsync"])?;
    }
    Ok(node)
}
