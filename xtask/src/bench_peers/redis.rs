//! redis: a server, and `redis-benchmark` against it.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::fill::fill;
use super::load::{Operation, Outcome, VALUE_BYTES};
use super::processes::{Server, free_tcp_address, new_folder, run_client};

/// `redis-benchmark` counts operations, not seconds. A short run of this many, and some for each command of a pipeline, says
/// how many fit.
const TRIAL_REQUESTS: u32 = 10_000;
const TRIAL_REQUESTS_PER_PIPELINED: u32 = 5_000;

/// `redis-benchmark` sorts latencies into steps of so many microseconds, and reports the end of a step: 15 stands for 8 to 15.
pub(super) const LATENCY_STEP_US: u32 = 8;

/// The most operations of one run, whatever the trial says.
const REQUESTS_MAX: f64 = 1e9;

/// A running redis.
pub(super) struct Redis {
    /// Its process.
    pub(super) server: Server,
}

/// A run of `redis-benchmark`.
#[derive(Clone, Copy)]
pub(super) struct Benchmark {
    /// GET or SET.
    pub(super) operation: Operation,
    /// Connections.
    pub(super) connections: u32,
    /// Commands under way on each.
    pub(super) pipeline: u32,
    /// Random keys to choose from.
    pub(super) keys: u32,
}

impl Redis {
    /// Starts one that keeps nothing on disk.
    pub(super) fn start() -> Result<Self> {
        Self::start_in(&["--appendonly", "no"], new_folder()?)
    }

    /// Starts one with these settings, in a folder in which another may have been before it.
    pub(super) fn start_in(settings: &[&str], folder: Arc<TempDir>) -> Result<Self> {
        let address = free_tcp_address()?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--save", "", "--daemonize", "no"]).args(settings);
        Ok(Redis { server: Server::start_in(command, address, folder)? })
    }

    /// Writes so many keys.
    pub(super) fn fill(&self, keys: u32) -> Result<()> {
        fill(self.server.address, keys)
    }

    /// How many operations take so long.
    pub(super) fn requests_in(&self, seconds: u32, benchmark: Benchmark) -> Result<u32> {
        benchmark.requests_in(self.server.address, &[], seconds)
    }

    /// Runs `redis-benchmark`.
    pub(super) fn bench(
        &self,
        benchmark: Benchmark,
        requests: u32,
        timeout: Duration,
    ) -> Result<Outcome> {
        benchmark.run(self.server.address, &[], requests, timeout)
    }
}

impl Benchmark {
    /// How many operations take so long.
    pub(super) fn requests_in(
        self,
        address: SocketAddr,
        further: &[&str],
        seconds: u32,
    ) -> Result<u32> {
        let trial = TRIAL_REQUESTS + TRIAL_REQUESTS_PER_PIPELINED * self.pipeline;
        let outcome = self.run(address, further, trial, Duration::from_secs(120))?;
        let requests = outcome.ops_per_second * f64::from(seconds);
        Ok(requests.clamp(f64::from(TRIAL_REQUESTS), REQUESTS_MAX) as u32)
    }

    /// Runs `redis-benchmark` with these further arguments.
    pub(super) fn run(
        self,
        address: SocketAddr,
        further: &[&str],
        requests: u32,
        timeout: Duration,
    ) -> Result<Outcome> {
        let mut command = Command::new("redis-benchmark");
        let operation = self.operation.to_string().to_lowercase();
        command.args(["-h", "127.0.0.1", "--csv", "-t", &operation]).args(further);
        for (option, number) in [
            ("-p", u32::from(address.port())),
            ("-r", self.keys),
            ("-d", VALUE_BYTES),
            ("-c", self.connections),
            ("-P", self.pipeline),
            ("-n", requests),
        ] {
            command.args([option, &number.to_string()]);
        }
        let finished = run_client(command, timeout)?;
        let row = Row::parse(&finished.output)
            .with_context(|| format!("redis-benchmark says: {}", finished.output))?;
        Ok(Outcome {
            operations: u64::from(requests),
            ops_per_second: row.ops_per_second,
            p50_us: row.p50_ms * 1_000.0,
            p99_us: row.p99_ms * 1_000.0,
            processor_time: finished.processor_time,
        })
    }
}

/// The one row of figures that `redis-benchmark --csv` prints for one command.
#[derive(Debug, PartialEq)]
struct Row {
    ops_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Row {
    /// Finds the columns by their names: their order is not promised.
    fn parse(output: &str) -> Option<Row> {
        let mut lines = output.lines().skip_while(|line| !line.starts_with("\"test\""));
        let names = cells(lines.next()?);
        let values = cells(lines.next()?);
        let column = |name: &str| {
            let index = names.iter().position(|found| *found == name)?;
            values.get(index)?.parse::<f64>().ok()
        };
        Some(Row {
            ops_per_second: column("rps")?,
            p50_ms: column("p50_latency_ms")?,
            p99_ms: column("p99_latency_ms")?,
        })
    }
}

/// The quoted cells of a line; none of them holds a comma.
fn cells(line: &str) -> Vec<&str> {
    line.split(',').map(|cell| cell.trim().trim_matches('"')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What redis-benchmark 7.0.15 prints.
    const OUTPUT: &str = r#""test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"GET","1250000.00","0.489","0.104","0.391","0.919","1.295","1.407"
"#;

    #[test]
    fn the_figures_are_found_by_name() {
        let row = Row { ops_per_second: 1_250_000.0, p50_ms: 0.391, p99_ms: 1.295 };
        assert_eq!(Row::parse(OUTPUT), Some(row));
    }

    #[test]
    fn a_warning_before_the_figures_does_no_harm() {
        let output = format!("WARNING: Could not fetch server CONFIG\n{OUTPUT}");
        assert!(Row::parse(&output).is_some());
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(Row::parse("Could not connect"), None);
        assert_eq!(Row::parse("\"test\",\"rps\"\n\"GET\",\"1.0\"\n"), None);
        assert_eq!(Row::parse(OUTPUT.lines().next().expect("a header")), None);
    }
}
