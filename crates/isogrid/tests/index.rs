//! Indexes with real processes: made while writers run, right while nodes die and partitions move, there again after a restart, in
//! backups; and unique ones.

mod common;

use std::io::Write;
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::data::{grid, ok, runtime};
use common::{Node, Running, eventually, http_get, isogrid, signal};
use serde_json::{Value, json};

/// What `isogrid sql` prints as CSV, without its header line.
fn rows(endpoint: &str, statement: &str) -> Vec<String> {
    let ran = isogrid(&["sql", statement, "--format", "csv", "--endpoint", endpoint]);
    assert_eq!(ran.code, 0, "{statement}: {}", ran.stderr);
    ran.text().lines().skip(1).map(str::to_owned).collect()
}

/// The same, or nothing if it failed.
fn rows_or_none(endpoint: &str, statement: &str) -> Option<Vec<String>> {
    let ran = isogrid(&["sql", statement, "--format", "csv", "--endpoint", endpoint]);
    (ran.code == 0).then(|| ran.text().lines().skip(1).map(str::to_owned).collect())
}

struct Cluster {
    dev: Running,
    stdin: ChildStdin,
    nodes: Vec<Value>,
}

impl Cluster {
    fn start(folder: &str) -> Cluster {
        let dev = [
            "dev",
            "--port-base",
            "0",
            "-o",
            "json",
            "--set",
            "node.cores=1",
            "--data-dir",
            folder,
        ];
        let (mut dev, line) = Running::start(&dev);
        let announced: Value = serde_json::from_str(&line).expect("it starts");
        let stdin = dev.0.stdin.take().expect("piped");
        let nodes = announced["nodes"].as_array().expect("a list").clone();
        Cluster { dev, stdin, nodes }
    }

    fn endpoint(&self, node: usize) -> &str {
        self.nodes[node]["grpc"].as_str().expect("an address")
    }

    fn pid(&self, node: usize) -> u32 {
        self.nodes[node]["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a number")
    }

    fn ok(&self, arguments: &[&str]) {
        let ran = isogrid(&[arguments, &["--endpoint", self.endpoint(0)]].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {} {}", ran.text(), ran.stderr);
    }

    fn stop(mut self) {
        self.dev.signal("TERM");
        assert_eq!(self.dev.wait().code(), Some(0), "{}", self.dev.stderr());
    }
}

/// Writers that go on until they are told to stop.
struct Writers {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

const KEYS: u64 = 3_000;

fn value(key: u64, turn: u64) -> Value {
    let mixed = (key * 7_919 + turn * 104_729) % 1_000_003;
    json!({
        "city": format!("c{}", mixed % 40),
        "amount": mixed % 1_000,
        "tags": [mixed % 3, format!("t{}", mixed % 5)],
        "note": "x".repeat(20),
    })
}

impl Writers {
    fn start(endpoint: &str) -> Writers {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (has_stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
        let endpoint = endpoint.to_owned();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let grid = grid(&endpoint).await;
                let map = grid.map::<String, Value>("orders");
                for turn in 0.. {
                    if has_stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let keys = (0..50).map(|n| (turn * 50 + n) % KEYS);
                    let entries = keys.map(|key| (format!("k{key}"), value(key, turn)));
                    // A node may be gone; what was written is looked at later, whatever it is.
                    let _ = map.put_many(entries).await;
                    let _ = map.delete(&format!("k{}", turn * 13 % KEYS)).await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
        Writers { stop, written, thread: Some(thread) }
    }

    fn wait_for(&self, more: u64) {
        let until = self.written.load(Ordering::Relaxed) + more;
        eventually("writers go on", || self.written.load(Ordering::Relaxed) >= until);
    }

    fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it runs").join().expect("it does not fail");
    }
}

/// Pairs of statements: one that an index helps, and one that asks the same without.
const PAIRS: [(&str, &str, &str); 4] = [
    ("amount >= 100 AND amount < 103", "amount * 2 >= 200 AND amount * 2 < 206", "by_amount"),
    ("city = 'c7'", "city || '' = 'c7'", "by_city"),
    (
        "city IN ('c1', 'c39') AND amount > 900",
        "city || '' IN ('c1', 'c39') AND amount * 2 > 1800",
        "by_city_amount",
    ),
    ("json_has(tags, 't3')", "json_has(tags || '', 't3')", "by_tag"),
];

const INDEXES: [&str; 4] = [
    "CREATE INDEX by_amount ON orders (amount)",
    "CREATE INDEX by_city ON orders USING hash (city)",
    "CREATE INDEX by_city_amount ON orders (city, amount)",
    "CREATE INDEX by_tag ON orders USING inverted (tags)",
];

/// Answers with indexes are those without.
fn compare(endpoint: &str) {
    for (with, without, index) in PAIRS {
        let select =
            |predicate| format!("SELECT _key, _value FROM orders WHERE {predicate} ORDER BY _key");
        let plan = rows(endpoint, &format!("EXPLAIN {}", select(with))).join("\n");
        assert!(plan.contains(&format!("index: {index} (")), "{with}: {plan}");
        let plan = rows(endpoint, &format!("EXPLAIN {}", select(without))).join("\n");
        assert!(!plan.contains("index:"), "{without}: {plan}");
        let found = rows(endpoint, &select(with));
        assert!(!found.is_empty(), "{with}");
        assert_eq!(found, rows(endpoint, &select(without)), "{with}");
    }
}

/// While writers run every row of an answer meets the predicate, and no key comes twice.
fn look(endpoint: &str) {
    let statement = "SELECT _key, amount FROM orders WHERE amount >= 100 AND amount < 300";
    let Some(found) = rows_or_none(endpoint, statement) else { return };
    let mut keys: Vec<&str> = Vec::new();
    for row in &found {
        let (key, amount) = row.split_once(',').expect("two columns");
        let amount: u64 = amount.parse().expect("a number");
        assert!((100..300).contains(&amount), "{row}");
        keys.push(key);
    }
    keys.sort_unstable();
    let count = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), count, "a key came twice");
}

fn is_built(endpoint: &str) -> bool {
    let Some(shown) = rows_or_none(endpoint, "SHOW INDEXES FROM orders") else { return false };
    shown.len() == INDEXES.len()
        && shown.iter().all(|row| {
            let built = row.rsplit(',').next().unwrap_or_default();
            let (built, records) = built.split_once(" of ").unwrap_or_default();
            built == records && records != "0"
        })
}

#[test]
fn indexes_are_right_while_writers_run_nodes_die_and_partitions_move() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("text");
    let mut cluster = Cluster::start(folder);
    let endpoint = cluster.endpoint(0).to_owned();
    let create = "CREATE MAP orders (city TEXT, amount BIGINT, tags JSON)";
    assert_eq!(rows(&endpoint, create), ["created"]);
    let writers = Writers::start(&endpoint);
    writers.wait_for(KEYS / 50);
    for index in INDEXES {
        assert_eq!(rows(&endpoint, index), ["created"]);
        look(&endpoint);
    }
    eventually("the indexes are built", || is_built(&endpoint));
    look(&endpoint);
    signal(cluster.pid(1), "KILL");
    for _ in 0..5 {
        look(&endpoint);
    }
    writeln!(cluster.stdin, "restart node-1").expect("it listens");
    cluster.ok(&["status", "--exit-when-safe", "--timeout", "60s", "--interval", "100ms"]);
    cluster.ok(&["cluster", "drain", "node-2", "--yes", "--wait", "--timeout", "60s"]);
    look(&endpoint);
    cluster.ok(&["cluster", "stay", "node-2"]);
    writers.wait_for(20);
    look(&endpoint);
    cluster.ok(&["status", "--exit-when-safe", "--timeout", "60s", "--interval", "100ms"]);
    writers.stop();
    compare(&endpoint);
    compare(cluster.endpoint(2));
    cluster.stop();

    let cluster = Cluster::start(folder);
    let endpoint = cluster.endpoint(1).to_owned();
    eventually("the indexes are built again", || is_built(&endpoint));
    compare(&endpoint);
    cluster.stop();
}

#[test]
fn a_unique_index_refuses_whatever_brings_it() {
    let node = Node::start(&[]);
    let endpoint = &node.endpoint;
    assert_eq!(
        rows(endpoint, "CREATE MAP users (tenant TEXT, email TEXT) PARTITION BY tenant"),
        ["created"]
    );
    let put = |key: &str, value: &str| node.run(&["map", "put", "users", key, value]);
    let user = |tenant: &str, email: &str| json!({"tenant": tenant, "email": email}).to_string();
    assert_eq!(put("{t1}:1", &user("t1", "ann@x")).code, 0);
    let made = node.run(&["map", "index", "create", "users", "one_email", "email", "--unique"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let refused = put("{t1}:2", &user("t1", "ann@x"));
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    for part in ["IG-0120", "one_email (email)", "{t1}:1", "{t1}:2", "next:"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert_eq!(put("{t2}:1", &user("t2", "ann@x")).code, 0, "another tenant");
    assert_eq!(put("{t1}:1", &user("t1", "ann@x")).code, 0, "itself");
    runtime().block_on(async {
        let grid = grid(endpoint).await;
        let users = grid.map::<String, Value>("users");
        let both = ["{t1}:3", "{t1}:4"]
            .map(|key| (key.to_owned(), json!({"tenant": "t1", "email": "both@x"})));
        let outcome = users.put_many(both).await.expect("it answers");
        let error = outcome.all().expect_err("one of the two is refused");
        assert_eq!(error.code(), isogrid_core::ErrorCode::UniqueViolated, "{error}");
        users.delete("{t1}:1").await.expect("it goes");
    });
    assert_eq!(put("{t1}:2", &user("t1", "ann@x")).code, 0, "the other one has gone");
    let count = "SELECT count(*) FROM users WHERE tenant = 't1' AND email = 'ann@x'";
    assert_eq!(rows(endpoint, count), ["1"]);
    let page = http_get(&node.http, "/metrics").expect("it listens");
    let seeks = page.lines().find(|line| line.starts_with("isogrid_query_index_seeks_total "));
    assert!(seeks.is_some_and(|line| !line.ends_with(" 0")), "{seeks:?}");
}

#[test]
fn indexes_are_listed_dropped_and_brought_back() {
    let (node, target) = (Node::start(&[]), Node::start(&[]));
    let endpoint = &node.endpoint;
    for n in 0..20 {
        let value = json!({"a": {"b": n % 4}, "nr": n}).to_string();
        assert_eq!(node.run(&["map", "put", "m", &format!("k{n}"), &value]).code, 0);
    }
    for arguments in [
        &["m", "by_b", "a.b", "--kind", "hash"][..],
        &["m", "by_nr", "nr", "a.b"],
        &["m", "gone", "nr"],
    ] {
        let ran = node.run(&[&["map", "index", "create"], arguments].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
    }
    for (arguments, why) in [
        (&["m", "by_b", "x"][..], "two indexes \"by_b\""),
        (&["m", "i", "_key"], "_key is no field"),
        (&["m", "i", "x", "y", "--kind", "inverted"], "one column"),
        (&["nothing", "i", "x"], "no map \"nothing\""),
    ] {
        let ran = node.run(&[&["map", "index", "create"], arguments].concat());
        assert!(ran.code != 0 && ran.stderr.contains(why), "{arguments:?}: {}", ran.stderr);
    }
    let ran = node.run(&["map", "index", "drop", "m", "gone"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(node.run(&["map", "index", "drop", "m", "gone"]).code, 1);
    let ls = || ok(node.run(&["map", "index", "ls", "-o", "json"]));
    eventually("they are built", || {
        ls().as_array().is_some_and(|all| all.iter().all(|one| one["built"] == 20))
    });
    let listed = ls();
    assert_eq!((&listed[0]["index"], &listed[0]["fields"]), (&json!("by_b"), &json!([["a", "b"]])));
    assert_eq!((&listed[1]["kind"], &listed[1]["entries"]), (&json!("ordered"), &json!(20)));
    let by_nr = "SELECT _key FROM m WHERE nr >= 7 AND nr < 9 ORDER BY nr";
    assert_eq!(rows(endpoint, by_nr), ["k7", "k8"]);

    let place = tempfile::tempdir().expect("a folder");
    let place = place.path().to_str().expect("text");
    let backup = node.run(&["cluster", "backup", "--to", place]);
    assert_eq!(backup.code, 0, "{}", backup.stderr);
    let restored = target.run(&["cluster", "restore", "--from", place]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    let shown = |node: &Node| rows(&node.endpoint, "SHOW CREATE MAP m");
    assert_eq!(shown(&node), shown(&target));
    assert!(shown(&target).concat().contains("CREATE INDEX by_nr ON m USING ordered (nr, a.b)"));
    assert_eq!(rows(&target.endpoint, by_nr), ["k7", "k8"]);
}
