//! `isogrid sql` with real processes: the formats, what is refused, and that answers are whole while a node dies.

mod common;

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::time::{Duration, Instant};

use common::data::{grid, runtime};
use common::{Node, Running, eventually, isogrid, isogrid_fed, signal};
use isogrid_client::Error;
use isogrid_client::arrow::ipc::reader::StreamReader;
use isogrid_client::blocking::Grid;
use isogrid_core::ErrorCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    tenant: String,
    total: i64,
    note: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct OfTenant {
    tenant: String,
    orders: u64,
    total: i64,
}

fn order(n: i64) -> (String, Order) {
    let tenant = format!("t{}", n % 7);
    let note = (n % 2 == 0).then(|| format!("note, \"{n}\""));
    (format!("{{{tenant}}}:{n}"), Order { tenant, total: n * 3, note })
}

/// What the statement below is to find.
fn of_tenants(orders: i64) -> Vec<OfTenant> {
    let mut tenants: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    for n in 0..orders {
        let (_, order) = order(n);
        let sum = tenants.entry(order.tenant).or_default();
        *sum = (sum.0 + 1, sum.1 + order.total);
    }
    let row = |(tenant, (orders, total))| OfTenant { tenant, orders, total };
    tenants.into_iter().map(row).collect()
}

const OF_TENANTS: &str = "SELECT tenant, count(*) AS orders, sum(total) AS total FROM orders GROUP BY tenant ORDER BY tenant";

/// Writes the orders, and gives a client to ask for them.
fn write(endpoint: &str, orders: i64) -> Grid {
    runtime().block_on(async {
        let grid = grid(endpoint).await;
        let map = grid.map::<String, Order>("orders");
        map.put_many((0..orders).map(order)).await.expect("it takes writes").all().expect("all");
    });
    Grid::connect(&format!("isogrid://{endpoint}")).expect("it listens")
}

#[test]
fn rows_are_printed_in_every_format() {
    let node = Node::start(&[]);
    let _grid = write(&node.endpoint, 20);
    let statement = "SELECT _key, total, note FROM orders WHERE total < 6 ORDER BY total";
    let run = |more: &[&str]| {
        let ran = node.run(&[&["sql", statement], more].concat());
        assert_eq!(ran.code, 0, "{more:?}: {}", ran.stderr);
        ran
    };
    let table = run(&[]);
    let lines: Vec<Vec<&str>> =
        table.text().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["_KEY", "TOTAL", "NOTE"]);
    assert_eq!(lines[2], ["{t1}:1", "3", "NULL"]);
    assert!(table.stderr.contains("(2 rows)"), "{}", table.stderr);
    let json = run(&["--format", "json"]);
    let rows: Vec<Value> =
        json.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows[0], json!({"_key": "{t0}:0", "total": 0, "note": "note, \"0\""}));
    assert_eq!(run(&["-o", "json"]).stdout, json.stdout, "as --output says");
    let csv = run(&["--format", "csv"]);
    assert_eq!(csv.text(), "_key,total,note\n{t0}:0,0,\"note, \"\"0\"\"\"\n{t1}:1,3,\n");
    let arrow = run(&["--format", "arrow"]);
    let reader = StreamReader::try_new(Cursor::new(arrow.stdout), None).expect("a stream");
    let rows: usize = reader.map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(rows, 2);
    let none = node.run(&["sql", "SELECT tenant FROM orders WHERE false", "--format", "csv"]);
    assert_eq!(none.text(), "tenant\n", "the header comes without rows too");
}

#[test]
fn a_statement_comes_from_a_file_or_from_standard_input() {
    let node = Node::start(&[]);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"SELECT 1 + 1 AS two").expect("it is written");
    let path = file.path().to_str().expect("text");
    let of_file = node.run(&["sql", "-f", path, "--format", "csv"]);
    assert_eq!((of_file.code, of_file.text()), (0, "two\n2\n"), "{}", of_file.stderr);
    let arguments = node.with_endpoint(&["sql", "--format", "csv"]);
    let fed = isogrid_fed(&arguments, b"SELECT 2 AS b");
    assert_eq!((fed.code, fed.text()), (0, "b\n2\n"), "{}", fed.stderr);
    let both = node.run(&["sql", "SELECT 1", "-f", path]);
    assert_eq!(both.code, 2, "{}", both.stderr);
    let missing = node.run(&["sql", "-f", "/nothing/there"]);
    assert!(missing.code == 2 && missing.stderr.contains("IG-0607"), "{}", missing.stderr);
}

#[test]
fn what_cannot_be_answered_is_refused_with_what_to_do() {
    let node = Node::start(&[]);
    let _grid = write(&node.endpoint, 20);
    for (statement, parts) in [
        ("SELEC 1", ["IG-0115", "SELEC", "next:"]),
        ("SELECT nothing FROM orders", ["IG-0115", "nothing", "next:"]),
        ("SELECT * FROM nowhere", ["IG-0115", "nowhere", "next:"]),
        ("TRUNCATE orders", ["IG-0115", "DML", "next:"]),
        ("SELECT CAST(tenant AS INT) FROM orders", ["IG-0118", "Cannot cast string 't", "next:"]),
    ] {
        let ran = node.run(&["sql", statement]);
        assert_eq!((ran.code, ran.stdout.len()), (1, 0), "{statement}: {}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{statement}: {part}: {}", ran.stderr);
        }
    }
    let bound = "SELECT tenant FROM orders WHERE _key = $1 AND total = $2";
    let ran = node.run(&["sql", bound, "--bind", "{t3}:3", "--bind", "9", "--format", "csv"]);
    assert_eq!(ran.text(), "tenant\nt3\n", "{}", ran.stderr);
    let plan = node.run(&["sql", "EXPLAIN SELECT total FROM orders WHERE _key = '{t3}:3'"]);
    assert!(
        plan.text().contains("GridScan: map=orders, partitions: 1/256, nodes: 1/1"),
        "{}",
        plan.text()
    );
}

#[test]
fn answers_are_whole_while_a_node_dies() {
    const ORDERS: i64 = 2_000;
    let dev = ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
    let (mut dev, line) = Running::start(&dev);
    let announced: Value = serde_json::from_str(&line).expect("it starts");
    let node = |index: usize, what: &str| announced["nodes"][index][what].clone();
    let endpoint = |index: usize| node(index, "grpc").as_str().expect("an address").to_owned();
    let grid = write(&endpoint(0), ORDERS);
    let expected = of_tenants(ORDERS);
    for index in 0..3 {
        let ran = isogrid(&["sql", OF_TENANTS, "--format", "json", "--endpoint", &endpoint(index)]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let rows: Vec<OfTenant> =
            ran.text().lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
        assert_eq!(rows, expected, "node {index}");
    }
    let ask = || -> Result<Vec<OfTenant>, Error> { grid.sql(OF_TENANTS) };
    let pid = node(2, "pid").as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a number");
    signal(pid, "KILL");
    let (begun, mut answered, mut failed) = (Instant::now(), 0, 0);
    while begun.elapsed() < Duration::from_secs(4) {
        match ask() {
            Ok(rows) => {
                assert_eq!(rows, expected, "after {answered} answers");
                answered += 1;
            }
            Err(_) => failed += 1,
        }
    }
    assert!(answered >= 2, "{answered} answers, {failed} failures");
    eventually("the answer is there again", || ask().is_ok_and(|rows| rows == expected));
    dev.signal("TERM");
    assert_eq!(dev.wait().code(), Some(0), "{}", dev.stderr());
}

/// A statement whose answer is larger than what waits for a client that does not read.
const LARGE: &str =
    "SELECT a._value || b._value || c._value AS v FROM orders a, orders b, orders c";

#[test]
fn answers_that_nobody_reads_keep_out_statements_and_nothing_else() {
    let node = Node::start(&[]);
    let _orders = write(&node.endpoint, 60);
    runtime().block_on(async {
        let grid = grid(&node.endpoint).await;
        let is_one_too_many = |error: &Error| error.code() == ErrorCode::TooManyQueries;
        let large = async || loop {
            match grid.sql(LARGE).run().await {
                // The small one below may have been there first.
                Err(error) if is_one_too_many(&error) => {}
                begun => break begun.expect("one of sixteen"),
            }
        };
        let sixteen = futures::future::join_all((0..16).map(|_| large()));
        // At the same time, for on a slow machine the first may be over when the last begins.
        let refused = async {
            loop {
                if let Err(error) = grid.sql("SELECT 1").run().await {
                    break error;
                }
            }
        };
        let (mut unread, error) = tokio::join!(sixteen, refused);
        assert!(is_one_too_many(&error), "{error}");
        let map = grid.map::<String, String>("others");
        for n in 0..100 {
            map.put(&format!("k{n}"), &"v".to_owned()).await.expect("operations go on");
        }
        unread.clear();
        let begun = Instant::now();
        while let Err(error) = grid.sql("SELECT 1").run().await {
            assert_eq!(error.code(), ErrorCode::TooManyQueries, "{error}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn an_answer_of_a_node_that_stops_in_the_middle_is_an_error() {
    let node = Node::start(&[]);
    let _orders = write(&node.endpoint, 60);
    runtime().block_on(async {
        let grid = grid(&node.endpoint).await;
        let mut answer = grid.sql(LARGE).run().await.expect("it begins");
        node.process.signal("STOP");
        let ended = loop {
            match answer.next().await {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        let error = ended.expect_err("it is not whole");
        assert_eq!(error.code(), ErrorCode::ConnectionLost, "{error}");
        node.process.signal("CONT");
    });
}
