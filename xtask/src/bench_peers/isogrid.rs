//! Isogrid: a node that keeps nothing on disk, and `isogrid bench kv` against it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tempfile::TempDir;

use super::load::{Operation, Outcome, VALUE_BYTES};
use super::processes::{Server, free_tcp_address, free_udp_address, new_folder, run_client};

/// The slowest fill that is waited for.
const FILL_KEYS_PER_SECOND_MIN: u32 = 10_000;

/// How much longer than its load a client may take.
const GRACE: Duration = Duration::from_secs(60);

/// How many threads the client's callers are spread over. Batches outrun one thread, so they get a client for each core, as a
/// program that needs the speed would have; single operations are measured on one, as redis-benchmark is.
fn threads(benchmark: Benchmark) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    if benchmark.batch > 1 { cores.min(benchmark.callers) } else { 1 }
}

/// A running node, or the one of a cluster that a client asks first.
pub(super) struct Isogrid {
    /// Its process.
    pub(super) server: Server,
    binary: PathBuf,
}

/// A run of `isogrid bench kv`.
#[derive(Clone, Copy)]
pub(super) struct Benchmark {
    /// Gets or puts.
    pub(super) operation: Operation,
    /// Callers.
    pub(super) callers: u32,
    /// Operations of one call.
    pub(super) batch: u32,
    /// Random keys to choose from.
    pub(super) keys: u32,
    /// How long.
    pub(super) seconds: u32,
}

impl Isogrid {
    /// Starts one.
    pub(super) fn start(binary: &Path) -> Result<Self> {
        Self::start_with(binary, free_udp_address()?, &[])
    }

    /// Starts one that gossips at this address, with these settings.
    pub(super) fn start_with(
        binary: &Path,
        gossip: SocketAddr,
        settings: &[String],
    ) -> Result<Self> {
        Self::start_in(binary, gossip, settings, new_folder()?)
    }

    /// The same, in a folder in which another may have been before it.
    pub(super) fn start_in(
        binary: &Path,
        gossip: SocketAddr,
        settings: &[String],
        folder: Arc<TempDir>,
    ) -> Result<Self> {
        let address = free_tcp_address()?;
        let mut command = Command::new(binary);
        command.args(["start", "--grpc-addr", &address.to_string()]);
        command.args(["--gossip-addr", &gossip.to_string()]);
        command.args(["--http-addr", &free_tcp_address()?.to_string()]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let server = Server::start_in(command, address, folder)?;
        Ok(Isogrid { server, binary: binary.to_owned() })
    }

    /// What `isogrid status` says.
    pub(super) fn status(&self) -> Result<String> {
        self.ask(&["status", "-o", "json"])
    }

    /// What the binary says when it is called with these arguments.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).args(["--endpoint", &self.server.address.to_string()]);
        run_client(command, GRACE).map(|finished| finished.output)
    }

    /// Writes so many keys: the benchmark does it before it reads them for a second.
    pub(super) fn fill(&self, keys: u32) -> Result<()> {
        let read =
            Benchmark { operation: Operation::Get, callers: 16, batch: 64, keys, seconds: 1 };
        let fill_time = Duration::from_secs(u64::from(keys / FILL_KEYS_PER_SECOND_MIN));
        run_client(self.command(read), fill_time + GRACE).map(drop)
    }

    /// Puts the node under load. Its keys have been written before.
    pub(super) fn bench(&self, benchmark: Benchmark) -> Result<Outcome> {
        let mut command = self.command(benchmark);
        command.arg("--no-fill");
        let time = Duration::from_secs(u64::from(benchmark.seconds));
        let finished = run_client(command, time + GRACE)?;
        let report = Report::parse(&finished.output)?;
        Ok(Outcome {
            operations: report.operations,
            ops_per_second: report.ops_per_second,
            p50_us: report.latency_us.p50,
            p99_us: report.latency_us.p99,
            processor_time: finished.processor_time,
        })
    }

    /// No warm-up: the accounts of the server cover the whole life of the client, and so must its operations.
    fn command(&self, benchmark: Benchmark) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["bench", "kv", "-o", "json", "--warmup-seconds", "0"]);
        command.args(["--endpoint", &self.server.address.to_string()]);
        let reads = if benchmark.operation == Operation::Get { 100 } else { 0 };
        for (option, number) in [
            ("--reads", reads),
            ("--callers", benchmark.callers),
            ("--threads", threads(benchmark)),
            ("--batch", benchmark.batch),
            ("--keys", benchmark.keys),
            ("--seconds", benchmark.seconds),
            ("--value-bytes", VALUE_BYTES),
        ] {
            command.args([option, &number.to_string()]);
        }
        command
    }
}

/// The fields of the benchmark's report that count here.
#[derive(Debug, Deserialize)]
struct Report {
    ops_per_second: f64,
    operations: u64,
    misses: u64,
    errors: u64,
    latency_us: Latency,
}

#[derive(Debug, Deserialize)]
struct Latency {
    p50: f64,
    p99: f64,
}

impl Report {
    /// Errors and misses cost less than what they stand for, so that a run that has any is not a measurement.
    fn parse(output: &str) -> Result<Report> {
        let report: Report = serde_json::from_str(output)
            .with_context(|| format!("isogrid bench kv says: {output}"))?;
        ensure!(report.errors == 0, "isogrid bench kv has {} errors: {output}", report.errors);
        ensure!(report.misses == 0, "isogrid bench kv misses {} keys", report.misses);
        ensure!(report.operations > 0, "isogrid bench kv did nothing: {output}");
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(operations: u64, misses: u64, errors: u64) -> String {
        format!(
            r#"{{"ops_per_second":3000000.0,"latency_us":{{"p50":330.2,"p99":380,"p999":500.0,"max":900.0}},
            "errors":{errors},"errors_by_code":{{}},"client_cpu_ns_per_op":215.3,"operations":{operations},
            "misses":{misses},"seconds":5.0,"map":"bench"}}"#
        )
    }

    #[test]
    fn the_report_is_understood() {
        let report = Report::parse(&output(15_000_000, 0, 0)).expect("a good run");
        assert_eq!((report.operations, report.latency_us.p99), (15_000_000, 380.0));
    }

    #[test]
    fn a_run_with_errors_or_misses_is_no_measurement() {
        for bad in [output(1, 0, 1), output(1, 1, 0), output(0, 0, 0), "{}".into()] {
            assert!(Report::parse(&bad).is_err(), "{bad}");
        }
    }
}
