//! What operators ask of a node: status, members, partitions, where a key lives.

mod common;

use common::{Node, Running, command, eventually, isogrid};
use serde_json::Value;

#[test]
fn status_has_everything_a_script_may_ask_for() {
    let node = Node::start(&["--name", "anna", "--set", "node.zone=east"]);
    let ran = node.run(&["status", "-o", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let status = ran.json();
    for name in ["health", "cluster", "cluster_id", "answered_by", "loss_policy"] {
        assert!(status[name].is_string(), "{name}: {status}");
    }
    for name in [
        "table_version",
        "partitions",
        "partitions_under_replicated",
        "partitions_without_primary",
        "partitions_unassigned",
        "copies",
        "losses_total",
    ] {
        assert!(status[name].is_u64(), "{name}: {status}");
    }
    assert!(status["safe"].is_boolean() && status["council"]["has_quorum"].is_boolean());
    assert!(status["moves"].is_array() && status["losses"].is_array());
    for name in ["ops", "bytes", "ms"] {
        assert!(status["lag"]["worst"][name].is_u64(), "{name}: {status}");
    }
    assert!(status["lag"]["pairs"].is_array());
    let member = &status["members"][0];
    assert_eq!((member["node"].as_str(), member["zone"].as_str()), (Some("anna"), Some("east")));
    assert_eq!(
        (member["state"].as_str(), member["intent"].as_str()),
        (Some("active"), Some("stay"))
    );
    assert!(member["incarnation"].is_u64() && member["is_live"] == true);
    assert_eq!(member["primaries"], status["partitions"]);
}

#[test]
fn waiting_for_safety_ends_in_time() {
    let node = Node::start(&[]);
    // A single node never is safe.
    let ran = node.run(&["status", "--exit-when-safe", "--timeout", "300ms", "--interval", "50ms"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("not safe in time"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("healthy, not safe").count(), 1, "told once: {}", ran.stderr);
    assert!(ran.stdout.is_empty());
    let ran =
        isogrid(&["status", "--exit-when-safe", "--timeout", "100ms", "--endpoint", "127.0.0.1:1"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
}

#[test]
fn members_and_partitions_are_listed() {
    let node = Node::start(&["--name", "anna", "--set", "node.partitions=16"]);
    let members = node.run(&["cluster", "members"]);
    assert!(
        members.text().starts_with("NODE ") && members.text().contains("anna"),
        "{}",
        members.text()
    );
    assert_eq!(node.run(&["cluster", "members", "-o", "json"]).json()[0]["node"], "anna");

    let listed = node.run(&["cluster", "partitions", "-o", "json"]).json();
    assert_eq!(listed["partitions"].as_array().map(Vec::len), Some(16));
    assert_eq!(listed["partitions"][3]["primary"], "anna");
    let some = node.run(&["cluster", "partitions", "3", "5", "-o", "json"]).json();
    let numbers = |list: &Value| -> Vec<u64> {
        let all = list["partitions"].as_array().expect("a list");
        all.iter().filter_map(|partition| partition["partition"].as_u64()).collect()
    };
    assert_eq!(numbers(&some), [3, 5]);
    assert!(
        numbers(&node.run(&["cluster", "partitions", "--bad", "-o", "json"]).json()).is_empty()
    );
    let map = node.run(&["cluster", "partitions", "--map"]);
    assert!(map.text().starts_with("    0  AAAAAAAAAAAAAAAA\n"), "{}", map.text());
}

#[test]
fn the_partition_that_is_asked_most_comes_first() {
    let node = Node::start(&["--name", "anna", "--set", "node.partitions=16"]);
    // There is one key, so one partition has all the load. It ends with its handle.
    let load = ["bench", "kv", "--keys", "1", "--reads", "50", "--callers", "4", "--rate", "500"];
    let load = [&load[..], &["--seconds", "120", "--no-fill"]].concat();
    let _load = Running(command(&node.with_endpoint(&load)).spawn().expect("the binary runs"));
    let by_operations = ["cluster", "partitions", "--by", "ops", "--limit", "2", "-o", "json"];
    let mut busiest = Value::Null;
    eventually("the load is seen in one partition", || {
        let listed = node.run(&by_operations).json();
        let operations =
            |place: usize| listed["partitions"][place]["operations_per_second"].as_u64();
        busiest = listed["partitions"][0]["partition"].clone();
        operations(0).is_some_and(|count| count >= 100) && operations(1) == Some(0)
    });
    let trace = node.run(&["trace", "key:000000000000", "-o", "json"]).json();
    assert_eq!(trace["partition"], busiest);
    let table = node.run(&["cluster", "partitions", "--by", "bytes", "--limit", "3"]);
    assert!(table.text().starts_with("PARTITION  PRIMARY  OPS/S"), "{}", table.text());
    assert_eq!(table.text().lines().count(), 4, "{}", table.text());
}

#[test]
fn a_key_is_traced_to_its_owner() {
    let node = Node::start(&["--name", "anna"]);
    assert_eq!(node.run(&["map", "put", "users", "{u1}:name", "Ann"]).code, 0);
    let ran = node.run(&["trace", "{u1}:name", "--map", "users", "-o", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let trace = ran.json();
    let slot = isogrid_core::slot::slot_of(b"u1").0;
    assert_eq!(trace["slot"], slot);
    assert_eq!(
        (trace["owner"].as_str(), trace["answered_by"].as_str()),
        (Some("anna"), Some("anna"))
    );
    assert!(trace["partition"].is_u64() && trace["epoch"].is_u64() && trace["read_us"].is_u64());
    let roles: Vec<_> =
        trace["hops"].as_array().expect("hops").iter().map(|hop| &hop["role"]).collect();
    assert_eq!(roles, ["asked", "owner"]);
    for hop in trace["hops"].as_array().expect("hops") {
        assert!(hop["agrees"] == true && hop["round_trip_us"].as_u64() > Some(0), "{hop}");
    }
    let text = node.run(&["trace", "{u1}:name"]);
    assert!(text.text().contains(&format!("slot       {slot}\n")), "{}", text.text());
    let elsewhere = node.run(&["trace", "k", "--map", "nowhere"]);
    assert_eq!(elsewhere.code, 0);
    assert!(elsewhere.stderr.contains("no map \"nowhere\""), "{}", elsewhere.stderr);
}

#[test]
fn what_would_harm_needs_a_yes_and_a_known_node() {
    let node = Node::start(&["--name", "anna"]);
    for verb in ["drain", "leave", "remove"] {
        let ran = node.run(&["cluster", verb, "ana", "--yes"]);
        assert_eq!(ran.code, 2, "{verb}: {}", ran.stderr);
        assert!(ran.stderr.contains("did you mean \"anna\"?"), "{verb}: {}", ran.stderr);
    }
    let ran = node.run(&["cluster", "remove", "anna"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("isogrid cluster leave anna"), "{}", ran.stderr);
    let ran = node.run(&["cluster", "stop"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("say --yes"), "{}", ran.stderr);
    assert_eq!(node.run(&["map", "put", "m", "k", "v"]).code, 0);
    let ran = node.run(&["map", "drop", "m"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("all its 1 entries"), "{}", ran.stderr);
    assert_eq!(node.run(&["map", "get", "m", "k"]).code, 0, "nothing was dropped");
    assert_eq!(node.run(&["map", "alter", "m"]).code, 2);
}
