//! Throughput and latency: both servers stand side by side, and every round puts first the one and then the other under
//! each load, so that a slow minute of the machine meets both.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::isogrid::{self, Isogrid};
use super::load::{Client, Load, Measured, Operation, Outcome, Sample};
use super::processes::Server;
use super::progress;
use super::redis::{self, Redis};
use super::report::Setting;

/// The connections of redis-benchmark: its default.
pub(super) const CONNECTIONS: u32 = 50;

/// The pipelines of redis-benchmark.
pub(super) const PIPELINES: [u32; 3] = [1, 16, 64];

/// Many callers with one operation each: callers and batch.
pub(super) const SINGLE: (u32, u32) = (1_024, 1);

/// Callers with many operations each: as many in flight as redis-benchmark has with `-c 50 -P 64`.
pub(super) const BATCHES: (u32, u32) = (50, 64);

/// How much longer than planned redis-benchmark may take: its number of operations is a guess.
const GRACE: Duration = Duration::from_secs(120);

/// The loads of the sections that are wanted, the peers in turns.
pub(super) fn wanted(throughput: bool, latency: bool) -> Vec<Load> {
    let mut loads = Vec::new();
    for operation in [Operation::Get, Operation::Set] {
        let redis = |pipeline| Load::redis(operation, CONNECTIONS, pipeline);
        let isogrid = |(callers, batch)| Load::isogrid(operation, callers, batch);
        if throughput {
            let [low, middle, high] = PIPELINES;
            loads.extend([redis(low), isogrid(SINGLE), redis(high), isogrid(BATCHES)]);
            loads.push(redis(middle));
        }
        if latency {
            loads.extend([one_in_flight_redis(operation), one_in_flight_isogrid(operation)]);
        }
    }
    loads
}

/// One command under way.
pub(super) const fn one_in_flight_redis(operation: Operation) -> Load {
    Load::redis(operation, 1, 1)
}

/// One operation under way.
pub(super) const fn one_in_flight_isogrid(operation: Operation) -> Load {
    Load::isogrid(operation, 1, 1)
}

/// Starts and fills both, and runs all loads in every round.
pub(super) fn measure(binary: &Path, loads: &[Load], setting: &Setting) -> Result<Vec<Measured>> {
    progress(&format!("filling both with {} keys", setting.keys));
    let peers = Peers { redis: Redis::start()?, isogrid: Isogrid::start(binary)? };
    peers.redis.fill(setting.keys)?;
    peers.isogrid.fill(setting.keys)?;

    let mut all: Vec<Measured> =
        loads.iter().map(|&load| Measured { load, samples: Vec::new() }).collect();
    for round in 1..=setting.rounds {
        // Backwards every other time, so that no load always follows the same one.
        let mut order: Vec<&mut Measured> = all.iter_mut().collect();
        if round % 2 == 0 {
            order.reverse();
        }
        for measured in order {
            let sample = peers.run(measured.load, setting)?;
            progress(&format!(
                "round {round} of {}: {}: {:.0} ops/s, p50 {:.0} us, CPU ns/op: server {:.0}, client {:.0}",
                setting.rounds,
                measured.load,
                sample.ops_per_second,
                sample.p50_us,
                sample.server_cpu_ns_per_op,
                sample.client_cpu_ns_per_op,
            ));
            measured.samples.push(sample);
        }
    }
    Ok(all)
}

struct Peers {
    redis: Redis,
    isogrid: Isogrid,
}

impl Peers {
    /// Puts one peer under a load, and looks that the other sleeps.
    fn run(&self, load: Load, setting: &Setting) -> Result<Sample> {
        let (operation, keys, seconds) = (load.operation, setting.keys, setting.seconds);
        let (redis, isogrid) = (&self.redis.server, &self.isogrid.server);
        match load.client {
            Client::RedisBenchmark { connections, pipeline } => {
                let benchmark = redis::Benchmark { operation, connections, pipeline, keys };
                let requests = self.redis.requests_in(seconds, benchmark)?;
                let timeout = Duration::from_secs(u64::from(seconds)) * 5 + GRACE;
                account(redis, isogrid, || self.redis.bench(benchmark, requests, timeout))
            }
            Client::BenchKv { callers, batch } => {
                let benchmark = isogrid::Benchmark { operation, callers, batch, keys, seconds };
                account(isogrid, redis, || self.isogrid.bench(benchmark))
            }
        }
    }
}

/// Runs a client, and divides what the processes used by what it did.
fn account(
    server: &Server,
    idle: &Server,
    client: impl FnOnce() -> Result<Outcome>,
) -> Result<Sample> {
    let began = Instant::now();
    let (server_before, idle_before) = (server.processor_time()?, idle.processor_time()?);
    let outcome = client()?;
    let server_used = server.processor_time()?.saturating_sub(server_before);
    let idle_used = idle.processor_time()?.saturating_sub(idle_before);
    let idle_percent = 100.0 * idle_used.as_secs_f64() / began.elapsed().as_secs_f64();
    Ok(Sample::new(&outcome, server_used, idle_percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_section_brings_its_loads_once() {
        assert_eq!(wanted(false, false), []);
        assert_eq!((wanted(true, false).len(), wanted(false, true).len()), (10, 4));
        let all = wanted(true, true);
        for (index, load) in all.iter().enumerate() {
            assert!(!all[..index].contains(load), "{load}");
        }
    }
}
