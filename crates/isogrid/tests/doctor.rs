//! `isogrid doctor`: what is wrong is found, told with its fix, and decides the exit code.

mod common;

use common::data::ok;
use common::local::Local;
use common::{Node, eventually, isogrid, signal};
use serde_json::Value;

/// What came of a check.
fn state<'a>(told: &'a Value, code: &str) -> &'a str {
    let checks = told["checks"].as_array().into_iter().flatten();
    let mut checks = checks.filter(|check| check["code"] == code);
    let check = checks.next().unwrap_or_else(|| panic!("{code} in {told}"));
    check["state"].as_str().expect("a word")
}

#[test]
fn a_sound_cluster_is_told_so_and_one_that_lost_a_node_is_not() {
    let cluster = Local::start(&[]);
    cluster.safe();
    let told = ok(cluster.at(0, &["doctor", "--only", "cluster", "-o", "json"]));
    assert_eq!(told["errors"], 0, "{told}");
    for fine in ["D-20", "D-21", "D-22", "D-23", "D-24", "D-25", "D-26", "D-28", "D-32", "D-35"] {
        assert_eq!(state(&told, fine), "ok", "{fine}: {told}");
    }
    let made = cluster.at(0, &["map", "create", "bare", "--backups", "0"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    signal(cluster.pid(2), "STOP");
    let mut told = Value::Null;
    eventually("the paused node is missed", || {
        let ran = cluster.at(0, &["doctor", "--only", "cluster", "-o", "json"]);
        told = ran.json();
        ran.code == 1 && state(&told, "D-23") == "error"
    });
    assert_eq!(state(&told, "D-27"), "warning", "{told}");
    let shown = cluster.at(0, &["doctor", "--only", "D-27,d-23"]);
    assert!(shown.text().contains("bare") && shown.text().contains("node-2"), "{}", shown.text());
    assert!(shown.text().contains("fix: "), "{}", shown.text());
    assert_eq!(shown.code, 1);
    let skipped = cluster.at(0, &["doctor", "--only", "D-27,D-23", "--skip", "D-23"]);
    assert_eq!(skipped.code, 0, "a warning does not fail: {}", skipped.text());
    signal(cluster.pid(2), "CONT");
    cluster.stop();
}

#[test]
fn a_machine_is_checked_with_the_configuration_that_a_node_there_would_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data").to_str().expect("text").to_owned();
    let disk = isogrid(&["doctor", "--only", "host", "--data-dir", &data, "-o", "json"]).json();
    assert_eq!(state(&disk, "D-01"), "ok", "{disk}");
    assert_eq!(state(&disk, "D-09"), "ok", "{disk}");
    assert!(matches!(state(&disk, "D-11"), "ok" | "warning"), "{disk}");
    assert!(std::fs::read_dir(folder.path()).expect("it is there").next().is_none());
    for (setting, code) in [
        ("node.colour=red", "D-01"),
        ("memory.limit=100%", "D-05"),
        ("cluster.seeds=no-such-host.invalid:7700", "D-07"),
        ("cluster.seeds=10.0.0.9:7700", "D-08"),
        ("node.data_dir=/proc/nowhere", "D-09"),
    ] {
        let ran = isogrid(&["doctor", "--only", "host", "--set", setting, "-o", "json"]);
        assert_eq!((ran.code, state(&ran.json(), code)), (1, "error"), "{setting} {}", ran.text());
    }
    let plain = isogrid(&["doctor", "--only", "host", "-o", "json"]).json();
    for code in ["D-07", "D-09", "D-11"] {
        assert_eq!(state(&plain, code), "skipped", "{plain}");
    }
}

#[test]
fn without_a_node_that_is_what_is_wrong_and_wrong_codes_are_refused() {
    let nobody = ["--endpoint", "127.0.0.1:1"];
    let ran = isogrid(&[&["doctor", "--only", "cluster", "-o", "json"], &nobody[..]].concat());
    let told = ran.json();
    assert_eq!((ran.code, state(&told, "D-20"), state(&told, "D-21")), (1, "error", "skipped"));
    for arguments in [["doctor", "--only", "D-99"], ["doctor", "--skip", "everything"]] {
        let ran = isogrid(&arguments);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{}", ran.text());
    }
    let node = Node::start(&[]);
    let one = ok(node.run(&["doctor", "--only", "cluster", "-o", "json"]));
    assert_eq!(state(&one, "D-22"), "warning", "one node is not safe: {one}");
    assert_eq!(state(&one, "D-26"), "skipped", "{one}");
}
