//! The API `/v1` of real nodes: entries, pages, batches and the state of the cluster, asked of any node, and what a node makes of requests
//! that are wrong, broken, too large or too slow.

mod common;

use std::collections::BTreeSet;
use std::io::{BufReader, Read, Write};
use std::time::{Duration, Instant};

use common::data::{grid, runtime};
use common::web::{Reply, ask, connect, get, put_json, reply};
use common::{Node, Running, eventually};
use isogrid_client::Json;
use serde_json::{Value, json};

/// A node with few partitions, so that nothing takes long.
fn node(arguments: &[&str]) -> Node {
    Node::start(&[&["--set", "node.partitions=8"], arguments].concat())
}

/// Three nodes: their process, and where they serve HTTP.
fn three() -> (Running, Vec<String>, Vec<String>) {
    let dev = ["dev", "--port-base", "0", "-o", "json", "--set", "node.cores=1"];
    let (process, line) = Running::start(&dev);
    let announced: Value = serde_json::from_str(&line).expect("it starts");
    let each = |what: &str| -> Vec<String> {
        let nodes = announced["nodes"].as_array().expect("nodes").iter();
        nodes.map(|node| node[what].as_str().expect("an address").to_owned()).collect()
    };
    let (http, grpc) = (each("http"), each("grpc"));
    (process, http, grpc)
}

fn post(http: &str, path: &str, body: &Value) -> Reply {
    let json = [("Content-Type", "application/json")];
    ask(http, "POST", path, &json, body.to_string().as_bytes())
}

/// All keys of a map, page by page.
fn keys(http: &str, path: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(http, &format!("{path}{cursor}")).json();
        let entries = page["entries"].as_array().expect("entries");
        keys.extend(entries.iter().map(|entry| entry["key"].as_str().expect("text").to_owned()));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return keys,
        }
    }
}

#[test]
fn an_entry_is_written_read_and_removed_with_its_version() {
    let node = node(&[]);
    let http = &node.http;
    let path = "/v1/maps/users/entries/u%2F1";
    let missing = get(http, path);
    assert_eq!((missing.status, missing.code()), (404, "IG-0128".into()));
    let stored = put_json(http, path, r#"{"age": 41}"#);
    let version = stored.json()["version"].as_u64().expect("a version");
    let tag = stored.header("etag").to_owned();
    assert_eq!(tag, format!("\"{version}\""));
    let read = get(http, path);
    assert_eq!((read.status, read.text(), read.header("etag")), (200, r#"{"age": 41}"#, &*tag));
    assert_eq!(read.header("content-type"), "application/json");
    let same = ask(http, "GET", path, &[("If-None-Match", &tag)], b"");
    assert_eq!((same.status, same.body.len()), (304, 0));

    let no = ask(http, "PUT", path, &[("If-None-Match", "*")], b"x");
    assert_eq!((no.status, no.code(), no.header("etag")), (412, "IG-0129".into(), &*tag));
    let no = ask(http, "PUT", path, &[("If-Match", "\"1\"")], b"x");
    assert_eq!((no.status, no.code()), (412, "IG-0129".into()));
    let yes = ask(http, "PUT", path, &[("If-Match", &tag)], b"bytes \xff");
    assert_eq!(yes.status, 200, "{}", yes.text());
    assert_eq!(get(http, path).body, b"bytes \xff");
    assert_eq!(get(http, path).header("content-type"), "application/octet-stream");

    let no = ask(http, "DELETE", path, &[("If-Match", &tag)], b"");
    assert_eq!(no.status, 412);
    assert_eq!(ask(http, "DELETE", path, &[], b"").status, 200);
    assert_eq!(ask(http, "DELETE", path, &[], b"").status, 404);
    let no = ask(http, "PUT", path, &[("If-Match", "*")], b"x");
    assert_eq!((no.status, get(http, path).status), (412, 404));
}

#[test]
fn a_record_lives_as_long_as_it_is_said() {
    let node = node(&[]);
    let http = &node.http;
    put_json(http, "/v1/maps/m/entries/a?ttl_ms=60000", "1");
    let header = [("Isogrid-Ttl-Ms", "1")];
    assert_eq!(ask(http, "PUT", "/v1/maps/m/entries/b", &header, b"1").status, 200);
    let read = get(http, "/v1/maps/m/entries/a");
    let at: u64 = read.header("isogrid-expires-at-ms").parse().expect("a number");
    put_json(http, "/v1/maps/m/entries/a?ttl_ms=keep", "2");
    let kept = get(http, "/v1/maps/m/entries/a");
    assert_eq!((kept.text(), kept.header("isogrid-expires-at-ms")), ("2", &*at.to_string()));
    eventually("it expires", || get(http, "/v1/maps/m/entries/b").status == 404);
    for wrong in ["0", "-1", "soon"] {
        let path = format!("/v1/maps/m/entries/a?ttl_ms={wrong}");
        assert_eq!(ask(http, "PUT", &path, &[], b"1").status, 400, "{wrong}");
    }
}

#[test]
fn values_are_those_of_other_clients_in_json_and_in_message_pack() {
    let node = node(&[]);
    let http = &node.http;
    let value = json!({"age": 41, "tags": ["a"]});
    put_json(http, "/v1/maps/packed/entries/h?codec=msgpack", &value.to_string());
    put_json(http, "/v1/maps/plain/entries/h", &value.to_string());
    runtime().block_on(async {
        let grid = grid(&node.endpoint).await;
        let packed = grid.map::<String, Value>("packed");
        assert_eq!(packed.get("h").await.expect("a read"), Some(value.clone()));
        packed.put("r", &value).await.expect("a write");
        let plain = grid.map_with::<String, Value, _>("plain", Json);
        assert_eq!(plain.get("h").await.expect("a read"), Some(value.clone()));
        plain.put("r", &value).await.expect("a write");
    });
    for map in ["packed", "plain"] {
        let path = format!("/v1/maps/{map}/entries/r");
        let read = ask(http, "GET", &path, &[("Accept", "application/json")], b"");
        assert_eq!((read.status, read.json()), (200, value.clone()));
        let read = ask(http, "GET", &path, &[("Accept", "application/msgpack")], b"");
        assert_eq!(read.header("content-type"), "application/msgpack");
        assert_eq!(read.body[0], 0x82, "a map of two");
        let no = ask(http, "GET", &path, &[("Accept", "image/png")], b"");
        assert_eq!((no.status, no.code()), (406, "IG-0127".into()));
    }
    let json = [("Content-Type", "application/json")];
    let broken = ask(http, "PUT", "/v1/maps/plain/entries/x", &json, b"{\"a\":");
    assert_eq!((broken.status, broken.code()), (400, "IG-0127".into()));
    let packed = [("Content-Type", "application/msgpack")];
    let broken = ask(http, "PUT", "/v1/maps/plain/entries/x", &packed, b"\x82\xa1a");
    assert_eq!(broken.status, 400);
    assert_eq!(get(http, "/v1/maps/plain/entries/x").status, 404);
}

#[test]
fn any_node_answers_for_all_page_by_page() {
    let (_process, http, _) = three();
    for n in 0..60 {
        let path = format!("/v1/maps/people/entries/p{n}");
        put_json(&http[n % 3], &path, &json!({ "age": n, "name": format!("n{n}") }).to_string());
    }
    let all: BTreeSet<String> = (0..60).map(|n| format!("p{n}")).collect();
    for http in &http {
        for n in [0, 7, 59] {
            let read = get(http, &format!("/v1/maps/people/entries/p{n}"));
            assert_eq!(read.json()["age"], n);
        }
        let found = keys(http, "/v1/maps/people/entries?limit=7&values=false");
        assert_eq!(found.len(), 60, "each once");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), all);
    }
    let old = "/v1/maps/people/entries?limit=5&filter=%7B%22age%22%3A%7B%22ge%22%3A50%7D%7D";
    assert_eq!(keys(&http[1], old).len(), 10);
    assert_eq!(keys(&http[2], "/v1/maps/people/entries?prefix=p1").len(), 11);
    let page = get(&http[0], "/v1/maps/people/entries?prefix=p59").json();
    let expected = json!({"age": 59, "name": "n59"});
    assert_eq!((&page["entries"][0]["value"], &page["cursor"]), (&expected, &Value::Null));

    let cluster = get(&http[0], "/v1/cluster").json();
    assert_eq!(cluster["members"].as_array().map(Vec::len), Some(3), "{cluster}");
    for http in &http {
        let members = get(http, "/v1/members").json();
        assert!(
            members["members"].as_array().expect("a list").iter().all(|one| one["is_live"] == true)
        );
        let partitions = get(http, "/v1/partitions").json();
        let count = partitions["partitions_total"].as_u64().expect("a number");
        assert_eq!(partitions["partitions"].as_array().map(Vec::len), Some(count as usize));
        let map = get(http, "/v1/maps/people").json();
        assert_eq!((&map["name"], &map["entries"]), (&json!("people"), &json!(60)));
        let maps = get(http, "/v1/maps").json();
        assert_eq!(
            (&maps["maps"][0]["name"], &maps["not_counted"]),
            (&json!("people"), &json!([]))
        );
    }
}

#[test]
fn operations_of_a_batch_are_answered_one_by_one() {
    let node = node(&[]);
    let http = &node.http;
    let batch = json!({"operations": [
        {"op": "put", "key": "a", "value": {"x": 1}},
        {"op": "put", "key": "a", "value": {"x": 2}, "if_absent": true},
        {"op": "get", "key": "a"},
        {"op": "put", "key_base64": "/w==", "value": "AAE=", "encoding": "base64", "ttl_ms": 60000},
        {"op": "get", "key_base64": "/w=="},
        {"op": "increment", "key": "n", "delta": 5},
        {"op": "increment", "key": "a"},
        {"op": "exists", "key": "n"},
        {"op": "delete", "key": "nobody"},
        {"op": "put", "key": "long", "value": "v".repeat(2 << 20)},
        {"op": "delete", "key": "a"},
    ]});
    let results = post(http, "/v1/maps/m/batch", &batch).json();
    let results = results["results"].as_array().expect("results");
    let words: Vec<&str> =
        results.iter().map(|one| one["result"].as_str().expect("a word")).collect();
    assert_eq!(
        words,
        [
            "written", "conflict", "found", "written", "found", "integer", "failed", "flag",
            "missing", "failed", "deleted"
        ],
        "{results:?}"
    );
    assert_eq!((&results[2]["value"], &results[2]["encoding"]), (&json!({"x": 1}), &json!("json")));
    assert_eq!((&results[4]["value"], &results[4]["encoding"]), (&json!("AAE="), &json!("base64")));
    assert!(results[4]["expires_at_ms"].is_u64());
    assert_eq!(results[5]["integer"], 5);
    assert_eq!(results[6]["error"]["code"], "IG-0108");
    assert_eq!(results[9]["error"]["code"], "IG-0102");

    // Of a batch that is not understood nothing is done.
    let wrong = json!({"operations": [
        {"op": "put", "key": "z", "value": 1}, {"op": "push", "key": "z"},
    ]});
    let refused = post(http, "/v1/maps/m/batch", &wrong);
    assert_eq!((refused.status, refused.code()), (400, "IG-0127".into()));
    assert!(refused.text().contains("operation 1"), "{}", refused.text());
    assert_eq!(get(http, "/v1/maps/m/entries/z").status, 404);
    let form = [("Content-Type", "text/plain")];
    let refused = ask(http, "POST", "/v1/maps/m/batch", &form, b"{\"operations\":[]}");
    assert_eq!(refused.status, 415, "what a page of another site can send");
}

#[test]
fn wrong_requests_are_told_what_is_wrong() {
    let node = node(&[]);
    let http = &node.http;
    put_json(http, "/v1/maps/m/entries/a", "1");
    for (method, path, status, code) in [
        ("GET", "/v1", 404, "IG-0128"),
        ("GET", "/v1/nothing/here", 404, "IG-0128"),
        ("GET", "/v1/maps/m/entries/a/b", 404, "IG-0128"),
        ("POST", "/v1/maps/m/entries/a", 405, "IG-0127"),
        ("DELETE", "/v1/cluster", 405, "IG-0127"),
        ("PATCH", "/v1/maps", 405, "IG-0127"),
        ("GET", "/v1/maps/unknown", 404, "IG-0212"),
        ("GET", "/v1/maps/unknown/entries", 404, "IG-0212"),
        ("GET", "/v1/maps/unknown/watch", 404, "IG-0212"),
        ("GET", "/v1/maps/unknown/entries/a", 404, "IG-0128"),
        ("GET", "/v1/maps/a%20b/entries/a", 400, "IG-0106"),
        ("PUT", "/v1/maps/m/entries/a?tll_ms=1", 400, "IG-0127"),
        ("GET", "/v1/maps/m/entries?limit=0", 400, "IG-0127"),
        ("GET", "/v1/maps/m/entries?cursor=x", 400, "IG-0127"),
        ("GET", "/v1/maps/m/entries?filter=%7B", 400, "IG-0121"),
        ("GET", "/v1/maps/m/entries?codec=xml", 400, "IG-0127"),
        ("GET", "/v1/maps/m/entries/a?timeout_ms=0", 400, "IG-0127"),
        ("GET", "/v1/maps/m/watch?resume=%23", 400, "IG-0127"),
        ("GET", "/v1/maps/m/watch/ws", 426, "IG-0127"),
        ("DELETE", "/v1/clients/nobody-7", 404, "IG-0128"),
    ] {
        let told = ask(http, method, path, &[], b"");
        assert_eq!(
            (told.status, &*told.code()),
            (status, code),
            "{method} {path}: {}",
            told.text()
        );
    }
    let maps = get(http, "/v1/maps").json();
    assert_eq!(maps["maps"].as_array().map(Vec::len), Some(1), "nobody made another: {maps}");
    assert_eq!(ask(http, "POST", "/v1/maps", &[], b"").header("allow"), "GET");
    let key = format!("/v1/maps/m/entries/{}", "k".repeat(5_000));
    assert_eq!(ask(http, "PUT", &key, &[], b"1").code(), "IG-0101");
    let tags = [("If-Match", "\"1\", \"2\"")];
    assert_eq!(ask(http, "PUT", "/v1/maps/m/entries/a", &tags, b"2").status, 400);
    assert_eq!(get(http, "/v1/maps/m/entries/a").text(), "1");
}

#[test]
fn what_is_broken_too_large_or_too_slow_ends_and_nothing_else_does() {
    let node = node(&["--set", "limits.output_stall_ms=1000"]);
    let http = &node.http;
    let large = vec![b'x'; (1 << 20) + 1];
    let refused = ask(http, "PUT", "/v1/maps/m/entries/a", &[], &large);
    assert_eq!((refused.status, refused.code()), (413, "IG-0102".into()));
    assert_eq!(ask(http, "PUT", "/v1/maps/m/entries/a", &[], &large[1..]).status, 200);

    let mut garbage = connect(http);
    garbage.write_all(&[0xff; 4_096]).expect("it reads");
    let mut said = Vec::new();
    // It may end the connection before it has read all.
    let _ = garbage.read_to_end(&mut said);
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 400"), "{said:?}");

    // Said to be long, and never sent.
    let mut half = connect(http);
    half.write_all(b"PUT /v1/maps/m/entries/h HTTP/1.1\r\nHost: n\r\nContent-Length: 9\r\n\r\nabc")
        .expect("it reads");
    drop(half);
    let mut headless = connect(http);
    headless.write_all(b"GET /v1/maps HTTP/1.1\r\nHost: n\r\n").expect("it reads");
    let begun = Instant::now();
    let mut said = Vec::new();
    let _ = headless.read_to_end(&mut said);
    assert!(begun.elapsed() < Duration::from_secs(25), "a head has a deadline");

    // Nobody takes what is asked for again and again.
    let mut greedy = connect(http);
    greedy.set_write_timeout(Some(Duration::from_secs(2))).expect("a socket");
    let asked = b"GET /v1/maps/m/entries/a HTTP/1.1\r\nHost: n\r\n\r\n".repeat(100);
    let begun = Instant::now();
    let ended = loop {
        match greedy.write_all(&asked) {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break true,
            _ if begun.elapsed() > Duration::from_secs(20) => break false,
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    assert!(ended, "who takes nothing is ended");

    assert_eq!(get(http, "/v1/maps/m/entries/h").status, 404, "half a body is none");
    let mut kept = BufReader::new(connect(http));
    for _ in 0..3 {
        let asked = b"GET /v1/cluster HTTP/1.1\r\nHost: n\r\n\r\n";
        kept.get_mut().write_all(asked).expect("it reads");
        assert_eq!(reply(&mut kept).status, 200, "one connection, many requests");
    }
}

#[test]
fn there_are_as_many_connections_as_may_be_and_probes_come_through() {
    let node = node(&["--set", "limits.http_connections_max=3"]);
    let http = &node.http;
    let mut held: Vec<_> = (0..3).map(|_| connect(http)).collect();
    for socket in &mut held {
        socket.write_all(b"GET /health/live HTTP/1.1\r\nHost: n\r\n\r\n").expect("it reads");
        let mut begin = [0; 12];
        socket.read_exact(&mut begin).expect("an answer");
        assert_eq!(&begin, b"HTTP/1.1 200");
    }
    let refused = get(http, "/v1/cluster");
    assert_eq!((refused.status, refused.code()), (503, "IG-0302".into()));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(get(http, "/health/live").status, 200);
    assert_eq!(get(http, "/metrics").status, 200);
    drop(held);
    eventually("there is room again", || get(http, "/v1/cluster").status == 200);
}

#[test]
fn every_address_that_is_described_is_there() {
    let node = node(&[]);
    put_json(&node.http, "/v1/maps/m/entries/k", "1");
    let document = get(&node.http, "/v1/openapi.json");
    assert_eq!(document.header("content-type"), "application/json");
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().expect("paths") {
        let path = path.replace("{map}", "m").replace("{key}", "k").replace("{id}", "x-1");
        let methods: Vec<String> = item.as_object().expect("methods").keys().cloned().collect();
        for method in ["get", "put", "post", "delete", "patch"] {
            if path.ends_with("/watch") && method == "get" {
                continue;
            }
            let told = ask(&node.http, &method.to_uppercase(), &path, &[], b"");
            let is_described = methods.iter().any(|known| known == method);
            assert_eq!(told.status != 405, is_described, "{method} {path}: {}", told.status);
        }
    }
}
