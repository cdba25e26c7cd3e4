//! How long a server takes after a `kill -9` until it serves its data again: redis from its log of commands and from its
//! snapshot, Isogrid from what its disk has.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tempfile::TempDir;

use super::isogrid::Isogrid;
use super::isogrid_cluster::{NO_BACKUPS, await_whole};
use super::load::median;
use super::processes::{Server, free_udp_address, new_folder};
use super::progress;
use super::redis::Redis;
use super::report::Setting;

/// How many times more records there are than keys in the other sections.
const FACTOR: u32 = 5;

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(10);

/// A record that is there, as both benchmarks name it.
const KEY: &str = "key:000000000042";

/// The one that keeps its data, but never rewrites its log: it grows with every command.
const WITH_LOG: [&str; 6] =
    ["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"];
const WITH_SNAPSHOT: [&str; 2] = ["--appendonly", "no"];

/// What a server comes back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Source {
    RedisLog,
    RedisSnapshot,
    Isogrid,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::RedisLog => "redis from its append-only file",
            Source::RedisSnapshot => "redis from its RDB file",
            Source::Isogrid => "isogrid from its snapshots and its log",
        })
    }
}

/// All recoveries from one source.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Recovered {
    /// From what.
    pub(super) source: Source,
    /// How many records.
    pub(super) records: u32,
    /// How much there was on disk.
    pub(super) bytes: u64,
    /// Seconds from the start of the process until a record could be read, one per round.
    pub(super) rounds: Vec<f64>,
}

impl Recovered {
    /// The median.
    pub(super) fn seconds(&self) -> Option<f64> {
        median(self.rounds.iter().copied()).filter(|seconds| *seconds > 0.0)
    }

    /// Whether it is Isogrid's.
    pub(super) fn is_isogrid(&self) -> bool {
        self.source == Source::Isogrid
    }
}

/// Fills each, kills it, and lets it come back as often as there are rounds.
pub(super) fn measure(binary: &Path, setting: &Setting) -> Result<Vec<Recovered>> {
    let records = setting.keys.saturating_mul(FACTOR);
    progress(&format!("writing {records} records to each"));
    let folder = new_folder()?;
    let redis = Redis::start_in(&WITH_LOG, Arc::clone(&folder))?;
    redis.fill(records)?;
    let log_bytes = bytes_in(folder.path())?;
    command(redis.server.address, "SAVE")?;
    let snapshot_bytes = bytes_in(folder.path())? - log_bytes;
    drop(redis);
    let data = new_folder()?;
    let node = start(binary, Arc::clone(&data))?;
    await_whole(&node, 1, 0)?;
    node.fill(records)?;
    drop(node);
    let recovered = |source, bytes| Recovered { source, records, bytes, rounds: Vec::new() };
    let mut all = vec![
        recovered(Source::RedisLog, log_bytes),
        recovered(Source::RedisSnapshot, snapshot_bytes),
        recovered(Source::Isogrid, bytes_in(&data.path().join(DATA))?),
    ];
    for round in 1..=setting.rounds {
        for one in &mut all {
            let seconds = match one.source {
                Source::RedisLog => redis_serves(&WITH_LOG, &folder)?,
                Source::RedisSnapshot => redis_serves(&WITH_SNAPSHOT, &folder)?,
                Source::Isogrid => isogrid_serves(binary, &data)?,
            };
            progress(&format!(
                "round {round} of {}: {}: {seconds:.2} s",
                setting.rounds, one.source
            ));
            one.rounds.push(seconds);
        }
    }
    Ok(all)
}

/// The node's folder in the server's.
const DATA: &str = "data";

fn start(binary: &Path, folder: Arc<TempDir>) -> Result<Isogrid> {
    let settings = [format!("node.data_dir={DATA}"), NO_BACKUPS.to_owned()];
    Isogrid::start_in(binary, free_udp_address()?, &settings, folder)
}

fn isogrid_serves(binary: &Path, folder: &Arc<TempDir>) -> Result<f64> {
    let node = start(binary, Arc::clone(folder))?;
    until(&node.server, || node.ask(&["map", "get", "bench", KEY]).map(drop))
}

fn redis_serves(settings: &[&str], folder: &Arc<TempDir>) -> Result<f64> {
    let redis = Redis::start_in(settings, Arc::clone(folder))?;
    let address = redis.server.address;
    until(&redis.server, || {
        let reply = command(address, &format!("GET {KEY}"))?;
        ensure!(reply == "$100", "redis says: {reply}");
        Ok(())
    })
}

/// Seconds from the start of a server until this succeeds.
fn until(server: &Server, serves: impl Fn() -> Result<()>) -> Result<f64> {
    while let Err(refusal) = serves() {
        ensure!(server.began.elapsed() < PATIENCE, "it does not come back: {refusal:#}");
        std::thread::sleep(PAUSE);
    }
    Ok(server.began.elapsed().as_secs_f64())
}

/// The first line of what redis says to a command.
fn command(address: SocketAddr, line: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).context("connect to redis")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{line}\r\n").as_bytes())?;
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply)?;
    Ok(reply.trim_end().to_owned())
}

/// What the files in a folder take.
fn bytes_in(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { bytes_in(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_folder_are_those_of_all_its_files() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("within")).expect("a folder in it");
        std::fs::write(folder.path().join("a"), [0; 10]).expect("written");
        std::fs::write(folder.path().join("within/b"), [0; 5]).expect("written");
        assert_eq!(bytes_in(folder.path()).expect("readable"), 15);
    }
}
