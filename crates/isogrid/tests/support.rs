//! `isogrid support bundle`: everything is in it that should be, and no secret that lay about; `analyze` tells what is in it.

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::Node;
use common::data::{grid, put, runtime};
use common::{isogrid, isogrid_with};
use flate2::read::GzDecoder;
use serde_json::Value;

/// The files of a bundle by their names within its folder.
fn files(path: &Path) -> BTreeMap<String, String> {
    let file = std::fs::File::open(path).expect("it was written");
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let entries = archive.entries().expect("an archive");
    let files = entries.map(|entry| {
        let mut entry = entry.expect("a file");
        let name = entry.path().expect("a name").to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        (name.split_once('/').expect("within a folder").1.to_owned(), text)
    });
    files.collect()
}

/// What nodes may have been told, and their libraries.
fn log_with(secrets: &[&str]) -> String {
    format!(
        "INFO started with {}\nWARN s3://bob:{}@bucket/x AWS_ACCESS_KEY_ID={}\n{{\"password\":\"{}\"}}\n",
        secrets[3], secrets[4], secrets[1], secrets[5]
    )
}

#[test]
fn a_bundle_has_what_helps_and_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let secrets = [
        "wJalrXUtnFEMIK7MDENGbPxRfiCYzzzz",
        "AKIAIOSFODNN7EXAMPLE",
        "planted-session-token",
        "planted-cluster-secret-0123456789",
        "planted-pass-in-url",
        "planted-log-password",
        "u-secret-key-of-a-record",
    ];
    std::fs::write(path("cluster.key"), secrets[3]).expect("it is written");
    std::fs::write(path("node.log"), log_with(&secrets)).expect("it is written");
    let config = format!(
        "[node]\nname = \"anna\"\n[cluster]\nkey_file = \"{}\"\n[log]\nlevel = \"info,planted_{}=warn\"\n",
        path("cluster.key"),
        "a"
    );
    std::fs::write(path("isogrid.toml"), config).expect("it is written");
    let key_file = format!("cluster.key_file={}", path("cluster.key"));
    let node = Node::start(&["--set", &key_file, "--set", "slow_log.threshold_ms=1"]);
    runtime().block_on(async {
        let grid = grid(&node.endpoint).await;
        for _ in 0..400 {
            put(&grid, "orders", secrets[6], b"value").await;
        }
    });
    let environment = [
        ("AWS_SECRET_ACCESS_KEY", secrets[0]),
        ("AWS_ACCESS_KEY_ID", secrets[1]),
        ("AWS_SESSION_TOKEN", secrets[2]),
    ];
    let out = path("bundle.tar.gz");
    let (log, config) = (path("node.log"), path("isogrid.toml"));
    let arguments = ["support", "bundle", "--out", &out, "--log", &log, "--config", &config];
    let arguments = [&arguments[..], &["-o", "json", "--endpoint", &node.endpoint]].concat();
    let ran = isogrid_with(&environment, &arguments);
    assert_eq!(ran.code, 0, "{} {}", ran.text(), ran.stderr);
    let mode = std::fs::metadata(&out).expect("it was written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner reads it");

    let files = files(Path::new(&out));
    for (name, text) in &files {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {name}:\n{text}");
        }
    }
    let status: Value = serde_json::from_str(&files["status.json"]).expect("JSON");
    let of_node = |folder: &str, ending: &str| {
        let name = status["members"][0]["node"].as_str().expect("a name");
        files[&format!("{folder}/{name}.{ending}")].as_str()
    };
    assert!(of_node("metrics", "txt").contains("isogrid_build_info"));
    assert!(of_node("config", "toml").contains("threshold_ms = 1"));
    assert!(files["config/here.json"].contains("isogrid.toml"), "with where it comes from");
    assert!(files["doctor.json"].contains("D-21"));
    assert!(files["maps.json"].contains("orders") && files["partitions.json"].contains("primary"));
    assert!(files["versions.txt"].starts_with("isogrid "));
    assert!(files.contains_key("slowlog.json") && files.contains_key("hot-keys.json"));
    let taken = files.iter().find(|(name, _)| name.starts_with("logs/")).expect("the log").1;
    assert!(taken.contains("INFO started with [removed]"), "{taken}");
    let manifest: Value = serde_json::from_str(&files["manifest.json"]).expect("JSON");
    assert_eq!(manifest["missing"].as_array().map(Vec::len), Some(0), "{manifest}");

    let again = isogrid_with(&environment, &arguments);
    assert_eq!(again.code, 1, "what is there is not written over: {}", again.stderr);
    let keys = path("keys.tar.gz");
    let with = ["support", "bundle", "--out", &keys, "--with-keys", "--endpoint", &node.endpoint];
    assert_eq!(isogrid(&with).code, 0);
    assert!(self::files(Path::new(&keys))["hot-keys.json"].contains(secrets[6]));
    drop(node);
    is_told_again(&out, &files);
}

/// What is in a bundle is told when the cluster is gone.
fn is_told_again(bundle: &str, files: &BTreeMap<String, String>) {
    let reread = |name: &str| -> Value { serde_json::from_str(&files[name]).expect("JSON") };
    let manifest = reread("manifest.json");
    let name = format!("cluster {}, as it was at", manifest["cluster"].as_str().expect("a name"));
    let told = isogrid(&["support", "analyze", bundle]);
    for part in [&*name, "healthy, not safe", "D-21 health: healthy", "WARNING  D-22 safe"] {
        assert!(told.text().contains(part), "{part}: {} {}", told.text(), told.stderr);
    }
    let object = isogrid(&["support", "analyze", bundle, "-o", "json"]).json();
    assert_eq!(object["doctor"].to_string(), reread("doctor.json").to_string());
}

#[test]
fn without_a_cluster_there_is_what_this_machine_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("b.tar.gz");
    let out_text = out.to_str().expect("text");
    let ran = isogrid(&["support", "bundle", "--out", out_text, "--endpoint", "127.0.0.1:1"]);
    assert_eq!(ran.code, 4, "some of it: {}", ran.stderr);
    assert!(ran.stderr.contains("not in it: the cluster: IG-0307"), "{}", ran.stderr);
    let files = files(&out);
    assert!(files.contains_key("doctor.json") && !files.contains_key("status.json"));
    let told = isogrid(&["support", "analyze", out_text]);
    assert_eq!(told.code, 1, "as doctor ended: {}", told.stderr);
    for part in ["not in it: the cluster: IG-0307", "ERROR    D-20 reachable"] {
        assert!(told.text().contains(part), "{part}: {}", told.text());
    }
    std::fs::write(folder.path().join("text"), "no bundle").expect("it is written");
    for (name, why) in [("text", "cannot read"), ("nothing", "No such file")] {
        let path = folder.path().join(name);
        let ran = isogrid(&["support", "analyze", path.to_str().expect("text")]);
        assert!(ran.code == 1 && ran.stderr.contains(why), "{} {}", ran.code, ran.stderr);
    }
    let nowhere = isogrid(&["support", "bundle", "--out", "/proc/nowhere/b.tar.gz"]);
    assert_ne!(nowhere.code, 0, "{}", nowhere.text());
}
