//! What a peer is put under, and what came out.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::processes::Server;

/// The length of every value. Keys are 16 bytes long in both benchmarks: `key:` and twelve digits.
pub(super) const VALUE_BYTES: u32 = 100;

/// What the operations do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    /// Read a random key that exists.
    Get,
    /// Write a random key anew.
    Set,
}

/// Who puts its own server under load, and how hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Client {
    /// `redis-benchmark`: so many connections, each with so many commands under way.
    RedisBenchmark {
        /// `-c`
        connections: u32,
        /// `-P`
        pipeline: u32,
    },
    /// `isogrid bench kv`: so many asynchronous callers over one connection, each with one call under way.
    BenchKv {
        /// `--callers`
        callers: u32,
        /// `--batch`: the operations of one call.
        batch: u32,
    },
}

/// A load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Load {
    /// What is done.
    pub(super) operation: Operation,
    /// By whom.
    pub(super) client: Client,
}

impl Load {
    /// A load of redis.
    pub(super) const fn redis(operation: Operation, connections: u32, pipeline: u32) -> Self {
        Load { operation, client: Client::RedisBenchmark { connections, pipeline } }
    }

    /// A load of Isogrid.
    pub(super) const fn isogrid(operation: Operation, callers: u32, batch: u32) -> Self {
        Load { operation, client: Client::BenchKv { callers, batch } }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Get => "GET",
            Operation::Set => "SET",
        })
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation;
        match self.client {
            Client::RedisBenchmark { connections, pipeline } => {
                write!(f, "redis {operation} -c {connections} -P {pipeline}")
            }
            Client::BenchKv { callers, batch } => {
                write!(f, "isogrid {operation} --callers {callers} --batch {batch}")
            }
        }
    }
}

/// What a client says at its end, and what it used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    /// How many operations it did.
    pub(super) operations: u64,
    /// How many each second.
    pub(super) ops_per_second: f64,
    /// The median of the latency: of a pipeline with redis, of a call with Isogrid.
    pub(super) p50_us: f64,
    /// What one in a hundred exceeded.
    pub(super) p99_us: f64,
    /// The processor time of the client's whole life.
    pub(super) processor_time: Duration,
}

/// One run of a load. Processor times are per operation and those of the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Sample {
    /// Operations per second.
    pub(super) ops_per_second: f64,
    /// Processor time of the server.
    pub(super) server_cpu_ns_per_op: f64,
    /// Processor time of the client.
    pub(super) client_cpu_ns_per_op: f64,
    /// Median latency.
    pub(super) p50_us: f64,
    /// Latency that one in a hundred exceeded.
    pub(super) p99_us: f64,
    /// Processor time of the other server meanwhile, in percent of a core: it should do nothing.
    pub(super) idle_peer_cpu_percent: f64,
}

impl Sample {
    /// Runs a client against a server that stands alone, and divides what the processes used by what it did.
    pub(super) fn of(server: &Server, client: impl FnOnce() -> Result<Outcome>) -> Result<Self> {
        let before = server.processor_time()?;
        let outcome = client()?;
        let used = server.processor_time()?.saturating_sub(before);
        Ok(Sample::new(&outcome, used, 0.0))
    }

    /// What a client says, and what its server and, in percent, the other server used meanwhile.
    pub(super) fn new(outcome: &Outcome, used: Duration, idle_peer_cpu_percent: f64) -> Self {
        let per_operation = |time: Duration| time.as_secs_f64() * 1e9 / outcome.operations as f64;
        Sample {
            ops_per_second: outcome.ops_per_second,
            server_cpu_ns_per_op: per_operation(used),
            client_cpu_ns_per_op: per_operation(outcome.processor_time),
            p50_us: outcome.p50_us,
            p99_us: outcome.p99_us,
            idle_peer_cpu_percent,
        }
    }
}

/// All runs of a load.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    /// The load.
    pub(super) load: Load,
    /// One per round.
    pub(super) samples: Vec<Sample>,
}

impl Measured {
    /// The median of a figure over the rounds.
    pub(super) fn median(&self, figure: fn(&Sample) -> f64) -> Option<f64> {
        median(self.samples.iter().map(figure))
    }
}

/// The middle of the values, the lower one of two; `None` of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_value_that_occurred() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.0));
        assert_eq!(median([5.0].into_iter()), Some(5.0));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn loads_are_named_by_their_options() {
        let load = Load::redis(Operation::Get, 50, 64);
        assert_eq!(load.to_string(), "redis GET -c 50 -P 64");
        let load = Load::isogrid(Operation::Set, 50, 64);
        assert_eq!(load.to_string(), "isogrid SET --callers 50 --batch 64");
    }
}
