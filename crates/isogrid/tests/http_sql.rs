//! Statements over HTTP, with a real process: in every format, with errors before and behind the first row, and with readers who go away.

mod common;

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use common::data::{grid, runtime};
use common::web::{Reply, ask, connect, get, put_json, reply};
use common::{Node, eventually};
use isogrid_client::arrow::array::AsArray;
use isogrid_client::arrow::datatypes::Int64Type;
use isogrid_client::arrow::ipc::reader::StreamReader;
use serde_json::{Value, json};

const LINES: &str = "application/x-ndjson";
const ARROW: &str = "application/vnd.apache.arrow.stream";

/// Never done in the time of a test, with little memory and without any entries.
const LONG: &str = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 1000000000) SELECT max(n) FROM t";

const ORDERS: i64 = 3_000;

fn node(settings: &[&str]) -> Node {
    let mut arguments = vec!["--set", "node.partitions=16"];
    settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
    let node = Node::start(&arguments);
    runtime().block_on(async {
        let map = grid(&node.endpoint).await.map::<String, Value>("orders");
        let order = |n: i64| (format!("o{n:04}"), json!({"n": n, "name": format!("order {n}")}));
        map.put_many((0..ORDERS).map(order)).await.expect("it answers").all().expect("all");
    });
    node
}

fn asked(node: &Node, accept: &str, body: &Value) -> Reply {
    let headers = [("Content-Type", "application/json"), ("Accept", accept)];
    ask(&node.http, "POST", "/v1/sql", &headers, body.to_string().as_bytes())
}

fn object(node: &Node, body: &Value) -> Value {
    let reply = asked(node, "application/json", body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Sends a request whose answer is for whoever reads the socket.
fn send(node: &Node, accept: &str, body: &Value) -> TcpStream {
    let mut socket = connect(&node.http);
    let body = body.to_string();
    let head = format!(
        "POST /v1/sql HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nAccept: {accept}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).expect("it reads");
    socket.write_all(body.as_bytes()).expect("it reads");
    socket
}

/// The body of an answer that comes in chunks, and whether its end was told.
fn chunked(socket: TcpStream) -> (u16, Vec<u8>, bool) {
    let mut all = Vec::new();
    // It may be broken off.
    let _ = BufReader::new(socket).read_to_end(&mut all);
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let head = std::str::from_utf8(&all[..end]).expect("text").to_lowercase();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let (mut body, mut rest) = (Vec::new(), &all[end..]);
    loop {
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
            return (status, body, false);
        };
        let length = std::str::from_utf8(&rest[..line]).expect("digits");
        let length = usize::from_str_radix(length, 16).expect("a number");
        if length == 0 {
            return (status, body, true);
        }
        rest = &rest[line + 2..];
        body.extend_from_slice(&rest[..length.min(rest.len())]);
        rest = rest.get(length + 2..).unwrap_or_default();
    }
}

/// Sends a request and reads its answer.
fn streamed(node: &Node, accept: &str, body: &Value) -> (u16, Vec<u8>, bool) {
    chunked(send(node, accept, body))
}

fn lines(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn rows_come_in_the_format_that_is_accepted() {
    let node = node(&[]);
    let told = object(
        &node,
        &json!({
            "statement": "SELECT _key, n, n > $1 AS late, NULL AS nothing, $2 AS raw FROM orders WHERE _key = $3",
            "params": [10, {"hex": "00ff"}, "o0007"],
        }),
    );
    assert_eq!(told["rows"], json!([["o0007", 7, false, null, "00ff"]]), "{told}");
    assert_eq!(told["row_count"], 1);
    assert_eq!(told["columns"][1], json!({"name": "n", "type": "BIGINT"}));
    assert_eq!(told["columns"][4], json!({"name": "raw", "type": "BYTEA"}));

    let all = json!({"statement": "SELECT n, name FROM orders ORDER BY n"});
    let csv = asked(&node, "text/csv", &all);
    assert!(csv.header("content-type").starts_with("text/csv"), "{csv:?}");
    let (status, body, is_whole) = streamed(&node, "text/csv", &all);
    let text = String::from_utf8(body).expect("text");
    assert_eq!((status, is_whole, text.lines().count()), (200, true, 1 + ORDERS as usize));
    assert!(text.starts_with("n,name\n0,order 0\n1,order 1\n"), "{}", &text[..40]);

    let (_, body, is_whole) = streamed(&node, LINES, &all);
    let told = lines(&body);
    assert!(is_whole);
    assert_eq!(told[0]["columns"][1]["name"], "name");
    assert_eq!((&told[1], &told[3_000]), (&json!([0, "order 0"]), &json!([2_999, "order 2999"])));
    assert_eq!(told.last(), Some(&json!({"end": {"rows": ORDERS}})));

    let (_, body, is_whole) = streamed(&node, ARROW, &all);
    assert!(is_whole);
    let reader = StreamReader::try_new(std::io::Cursor::new(body), None).expect("a schema");
    let sums = reader.map(|batch| {
        let batch = batch.expect("rows");
        batch.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>()
    });
    assert_eq!(sums.sum::<i64>(), (0..ORDERS).sum::<i64>());

    let none = object(&node, &json!({"statement": "SELECT n FROM orders WHERE n < 0"}));
    assert_eq!((&none["rows"], &none["row_count"]), (&json!([]), &json!(0)));
    let page = get(&node.http, "/metrics").text().to_owned();
    let rows = page.lines().find(|line| line.starts_with("isogrid_query_rows_returned_total"));
    let rows = rows.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    assert!(rows.is_some_and(|rows| rows >= 4.0 * ORDERS as f64), "they are counted: {rows:?}");
}

#[test]
fn statements_that_define_and_write_are_taken_too() {
    let node = Node::start(&["--set", "node.partitions=8"]);
    object(&node, &json!({"statement": "CREATE MAP shops (city TEXT, n BIGINT)"}));
    let insert = "INSERT INTO shops (_key, city, n) VALUES ($1, $2, $3)";
    let told = object(&node, &json!({"statement": insert, "params": ["s1", "Ulm", 5]}));
    assert_eq!((&told["columns"][0]["name"], &told["rows"]), (&json!("inserted"), &json!([[1]])));
    let again = asked(&node, "*/*", &json!({"statement": insert, "params": ["s1", "Ulm", 5]}));
    assert_eq!((again.status, again.code().as_str()), (409, "IG-0130"));
    let found = object(&node, &json!({"statement": "SELECT city, n FROM shops"}));
    assert_eq!(found["rows"], json!([["Ulm", 5]]));
}

#[test]
fn what_cannot_be_done_is_told_with_its_code() {
    let node = node(&[]);
    let refused = |accept: &str, body: Value, status: u16, code: &str| {
        let reply = asked(&node, accept, &body);
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{}", reply.text());
        reply.text().to_owned()
    };
    for accept in ["*/*", LINES, "text/csv", ARROW] {
        refused(accept, json!({"statement": "SELEC 1"}), 400, "IG-0115");
        // Found when the first rows are made.
        let wrong = json!({"statement": "SELECT CAST(name AS BIGINT) FROM orders"});
        refused(accept, wrong, 400, "IG-0118");
    }
    let all = "SELECT * FROM orders";
    let many = "SELECT a.name, b.name FROM orders a CROSS JOIN orders b LIMIT 300000";
    let told = refused("*/*", json!({"statement": many}), 413, "IG-0116");
    assert!(told.contains(LINES), "{told}");
    refused("*/*", json!({"statement": all, "require_pruned": true}), 400, "IG-0126");
    refused("*/*", json!({"statement": LONG, "time_ms_max": 50}), 400, "IG-0117");
    refused("*/*", json!({"statement": "SUBSCRIBE SELECT n FROM orders"}), 400, "IG-0115");
    refused("image/png", json!({"statement": "SELECT 1"}), 406, "IG-0127");
    refused("*/*", json!({"statment": "SELECT 1"}), 400, "IG-0127");
    let told = refused("*/*", json!({"statement": "SELECT $1", "params": [[1]]}), 400, "IG-0127");
    assert!(told.contains("$1"), "{told}");
    let plain = ask(&node.http, "POST", "/v1/sql", &[], b"{\"statement\": \"SELECT 1\"}");
    assert_eq!(
        (plain.status, plain.code().as_str()),
        (415, "IG-0127"),
        "as a page elsewhere sends"
    );
    let body = json!({"statement": LONG}).to_string();
    let json = [("Content-Type", "application/json")];
    let late = ask(&node.http, "POST", "/v1/sql?timeout_ms=50", &json, body.as_bytes());
    assert_eq!(late.code(), "IG-0117");
    // Where the end of the connection is the end of the answer nobody could tell a part from all.
    let mut old = connect(&node.http);
    let body = json!({"statement": "SELECT 1"}).to_string();
    let head = format!(
        "POST /v1/sql HTTP/1.0\r\nAccept: text/csv\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    old.write_all(head.as_bytes()).expect("it reads");
    assert_eq!(reply(&mut BufReader::new(old)).code(), "IG-0127");
}

#[test]
fn an_answer_that_fails_in_the_middle_is_seen_to_be_cut() {
    // The rows up to the limit come, and then the error.
    let node = node(&["limits.sql_rows_max=2000"]);
    let all = json!({"statement": "SELECT _key, n FROM orders"});
    let (status, body, is_whole) = streamed(&node, LINES, &all);
    assert_eq!((status, is_whole), (200, false), "the connection ends before the body does");
    let told = lines(&body);
    assert!(told.len() > 10, "rows came: {}", told.len());
    assert_eq!(told.last().map(|last| &last["error"]["code"]), Some(&json!("IG-0124")));
    for accept in ["text/csv", ARROW] {
        let (status, body, is_whole) = streamed(&node, accept, &all);
        assert_eq!((status, is_whole), (200, false), "{accept}");
        assert!(!body.is_empty());
    }
    let one = asked(&node, "application/json", &all);
    assert_eq!((one.status, one.code().as_str()), (400, "IG-0124"), "it comes whole or not at all");
}

#[test]
fn a_statement_ends_when_its_reader_goes_or_is_ended() {
    let settings = ["limits.sql_statements_max=1", "limits.sql_time_ms_max=600000"];
    let node = node(&settings);
    let running = || {
        let list = get(&node.http, "/v1/clients").json();
        let clients = list["clients"].as_array().expect("a list");
        let is_it = |client: &&Value| {
            client["last_operation"] == "statement"
                && client["in_flight"] == 1
                && client["door"] == "http"
        };
        clients.iter().find(is_it).cloned()
    };
    let one = json!({"statement": "SELECT 1"});
    let is_free = || asked(&node, "*/*", &one).status == 200;
    for accept in ["application/json", LINES] {
        let socket = send(&node, accept, &json!({"statement": LONG}));
        eventually("it runs", || running().is_some());
        assert_eq!(asked(&node, "*/*", &one).code(), "IG-0313", "there is room for one");
        drop(socket);
        eventually("nobody waits for it", is_free);
        assert!(running().is_none());
    }
    let socket = send(&node, LINES, &json!({"statement": LONG}));
    eventually("it runs", || running().is_some());
    let id = running().expect("it runs")["id"].as_str().expect("text").to_owned();
    assert_eq!(ask(&node.http, "DELETE", &format!("/v1/clients/{id}"), &[], b"").status, 200);
    let mut rest = Vec::new();
    let _ = BufReader::new(socket).read_to_end(&mut rest);
    assert!(rest.is_empty(), "it was ended: {}", String::from_utf8_lossy(&rest));
    eventually("it has ended", is_free);
    put_json(&node.http, "/v1/maps/orders/entries/after", "{\"n\": 1}");
}
