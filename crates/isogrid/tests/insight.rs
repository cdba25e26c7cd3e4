//! Slow operations, hot keys and big keys, as an operator sees them.

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use bytes::Bytes;
use common::data::{grid, ok, put, runtime};
use common::local::Local;
use common::web::ask;
use common::{Node, Running, command, eventually, http_get, isogrid, signal};
use serde_json::{Value, json};
use tokio_postgres::NoTls;

/// A figure of a node's page.
fn figure(http: &str, name: &str) -> Option<f64> {
    let page = http_get(http, "/metrics")?;
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// Who leads a key, and who has the other copy, by number.
fn holders(cluster: &Local, key: &str) -> (usize, usize) {
    let trace = ok(cluster.at(0, &["trace", key, "--map", "orders", "-o", "json"]));
    let number = |name: &Value| {
        let is_it = |node: &Value| node["name"] == *name || node["node"] == *name;
        cluster.nodes.iter().position(is_it).unwrap_or_else(|| panic!("{name} in {trace}"))
    };
    let backup = &trace["backups"][0];
    (number(&trace["owner"]), number(if backup.is_object() { &backup["node"] } else { backup }))
}

#[test]
fn a_write_that_waited_for_a_backup_stands_in_the_slow_log_of_its_node() {
    let cluster = Local::start(&["slow_log.threshold_ms=150"]);
    ok(cluster.at(0, &["map", "put", "orders", "before", "v", "-o", "json"]));
    let none = cluster.at(1, &["slowlog", "ls"]);
    assert_eq!((none.code, none.text()), (0, ""), "nothing was slow: {}", none.stderr);
    assert!(none.stderr.contains("no operation took 150 ms"), "{}", none.stderr);

    let mut tail = command(&["slowlog", "tail", "--interval", "50ms", "-o", "json"]);
    tail.args(["--endpoint", cluster.endpoint(0)]).stdout(Stdio::piped());
    let mut tail = Running(tail.spawn().expect("the binary runs"));
    let mut tailed = BufReader::new(tail.0.stdout.take().expect("piped"));

    let key = "a-key-that-is-longer-than-what-the-log-keeps-of-it";
    let (primary, backup) = holders(&cluster, key);
    let paused = cluster.pid(backup);
    signal(paused, "STOP");
    let endpoint = cluster.endpoint(primary).to_owned();
    let writing = std::thread::spawn(move || {
        isogrid(&["map", "put", "orders", key, "v", "--endpoint", &endpoint])
    });
    std::thread::sleep(std::time::Duration::from_millis(400));
    signal(paused, "CONT");
    let written = writing.join().expect("it ends");
    assert_eq!(written.code, 0, "{}", written.stderr);

    let asked = usize::from(primary == 0);
    let mut found = Value::Null;
    eventually("the write stands in the log", || {
        let listed = cluster.at(asked, &["slowlog", "ls", "-o", "json"]);
        let listed = serde_json::from_slice::<Value>(&listed.stdout).unwrap_or_default();
        let is_it = |slow: &&Value| slow["operation"] == "put" && slow["map"] == "orders";
        found = listed.as_array().into_iter().flatten().find(is_it).cloned().unwrap_or_default();
        !found.is_null()
    });
    assert_eq!(text(&found["key"]), &key[..32]);
    assert_eq!(found["key_bytes"], key.len());
    assert!(found["took_us"].as_u64().is_some_and(|us| us >= 150_000), "{found}");
    assert!(text(&found["client"]).starts_with("127.0.0.1:"), "{found}");
    let node = &cluster.nodes[primary];
    assert!(found["node"] == node["name"] || found["node"] == node["node"], "{found} {node}");
    let shown = cluster.at(asked, &["slowlog", "ls"]);
    assert!(shown.text().contains("a-key-that-is-longer-than-what-"), "{}", shown.text());
    let slow = figure(text(&node["http"]), "isogrid_slow_operations_total");
    assert!(slow.is_some_and(|count| count >= 1.0), "{slow:?}");

    let mut line = String::new();
    while !line.contains("a-key-that") {
        line.clear();
        assert!(tailed.read_line(&mut line).expect("text") > 0, "the tail has ended");
    }
    assert_eq!(
        serde_json::from_str::<Value>(&line).expect("an object")["took_us"],
        found["took_us"]
    );
    drop(tail);
    cluster.stop();
}

/// A statement that takes its time: a hundred rows of no map, one after the other.
fn slow_statement(name: &str) -> String {
    format!(
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 100) \
         SELECT o.n AS {name} FROM orders o WHERE o.name <> 'a-secret' AND o.n < 40 + 0 * (SELECT max(n) FROM t)"
    )
}

#[test]
fn slow_statements_of_every_door_stand_in_the_log_without_their_values() {
    let settings = ["node.partitions=16", "slow_log.threshold_ms=5"];
    let mut arguments = vec!["--pg-addr", "127.0.0.1:0"];
    settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
    let node = Node::start(&arguments);
    runtime().block_on(async {
        let map = grid(&node.endpoint).await.map::<String, Value>("orders");
        let order = |n: i64| (format!("o{n:04}"), json!({"n": n, "name": format!("order {n}")}));
        map.put_many((0..500).map(order)).await.expect("it answers").all().expect("all");
    });
    let sql = node.run(&["sql", "--format", "csv", &slow_statement("by_grpc")]);
    assert_eq!((sql.code, sql.text().lines().count()), (0, 41), "{}", sql.stderr);
    let (host, port) = node.pg.as_deref().and_then(|pg| pg.rsplit_once(':')).expect("it is open");
    let settings = format!("host={host} port={port} user=ann dbname=any");
    runtime().block_on(async {
        let (client, connection) =
            tokio_postgres::connect(&settings, NoTls).await.expect("it listens");
        tokio::spawn(connection);
        let rows = client.query(&slow_statement("by_pg"), &[]).await.expect("rows");
        assert_eq!(rows.len(), 40);
    });
    let body = json!({"statement": slow_statement("by_http")}).to_string();
    let headers = [("Content-Type", "application/json")];
    let reply = ask(&node.http, "POST", "/v1/sql", &headers, body.as_bytes());
    assert_eq!((reply.status, &reply.json()["row_count"]), (200, &json!(40)), "{}", reply.text());
    // One that is not done in time is told as well.
    let endless = slow_statement("not_done").replace("n < 100)", "n < 1000000000)");
    let sql = node.run(&["sql", "--time-max", "50ms", &endless]);
    assert!(sql.code == 1 && sql.stderr.contains("IG-0117"), "{}", sql.stderr);

    let listed = || ok(node.run(&["slowlog", "ls", "-o", "json"]));
    let find = |name: &str| {
        let listed = listed();
        let is_it = |slow: &&Value| slow["statement"].as_str().is_some_and(|it| it.contains(name));
        let found = listed.as_array().into_iter().flatten().find(is_it).cloned();
        found.unwrap_or_else(|| panic!("{name} in {listed}"))
    };
    for name in ["by_grpc", "by_pg", "by_http"] {
        let slow = find(name);
        let statement = text(&slow["statement"]);
        assert!(statement.ends_with("o.n < ? + ? * (SELECT max(n) FROM t)"), "{statement}");
        assert!(statement.contains("o.name <> ?"), "{statement}");
        assert_eq!(
            (&slow["operation"], &slow["rows"]),
            (&json!("statement"), &json!(40)),
            "{slow}"
        );
        assert_eq!(
            (&slow["entries_scanned"], &slow["partitions_scanned"]),
            (&json!(500), &json!(16))
        );
        assert!(text(&slow["client"]).starts_with("127.0.0.1:"), "{slow}");
        assert!(slow["took_us"].as_u64() >= Some(5_000), "{slow}");
    }
    assert!(find("not_done")["took_us"].as_u64() >= Some(50_000));
    assert!(!listed().to_string().contains("secret"), "values are nobody's business");
    let shown = node.run(&["slowlog", "ls"]);
    assert!(shown.text().contains("WITH RECURSIVE"), "{}", shown.text());
}

#[test]
fn keys_can_be_kept_out_of_the_slow_log_and_it_can_be_turned_off() {
    let node = Node::start(&["--set", "slow_log.threshold_ms=0"]);
    let none = node.run(&["slowlog", "ls"]);
    assert!(none.stderr.contains("slow_log.threshold_ms is 0"), "{}", none.stderr);
    let wrong = isogrid(&["start", "--set", "slow_log.threshold_ms=-1"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

#[test]
fn a_hot_key_is_named_with_its_share() {
    let node = Node::start(&["--set", "node.partitions=16"]);
    let none = {
        runtime().block_on(async { put(&grid(&node.endpoint).await, "cold", "k", b"v").await });
        ok(node.run(&["map", "hot-keys", "cold", "-o", "json"]))
    };
    assert!(none["samples"].as_u64() <= Some(1), "{none}");
    // A map that was never written to is not there.
    let unknown = node.run(&["map", "hot-keys", "m"]);
    assert_eq!(unknown.code, 1, "{} {}", unknown.text(), unknown.stderr);
    assert!(unknown.stderr.contains("IG-0212"), "{}", unknown.stderr);
    runtime().block_on(async {
        let grid = grid(&node.endpoint).await;
        let hot = Bytes::from_static(b"the-hot-one");
        let value = Bytes::from_static(b"v");
        let entries = (0..20_000_u32).map(|n| match n % 2 {
            0 => (hot.clone(), value.clone()),
            _ => (Bytes::from(format!("cold-{n}")), value.clone()),
        });
        grid.raw_map("m").put_many(entries).await.expect("it takes writes").all().expect("all");
    });
    let told = ok(node.run(&["map", "hot-keys", "m", "--keys", "3", "-o", "json"]));
    let first = &told["keys"][0];
    assert_eq!(first["key"], "the-hot-one", "{told}");
    let ratio = first["ratio"].as_f64().expect("a share");
    assert!((0.35..0.6).contains(&ratio), "{told}");
    assert!(told["keys"].as_array().map(Vec::len) <= Some(3), "{told}");
    let shown = node.run(&["map", "hot-keys", "m"]);
    assert!(shown.text().contains("the-hot-one"), "{}", shown.text());
    let share = figure(&node.http, "isogrid_hot_key_ops_ratio{map=\"m\"}");
    assert!(share.is_some_and(|share| (0.35..0.6).contains(&share)), "{share:?}");
    let page = http_get(&node.http, "/metrics").expect("it listens");
    assert!(!page.contains("the-hot-one"), "no key is in the figures");
}

#[test]
fn big_keys_are_found_on_all_nodes_and_the_walk_is_bounded() {
    let cluster = Local::start(&[]);
    runtime().block_on(async {
        let grid = grid(cluster.endpoint(0)).await;
        let small = Bytes::from(vec![7; 100]);
        let entries = (0..3_000_u32).map(|n| (Bytes::from(format!("small-{n}")), small.clone()));
        grid.raw_map("m").put_many(entries).await.expect("it takes writes").all().expect("all");
        for (key, bytes) in [("big", 50_000), ("bigger", 60_000), ("biggest\n", 70_000)] {
            put(&grid, "m", key, &vec![7; bytes]).await;
            // Another map's are not told.
            put(&grid, "other", key, &vec![7; bytes * 2]).await;
        }
    });
    for node in 0..3 {
        let told = ok(cluster.at(node, &["map", "big-keys", "m", "--keys", "3", "-o", "json"]));
        let keys: Vec<&Value> = told["keys"].as_array().into_iter().flatten().collect();
        let names: Vec<&Value> = keys.iter().map(|key| &key["key"]).collect();
        assert_eq!(names, [&json!("biggest\n"), &json!("bigger"), &json!("big")], "{told}");
        assert_eq!(keys[0]["value_bytes"], 70_000);
        assert_eq!((&told["entries_looked_at"], &told["entries"]), (&json!(3_003), &json!(3_003)));
        let trace = ok(cluster.at(0, &["trace", "big", "-o", "json"]));
        assert_eq!(
            (&keys[2]["node"], &keys[2]["partition"]),
            (&trace["owner"], &trace["partition"])
        );
    }
    let shown = cluster.at(0, &["map", "big-keys", "m"]);
    assert!(shown.text().contains("biggest\\n"), "safe for a terminal: {}", shown.text());
    let few = ok(cluster.at(0, &["map", "big-keys", "m", "--entries-max", "300", "-o", "json"]));
    let looked_at = few["entries_looked_at"].as_u64().expect("a number");
    assert!((300..3_003).contains(&looked_at), "of every partition a share: {few}");
    for (arguments, code) in [
        (&["map", "big-keys", "no-such-map"] as &[&str], 1),
        (&["map", "big-keys", "m", "--keys", "0"], 2),
        (&["map", "big-keys", "a map"], 1),
        (&["map", "hot-keys", "m", "--keys", "65"], 2),
    ] {
        let ran = cluster.at(0, arguments);
        assert_eq!(ran.code, code, "{arguments:?} {} {}", ran.text(), ran.stderr);
    }
    cluster.stop();
}
