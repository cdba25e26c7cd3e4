//! Three nodes with a synchronous backup, beside one node, beside three without backups, and beside a redis cluster. One of
//! them stands at a time, so that no other takes processor time; every round has all of them.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::isogrid::{self, Isogrid};
use super::load::{Operation, Outcome, median};
use super::loads::{CONNECTIONS, PIPELINES, SINGLE};
use super::redis;
use super::redis_cluster::RedisCluster;
use super::report::Setting;
use super::{isogrid_cluster, progress};

/// What stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Setup {
    /// One node of one core.
    OneNode,
    /// Three nodes of one core each, with so many synchronous backups.
    ThreeNodes {
        /// Backups of each partition.
        backups: u8,
    },
    /// Three masters with a replica each.
    RedisCluster,
}

impl Setup {
    /// All, in the order in which they are measured.
    pub(super) const ALL: [Setup; 4] = [
        Setup::OneNode,
        Setup::ThreeNodes { backups: 0 },
        Setup::ThreeNodes { backups: 1 },
        Setup::RedisCluster,
    ];
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setup::OneNode => f.write_str("one node"),
            Setup::ThreeNodes { backups: 0 } => f.write_str("three nodes, no backup"),
            Setup::ThreeNodes { backups } => write!(f, "three nodes, {backups} sync backup"),
            Setup::RedisCluster => f.write_str("redis, 3 masters, 3 async replicas"),
        }
    }
}

/// How many operations are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Flight {
    /// As many as make full use of the machine: 1,024 single-op callers, or 50 connections with 64 commands each.
    Many,
    /// One.
    One,
}

/// One run.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Sample {
    /// Operations per second.
    pub(super) ops_per_second: f64,
    /// Processor time of all servers for each operation; of redis, that of the masters.
    pub(super) server_cpu_ns_per_op: f64,
    /// Processor time of the replicas of redis for each operation.
    pub(super) replica_cpu_ns_per_op: f64,
    /// Processor time of the client for each operation.
    pub(super) client_cpu_ns_per_op: f64,
    /// Median latency.
    pub(super) p50_us: f64,
    /// Latency that one in a hundred exceeded.
    pub(super) p99_us: f64,
}

/// All runs of a load on a setup.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    /// What stood there.
    pub(super) setup: Setup,
    /// What was done.
    pub(super) operation: Operation,
    /// How many were under way.
    pub(super) flight: Flight,
    /// One per round.
    pub(super) samples: Vec<Sample>,
}

impl Measured {
    /// The median of a figure over the rounds.
    pub(super) fn median(&self, figure: fn(&Sample) -> f64) -> Option<f64> {
        median(self.samples.iter().map(figure))
    }
}

/// Measures all of it.
pub(super) fn measure(binary: &Path, setting: &Setting) -> Result<Vec<Measured>> {
    let mut all = Vec::new();
    for setup in Setup::ALL {
        for flight in [Flight::Many, Flight::One] {
            for operation in [Operation::Set, Operation::Get] {
                all.push(Measured { setup, operation, flight, samples: Vec::new() });
            }
        }
    }
    for round in 1..=setting.rounds {
        for setup in Setup::ALL {
            let standing = Standing::start(setup, binary, setting.keys)?;
            for measured in all.iter_mut().filter(|measured| measured.setup == setup) {
                let sample = standing.run(measured.operation, measured.flight, setting)?;
                progress(&format!(
                    "round {round} of {}: {setup}, {}, {:?} in flight: {:.0} ops/s, p50 {:.0} us, CPU ns/op: servers {:.0}, client {:.0}",
                    setting.rounds,
                    measured.operation,
                    measured.flight,
                    sample.ops_per_second,
                    sample.p50_us,
                    sample.server_cpu_ns_per_op + sample.replica_cpu_ns_per_op,
                    sample.client_cpu_ns_per_op,
                ));
                measured.samples.push(sample);
            }
        }
    }
    Ok(all)
}

/// A setup that stands, with its keys.
enum Standing {
    Isogrid(Vec<Isogrid>),
    Redis(RedisCluster),
}

impl Standing {
    fn start(setup: Setup, binary: &Path, keys: u32) -> Result<Self> {
        let nodes = match setup {
            Setup::OneNode => vec![isogrid_cluster::start_one(binary)?],
            Setup::ThreeNodes { backups } => isogrid_cluster::start(binary, backups)?,
            Setup::RedisCluster => {
                let cluster = RedisCluster::start()?;
                cluster.fill(keys)?;
                return Ok(Standing::Redis(cluster));
            }
        };
        nodes[0].fill(keys)?;
        Ok(Standing::Isogrid(nodes))
    }

    fn run(&self, operation: Operation, flight: Flight, setting: &Setting) -> Result<Sample> {
        let (keys, seconds) = (setting.keys, setting.seconds);
        match self {
            Standing::Isogrid(nodes) => {
                let (callers, batch) = if flight == Flight::Many { SINGLE } else { (1, 1) };
                let benchmark = isogrid::Benchmark { operation, callers, batch, keys, seconds };
                let used = || -> Result<(Duration, Duration)> {
                    let times = nodes.iter().map(|node| node.server.processor_time());
                    Ok((times.sum::<Result<Duration>>()?, Duration::ZERO))
                };
                account(used, || nodes[0].bench(benchmark))
            }
            Standing::Redis(cluster) => {
                let [_, _, high] = PIPELINES;
                let (connections, pipeline) =
                    if flight == Flight::Many { (CONNECTIONS, high) } else { (1, 1) };
                let benchmark = redis::Benchmark { operation, connections, pipeline, keys };
                let requests = cluster.requests_in(seconds, benchmark)?;
                account(|| cluster.processor_times(), || cluster.bench(benchmark, requests))
            }
        }
    }
}

/// Runs a client, and divides what the processes used by what it did.
fn account(
    used: impl Fn() -> Result<(Duration, Duration)>,
    client: impl FnOnce() -> Result<Outcome>,
) -> Result<Sample> {
    let before = used()?;
    let outcome = client()?;
    let after = used()?;
    let per_operation = |time: Duration| time.as_secs_f64() * 1e9 / outcome.operations as f64;
    Ok(Sample {
        ops_per_second: outcome.ops_per_second,
        server_cpu_ns_per_op: per_operation(after.0.saturating_sub(before.0)),
        replica_cpu_ns_per_op: per_operation(after.1.saturating_sub(before.1)),
        client_cpu_ns_per_op: per_operation(outcome.processor_time),
        p50_us: outcome.p50_us,
        p99_us: outcome.p99_us,
    })
}
