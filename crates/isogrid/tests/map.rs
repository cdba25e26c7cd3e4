//! `isogrid map` and `isogrid status` against a real node.

mod common;

use common::{Node, isogrid_fed};
use serde_json::Value;

#[test]
fn a_value_comes_back_byte_for_byte() {
    let node = Node::start(&[]);
    let bytes: Vec<u8> = (0..=255).chain([10, 0, 13]).collect();
    let put = isogrid_fed(&node.with_endpoint(&["map", "put", "blobs", "b", "-"]), &bytes);
    assert_eq!((put.code, put.stdout.len()), (0, 0), "{}", put.stderr);
    let get = node.run(&["map", "get", "blobs", "b"]);
    assert_eq!((get.code, get.stderr.as_str()), (0, ""));
    assert_eq!(get.stdout, bytes);
    assert_eq!(node.run(&["map", "put", "blobs", "empty", ""]).code, 0);
    let empty = node.run(&["map", "get", "blobs", "empty"]);
    assert_eq!((empty.code, empty.stdout.len()), (0, 0));
    let object = node.run(&["map", "get", "blobs", "b", "-o", "json"]).json();
    assert_eq!(object["value_hex"].as_str().map(str::len), Some(bytes.len() * 2));
    assert_eq!(object["expires_at_ms"], Value::Null);
}

#[test]
fn what_is_absent_is_one() {
    let node = Node::start(&[]);
    for arguments in [
        &["map", "get", "m", "k"] as &[&str],
        &["map", "del", "m", "k"],
        &["map", "info", "m"],
        &["map", "put", "m", "k", "v", "--if-version", "7"],
    ] {
        let ran = node.run(arguments);
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn conditions_hold_or_nothing_is_written() {
    let node = Node::start(&[]);
    let put = |arguments: &[&str]| {
        let ran = node.run(&[&["map", "put", "m", "k"], arguments, &["-o", "json"]].concat());
        (ran.code, ran.json())
    };
    let (code, first) = put(&["one", "--if-absent"]);
    assert_eq!((code, first["stored"].as_bool()), (0, Some(true)));
    let (code, again) = put(&["two", "--if-absent"]);
    assert_eq!((code, again["stored"].as_bool()), (1, Some(false)));
    assert_eq!(again["version"], first["version"], "it says what stands there");
    let version = first["version"].to_string();
    assert_eq!(put(&["three", "--if-version", &version]).0, 0);
    assert_eq!(put(&["four", "--if-version", &version]).0, 1);
    assert_eq!(node.run(&["map", "get", "m", "k"]).stdout, b"three");
    assert_eq!(node.run(&["map", "del", "m", "k", "--if-version", &version]).code, 1);
}

#[test]
fn a_ttl_ends_an_entry() {
    let node = Node::start(&[]);
    assert_eq!(node.run(&["map", "put", "m", "k", "v", "--ttl", "2s"]).code, 0);
    let object = node.run(&["map", "get", "m", "k", "-o", "json"]).json();
    assert!(object["expires_at_ms"].as_u64().is_some(), "{object}");
    let begun = std::time::Instant::now();
    while node.run(&["map", "get", "m", "k"]).code != 1 {
        assert!(begun.elapsed().as_secs() < 20, "the entry never ends");
    }
}

#[test]
fn some_of_several_keys_is_four() {
    let node = Node::start(&[]);
    for key in ["a", "b", "c"] {
        assert_eq!(node.run(&["map", "put", "m", key, "v"]).code, 0);
    }
    assert_eq!(node.run(&["map", "del", "m", "a", "nobody"]).code, 4);
    let ran = node.run(&["map", "del", "m", "b", "c", "-o", "json"]);
    assert_eq!((ran.code, ran.json()["deleted"].as_u64()), (0, Some(2)));
}

#[test]
fn a_scan_lists_every_entry_once() {
    let node = Node::start(&[]);
    let mut keys: Vec<String> = (0..50).map(|i| format!("user:{i:02}")).collect();
    for key in &keys {
        assert_eq!(node.run(&["map", "put", "users", key, "x\ty"]).code, 0);
    }
    assert_eq!(node.run(&["map", "put", "users", "other", "z"]).code, 0);
    let lines = |arguments: &[&str]| -> Vec<String> {
        let ran = node.run(&[&["map", "scan", "users"], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let mut lines: Vec<String> = ran.text().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&["--keys-only", "--prefix", "user:"]), keys);
    assert_eq!(lines(&["--keys-only", "--glob", "user:4?"]), keys[40..]);
    assert_eq!(lines(&["--limit", "7"]).len(), 7);
    assert_eq!(lines(&["--prefix", "user:07"]), ["user:07\tx\\ty"]);
    let objects = lines(&["-o", "json"]);
    keys.push("other".into());
    assert_eq!(objects.len(), keys.len());
    for line in &objects {
        let object: Value = serde_json::from_str(line).expect("one object per line");
        assert!(
            keys.iter().any(|key| object["key"] == key.as_str()) && object["value"].is_string()
        );
    }
}

#[test]
fn maps_are_listed_with_their_settings() {
    let node =
        Node::start(&["--set", "maps.orders.eviction=lru", "--set", "maps.orders.entries_max=9"]);
    assert_eq!(node.run(&["map", "put", "orders", "k", "v"]).code, 0);
    let listed = node.run(&["map", "ls", "-o", "json"]).json();
    let orders = listed.as_array().and_then(|maps| maps.iter().find(|map| map["name"] == "orders"));
    let orders = orders.expect("it is listed");
    assert_eq!((orders["entries"].as_u64(), orders["entries_max"].as_u64()), (Some(1), Some(9)));
    assert_eq!(orders["eviction"], "lru");
    assert!(orders["bytes"].as_u64() > Some(0));
    assert_eq!(&node.run(&["map", "info", "orders", "-o", "json"]).json(), orders);
    let info = node.run(&["map", "info", "orders"]);
    let is_eviction = |line: &str| line.split_whitespace().eq(["eviction", "lru"]);
    assert!(info.text().lines().any(is_eviction), "{}", info.text());
    assert!(node.run(&["map", "ls"]).text().starts_with("MAP "));
}

#[test]
fn clearing_needs_a_yes() {
    let node = Node::start(&[]);
    assert_eq!(node.run(&["map", "put", "m", "k", "v"]).code, 0);
    let refused = node.run(&["map", "clear", "m"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("all 1 entries"), "{}", refused.stderr);
    assert_eq!(node.run(&["map", "get", "m", "k"]).code, 0, "nothing was removed");
    let ran = node.run(&["map", "clear", "m", "--yes", "-o", "json"]);
    assert_eq!((ran.code, ran.json()["removed"].as_u64()), (0, Some(1)));
    assert_eq!(node.run(&["map", "get", "m", "k"]).code, 1);
}

#[test]
fn limits_are_explained() {
    let node = Node::start(&["--set", "limits.value_bytes_max=10"]);
    let ran = node.run(&["map", "put", "m", "k", "more than ten bytes"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("IG-0102 value too large: 19 bytes, at most 10"), "{}", ran.stderr);
    assert!(ran.stderr.contains("next: split the value"), "{}", ran.stderr);
    let ran = node.run(&["map", "put", "bad name", "k", "v"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("IG-0106"), "{}", ran.stderr);
}

#[test]
fn status_tells_how_the_members_are() {
    let node = Node::start(&["--name", "anna"]);
    assert_eq!(node.run(&["map", "put", "m", "k", "v"]).code, 0);
    let ran = node.run(&["status", "-o", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let status = ran.json();
    assert_eq!(status["health"], "healthy");
    let member = &status["members"][0];
    assert_eq!(member["node"], "anna");
    assert_eq!(member["grpc"], node.endpoint.as_str());
    assert_eq!(member["entries"], 1);
    assert!(member["memory_limit_bytes"].as_u64() > Some(0));
    let text = node.run(&["status"]).text().to_owned();
    assert!(text.starts_with("healthy"), "{text}");
    assert!(text.contains("anna"), "{text}");
}

#[test]
fn a_pasted_url_is_an_endpoint_and_input_without_end_is_refused() {
    let node = Node::start(&[]);
    let url = format!("isogrid://{}/", node.endpoint);
    let status = isogrid_fed(&["status", "--endpoint", &url], b"");
    assert_eq!(status.code, 0, "{}", status.stderr);
    let endless = vec![0; (16 << 20) + 100];
    let put = isogrid_fed(&node.with_endpoint(&["map", "put", "m", "k", "-"]), &endless);
    assert_eq!(put.code, 1);
    assert!(put.stderr.contains("IG-0102"), "{}", put.stderr);
}
