//! Statements that write, on three real nodes: through the command, the Rust client and a client of PostgreSQL, several at once, and while
//! a node is killed.

mod common;

use std::collections::BTreeSet;

use common::data::{contents, grid, runtime};
use common::{Ran, Running, isogrid, signal};
use isogrid_client::arrow::array::StringArray;
use isogrid_client::{Error, Grid, Json, Outcome};
use isogrid_core::ErrorCode;
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Three nodes.
struct Cluster {
    _process: Running,
    announced: Value,
}

impl Cluster {
    fn start() -> Self {
        let dev = ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
        let (process, line) = Running::start(&dev);
        let announced = serde_json::from_str(&line).expect("it starts");
        Cluster { _process: process, announced }
    }

    fn address(&self, index: usize, what: &str) -> String {
        let address = self.announced["nodes"][index][what].as_str();
        address.unwrap_or_else(|| panic!("{what}: {}", self.announced)).to_owned()
    }

    fn endpoint(&self, index: usize) -> String {
        self.address(index, "grpc")
    }

    fn kill(&self, index: usize) {
        let pid = self.announced["nodes"][index]["pid"].as_u64().expect("a number");
        signal(u32::try_from(pid).expect("a process"), "KILL");
    }

    fn sql(&self, statement: &str, more: &[&str]) -> Ran {
        let endpoint = self.endpoint(1);
        isogrid(&[&["sql", statement, "--format", "csv", "--endpoint", &endpoint], more].concat())
    }

    /// What a statement that does well answers, without its header line.
    fn rows(&self, statement: &str) -> Vec<String> {
        let ran = self.sql(statement, &[]);
        assert_eq!(ran.code, 0, "{statement}: {}", ran.stderr);
        ran.text().lines().skip(1).map(str::to_owned).collect()
    }
}

#[derive(Debug, Deserialize)]
struct Row {
    _key: String,
    _outcome: String,
    _version: Option<u64>,
    _error: Option<String>,
}

const CREATE: &str = "CREATE MAP orders (tenant TEXT, n BIGINT, total DOUBLE, placed TIMESTAMP, items JSON) PARTITION BY tenant";

#[test]
fn every_door_takes_statements_that_write() {
    let cluster = Cluster::start();
    assert_eq!(cluster.rows(CREATE), ["created"]);
    the_command_writes(&cluster);
    runtime().block_on(async {
        let grid = grid(&cluster.endpoint(0)).await;
        the_client_writes(&grid).await;
        postgres_writes(&cluster).await;
    });
}

fn the_command_writes(cluster: &Cluster) {
    let insert = "INSERT INTO orders (_key, tenant, n, total, items) VALUES ('{t1}:1', 't1', 1, 2, '[\"tea\"]'), ('{t2}:1', 't2', -1, 2.5, NULL)";
    let ran = cluster.sql(insert, &[]);
    assert_eq!((ran.code, ran.text()), (0, "inserted\n2\n"), "{}", ran.stderr);
    let again = cluster.sql(insert, &[]);
    assert_eq!(again.code, 1, "{}", again.stderr);
    for part in ["IG-0130", "2 of 2 rows were not written, 0 were", "{t1}:1", "UPSERT"] {
        assert!(again.stderr.contains(part), "{part}: {}", again.stderr);
    }
    let misfit = "INSERT INTO orders (_key, tenant) VALUES ('{t3}:1', 't1'), ('{t3}:2', 't3')";
    let ran = cluster.sql(misfit, &[]);
    assert_eq!(ran.code, 5, "one of them is there: {}", ran.stderr);
    assert!(ran.stderr.contains("IG-0119") && ran.stderr.contains("{t3}:1"), "{}", ran.stderr);
    let bound = "UPDATE orders SET total = total * $1 WHERE tenant = $2";
    let ran = cluster.sql(bound, &["--bind", "2", "--bind", "t1"]);
    assert_eq!((ran.code, ran.text()), (0, "updated\n1\n"), "{}", ran.stderr);
    let explained = cluster.sql("EXPLAIN DELETE FROM orders WHERE tenant = 't1'", &[]);
    assert!(explained.text().contains("partitions: 1/256, nodes: 1/3"), "{}", explained.text());
    let left = cluster.rows("SELECT _key, n, total, items FROM orders ORDER BY 1");
    assert_eq!(left, ["{t1}:1,1,4.0,\"[\"\"tea\"\"]\"", "{t2}:1,-1,2.5,", "{t3}:2,,,"]);
    for (statement, why) in [
        ("INSERT INTO nowhere (_key) VALUES ('a')", "nowhere"),
        ("DELETE FROM orders WHERE nothing = 1", "nothing"),
        ("EXPLAIN ANALYZE DELETE FROM orders", "would write"),
    ] {
        let ran = cluster.sql(statement, &[]);
        assert_eq!(ran.code, 1, "{statement}: {}", ran.stderr);
        assert!(ran.stderr.contains("IG-0115") && ran.stderr.contains(why), "{}", ran.stderr);
    }
    let gone = cluster.rows("DELETE FROM orders RETURNING _key, _outcome");
    assert_eq!(gone.len(), 3, "{gone:?}");
    assert!(gone.iter().all(|row| row.ends_with(",deleted")), "{gone:?}");
}

async fn the_client_writes(grid: &Grid) {
    let insert = "INSERT INTO orders (_key, tenant, n) VALUES ($1, $2, $3)";
    for n in 0..10_i64 {
        let key = format!("{{t{n}}}:1");
        let one = grid.sql(insert).bind(key).bind(format!("t{n}")).bind(n).execute().await;
        assert_eq!(one.expect("it is new"), 1);
    }
    let error = grid.sql(insert).bind("{t1}:1").bind("t1").bind(1).execute().await;
    let error = error.expect_err("it is there");
    assert_eq!((error.code(), error.outcome()), (ErrorCode::KeyPresent, Outcome::NotApplied));
    let copy =
        "UPSERT INTO orders (_key, tenant, n) SELECT '{' || tenant || '}:2', tenant, n FROM orders";
    assert_eq!(grid.sql(copy).execute().await.expect("it writes"), 10);
    let some = "INSERT INTO orders (_key, tenant) VALUES ('{t1}:2', 't1'), ('{t1}:3', 't1'), ('{t1}:4', 't2') RETURNING *";
    let mut rows: Vec<Row> = grid.sql(some).fetch().await.expect("failures are rows");
    rows.sort_by(|one, other| one._key.cmp(&other._key));
    let outcomes: Vec<&str> = rows.iter().map(|row| row._outcome.as_str()).collect();
    assert_eq!(outcomes, ["failed", "inserted", "failed"], "{rows:?}");
    assert!(rows[1]._version.is_some() && rows[1]._error.is_none(), "{rows:?}");
    assert!(rows[2]._error.as_ref().is_some_and(|error| error.starts_with("IG-0119")), "{rows:?}");
    let error = grid.sql("SELECT 1").execute().await.expect_err("it writes nothing");
    assert_eq!(error.code(), ErrorCode::QueryInvalid);
    assert_eq!(grid.sql("DELETE FROM orders").execute().await.expect("it writes"), 21);
}

async fn connect(cluster: &Cluster) -> Client {
    let address = cluster.address(2, "pg");
    let (host, port) = address.rsplit_once(':').expect("a port");
    let settings = format!("host={host} port={port} user=ann dbname=any");
    let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.expect("it listens");
    tokio::spawn(async move {
        // It ends with its client.
        let _ = connection.await;
    });
    client
}

fn state(error: &tokio_postgres::Error) -> String {
    error.as_db_error().unwrap_or_else(|| panic!("{error:?}")).code().code().to_owned()
}

async fn postgres_writes(cluster: &Cluster) {
    let client = connect(cluster).await;
    let insert = "INSERT INTO orders (_key, tenant, n, total, placed, items) VALUES ($1, $2, $3, $4, $5, $6)";
    let prepared = client.prepare(insert).await.expect("it is prepared");
    let types = [Type::TEXT, Type::TEXT, Type::INT8, Type::FLOAT8, Type::TIMESTAMPTZ, Type::TEXT];
    assert_eq!(prepared.params(), types);
    assert!(prepared.columns().is_empty());
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_704_164_645_123);
    for n in 0..5_i64 {
        let (key, tenant) = (format!("{{t{n}}}:p"), format!("t{n}"));
        let items = "[1, {\"a\": null}]";
        let written =
            client.execute(&prepared, &[&key, &tenant, &n, &(n as f64), &at, &items]).await;
        assert_eq!(written.expect("it is new"), 1);
    }
    let again = client.execute(&prepared, &[&"{t1}:p", &"t1", &1_i64, &1.0_f64, &at, &"1"]).await;
    assert_eq!(state(&again.expect_err("it is there")), "23505");
    let update =
        "UPDATE orders SET n = n + $1, items = $2 WHERE tenant = $3 RETURNING _key, _version";
    let updated = client.query(update, &[&10_i64, &"{}", &"t3"]).await.expect("it writes");
    assert_eq!((updated.len(), updated[0].get::<_, &str>(0)), (1, "{t3}:p"));
    let row = "SELECT n, items, placed FROM orders WHERE _key = '{t3}:p'";
    let row = client.query_one(row, &[]).await.expect("a row");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (13, "{}"));
    assert_eq!(row.get::<_, std::time::SystemTime>(2), at);
    let several = "UPSERT INTO orders (_key, tenant) VALUES ('{a}:1', 'a'), ('{b}:1', 'b'); UPDATE orders SET n = -1 WHERE tenant IN ('a', 'b'); DELETE FROM orders WHERE n = -1";
    let told = client.simple_query(several).await.expect("they write");
    let counts: Vec<u64> = told
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::CommandComplete(count) => Some(*count),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [2, 2, 2], "{told:?}");
    for (statement, code) in [
        ("INSERT INTO nowhere (_key) VALUES ('a')", "42P01"),
        ("INSERT INTO orders (_key, other) VALUES ('a', 1)", "42703"),
        ("INSERT INTO orders (_key, tenant) VALUES ('{a}', 'b')", "23514"),
        ("DELETE FROM orders USING others", "0A000"),
        ("BEGIN; DELETE FROM orders", "25001"),
    ] {
        let error = client.simple_query(statement).await.expect_err(statement);
        assert_eq!(state(&error), code, "{statement}: {error:?}");
    }
    client.simple_query("ROLLBACK").await.expect("it ends");
    assert_eq!(client.execute("DELETE FROM orders", &[]).await.expect("it writes"), 5);
}

#[test]
fn counters_that_several_statements_raise_at_once_lose_nothing() {
    const WRITERS: usize = 6;
    const EACH: usize = 15;
    let cluster = Cluster::start();
    runtime().block_on(async {
        let seed = grid(&cluster.endpoint(0)).await;
        seed.sql("CREATE MAP counters (n BIGINT)").run().await.expect("it is made");
        let counters = seed.map::<String, Value>("counters");
        counters
            .put("c", &serde_json::json!({"n": 0, "other": "kept"}))
            .await
            .expect("it takes writes");
        let raise = async |index: usize| -> u64 {
            let grid = grid(&cluster.endpoint(index % 3)).await;
            let mut done = 0;
            for _ in 0..EACH {
                let raise = "UPDATE counters SET n = n + 1 WHERE _key = 'c'";
                match grid.sql(raise).execute().await {
                    Ok(count) => done += count,
                    Err(error) => {
                        assert_eq!(error.code(), ErrorCode::RecordChanged, "{error}");
                        assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
                    }
                }
            }
            done
        };
        let done: u64 = futures::future::join_all((0..WRITERS).map(raise)).await.into_iter().sum();
        assert!(done > (EACH * WRITERS / 2) as u64, "{done}");
        let counter = counters.get("c").await.expect("a read").expect("it is there");
        assert_eq!(counter, serde_json::json!({"n": done, "other": "kept"}));
    });
}

/// The keys of rows that a statement said it wrote, and how it ended.
async fn acknowledged(grid: &Grid, statement: &str) -> (BTreeSet<String>, Option<Error>) {
    let mut keys = BTreeSet::new();
    let mut answer = match grid.sql(statement).run().await {
        Ok(answer) => answer,
        Err(error) => return (keys, Some(error)),
    };
    loop {
        match answer.next().await {
            Ok(Some(batch)) => {
                let column =
                    |place: usize| batch.column(place).as_any().downcast_ref::<StringArray>();
                let (key, outcome) = (column(0).expect("text"), column(1).expect("text"));
                let done = (0..batch.num_rows())
                    .filter(|row| ["inserted", "updated"].contains(&outcome.value(*row)));
                keys.extend(done.map(|row| key.value(row).to_owned()));
            }
            Ok(None) => return (keys, None),
            Err(error) => return (keys, Some(error)),
        }
    }
}

#[test]
fn what_was_acknowledged_is_there_when_a_node_was_killed() {
    const ROWS: usize = 6_000;
    let cluster = Cluster::start();
    runtime().block_on(async {
        let grid = grid(&cluster.endpoint(0)).await;
        let source = grid.map_with::<String, Value, Json>("source", Json);
        let rows = (0..ROWS).map(|n| (format!("k{n}"), serde_json::json!({"n": n})));
        source.put_many(rows).await.expect("it takes writes").all().expect("all");
        grid.sql("CREATE MAP target").run().await.expect("it is made");
        let insert =
            "INSERT INTO target (_key, n) SELECT _key, n FROM source RETURNING _key, _outcome";
        let killed = async {
            // In the middle: some rows are there, not all.
            let count = || async { grid.map::<String, Value>("target").len().await.unwrap_or(0) };
            while count().await < 200 {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            cluster.kill(2);
        };
        let ((inserted, error), ()) = futures::join!(acknowledged(&grid, insert), killed);
        assert!(inserted.len() >= 64, "{} of {ROWS}: {error:?}", inserted.len());
        let there = contents(&cluster.endpoint(0), "target").await;
        let lost: Vec<&String> = inserted.iter().filter(|key| !there.contains_key(*key)).collect();
        assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), inserted.len());
        let raise = "UPDATE source SET n = n + 1000000 RETURNING _key, _outcome";
        let (updated, error) = acknowledged(&grid, raise).await;
        let there = contents(&cluster.endpoint(1), "source").await;
        for (key, (value, _)) in &there {
            let value: Value = serde_json::from_slice(value).expect("JSON");
            let times = value["n"].as_u64().expect("a number") / 1_000_000;
            assert!(times <= 1, "{key} was raised {times} times");
            assert!(times == 1 || !updated.contains(key), "{key} was acknowledged: {error:?}");
        }
        assert_eq!(there.len(), ROWS);
    });
}
