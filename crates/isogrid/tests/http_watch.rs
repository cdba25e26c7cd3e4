//! Watches over HTTP of real nodes: Server-Sent Events and WebSockets, resumed where they were, also at another node, and a node that is
//! killed meanwhile.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use common::web::{Events, ask, connect, get, put_json};
use common::{Node, Running, signal};
use serde_json::{Value, json};

fn node(arguments: &[&str]) -> Node {
    Node::start(&[&["--set", "node.partitions=8"], arguments].concat())
}

/// Three nodes.
struct Cluster {
    _process: Running,
    http: Vec<String>,
    pids: Vec<u32>,
}

impl Cluster {
    fn start() -> Cluster {
        let dev = ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
        let (process, line) = Running::start(&dev);
        let announced: Value = serde_json::from_str(&line).expect("it starts");
        let nodes = announced["nodes"].as_array().expect("nodes");
        let http = nodes.iter().map(|node| node["http"].as_str().expect("text").to_owned());
        let pids = nodes.iter().map(|node| node["pid"].as_u64().expect("a number") as u32);
        Cluster { http: http.collect(), pids: pids.collect(), _process: process }
    }
}

fn put(http: &str, n: u32) {
    put_json(http, &format!("/v1/maps/m/entries/k{n}"), &n.to_string());
}

/// Writes until it is taken: a node was lost.
fn put_anyhow(http: &str, n: u32) {
    let path = format!("/v1/maps/m/entries/k{n}");
    common::eventually("a write is taken", || {
        ask(http, "PUT", &path, &[], n.to_string().as_bytes()).status == 200
    });
}

/// Takes so many puts, and counts how often each key comes.
fn take(events: &mut Events, count: usize) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for _ in 0..count {
        let (name, data) = events.next().expect("it goes on");
        assert_eq!(name, "put", "{data}");
        *seen.entry(data["key"].as_str().expect("text").to_owned()).or_default() += 1;
    }
    seen
}

fn each_once(numbers: std::ops::Range<u32>) -> BTreeMap<String, usize> {
    numbers.map(|n| (format!("k{n}"), 1)).collect()
}

#[test]
fn events_tell_what_happens_and_begin_again_where_they_were() {
    let node = node(&[]);
    let http = &node.http;
    put(http, 0);
    let mut events = Events::begin(http, "/v1/maps/m/watch", "");
    events.until_begun();
    put_json(http, "/v1/maps/m/entries/a", r#"{"x": [1, 2]}"#);
    let (name, put_event) = events.next().expect("an event");
    assert_eq!((&*name, &put_event["key"]), ("put", &json!("a")));
    assert_eq!(
        (&put_event["value"], &put_event["encoding"]),
        (&json!({"x": [1, 2]}), &json!("json"))
    );
    assert_eq!(ask(http, "DELETE", "/v1/maps/m/entries/a", &[], b"").status, 200);
    let (name, gone) = events.next().expect("an event");
    assert_eq!((&*name, &gone["key"]), ("deleted", &json!("a")));
    assert!(gone["version"].as_u64() > put_event["version"].as_u64());
    put_json(http, "/v1/maps/m/entries/t?ttl_ms=1", "1");
    assert_eq!(events.next().expect("an event").0, "put");
    assert_eq!(events.next().expect("an event").0, "expired");

    let last_id = events.last_id.clone();
    drop(events);
    (10..30).for_each(|n| put(http, n));
    let mut again = Events::begin(http, "/v1/maps/m/watch", &last_id);
    assert_eq!(take(&mut again, 20), each_once(10..30), "nothing twice, nothing left out");
    let path = format!("/v1/maps/m/watch?resume={}", again.last_id);
    put(http, 30);
    assert_eq!(take(&mut Events::begin(http, &path, ""), 1), each_once(30..31));
}

#[test]
fn a_place_is_known_before_anything_happens() {
    let node = node(&[]);
    let http = &node.http;
    put(http, 0);
    let mut events = Events::begin(http, "/v1/maps/m/watch", "");
    events.until_begun();
    let last_id = events.last_id.clone();
    drop(events);
    (1..40).for_each(|n| put(http, n));
    let mut again = Events::begin(http, "/v1/maps/m/watch", &last_id);
    assert_eq!(take(&mut again, 39), each_once(1..40), "of all partitions");
}

#[test]
fn snapshots_prefixes_and_filters_narrow_what_is_told() {
    let node = node(&[]);
    let http = &node.http;
    for n in 0..20 {
        put_json(http, &format!("/v1/maps/m/entries/k{n}"), &json!({ "n": n }).to_string());
    }
    let mut all = Events::begin(http, "/v1/maps/m/watch?snapshot", "");
    let (mut puts, mut done) = (0, 0);
    while done < 8 {
        match all.next().expect("it goes on").0.as_str() {
            "put" => puts += 1,
            "snapshot_done" => done += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(puts, 20);
    let filter = "%7B%22n%22%3A%7B%22ge%22%3A18%7D%7D";
    let path = format!("/v1/maps/m/watch?snapshot&filter={filter}");
    let mut some = Events::begin(http, &path, "");
    let mut keys = Vec::new();
    done = 0;
    while done < 8 {
        let (name, data) = some.next().expect("it goes on");
        match name.as_str() {
            "put" => keys.push(data["key"].as_str().expect("text").to_owned()),
            "snapshot_done" => done += 1,
            other => assert_eq!(other, "snapshot_begun"),
        }
    }
    keys.sort();
    assert_eq!(keys, ["k18", "k19"]);
    put_json(http, "/v1/maps/m/entries/k19", r#"{"n": 1}"#);
    assert_eq!(some.next().expect("an event").0, "unmatched");
    let mut few = Events::begin(http, "/v1/maps/m/watch?prefix=z", "");
    few.until_begun();
    put(http, 1);
    put_json(http, "/v1/maps/m/entries/z1", "1");
    assert_eq!(few.next().expect("an event").1["key"], "z1");
}

#[test]
fn a_watch_survives_the_loss_of_an_owner_and_goes_on_at_another_node() {
    let cluster = Cluster::start();
    let http = &cluster.http;
    put(&http[0], 0);
    let mut events = Events::begin(&http[0], "/v1/maps/m/watch", "");
    events.until_begun();
    (1..100).for_each(|n| put(&http[(n % 3) as usize], n));
    assert_eq!(take(&mut events, 99), each_once(1..100));
    signal(cluster.pids[2], "KILL");
    (100..200).for_each(|n| put_anyhow(&http[1], n));
    let mut seen = BTreeMap::new();
    // A write that was sent again may stand there twice.
    while seen.len() < 100 {
        let (name, data) = events.next().expect("it goes on");
        assert_eq!(name, "put", "{data}");
        seen.insert(data["key"].as_str().expect("text").to_owned(), 1);
    }
    assert_eq!(seen, each_once(100..200), "of all partitions, also those of the lost node");

    // The node that told is lost itself: its reader goes on at the last one that is left.
    let last_id = events.last_id.clone();
    (200..220).for_each(|n| put_anyhow(&http[0], n));
    let mut again = Events::begin(&http[1], "/v1/maps/m/watch", &last_id);
    let mut seen = BTreeMap::new();
    while seen.len() < 20 {
        let (name, data) = again.next().expect("it goes on");
        assert_eq!(name, "put", "{data}");
        seen.insert(data["key"].as_str().expect("text").to_owned(), 1);
    }
    assert_eq!(seen, each_once(200..220));
}

#[test]
fn who_reads_too_slowly_hears_that_it_lags() {
    let node = node(&["--set", "node.partitions=1", "--set", "limits.output_stall_ms=600000"]);
    let http = &node.http;
    put(http, 0);
    let mut events = Events::begin(http, "/v1/maps/m/watch?codec=base64", "");
    events.until_begun();
    let value = vec![b'v'; 1 << 20];
    for _ in 0..120 {
        assert_eq!(ask(http, "PUT", "/v1/maps/m/entries/large", &[], &value).status, 200);
    }
    let missed = loop {
        let (name, data) = events.next().expect("it goes on");
        match name.as_str() {
            "put" => {}
            "lagged" => break data["missed"].as_u64().expect("a number"),
            other => panic!("{other}"),
        }
    };
    assert!(missed > 0);
    put(http, 7);
    while events.next().expect("it goes on").1["key"] != "k7" {}
}

/// Opens a WebSocket.
fn websocket(http: &str, path: &str, headers: &str) -> (String, BufReader<TcpStream>) {
    let mut socket = connect(http);
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {http}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    socket.write_all(head.as_bytes()).expect("it reads");
    let mut from = BufReader::new(socket);
    let mut status = String::new();
    from.read_line(&mut status).expect("a status");
    let mut line = String::new();
    while from.read_line(&mut line).expect("a header") > 2 {
        line.clear();
    }
    (status, from)
}

/// The next frame: what it is, and what it says.
fn frame(from: &mut impl Read) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    from.read_exact(&mut head).expect("a frame");
    let length = match head[1] {
        126 => {
            let mut length = [0; 2];
            from.read_exact(&mut length).expect("a length");
            usize::from(u16::from_be_bytes(length))
        }
        short => usize::from(short),
    };
    let mut body = vec![0; length];
    from.read_exact(&mut body).expect("a body");
    (head[0] & 0x0f, body)
}

fn event(from: &mut impl Read) -> Value {
    let (kind, body) = frame(from);
    assert_eq!(kind, 1, "text");
    serde_json::from_slice(&body).expect("JSON")
}

#[test]
fn websockets_tell_the_same() {
    let node = node(&[]);
    let http = &node.http;
    put(http, 0);
    for path in ["/v1/maps/m/watch/ws", "/v1/maps/m/watch"] {
        let (status, mut from) = websocket(http, path, "");
        assert!(status.starts_with("HTTP/1.1 101"), "{status}");
        assert_eq!(event(&mut from)["event"], "begun");
        put(http, 1);
        let told = event(&mut from);
        assert_eq!(
            (&told["event"], &told["key"], &told["value"]),
            (&json!("put"), &json!("k1"), &json!(1))
        );
        let resume = told["resume"].as_str().expect("a place").to_owned();
        // Goodbye: a masked close frame.
        from.get_mut().write_all(&[0x88, 0x80, 0, 0, 0, 0]).expect("it reads");
        assert_eq!(frame(&mut from).0, 8, "goodbye");
        put(http, 2);
        let (_, mut from) = websocket(http, &format!("{path}?resume={resume}"), "");
        assert_eq!(event(&mut from)["key"], "k2");
    }
    let (status, _) =
        websocket(http, "/v1/maps/m/watch/ws", "Origin: http://elsewhere.example\r\n");
    assert!(status.starts_with("HTTP/1.1 403"), "{status}");
    let own = format!("Origin: http://{http}\r\n");
    let (status, mut from) = websocket(http, "/v1/maps/m/watch/ws", &own);
    assert!(status.starts_with("HTTP/1.1 101"), "{status}");
    assert_eq!(event(&mut from)["event"], "begun");
    // Frames of clients are masked: this one is not, and the connection ends.
    from.get_mut().write_all(b"\x81\x05hello").expect("it reads");
    let mut rest = Vec::new();
    let _ = from.read_to_end(&mut rest);
    assert_eq!(get(http, "/v1/maps/m/entries/k0").status, 200, "the node lives");
}
