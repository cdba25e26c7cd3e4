//! The configuration as a user meets it: layers, origins, hints, and the printed defaults.

mod common;

use std::path::{Path, PathBuf};

use common::{Ran, isogrid, isogrid_with};
use isogrid_node::config::KEYS;

fn written(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("isogrid.toml");
    std::fs::write(&path, text).expect("the folder can be written");
    path
}

fn explained(ran: &Ran) -> (String, String) {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let object = ran.json();
    let text = |name: &str| match &object[name] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (text("value"), text("origin"))
}

#[test]
fn a_value_comes_from_the_highest_layer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path(), "[node]\ncluster = \"from-file\"\n");
    let file = path.to_str().expect("text");
    let explain = ["config", "explain", "node.cluster", "-o", "json"];
    let variable = [("ISOGRID__NODE__CLUSTER", "from-env")];
    let with_file = [&explain[..], &["--config", file]].concat();
    let with_flag = [&with_file[..], &["--set", "node.cluster=from-flag"]].concat();

    let pair = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(explained(&isogrid(&explain)), pair("isogrid", "default"));
    assert_eq!(explained(&isogrid(&with_file)), pair("from-file", &format!("{file}:2")));
    let from_env = pair("from-env", "ISOGRID__NODE__CLUSTER");
    assert_eq!(explained(&isogrid_with(&variable, &with_file)), from_env);
    let ran = isogrid_with(&variable, &with_flag);
    assert_eq!(explained(&ran), pair("from-flag", "--set"));
    let layers = ran.json()["layers"].as_array().map_or(0, Vec::len);
    assert_eq!(layers, 4, "all layers that set it are shown");
    let text = isogrid_with(&variable, &with_flag[..3]).text().to_owned();
    assert!(text.starts_with("node.cluster = from-env\n"), "{text}");
    assert!(text.contains("origin:      ISOGRID__NODE__CLUSTER"), "{text}");
}

#[test]
fn named_flags_are_flags_too() {
    let explain = ["config", "explain", "node.grpc_addr", "-o", "json"];
    let ran = isogrid(&[&explain[..], &["--grpc-addr", "127.0.0.1:1"]].concat());
    assert_eq!(explained(&ran), ("127.0.0.1:1".into(), "--grpc-addr".into()));
}

#[test]
fn without_a_key_all_are_explained() {
    let ran = isogrid(&["config", "explain"]);
    for key in KEYS.iter().filter(|key| !key.is_of_map()) {
        assert!(ran.text().contains(key.name), "{}", key.name);
    }
    let ran = isogrid(&["config", "explain", "-o", "json", "--set", "maps.orders.eviction=lru"]);
    let all = ran.json();
    let found = all
        .as_array()
        .expect("a list")
        .iter()
        .any(|object| object["key"] == "maps.orders.eviction" && object["value"] == "lru");
    assert!(found, "{all}");
}

#[test]
fn a_map_without_a_section_is_explained_by_the_default_one() {
    let explain = ["config", "explain", "maps.orders.eviction", "-o", "json"];
    assert_eq!(explained(&isogrid(&explain)), ("none".into(), "default".into()));
    let ran = isogrid(&[&explain[..], &["--set", "maps.default.eviction=lfu"]].concat());
    assert_eq!(explained(&ran), ("lfu".into(), "--set".into()));
}

#[test]
fn an_unknown_key_is_an_error_with_a_hint() {
    let ran = isogrid(&["config", "explain", "node.grcp_addr"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("IG-0601"), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean `node.grpc_addr`?"), "{}", ran.stderr);

    let ran = isogrid_with(&[("ISOGRID__NODE__GRCP_ADDR", "x:1")], &["start"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("did you mean `ISOGRID__NODE__GRPC_ADDR`?"), "{}", ran.stderr);
}

#[test]
fn everything_wrong_is_listed_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path(), "[node]\ncores = \"all\"\n\n[nod]\nzone = \"a\"\n");
    let file = path.to_str().expect("text");
    let validate = ["config", "validate", "--config", file, "--set", "log.level=inof"];
    let ran = isogrid(&validate);
    assert_eq!(ran.code, 2);
    assert!(ran.stdout.is_empty());
    for said in [":2; allowed: a whole number", ":5; did you mean `node.zone`?", "`log.level`"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    let object = isogrid(&[&validate[..], &["-o", "json"]].concat()).json();
    assert_eq!(object["valid"], false);
    assert_eq!(object["problems"].as_array().map(Vec::len), Some(3));

    let ran = isogrid(&["config", "validate"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let ran = isogrid(&["config", "validate", "--config", "/nowhere/at/all.toml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("IG-0603"), "{}", ran.stderr);
}

#[test]
fn the_printed_defaults_are_a_valid_file_that_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = isogrid(&["config", "print-default"]);
    assert_eq!(printed.code, 0);
    let path = written(folder.path(), printed.text());
    let validate = ["config", "validate", "--config", path.to_str().expect("text")];
    assert_eq!(isogrid(&validate).code, 0);
    let keys = isogrid(&["config", "print-default", "-o", "json"]).json();
    assert_eq!(keys.as_array().map(Vec::len), Some(KEYS.len()));
}

#[test]
fn the_manual_has_the_printed_reference() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let manual = std::fs::read_to_string(path).expect("the manual is there");
    let printed = isogrid(&["config", "reference"]);
    assert_eq!(printed.code, 0);
    assert!(manual.contains(printed.text()), "`isogrid config reference` prints what is missing");
    let keys = isogrid(&["config", "reference", "-o", "json"]).json();
    assert_eq!(keys.as_array().map(Vec::len), Some(KEYS.len()));
}
