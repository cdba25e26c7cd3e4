//! Prometheus with the rules of the chart, their waiting times made short.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bench_peers::processes::{Server, free_tcp_address, new_folder};

/// For how long what an alert says must be so, for all that wait.
const SHORT: &str = "8s";

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running Prometheus.
pub(super) struct Prometheus {
    address: SocketAddr,
    folder: TempDir,
    _server: Server,
}

impl Prometheus {
    /// Starts one that reads these nodes.
    pub(super) fn start(root: &Path, nodes: &[SocketAddr]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let rules = std::fs::read_to_string(root.join("helm/isogrid/files/alerts.yaml"))?;
        std::fs::write(folder.path().join("rules.yaml"), shortened(&rules))?;
        write_targets(folder.path(), nodes)?;
        std::fs::write(folder.path().join("prometheus.yaml"), CONFIGURATION)?;
        let address = free_tcp_address()?;
        let mut command = Command::new("prometheus");
        let in_folder = |name: &str| folder.path().join(name).display().to_string();
        command.args([
            format!("--config.file={}", in_folder("prometheus.yaml")),
            format!("--storage.tsdb.path={}", in_folder("data")),
            format!("--web.listen-address={address}"),
            "--log.level=warn".to_owned(),
        ]);
        let server = Server::start_in(command, address, new_folder()?)?;
        Ok(Prometheus { address, folder, _server: server })
    }

    /// Reads these nodes from now on.
    pub(super) fn read(&self, nodes: &[SocketAddr]) -> Result<()> {
        write_targets(self.folder.path(), nodes)
    }

    /// All series that a query had since a moment, with their labels.
    pub(super) fn since(&self, from_s: u64, query: &str) -> Result<Vec<Value>> {
        let (query, end) = (encoded(query), now_s());
        let path = format!("/api/v1/query_range?query={query}&start={from_s}&end={end}&step=1");
        let answer = http_get(self.address, &path)?;
        let answer: Value = serde_json::from_str(&answer).with_context(|| answer.clone())?;
        ensure!(answer["status"] == "success", "{}", answer["error"]);
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        Ok(series)
    }

    /// The alerts that have fired since a moment.
    pub(super) fn fired(&self, from_s: u64) -> Result<Vec<String>> {
        let series = self.since(from_s, r#"ALERTS{alertstate="firing"}"#)?;
        let name = |one: &Value| one["metric"]["alertname"].as_str().map(str::to_owned);
        let mut names: Vec<String> = series.iter().filter_map(name).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    pub(super) fn until_fires(&self, alert: &str, timeout: Duration) -> Result<()> {
        self.until(alert, true, timeout)
    }

    pub(super) fn until_quiet(&self, alert: &str, timeout: Duration) -> Result<()> {
        self.until(alert, false, timeout)
    }

    pub(super) fn is_quiet(&self, alert: &str) -> Result<()> {
        ensure!(!self.fires(alert)?, "{alert} fires, and should not yet");
        Ok(())
    }

    fn until(&self, alert: &str, fires: bool, timeout: Duration) -> Result<()> {
        let began = Instant::now();
        while self.fires(alert)? != fires {
            let is_or_not = if fires { "does not fire" } else { "fires on" };
            ensure!(began.elapsed() < timeout, "{alert} {is_or_not}");
            std::thread::sleep(Duration::from_millis(300));
        }
        Ok(())
    }

    fn fires(&self, alert: &str) -> Result<bool> {
        let query = format!(r#"ALERTS{{alertname="{alert}",alertstate="firing"}}"#);
        let path = format!("/api/v1/query?query={}", encoded(&query));
        let answer: Value = serde_json::from_str(&http_get(self.address, &path)?)?;
        let series = answer["data"]["result"].as_array().context("no result")?;
        Ok(!series.is_empty())
    }
}

const CONFIGURATION: &str = "\
global: { scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 1s }
rule_files: [rules.yaml]
scrape_configs:
  - job_name: isogrid
    file_sd_configs: [{ files: [targets.json], refresh_interval: 1s }]
";

/// Beside the old file first: Prometheus may read at any time.
fn write_targets(folder: &Path, nodes: &[SocketAddr]) -> Result<()> {
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    let targets = json!([{ "targets": nodes, "labels": { "namespace": "observed" } }]);
    std::fs::write(folder.join("targets.new"), targets.to_string())?;
    std::fs::rename(folder.join("targets.new"), folder.join("targets.json"))?;
    Ok(())
}

/// The rules with their waiting times made short, and steps that fit.
fn shortened(rules: &str) -> String {
    let line = |line: &str| match line.split_once("for: ") {
        Some((indent, _)) if indent.trim().is_empty() => format!("{indent}for: {SHORT}\n"),
        _ => format!("{}\n", line.replace("[1h:1m]", "[1h:1s]")),
    };
    rules.lines().map(line).collect()
}

/// Seconds since the epoch.
pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The body of an answer that must be 200.
pub(super) fn http_get(address: SocketAddr, path: &str) -> Result<String> {
    let mut socket = TcpStream::connect_timeout(&address, TIMEOUT)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    // The older version has no pieces in its answers.
    socket.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    ensure!(status == "200", "{path}: {}: {body}", head.lines().next().unwrap_or_default());
    Ok(body.to_owned())
}

fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_times_are_made_short_and_nothing_else() {
        let rules = "        expr: max_over_time(x[1h:1m]) > 1\n        for: 10m\n          summary: \"for: 10m\"\n";
        let short = shortened(rules);
        assert!(short.contains("\n        for: 8s\n") && short.contains("[1h:1s]"));
        assert!(short.contains("\"for: 10m\""));
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encoded("a{b=\"c\"} > 1"), "a%7Bb%3D%22c%22%7D%20%3E%201");
    }
}
