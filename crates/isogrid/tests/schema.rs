//! Maps with columns, with real processes: what is refused, what every node knows, what survives, and what is pruned.

mod common;

use common::data::{grid, ok, runtime};
use common::{Node, Running, isogrid};
use serde_json::{Value, json};

const CREATE: &str = "CREATE MAP orders (tenant TEXT, total DOUBLE, placed TIMESTAMP, items JSON) PARTITION BY tenant WITH (entries_max = 100000)";

/// What `isogrid sql` prints as CSV, without its header line.
fn rows(endpoint: &str, statement: &str) -> Vec<String> {
    let ran = isogrid(&["sql", statement, "--format", "csv", "--endpoint", endpoint]);
    assert_eq!(ran.code, 0, "{statement}: {}", ran.stderr);
    ran.text().lines().skip(1).map(str::to_owned).collect()
}

/// The error of a command that must fail.
fn refused(endpoint: &str, arguments: &[&str]) -> String {
    let ran = isogrid(&[arguments, &["--endpoint", endpoint]].concat());
    assert_ne!(ran.code, 0, "{arguments:?}: {}", ran.text());
    ran.stderr
}

fn put(endpoint: &str, key: &str, value: &str) {
    let ran = isogrid(&["map", "put", "orders", key, value, "--endpoint", endpoint]);
    assert_eq!(ran.code, 0, "{key}: {}", ran.stderr);
}

#[test]
fn a_value_that_does_not_fit_is_refused_whatever_brings_it() {
    let node = Node::start(&[]);
    let endpoint = &node.endpoint;
    assert_eq!(rows(endpoint, CREATE), ["created"]);
    put(endpoint, "{t1}:1", r#"{"tenant": "t1", "total": 2.5, "placed": "2026-01-02T03:04:05Z"}"#);
    for (key, value, why) in [
        ("{t2}:1", r#"{"tenant": "t1"}"#, "the partition key of the key is \"t2\""),
        ("{t1}:2", r#"{"tenant": "t1", "total": "x"}"#, "the field total is TEXT"),
        ("{t1}:2", r#"{"total": 1}"#, "partitioned by tenant"),
        ("{t1}:2", "text", "no object"),
    ] {
        let error = refused(endpoint, &["map", "put", "orders", key, value]);
        for part in ["IG-0119", why, "next:"] {
            assert!(error.contains(part), "{key} {value}: {part}: {error}");
        }
    }
    runtime().block_on(async {
        let grid = grid(endpoint).await;
        let map = grid.map::<String, Value>("orders");
        let key = "{t1}:3".to_owned();
        map.put(&key, &json!({"tenant": "t1", "total": 4})).await.expect("it fits");
        let other = json!({"tenant": "t9", "total": 4});
        let error = map.put(&key, &other).await.expect_err("it does not");
        assert_eq!(error.code(), isogrid_core::ErrorCode::ValueMisfit, "{error}");
        let both = [(key.clone(), other), ("{t1}:4".to_owned(), json!({"tenant": "t1"}))];
        let outcome = map.put_many(both).await.expect("it answers");
        assert!(outcome.all().is_err(), "one of the two is refused");
        assert_eq!(map.get("{t1}:4").await.expect("it reads"), Some(json!({"tenant": "t1"})));
    });
    let sum = "SELECT count(*), sum(total), min(placed) FROM orders WHERE tenant = 't1'";
    assert_eq!(rows(endpoint, sum), ["3,6.5,2026-01-02T03:04:05Z"]);
    let plan = node.run(&["sql", &format!("EXPLAIN {sum}")]);
    assert!(plan.text().contains("partitions: 1/256"), "{}", plan.text());
}

#[test]
fn columns_are_shown_changed_and_dropped() {
    let node = Node::start(&[]);
    let endpoint = &node.endpoint;
    assert_eq!(rows(endpoint, CREATE), ["created"]);
    let described = rows(endpoint, "DESCRIBE orders");
    assert_eq!(described[1], "tenant,TEXT,the map is partitioned by it");
    let shown = rows(endpoint, "SHOW CREATE MAP orders").concat();
    let columns = "CREATE MAP orders (tenant TEXT, total DOUBLE, placed TIMESTAMP, items JSON) PARTITION BY tenant WITH (";
    assert!(shown.contains(columns) && shown.contains("entries_max = 100000"), "{shown}");
    let listed = ok(node.run(&["map", "ls", "-o", "json"]));
    assert_eq!(listed[0]["partition_by"], "tenant", "{listed}");
    assert_eq!(listed[0]["columns"][1], json!({"name": "total", "type": "DOUBLE"}), "{listed}");
    assert_eq!(rows(endpoint, "ALTER MAP orders ADD COLUMN note TEXT"), ["changed"]);
    assert_eq!(
        rows(endpoint, "ALTER MAP orders SET (entries_max = 5, bytes_max = '2GiB')"),
        ["changed"]
    );
    let altered = node.run(&["map", "alter", "orders", "--eviction", "lru"]);
    assert_eq!(altered.code, 0, "{}", altered.stderr);
    let shown = rows(endpoint, "SHOW CREATE MAP orders").concat();
    for part in [
        "note TEXT) PARTITION BY tenant",
        "entries_max = 5, bytes_max = 2147483648",
        "eviction = \"\"lru\"\"",
    ]
    .map(|part| part.replace("\"\"", "'"))
    {
        assert!(shown.contains(&part), "{part}: {shown}");
    }
    for (statement, parts) in [
        (CREATE, ["IG-0115", "orders"]),
        ("CREATE MAP x (a MONEY)", ["IG-0115", "MONEY"]),
        ("CREATE MAP x (a DOUBLE) PARTITION BY a", ["IG-0607", "TEXT and BIGINT"]),
        ("CREATE MAP x (a TEXT) WITH (copies = 2)", ["IG-0607", "known are backups"]),
        ("CREATE MAP x (a TEXT) WITH (backups = 99)", ["IG-0607", "at most 5"]),
        ("ALTER MAP orders DROP COLUMN tenant", ["IG-0115", "partitioned by"]),
        ("DROP MAP nothing", ["IG-0115", "nothing"]),
    ] {
        let error = refused(endpoint, &["sql", statement]);
        for part in parts {
            assert!(error.contains(part), "{statement}: {part}: {error}");
        }
    }
    put(endpoint, "{t1}:1", r#"{"tenant": "t1"}"#);
    assert_eq!(rows(endpoint, "DROP MAP orders"), ["dropped"]);
    put(endpoint, "{t1}:1", "anything, for it is another map");
    assert_eq!(
        rows(endpoint, "SELECT _value FROM orders"),
        ["\"anything, for it is another map\""]
    );
}

#[test]
fn every_node_knows_the_columns_and_a_restart_keeps_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("text");
    let dev =
        ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1", "--data-dir", folder];
    let start = || {
        let (running, line) = Running::start(&dev);
        let announced: Value = serde_json::from_str(&line).expect("it starts");
        let endpoint = |index: usize| {
            announced["nodes"][index]["grpc"].as_str().expect("an address").to_owned()
        };
        (running, [endpoint(0), endpoint(1), endpoint(2)])
    };
    let (mut cluster, endpoints) = start();
    assert_eq!(rows(&endpoints[0], CREATE), ["created"]);
    // At once, at nodes that did not make it.
    for (node, endpoint) in endpoints.iter().enumerate() {
        for n in 0..10 {
            let tenant = format!("t{}", n + 10 * node);
            let value = json!({"tenant": tenant, "total": n}).to_string();
            put(endpoint, &format!("{{{tenant}}}:1"), &value);
            let wrong = ["map", "put", "orders", &format!("{{other}}:{n}"), &value];
            assert!(refused(endpoint, &wrong).contains("IG-0119"));
        }
    }
    let pruned = "SELECT total FROM orders WHERE tenant IN ('t3', 't27') ORDER BY total";
    for endpoint in &endpoints {
        assert_eq!(rows(endpoint, pruned), ["3.0", "7.0"]);
    }
    cluster.signal("TERM");
    assert_eq!(cluster.wait().code(), Some(0), "{}", cluster.stderr());
    let (mut cluster, endpoints) = start();
    common::eventually("all partitions are led", || {
        let ran = isogrid(&["sql", "SELECT count(*) FROM orders", "--endpoint", &endpoints[1]]);
        ran.code == 0 && ran.text().contains("30")
    });
    assert_eq!(rows(&endpoints[2], pruned), ["3.0", "7.0"]);
    let error = refused(&endpoints[1], &["map", "put", "orders", "{x}:1", "{}"]);
    assert!(error.contains("IG-0119"), "{error}");
    cluster.signal("TERM");
    assert_eq!(cluster.wait().code(), Some(0), "{}", cluster.stderr());
}

#[test]
fn a_backup_brings_the_columns_back() {
    let (source, target) = (Node::start(&[]), Node::start(&[]));
    assert_eq!(rows(&source.endpoint, CREATE), ["created"]);
    put(&source.endpoint, "{t1}:1", r#"{"tenant": "t1", "total": 1, "late": "text"}"#);
    // It does not fit what is there, which nobody looks at.
    assert_eq!(rows(&source.endpoint, "ALTER MAP orders ADD COLUMN late BIGINT"), ["changed"]);
    let place = tempfile::tempdir().expect("a folder");
    let place = place.path().to_str().expect("text");
    let backup = source.run(&["cluster", "backup", "--to", place]);
    assert_eq!(backup.code, 0, "{}", backup.stderr);
    let restored = target.run(&["cluster", "restore", "--from", place]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    let shown = |node: &Node| rows(&node.endpoint, "SHOW CREATE MAP orders");
    assert_eq!(shown(&source), shown(&target));
    assert_eq!(rows(&target.endpoint, "SELECT tenant FROM orders"), ["t1"]);
}
