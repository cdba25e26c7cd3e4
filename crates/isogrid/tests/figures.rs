//! The figures of a cluster: every one that is described is told by some node, they say what was done, and nobody can make series
//! without end.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Node, Ran, Running, eventually, http_get, isogrid};
use serde_json::Value;

const DESCRIBED: &str = include_str!("../../../docs/metrics.md");

/// A cluster of `isogrid dev`, with its data on disk.
struct Cluster {
    nodes: Vec<Value>,
    _dev: Running,
}

impl Cluster {
    fn start(folder: &str) -> Cluster {
        let dev = ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
        let more =
            ["--data-dir", folder, "--set", "disk.budget=1GiB", "--set", "node.partitions=16"];
        let (mut dev, line) = Running::start(&[&dev[..], &more].concat());
        let Ok(announced) = serde_json::from_str::<Value>(&line) else {
            dev.wait();
            panic!("the cluster does not start: {}", dev.stderr());
        };
        let nodes = announced["nodes"].as_array().expect("a list").clone();
        Cluster { nodes, _dev: dev }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let endpoint = self.nodes[0]["grpc"].as_str().expect("an address");
        let ran = isogrid(&[arguments, &["--endpoint", endpoint]].concat());
        assert!(ran.code <= 1, "{arguments:?}: {} {}", ran.text(), ran.stderr);
        ran
    }

    fn scrape(&self) -> Vec<BTreeMap<String, f64>> {
        self.nodes.iter().map(|node| scrape(node["http"].as_str().expect("an address"))).collect()
    }

    /// The sum over all nodes of all samples that begin so.
    fn sum(&self, start: &str) -> f64 {
        let pages = self.scrape();
        let samples = pages.iter().flatten().filter(|(name, _)| name.starts_with(start));
        samples.map(|(_, value)| value).sum()
    }
}

/// The samples of a page: names with their labels, and values.
fn scrape(http: &str) -> BTreeMap<String, f64> {
    let page = http_get(http, "/metrics").expect("it listens");
    let (_, body) = page.split_once("\r\n\r\n").expect("a head and a body");
    let samples = body.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    });
    samples.collect()
}

/// The families of samples: a histogram's samples are of one.
fn family(sample: &str) -> &str {
    let name = sample.split('{').next().unwrap_or(sample);
    let end = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    end.unwrap_or(name)
}

/// The names in the first column of the tables that this build has at rest.
fn described() -> BTreeSet<&'static str> {
    let names = DESCRIBED.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let is_of_sql = |name: &str| name.contains("_query_") || name.contains("_pg_");
    let is_there = |name: &&str| {
        *name != "isogrid_disk_recovered_ratio" && (cfg!(feature = "sql") || !is_of_sql(name))
    };
    names.filter(is_there).collect()
}

#[test]
fn every_figure_is_told_and_says_what_was_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start(folder.path().to_str().expect("text"));
    eventually("it is safe", || {
        cluster.scrape().iter().all(|page| page["isogrid_cluster_safe"] == 1.0)
    });
    cluster.run(&["map", "create", "small", "--entries-max", "3"]);
    for key in 0..20 {
        cluster.run(&["map", "put", "m", &format!("k{key}"), "v"]);
        cluster.run(&["map", "get", "m", &format!("k{key}")]);
    }
    for key in 0..5 {
        cluster.run(&["map", "get", "m", &format!("missing{key}")]);
        cluster.run(&["map", "get", &format!("nowhere{key}"), "k"]);
    }
    let refused = (0..20)
        .filter(|key| cluster.run(&["map", "put", "small", &format!("k{key}"), "v"]).code != 0);
    let refused = refused.count() as f64;
    assert!(refused > 0.0, "a map of three entries takes no twenty");
    let backup = tempfile::tempdir().expect("a folder");
    let to = backup.path().to_str().expect("text");
    cluster.run(&["cluster", "backup", "--to", to]);
    eventually("all is counted", || {
        cluster.sum("isogrid_operations_total{map=\"m\",op=\"put\",result=\"ok\"}") == 20.0
    });
    let count = |labels: &str| cluster.sum(&format!("isogrid_operations_total{{{labels}}}"));
    assert_eq!(count("map=\"m\",op=\"get\",result=\"ok\""), 20.0);
    assert_eq!(count("map=\"m\",op=\"get\",result=\"miss\""), 5.0);
    assert_eq!(count("map=\"\",op=\"get\",result=\"miss\""), 5.0, "maps that are not there");
    assert_eq!(cluster.sum("isogrid_rejected_total{reason=\"map_full\"}"), refused);
    assert_eq!(
        cluster.sum("isogrid_map_entries{map=\"m\"}"),
        20.0,
        "the sum over nodes is the map"
    );
    assert_eq!(cluster.sum("isogrid_partitions{role=\"primary\"}"), 16.0);
    assert_eq!(cluster.sum("isogrid_partitions{role=\"backup\"}"), 16.0);
    assert_eq!(cluster.sum("isogrid_council_leader"), 1.0);
    let acknowledged = cluster.sum("isogrid_replication_ack_seconds_count");
    assert!(acknowledged >= 20.0, "every write waited for its backup: {acknowledged}");
    let (sent, received) = (
        cluster.sum("isogrid_replication_sent_bytes_total"),
        cluster.sum("isogrid_replication_received_bytes_total"),
    );
    // What comes before a replica is ready for it is sent again.
    let is_plausible = received > 0.0 && received <= sent && received > 0.8 * sent;
    assert!(is_plausible, "{sent} bytes sent, {received} received");
    for page in cluster.scrape() {
        assert_eq!(page["isogrid_members{state=\"active\"}"], 3.0);
        assert_eq!(page["isogrid_cluster_health{state=\"healthy\"}"], 1.0);
        assert_eq!(page["isogrid_partitions_underreplicated"], 0.0);
        assert!(page["process_open_fds"] > 3.0 && page["isogrid_uptime_seconds"] > 0.0);
        let wrong = page.keys().filter(|name| name.contains("nowhere") || name.contains("k1"));
        assert_eq!(wrong.count(), 0, "labels have no keys, and no maps that are not there");
    }
    let mut there = BTreeSet::new();
    eventually("every figure is told", || {
        let pages = cluster.scrape();
        there = pages.iter().flat_map(BTreeMap::keys).map(|one| family(one).to_owned()).collect();
        // What is looked at each ten seconds comes last.
        there.contains("isogrid_moves_pending")
    });
    let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    assert_eq!(there, described(), "docs/metrics.md has every metric, and none that is not there");
}

#[test]
fn the_history_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("text");
    let arguments = ["--data-dir", folder, "--set", "node.partitions=4"];
    let mut node = Node::start(&arguments);
    let history = |node: &Node| -> Value {
        let answer = http_get(&node.http, "/v1/history?seconds=600&points=50").expect("it listens");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str(body).expect("JSON")
    };
    let points = |node: &Node| history(node)["points"].as_array().expect("a list").clone();
    eventually("there is a point", || {
        node.run(&["map", "put", "m", "k", "v"]);
        !points(&node).is_empty()
    });
    let names = history(&node)["names"].as_array().expect("a list").clone();
    let before = points(&node);
    assert_eq!(before[0].as_array().map(Vec::len), Some(names.len()), "a figure for each name");
    let place = names.iter().position(|name| name == "operations_per_second").expect("it is one");
    assert!(before[0][place].as_f64() > Some(0.0), "{before:?}");
    node.process.signal("TERM");
    assert!(node.process.wait().success());
    let again = Node::start(&arguments);
    assert_eq!(points(&again)[..before.len()], before[..], "the old points are there");
    // Nothing is asked of it now: what the line shows was before.
    let frame = again.run(&["top", "--once", "--interval", "50ms"]);
    let scale = frame.text().lines().nth(2).and_then(|line| line.split_whitespace().next());
    let most = scale.and_then(|most| most.replace(',', "").parse::<u64>().ok());
    assert!(most > Some(0), "{} {}", frame.text(), frame.stderr);
    let wrong = http_get(&again.http, "/v1/history?points=0").expect("it listens");
    assert!(wrong.starts_with("HTTP/1.1 400"), "{wrong}");
}
