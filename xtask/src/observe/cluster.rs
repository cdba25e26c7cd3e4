//! The nodes, and what is done with them, by the command line as a user has it.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::prometheus::{Prometheus, http_get};
use crate::bench_peers::processes::{
    Server, free_tcp_address, free_udp_address, new_folder, run_client,
};

/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Operations of the load in a second: far from what the machine can do, so that no alert of a busy machine is due.
const RATE: &str = "2000";

/// A node and where it is.
struct Node {
    number: usize,
    grpc: SocketAddr,
    gossip: SocketAddr,
    http: SocketAddr,
    folder: TempDir,
    /// While it runs.
    server: Option<Server>,
}

/// Some nodes.
pub(super) struct Cluster {
    binary: PathBuf,
    nodes: Vec<Node>,
    backups: TempDir,
    has_sql: bool,
}

/// A command that runs until it is dropped.
pub(super) struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Cluster {
    pub(super) fn start(binary: &Path) -> Result<Self> {
        let help = Command::new(binary).arg("--help").output()?;
        let has_sql = String::from_utf8_lossy(&help.stdout).contains("\n  sql ");
        let mut cluster = Cluster {
            binary: binary.to_owned(),
            nodes: Vec::new(),
            backups: tempfile::tempdir()?,
            has_sql,
        };
        for number in 0..3 {
            cluster.nodes.push(node(number)?);
        }
        for number in 0..3 {
            cluster.restart(number)?;
        }
        Ok(cluster)
    }

    /// Whether the binary knows statements.
    pub(super) fn has_sql(&self) -> bool {
        self.has_sql
    }

    /// Where Prometheus reads.
    pub(super) fn http_addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.http).collect()
    }

    /// Starts a node, with the data that it has.
    pub(super) fn restart(&mut self, number: usize) -> Result<()> {
        let seeds: Vec<String> =
            self.nodes.iter().take(3).map(|node| node.gossip.to_string()).collect();
        let node = &mut self.nodes[number];
        let mut command = Command::new(&self.binary);
        command.arg("start");
        for setting in [
            format!("node.name=node-{}", node.number),
            format!("node.grpc_addr={}", node.grpc),
            format!("node.gossip_addr={}", node.gossip),
            format!("node.http_addr={}", node.http),
            format!("node.data_dir={}", node.folder.path().display()),
            "node.cores=1".to_owned(),
            "node.partitions=64".to_owned(),
            "memory.limit=256MiB".to_owned(),
            "disk.budget=1GiB".to_owned(),
            "cluster.expect=3".to_owned(),
            "cluster.backups=1".to_owned(),
            format!("cluster.seeds={}", seeds.join(",")),
        ] {
            command.args(["--set", &setting]);
        }
        node.server = Some(Server::start_in(command, node.grpc, new_folder()?)?);
        Ok(())
    }

    /// Ends a node as a crash does.
    pub(super) fn kill(&mut self, number: usize) {
        self.nodes[number].server = None;
    }

    pub(super) fn add_node(&mut self, prometheus: &Prometheus) -> Result<()> {
        let number = self.nodes.len();
        self.nodes.push(node(number)?);
        prometheus.read(&self.http_addresses())?;
        self.restart(number)
    }

    /// Until so many nodes are there, and the cluster could lose any.
    pub(super) fn await_whole(&self, nodes: usize, timeout: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let said = self.isogrid(&["status", "-o", "json"]).unwrap_or_default();
            let status: Value = serde_json::from_str(&said).unwrap_or_default();
            let members = status["members"].as_array().map(Vec::as_slice).unwrap_or_default();
            let active = members.iter().filter(|member| member["state"] == "active").count();
            let leads = members.iter().all(|member| member["primaries"].as_u64() > Some(0));
            let moves = status["moves"].as_array().is_none_or(|moves| !moves.is_empty());
            if active == nodes && leads && !moves && status["safe"] == true {
                return Ok(());
            }
            ensure!(began.elapsed() < timeout, "{nodes} nodes do not become whole: {said}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    pub(super) fn make_maps(&self) -> Result<()> {
        self.isogrid(&["map", "create", "synced", "--durability", "fsync"])?;
        self.isogrid(&["map", "create", "small", "--entries-max", "5"])?;
        self.isogrid(&["map", "create", "cache", "--entries-max", "200", "--eviction", "lru"])?;
        Ok(())
    }

    /// Somebody who watches a map.
    pub(super) fn watch(&self) -> Result<Watching> {
        let mut command = self.command(&["map", "watch", "bench"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Watching(command.spawn().context("cannot watch")?))
    }

    /// Reads and writes for so many seconds.
    pub(super) fn load(&self, seconds: u64) -> Result<()> {
        let seconds = seconds.to_string();
        let load = ["bench", "kv", "--callers", "32", "--rate", RATE, "--reads", "70"];
        for (map, more) in [
            ("bench", &["--keys", "20000", "--value-bytes", "500"][..]),
            ("synced", &["--keys", "200"]),
            ("cache", &["--keys", "2000"]),
            ("short", &["--keys", "500", "--ttl", "1s"]),
        ] {
            let share = if map == "bench" { seconds.as_str() } else { "2" };
            let every = [&load[..], &["--seconds", share, "--map", map], more].concat();
            // A node that has just gone fails some: nothing is tried twice.
            self.try_isogrid(&every)?;
        }
        Ok(())
    }

    pub(super) fn ask_statements(&self) -> Result<()> {
        if !self.has_sql {
            return Ok(());
        }
        self.isogrid(&["sql", "CREATE MAP orders (tenant TEXT, total BIGINT)"])?;
        self.isogrid(&["sql", "CREATE INDEX by_tenant ON orders (tenant)"])?;
        for id in 0..20 {
            let values = format!("('k{id}', 't{}', {id})", id % 3);
            let insert = format!("INSERT INTO orders (_key, tenant, total) VALUES {values}");
            self.isogrid(&["sql", &insert])?;
        }
        for _ in 0..10 {
            self.isogrid(&["sql", "SELECT * FROM orders WHERE tenant = 't1'"])?;
            self.isogrid(&["sql", "SELECT sum(total) FROM orders"])?;
        }
        // It fails, and must: there is no such table.
        self.try_isogrid(&["sql", "SELECT * FROM nowhere"])?;
        Ok(())
    }

    /// What users do wrong, and limits that are there.
    pub(super) fn go_wrong(&self) -> Result<()> {
        for key in 0..30 {
            self.try_isogrid(&["map", "put", "small", &format!("k{key}"), "v"])?;
        }
        for key in 0..10 {
            self.try_isogrid(&["map", "get", "bench", &format!("missing-{key}")])?;
            self.try_isogrid(&["map", "get", &format!("nowhere-{key}"), "k"])?;
        }
        self.try_isogrid(&["map", "scan", "small"])?;
        Ok(())
    }

    pub(super) fn back_up(&self) -> Result<()> {
        let to = self.backups.path().display().to_string();
        self.isogrid(&["cluster", "backup", "--to", &to]).map(drop)
    }

    /// What each node tells.
    pub(super) fn pages(&self) -> Result<Vec<String>> {
        self.nodes.iter().map(|node| http_get(node.http, "/metrics")).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let running = self.nodes.iter().filter(|node| node.server.is_some());
        let endpoints: Vec<String> = running.map(|node| node.grpc.to_string()).collect();
        let mut command = Command::new(&self.binary);
        command.args(arguments).env("ISOGRID_ENDPOINT", endpoints[0].clone());
        command.args(["--endpoint", &endpoints[0]]);
        command
    }

    /// Runs a command that must succeed.
    fn isogrid(&self, arguments: &[&str]) -> Result<String> {
        Ok(run_client(self.command(arguments), COMMAND_TIMEOUT)?.output)
    }

    /// Runs a command that may say no, but not that it could not be understood.
    fn try_isogrid(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let began = Instant::now();
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if began.elapsed() > COMMAND_TIMEOUT => {
                    child.kill()?;
                    child.wait()?;
                    bail!("{command:?} did not end");
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let mut said = String::new();
        child.stderr.take().context("it has errors")?.read_to_string(&mut said)?;
        ensure!(status.code() != Some(2), "{command:?}: {said}");
        Ok(())
    }
}

fn node(number: usize) -> Result<Node> {
    Ok(Node {
        number,
        grpc: free_tcp_address()?,
        gossip: free_udp_address()?,
        http: free_tcp_address()?,
        folder: tempfile::tempdir()?,
        server: None,
    })
}
