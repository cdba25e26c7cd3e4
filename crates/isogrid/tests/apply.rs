//! `isogrid apply`: maps as a file says. What is changed is checked in tests of a cluster; here is what would be.

mod common;

use std::path::PathBuf;

use common::{Node, isogrid, isogrid_fed};
use serde_json::json;

fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("written");
    (folder, path)
}

const TOML: &str = "
[maps.orders]
backups = 2
eviction = \"lru\"
bytes_max = \"2GiB\"

[maps.users]
eviction = \"none\"
";

#[test]
fn a_dry_run_shows_what_would_change_and_changes_nothing() {
    let node = Node::start(&[]);
    assert_eq!(node.run(&["map", "put", "users", "u1", "Ann"]).code, 0);
    let (_folder, path) = file("maps.toml", TOML);
    let path = path.to_str().expect("text");
    let ran = node.run(&["apply", "-f", path, "--dry-run"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let text = ran.text();
    assert!(text.starts_with("+ map orders\n    backups          2\n"), "{text}");
    assert!(text.contains("    bytes_max        2.0 GiB\n"), "{text}");
    assert!(text.ends_with("= map users\n"), "{text}");
    assert!(ran.stderr.contains("nothing was changed"), "{}", ran.stderr);

    let object = node.run(&["apply", "-f", path, "--dry-run", "-o", "json"]).json();
    assert_eq!(object["dry_run"], true);
    let what: Vec<_> = object["maps"].as_array().expect("maps").iter().collect();
    assert_eq!((&what[0]["map"], &what[0]["change"]), (&json!("orders"), &json!("created")));
    assert_eq!(what[0]["changes"]["backups"], json!({ "from": null, "to": 2 }));
    assert_eq!((&what[1]["change"], &what[1]["changes"]), (&json!("unchanged"), &json!({})));
    let maps = node.run(&["map", "ls", "-o", "json"]).json();
    assert_eq!(maps.as_array().map(Vec::len), Some(1));
}

#[test]
fn yaml_is_read_from_a_file_and_from_standard_input() {
    let node = Node::start(&[]);
    let yaml =
        "maps:\n  carts:\n    acknowledge: async\n    read: backup\n    read_lag_ms_max: 500\n";
    let (_folder, path) = file("maps.yaml", yaml);
    let ran = node.run(&["apply", "--dry-run", "-f", path.to_str().expect("text")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.text().contains("acknowledge      async"), "{}", ran.text());
    let from_file = ran.text().to_owned();
    let arguments = ["apply", "--dry-run", "--format", "yaml", "-f", "-"];
    let fed = isogrid_fed(&node.with_endpoint(&arguments), yaml.as_bytes());
    assert_eq!((fed.code, fed.text()), (0, from_file.as_str()), "{}", fed.stderr);
}

#[test]
fn a_file_with_a_mistake_is_refused_before_a_node_is_asked() {
    for (text, said) in [
        ("[maps.users]\nbackup = 1\n", "did you mean \"backups\"?"),
        ("[maps.users]\nbackups = 6\n", "allowed: a whole number from 0 to 5"),
        ("[mpas.users]\n", "did you mean \"maps\"?"),
        ("[maps.users\n", "IG-0603"),
    ] {
        let (_folder, path) = file("maps.toml", text);
        let path = path.to_str().expect("text");
        let ran = isogrid(&["apply", "-f", path, "--endpoint", "127.0.0.1:1"]);
        assert_eq!(ran.code, 2, "{text}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{text}: {}", ran.stderr);
    }
}
