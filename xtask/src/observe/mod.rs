//! `cargo xtask observe`: a real Prometheus reads a real cluster through load, moves, a backup and the loss of a node. Then every
//! query of every panel and every metric of every alert must have had data, every figure must be documented, and the alerts that
//! should fire must have fired, and no others.
//!
//! | module | what it does |
//! |---|---|
//! | [`cluster`] | the nodes, and what is done with them |
//! | [`prometheus`] | Prometheus with the rules of the chart, their waiting times made short |
//! | [`verdict`] | what must be so in the end |

mod cluster;
mod prometheus;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;

use self::cluster::Cluster;
use self::prometheus::Prometheus;
use self::verdict::Run;

/// How long nodes are given to become whole after what was done to them.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a node stays away: longer than the shortened waiting times of all alerts that it must raise.
const AWAY: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The binary that is run
    #[arg(long, default_value = "target/release/isogrid")]
    binary: PathBuf,
}

/// Runs the scenario; returns whether all was as it should be.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    for tool in ["prometheus", "promtool"] {
        if !Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success()) {
            println!("observe: skipped: {tool} is not installed (Debian's package prometheus)");
            return Ok(true);
        }
    }
    let binary = root.join(&options.binary);
    ensure!(binary.is_file(), "there is no {}: build it first", binary.display());
    let began = Instant::now();
    let say = |what: &str| println!("{:>4} s  {what}", began.elapsed().as_secs());
    say("three nodes start");
    let mut cluster = Cluster::start(&binary)?;
    let prometheus = Prometheus::start(root, &cluster.http_addresses())?;
    let first_at = prometheus::now_s();
    cluster.await_whole(3, WHOLE_TIMEOUT)?;
    say("maps, an index, a watcher, load");
    cluster.make_maps()?;
    let _watcher = cluster.watch()?;
    cluster.load(10)?;
    cluster.ask_statements()?;
    say("a map is full, keys are missed, a key is asked for at the wrong node");
    cluster.go_wrong()?;
    say("a backup");
    cluster.back_up()?;
    say("a fourth node comes, and partitions move");
    cluster.add_node(&prometheus)?;
    cluster.await_whole(4, WHOLE_TIMEOUT)?;
    cluster.load(5)?;
    prometheus.is_quiet("IsogridMemberDown")?;
    say("a node is killed");
    cluster.kill(1);
    cluster.load(5)?;
    prometheus.until_fires("IsogridMemberDown", AWAY)?;
    prometheus.until_fires("IsogridNodeMissing", AWAY)?;
    prometheus.until_fires("IsogridPartitionsUnderReplicated", AWAY)?;
    say("it comes back with its data");
    cluster.restart(1)?;
    cluster.await_whole(4, WHOLE_TIMEOUT)?;
    cluster.load(5)?;
    prometheus.until_quiet("IsogridMemberDown", WHOLE_TIMEOUT)?;
    say("what must be so");
    let pages = cluster.pages()?;
    let run = Run { prometheus: &prometheus, from_s: first_at, has_sql: cluster.has_sql() };
    let findings = run.findings(root, &pages)?;
    findings.iter().for_each(|finding| println!("        {finding}"));
    say(if findings.is_empty() { "all is well" } else { "not all is well" });
    Ok(findings.is_empty())
}
