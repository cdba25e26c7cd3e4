//! `isogrid bench`: what it measures and how it says so.

mod common;

use common::Node;
use serde_json::Value;

fn bench(node: &Node, arguments: &[&str]) -> Value {
    let quick = ["--seconds", "1", "--warmup-seconds", "0", "--keys", "1000", "--callers", "16"];
    let all = [&["bench", "kv", "-o", "json"], &quick[..], arguments].concat();
    let ran = node.run(&all);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.json()
}

fn number(report: &Value, field: &str) -> f64 {
    report[field].as_f64().unwrap_or_else(|| panic!("{field} in {report}"))
}

#[test]
fn a_report_has_every_promised_figure() {
    let node = Node::start(&[]);
    let report = bench(&node, &[]);
    for field in ["ops_per_second", "client_cpu_ns_per_op", "operations", "seconds"] {
        assert!(number(&report, field) > 0.0, "{field}: {report}");
    }
    for figure in ["p50", "p99", "p999", "max"] {
        assert!(number(&report["latency_us"], figure) > 0.0, "{figure}: {report}");
    }
    assert_eq!(
        (number(&report, "errors"), number(&report, "misses")),
        (0.0, 0.0),
        "all was filled"
    );
    assert_eq!(report["errors_by_code"], Value::Object(serde_json::Map::new()));
    for (field, value) in [("callers", 16), ("batch", 1), ("reads", 100), ("threads", 1)] {
        assert_eq!(report[field], value, "{field}");
    }
    let entries = node.run(&["map", "info", "bench", "-o", "json"]).json()["entries"].as_u64();
    assert_eq!(entries, Some(1_000));
}

#[test]
fn reads_of_nothing_are_misses() {
    let node = Node::start(&[]);
    let report = bench(&node, &["--no-fill", "--map", "empty"]);
    assert_eq!(number(&report, "misses"), number(&report, "operations"));
}

#[test]
fn writes_batches_threads_and_ttls_are_measured() {
    let node = Node::start(&[]);
    let report = bench(&node, &["--reads", "50", "--batch", "10", "--threads", "2", "--ttl", "1h"]);
    assert!(number(&report, "operations") > 0.0 && number(&report, "errors") == 0.0, "{report}");
    assert_eq!((report["batch"].as_u64(), report["threads"].as_u64()), (Some(10), Some(2)));
    let key = node.run(&["map", "scan", "bench", "--limit", "1", "--keys-only"]);
    let entry = node.run(&["map", "get", "bench", key.text().trim(), "-o", "json"]).json();
    assert!(entry["expires_at_ms"].is_u64(), "{entry}");
    assert_eq!(key.text().trim().len(), 16);
}

#[test]
fn a_rate_is_kept() {
    let node = Node::start(&[]);
    let report = bench(&node, &["--rate", "2000"]);
    let rate = number(&report, "ops_per_second");
    assert!((1_800.0..=2_200.0).contains(&rate), "{report}");
    assert_eq!((number(&report, "rate"), number(&report, "not_started")), (2_000.0, 0.0));
}

#[test]
fn refused_operations_are_counted_by_code() {
    let node = Node::start(&["--set", "maps.full.entries_max=1"]);
    let arguments = ["bench", "kv", "-o", "json", "--seconds", "1", "--warmup-seconds", "0"];
    let more = ["--reads", "0", "--map", "full", "--callers", "4", "--keys", "100"];
    let ran = node.run(&[&arguments[..], &more].concat());
    assert!([1, 4].contains(&ran.code), "{} {}", ran.code, ran.stderr);
    let report = ran.json();
    assert!(number(&report["errors_by_code"], "IG-0309") > 0.0, "{report}");
    assert_eq!(number(&report, "errors"), number(&report["errors_by_code"], "IG-0309"));
}

#[test]
fn the_figures_are_readable_too() {
    let node = Node::start(&[]);
    let ran = node.run(&["bench", "kv", "--seconds", "1", "--keys", "10", "--callers", "2"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "no bar where nobody looks");
    for said in ["operations/s", "p99.9", "client CPU", "errors         0"] {
        assert!(ran.text().contains(said), "{said}: {}", ran.text());
    }
}

#[test]
fn a_statement_is_measured() {
    let node = Node::start(&[]);
    let statement = "SELECT n FROM (VALUES (1), (2), (3)) AS t(n) WHERE n < $1";
    let ran = node.run(&[
        "bench",
        "sql",
        statement,
        "--bind",
        "3",
        "--callers",
        "4",
        "--seconds",
        "1",
        "-o",
        "json",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report = ran.json();
    let statements = number(&report, "statements");
    assert!(statements > 0.0 && number(&report, "statements_per_second") > 0.0, "{report}");
    assert_eq!(number(&report, "rows"), statements * 2.0);
    assert_eq!((number(&report, "errors"), report["callers"].as_u64()), (0.0, Some(4)));
    // Four ask all the time, so these follow from each other.
    let mean_us = 4e6 * number(&report, "seconds") / statements;
    let (p50, max) = (number(&report["latency_us"], "p50"), number(&report["latency_us"], "max"));
    assert!(p50 < 3.0 * mean_us && max > mean_us && p50 <= max, "{mean_us}: {report}");
    let wrong = node.run(&["bench", "sql", "SELEC"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("IG-0115"), "{}", wrong.stderr);
}
