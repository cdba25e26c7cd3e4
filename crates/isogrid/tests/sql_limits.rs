//! What a statement may use and where it goes, with real processes: limits of a node, lower ones of a statement, and statements that
//! leave no partition out.

mod common;

use std::time::{Duration, Instant};

use common::data::{grid, runtime};
use common::{Node, Ran, Running, command, eventually, isogrid};
use serde_json::{Value, json};
use tokio_postgres::NoTls;

/// Never done in the time of a test, with little memory and without any entries.
const LONG: &str = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 1000000000) SELECT max(n) FROM t";

/// Writes 300 orders of 30 tenants.
fn write(endpoint: &str) {
    let columns = "CREATE MAP orders (tenant TEXT, n BIGINT, items JSON) PARTITION BY tenant";
    let made = isogrid(&["sql", columns, "--endpoint", endpoint]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    runtime().block_on(async {
        let grid = grid(endpoint).await;
        let map = grid.map::<String, Value>("orders");
        let order = |n: i64| {
            let tenant = format!("t{}", n % 30);
            let items = json!({"list": [{"name": format!("item {n}")}], "Total": n});
            (format!("{{{tenant}}}:{n}"), json!({"tenant": tenant, "n": n, "items": items}))
        };
        map.put_many((0..300).map(order)).await.expect("it answers").all().expect("all");
    });
}

fn node(settings: &[&str]) -> Node {
    let mut arguments = vec!["--pg-addr", "127.0.0.1:0"];
    settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
    let node = Node::start(&arguments);
    write(&node.endpoint);
    node
}

fn ask(node: &Node, arguments: &[&str]) -> Ran {
    node.run(&[&["sql", "--format", "csv"], arguments].concat())
}

/// The rows of an answer, without the header line.
fn rows(ran: Ran) -> Vec<String> {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.text().lines().skip(1).map(str::to_owned).collect()
}

fn refused(ran: Ran, code: &str, word: &str) {
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains(code) && ran.stderr.contains(word), "{}", ran.stderr);
}

/// The code of what PostgreSQL's clients are told, after these statements.
fn pg_state(node: &Node, statements: &[&str]) -> String {
    let (host, port) = node.pg.as_deref().and_then(|pg| pg.rsplit_once(':')).expect("it is open");
    let settings = format!("host={host} port={port} user=ann dbname=any");
    runtime().block_on(async {
        let (client, connection) =
            tokio_postgres::connect(&settings, NoTls).await.expect("it listens");
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let mut state = String::new();
        for statement in statements {
            let told = client.simple_query(statement).await;
            state = told.map_or_else(
                |error| error.code().map_or_else(String::new, |code| code.code().to_owned()),
                |_| "00000".to_owned(),
            );
        }
        state
    })
}

#[test]
fn a_node_limits_rows_entries_and_time() {
    let node = node(&[
        "limits.sql_rows_max=50",
        "limits.sql_scanned_entries_max=299",
        "limits.sql_time_ms_max=400",
    ]);
    let few = "SELECT n FROM orders WHERE tenant IN ('t1', 't2', 't3', 't4', 't5')";
    assert_eq!(rows(ask(&node, &[few])).len(), 50);
    let more = "SELECT n FROM orders WHERE tenant IN ('t1', 't2', 't3', 't4', 't5', 't6')";
    refused(ask(&node, &[more]), "IG-0124", "at most 50");
    refused(ask(&node, &["SELECT count(*) FROM orders"]), "IG-0125", "at most 299");
    let alone = "SELECT count(*) FROM orders WHERE tenant = 't1'";
    assert_eq!(rows(ask(&node, &[alone])), ["10"]);
    assert_eq!(pg_state(&node, &[more]), "54000");
    assert_eq!(pg_state(&node, &["SELECT count(*) FROM orders"]), "54000");
    refused(ask(&node, &[LONG]), "IG-0117", " 400 ms");
}

#[test]
fn a_statement_can_be_given_less_and_a_node_more_time() {
    let node = node(&["limits.sql_time_ms_max=60000"]);
    let begun = Instant::now();
    refused(ask(&node, &[LONG, "--time-max", "200ms"]), "IG-0117", "200 ms");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let sorted = "SELECT a.n, b.n FROM orders a, orders b ORDER BY a.n + b.n, a.items LIMIT 70000";
    assert_eq!(rows(ask(&node, &[sorted])).len(), 70_000);
    refused(ask(&node, &[sorted, "--memory-max", "1MiB"]), "IG-0116", "memory");
    // Longer than a client bears silence: it hears that the statement goes on.
    let begun = Instant::now();
    refused(ask(&node, &[LONG, "--time-max", "13s"]), "IG-0117", "13000 ms");
    assert!(begun.elapsed() > Duration::from_secs(12), "{:?}", begun.elapsed());
    let wrong = ask(&node, &["SELECT 1", "--time-max", "0s"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

#[test]
fn so_many_statements_run_at_once() {
    let node = node(&["limits.sql_statements_max=1", "limits.sql_time_ms_max=60000"]);
    let begin = || {
        let mut long = command(&node.with_endpoint(&["sql", LONG]));
        Running(long.stderr(std::process::Stdio::null()).spawn().expect("it runs"))
    };
    let mut long = begin();
    let mut told = String::new();
    eventually("another statement is refused", || {
        // It may have been the other one.
        if long.0.try_wait().expect("it is a process").is_some() {
            long = begin();
        }
        told = ask(&node, &["SELECT 1"]).stderr;
        !told.is_empty()
    });
    assert!(told.contains("IG-0313") && told.contains("1 statements run"), "{told}");
    long.signal("KILL");
    long.wait();
    eventually("its place is free", || ask(&node, &["SELECT 1"]).code == 0);
}

#[test]
fn statements_that_leave_no_partition_out_are_refused_where_that_is_wanted() {
    let node = node(&[]);
    let (all, one) =
        ("SELECT count(*) FROM orders", "SELECT count(*) FROM orders WHERE tenant = 't1'");
    assert_eq!(rows(ask(&node, &[all])), ["300"]);
    refused(ask(&node, &[all, "--require-pruned"]), "IG-0126", "\"tenant\"");
    assert_eq!(rows(ask(&node, &[one, "--require-pruned"])), ["10"]);
    let bound =
        ["SELECT count(*) FROM orders WHERE tenant = $1", "--bind", "t2", "--require-pruned"];
    assert_eq!(rows(ask(&node, &bound)), ["10"]);
    // The same with a plan that was kept.
    assert_eq!(rows(ask(&node, &bound)), ["10"]);
    refused(ask(&node, &[all, "--require-pruned"]), "IG-0126", "\"orders\"");
    assert_eq!(pg_state(&node, &["SET require_pruned = on", all]), "42000");
    assert_eq!(pg_state(&node, &["SET require_pruned = on", one]), "00000");
    let off_again = ["SET require_pruned = on", "SET require_pruned = off", all];
    assert_eq!(pg_state(&node, &off_again), "00000");
    assert_eq!(pg_state(&node, &["SET require_pruned = maybe"]), "22023");
    runtime().block_on(async {
        let grid = grid(&node.endpoint).await;
        let error = grid.sql(all).require_pruned().run().await.expect_err("it is refused");
        assert_eq!(error.code(), isogrid_core::ErrorCode::QueryNotPruned, "{error}");
    });
    // A map can want it of everybody.
    let altered = node.run(&["map", "alter", "orders", "--require-pruned", "on"]);
    assert_eq!(altered.code, 0, "{}", altered.stderr);
    refused(ask(&node, &[all]), "IG-0126", "\"orders\"");
    assert_eq!(rows(ask(&node, &[one])), ["10"]);
    let shown = rows(ask(&node, &["SHOW CREATE MAP orders"])).concat();
    assert!(shown.contains("require_pruned = 'true'"), "{shown}");
    assert_eq!(rows(ask(&node, &["ALTER MAP orders SET (require_pruned = false)"])), ["changed"]);
    assert_eq!(rows(ask(&node, &[all])), ["300"]);
    let wrong = ask(&node, &["ALTER MAP orders SET (require_pruned = 7)"]);
    assert!(wrong.stderr.contains("true or false"), "{}", wrong.stderr);
}

/// Three nodes with the orders.
fn three() -> (Running, Vec<String>) {
    let dev = ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
    let limit = ["--set", "limits.sql_scanned_entries_max=200"];
    let (process, line) = Running::start(&[&dev[..], &limit[..]].concat());
    let announced: Value = serde_json::from_str(&line).expect("it starts");
    let nodes = announced["nodes"].as_array().expect("nodes").iter();
    let endpoints: Vec<String> =
        nodes.map(|node| node["grpc"].as_str().expect("an address").to_owned()).collect();
    write(&endpoints[0]);
    (process, endpoints)
}

#[test]
fn over_several_nodes_each_counts_what_it_walks_over() {
    let (mut process, endpoints) = three();
    let csv = |endpoint: &str, statement: &str| {
        isogrid(&["sql", "--format", "csv", statement, "--endpoint", endpoint])
    };
    let all = "SELECT count(*), sum(n) FROM orders";
    for endpoint in &endpoints {
        assert_eq!(rows(csv(endpoint, all)), ["300,44850"], "no node leads as many as 200");
    }
    // Three walks at each node.
    let thrice =
        "SELECT count(*) FROM orders a JOIN orders b ON a.n = b.n JOIN orders c ON b.n = c.n";
    refused(csv(&endpoints[0], thrice), "IG-0125", "at most 200");
    // Values within values are looked for where they are.
    let within = "SELECT tenant, max(items.\"Total\"::bigint) FROM orders WHERE items->'list'->0->>'name' LIKE 'item 29_' GROUP BY tenant ORDER BY tenant LIMIT 2";
    assert_eq!(rows(csv(&endpoints[1], within)), ["t20,290", "t21,291"]);
    // Who is asked, and where that is.
    let led = rows(csv(&endpoints[2], "EXPLAIN ROUTING SELECT * FROM orders"));
    let nodes: std::collections::BTreeSet<&str> =
        led.iter().filter_map(|row| row.split(',').nth(3)).collect();
    assert_eq!(nodes, endpoints.iter().map(String::as_str).collect());
    let one = "SELECT DISTINCT _partition FROM orders WHERE tenant = 't7'";
    let partition = rows(csv(&endpoints[0], one)).concat();
    let asked = "EXPLAIN ROUTING SELECT * FROM orders WHERE tenant = 't7' AND n > 5";
    let asked = rows(csv(&endpoints[0], asked));
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(led.contains(&asked[0]) && asked[0].starts_with(&format!("orders,{partition},")));
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(0));
}
