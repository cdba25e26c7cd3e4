//! A redis cluster on one machine: three masters with a replica each, which follow asynchronously.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::load::{Operation, Outcome};
use super::processes::{Server, free_tcp_address, run_client};
use super::redis::Benchmark;

/// Masters, and replicas beside them.
const MASTERS: usize = 3;

/// The slots of a redis cluster. `redis-benchmark --cluster` puts one of them into every key and so draws from so many times
/// as many keys as it is told.
const SLOTS: u32 = 16_384;

/// How many writes for each key fill the cluster: `redis-benchmark` writes random ones.
const FILL_FACTOR: u32 = 3;

/// What the command line tool may take.
const CLI_TIMEOUT: Duration = Duration::from_secs(60);

/// How often the cluster is asked whether it is ready.
const READY_PAUSE: Duration = Duration::from_millis(200);

/// A running cluster.
pub(super) struct RedisCluster {
    /// The first three are the masters.
    servers: Vec<Server>,
}

impl RedisCluster {
    /// Starts one, and waits until every master has its replica.
    pub(super) fn start() -> Result<Self> {
        let mut servers = Vec::new();
        for _ in 0..2 * MASTERS {
            let address = free_tcp_address()?;
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
            command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
            command.args(["--cluster-enabled", "yes"]);
            command.args(["--cluster-port", &free_tcp_address()?.port().to_string()]);
            servers.push(Server::start(command, address)?);
        }
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(servers.iter().map(|server| server.address.to_string()));
        create.args(["--cluster-replicas", "1", "--cluster-yes"]);
        run_client(create, CLI_TIMEOUT).context("make a redis cluster")?;
        let mut cluster = RedisCluster { servers };
        let began = Instant::now();
        while !cluster.is_ready()? {
            ensure!(began.elapsed() < CLI_TIMEOUT, "the redis cluster does not become ready");
            std::thread::sleep(READY_PAUSE);
        }
        cluster.sort_masters_first()?;
        Ok(cluster)
    }

    fn is_ready(&self) -> Result<bool> {
        for server in &self.servers {
            let state = ask(server.address, &["cluster", "info"])?;
            let replication = ask(server.address, &["info", "replication"])?;
            let is_linked = replication.contains("master_link_status:up")
                || replication.contains("state=online");
            if !state.contains("cluster_state:ok") || !is_linked {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The tool chooses who is a master.
    fn sort_masters_first(&mut self) -> Result<()> {
        let (mut masters, mut replicas) = (Vec::new(), Vec::new());
        for server in std::mem::take(&mut self.servers) {
            let replication = ask(server.address, &["info", "replication"])?;
            let is_master = replication.contains("role:master");
            if is_master { masters.push(server) } else { replicas.push(server) }
        }
        ensure!(masters.len() == MASTERS, "the redis cluster has {} masters", masters.len());
        masters.extend(replicas);
        self.servers = masters;
        Ok(())
    }

    /// The processor time of masters and of replicas.
    pub(super) fn processor_times(&self) -> Result<(Duration, Duration)> {
        let (masters, replicas) = self.servers.split_at(MASTERS);
        Ok((sum(masters)?, sum(replicas)?))
    }

    /// Writes about so many keys.
    pub(super) fn fill(&self, keys: u32) -> Result<()> {
        let operation = Operation::Set;
        let benchmark = Benchmark { operation, connections: 50, pipeline: 64, keys: of_slot(keys) };
        let requests = keys.saturating_mul(FILL_FACTOR);
        let timeout = Duration::from_secs(u64::from(requests / 10_000) + 60);
        benchmark.run(self.address(), &["--cluster"], requests, timeout).map(drop)
    }

    /// Puts it under load for about so long.
    pub(super) fn bench(&self, benchmark: Benchmark, requests: u32) -> Result<Outcome> {
        let benchmark = Benchmark { keys: of_slot(benchmark.keys), ..benchmark };
        benchmark.run(self.address(), &["--cluster"], requests, Duration::from_secs(600))
    }

    /// How many operations take so long.
    pub(super) fn requests_in(&self, seconds: u32, benchmark: Benchmark) -> Result<u32> {
        let benchmark = Benchmark { keys: of_slot(benchmark.keys), ..benchmark };
        benchmark.requests_in(self.address(), &["--cluster"], seconds)
    }

    fn address(&self) -> SocketAddr {
        self.servers[0].address
    }
}

/// How many keys of each slot make so many in all.
fn of_slot(keys: u32) -> u32 {
    keys.div_ceil(SLOTS)
}

fn sum(servers: &[Server]) -> Result<Duration> {
    servers.iter().map(Server::processor_time).sum()
}

fn ask(address: SocketAddr, words: &[&str]) -> Result<String> {
    let mut command = Command::new("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &address.port().to_string()]).args(words);
    run_client(command, CLI_TIMEOUT).map(|finished| finished.output)
}
