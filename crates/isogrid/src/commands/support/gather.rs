//! What goes into a bundle. What cannot be had is named, and the rest is taken.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};

use isogrid_client::{ClusterStatus, Operator};
use serde_json::{Value, json};

use super::bundle::BundleArgs;
use super::http;
use super::redact::Redactor;
use crate::commands::status::{json as status_json, table as status_table};
use crate::commands::{config, doctor, map, slowlog};
use crate::connect::operator;
use crate::exit::Failure;

/// How much of a log is taken: its end.
const LOG_BYTES_MAX: u64 = 1 << 20;

/// How many lines of the journal.
const JOURNAL_LINES: &str = "5000";

/// How many hot keys of each map.
const HOT_KEYS: u32 = 10;

/// What was gathered.
#[derive(Default)]
pub(super) struct Gathered {
    /// The cluster's name; empty if nobody has answered.
    pub(super) cluster: String,
    /// Names and texts.
    pub(super) files: Vec<(String, String)>,
    /// What could not be had, and why.
    pub(super) missing: Vec<String>,
}

impl Gathered {
    fn add(&mut self, name: &str, text: impl Into<String>) {
        self.files.push((name.to_owned(), text.into()));
    }

    pub(super) fn add_json(&mut self, name: &str, value: &Value) {
        self.add(name, format!("{value:#}\n"));
    }

    fn miss(&mut self, what: &str, why: &Failure) {
        let text = why.text().unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        self.missing.push(format!("{what}: {}", line.trim_start_matches("error: ")));
    }
}

/// Gathers everything.
pub(super) async fn gather(args: &BundleArgs, endpoint: &str, redactor: &mut Redactor) -> Gathered {
    let mut gathered = Gathered::default();
    match operator(endpoint).await {
        Ok(operator) => of_cluster(&mut gathered, &operator, args.with_keys).await,
        Err(why) => gathered.miss("the cluster", &why),
    }
    of_configuration(&mut gathered, args, redactor);
    gathered.add_json("doctor.json", &doctor::all(endpoint, &args.settings).await);
    gathered.add("versions.txt", versions());
    for log in &args.log {
        match end_of(log) {
            Ok(text) => {
                let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let taken = gathered.files.len();
                gathered.add(&format!("logs/{taken}-{name}"), text);
            }
            Err(error) => gathered.missing.push(format!("{}: {error}", log.display())),
        }
    }
    if let Some(journal) = journal().filter(|_| args.log.is_empty()) {
        gathered.add("logs/journal.txt", journal);
    }
    gathered
}

async fn of_cluster(gathered: &mut Gathered, operator: &Operator, with_keys: bool) {
    match operator.status(true).await {
        Ok(status) => {
            gathered.cluster.clone_from(&status.cluster_name);
            gathered.add_json("status.json", &status_json::object(&status));
            gathered.add("status.txt", status_table::text(&status, None));
            of_nodes(gathered, &status).await;
        }
        Err(error) => gathered.miss("status", &error.into()),
    }
    match operator.partition_sizes().await {
        Ok(list) => {
            let partitions = list.partitions.iter().map(|one| {
                json!({
                    "partition": one.partition, "state": one.state, "epoch": one.epoch,
                    "primary": one.primary, "in_sync": one.in_sync, "learners": one.learners,
                    "loss_generation": one.loss_generation, "bytes": one.bytes,
                })
            });
            let partitions: Vec<Value> = partitions.collect();
            let table = json!({ "table_version": list.table_version, "partitions": partitions });
            gathered.add_json("partitions.json", &table);
        }
        Err(error) => gathered.miss("partitions", &error.into()),
    }
    match operator.maps().await {
        Ok(list) => gathered.add_json("maps.json", &list.maps.iter().map(map::object).collect()),
        Err(error) => gathered.miss("maps", &error.into()),
    }
    match operator.slow_log().await {
        Ok(log) => {
            let of_node = |node: &isogrid_client::NodeSlowLog| -> Vec<Value> {
                let slow = node.operations.iter();
                slow.map(|slow| slowlog::object(&node.node_id, slow)).collect()
            };
            let mut all: Value = log.nodes.iter().flat_map(of_node).collect();
            hide_keys(&mut all, with_keys);
            gathered.add_json("slowlog.json", &all);
        }
        Err(error) => gathered.miss("slow operations", &error.into()),
    }
    match operator.hot_keys(None, HOT_KEYS).await {
        Ok(hot) => {
            let mut all: Value = hot.maps.iter().map(map::hot_object).collect();
            hide_keys(&mut all, with_keys);
            gathered.add_json("hot-keys.json", &all);
        }
        Err(error) => gathered.miss("hot keys", &error.into()),
    }
}

/// What each node says of itself.
async fn of_nodes(gathered: &mut Gathered, status: &ClusterStatus) {
    for member in &status.members {
        let name = &member.node_id;
        match http::get(&member.http_addr, "/metrics").await {
            Ok(page) => gathered.add(&format!("metrics/{name}.txt"), page),
            Err(why) => gathered.missing.push(format!("figures of {name}: {why}")),
        }
        let asked = match operator(&member.grpc_addr).await {
            Ok(operator) => operator.node_config().await.map_err(Failure::from),
            Err(why) => Err(why),
        };
        match asked {
            Ok(toml) => gathered.add(&format!("config/{name}.toml"), toml),
            Err(why) => gathered.miss(&format!("configuration of {name}"), &why),
        }
    }
}

/// The configuration that a node here would have, with where each value comes from.
fn of_configuration(gathered: &mut Gathered, args: &BundleArgs, redactor: &mut Redactor) {
    match args.settings.load() {
        Ok(loaded) => {
            let secret = loaded.config.cluster.key_file.as_deref().map(std::fs::read_to_string);
            if let Some(Ok(secret)) = secret {
                redactor.learn(&secret);
            }
            gathered.add_json("config/here.json", &config::origins(&loaded));
        }
        Err(why) => gathered.miss("the configuration here", &why),
    }
}

/// Keys are data of whoever runs the cluster.
fn hide_keys(value: &mut Value, with_keys: bool) {
    if with_keys {
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| hide_keys(item, false)),
        Value::Object(object) => {
            object.retain(|name, _| name != "key" && name != "key_hex");
            object.values_mut().for_each(|item| hide_keys(item, false));
        }
        _ => {}
    }
}

fn versions() -> String {
    let mut text = concat!("isogrid ", env!("CARGO_PKG_VERSION"), "\n").to_owned();
    for path in ["/proc/version", "/etc/os-release", "/proc/loadavg", "/proc/meminfo"] {
        if let Ok(read) = std::fs::read_to_string(path) {
            text.push_str(&format!("\n# {path}\n{read}"));
        }
    }
    text
}

/// The end of a file, from the beginning of a line on.
fn end_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let skipped = file.metadata()?.len().saturating_sub(LOG_BYTES_MAX);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(match text.split_once('\n') {
        Some((_, whole)) if skipped > 0 => whole.to_owned(),
        _ => text.into_owned(),
    })
}

/// What the service has logged, where systemd runs it.
fn journal() -> Option<String> {
    let arguments = ["--unit", "isogrid", "--lines", JOURNAL_LINES, "--no-pager", "--quiet"];
    let mut command = Command::new("journalctl");
    let output =
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success() && !text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_at_home_unless_somebody_wants_them() {
        let whole = json!([{"key": "u1", "map": "m", "keys": [{"key_hex": "ff", "samples": 1}]}]);
        let mut hidden = whole.clone();
        hide_keys(&mut hidden, false);
        assert_eq!(hidden, json!([{"map": "m", "keys": [{"samples": 1}]}]));
        let mut kept = whole.clone();
        hide_keys(&mut kept, true);
        assert_eq!(kept, whole);
    }

    #[test]
    fn of_a_long_log_the_end_is_taken_in_whole_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        let line = "0123456789".repeat(10) + "\n";
        std::fs::write(&path, line.repeat(20_000)).expect("it is written");
        let end = end_of(&path).expect("it is read");
        assert!(
            end.len() as u64 <= LOG_BYTES_MAX && end.starts_with(&line) && end.ends_with(&line)
        );
        std::fs::write(&path, "short\n").expect("it is written");
        assert_eq!(end_of(&path).expect("it is read"), "short\n");
    }
}
