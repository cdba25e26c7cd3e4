//! The command line itself: help, wrong flags, errors, completion. No node is needed.

mod common;

use common::isogrid;

#[test]
fn wrong_usage_exits_with_two_and_says_so_on_standard_error() {
    for arguments in [
        &["nonsense"] as &[&str],
        &["start", "--nonsense"],
        &["start", "stray"],
        &["map"],
        &["map", "get", "only-a-map"],
        &["map", "put", "m", "k", "v", "--ttl", "10"],
        &["map", "put", "m", "k", "v", "--if-absent", "--if-version", "1"],
        &["status", "-o", "yaml"],
        &["bench", "kv", "--reads", "101"],
        &["bench", "kv", "--callers", "1", "--threads", "2"],
        &["error", "IG-9999"],
        &["error", "--markdown", "301"],
        &["dev", "--nodes", "0"],
        &["dev", "--nodes", "33"],
        &["status", "--timeout", "1s"],
        &["cluster"],
        &["cluster", "drain"],
        &["cluster", "rebalance"],
        &["cluster", "stay"],
        &["cluster", "stay", "node-0", "--all"],
        &["cluster", "drain", "node-0", "--timeout", "1s"],
        &["map", "create", "m", "--backups", "6"],
        &["map", "create", "m", "--acknowledge", "never"],
        &["map", "create", "m", "--bytes-max", "much"],
        &["trace"],
        &["apply"],
        &["apply", "-f", "no-such-file.toml"],
        &["apply", "-f", "neither-toml-nor.yaml.txt"],
        &["start", "--set", "no-equals-sign"],
        &["start", "--set", "node.colour=red"],
        &["status", "--endpoint", "no port at all"],
        &["slowlog"],
        &["slowlog", "tail", "--interval", "0s"],
        &["map", "hot-keys"],
        &["map", "big-keys", "m", "--entries-max", "0"],
        &["doctor", "--only", "D-99"],
        &["doctor", "--markdown", "--only", "host"],
        &["top", "--size", "80x24"],
        &["support"],
    ] {
        let ran = isogrid(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{arguments:?}: {:?}", ran.text());
        let told = ran.stderr.contains("error:") || ran.stderr.contains("Usage:");
        assert!(told, "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn help_and_version_are_data() {
    for (arguments, said) in [
        (&["--help"] as &[&str], "Exit codes"),
        (&["map", "--help"], "scan"),
        (&["bench", "kv", "--help"], "--rate"),
        (&["cluster", "--help"], "can-stop"),
        (&["map", "create", "--help"], "--min-in-sync"),
        (&["doctor", "--help"], "--skip"),
        (&["support", "bundle", "--help"], "--with-keys"),
        (&["--version"], "isogrid 0."),
    ] {
        let ran = isogrid(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(ran.text().contains(said), "{arguments:?}: {}", ran.text());
    }
}

#[test]
fn an_error_code_is_explained() {
    for code in ["IG-0301", "ig-0301", "301"] {
        let ran = isogrid(&["error", code]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.text().starts_with("IG-0301 memory mark reached"), "{}", ran.text());
    }
    let object = isogrid(&["error", "301", "-o", "json"]).json();
    assert_eq!((object["code"].as_str(), object["number"].as_u64()), (Some("IG-0301"), Some(301)));
    assert_eq!(object["outcome"], "nothing changed");
}

#[test]
fn all_error_codes_are_listed() {
    let listed = isogrid(&["error", "-o", "json"]).json();
    let count = listed.as_array().map_or(0, Vec::len);
    assert_eq!(count, isogrid_core::catalog::EXPLANATIONS.len());
    assert_eq!(isogrid(&["error"]).text().lines().count(), count + 1);
}

#[test]
fn every_shell_has_its_completion() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = isogrid(&["completion", shell]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.text().contains("isogrid"), "{shell}");
    }
    assert_eq!(isogrid(&["completion", "cmd"]).code, 2);
}

#[test]
fn no_node_is_three() {
    // Port 1 is one where nobody listens.
    for arguments in [
        &["status"] as &[&str],
        &["map", "get", "m", "k"],
        &["map", "info", "m"],
        &["bench", "kv"],
        &["cluster", "members"],
        &["trace", "k"],
        &["clients", "ls"],
        &["clients", "kill", "n-1"],
        &["slowlog", "ls"],
        &["slowlog", "tail"],
        &["map", "hot-keys", "m"],
        &["map", "big-keys", "m"],
        &["top", "--once"],
    ] {
        let ran = isogrid(&[arguments, &["--endpoint", "127.0.0.1:1"]].concat());
        assert_eq!(ran.code, 3, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("IG-0307"), "{}", ran.stderr);
        assert!(ran.stderr.contains("next:"), "{}", ran.stderr);
    }
    let endpoint = [("ISOGRID_ENDPOINT", "127.0.0.1:1")];
    assert_eq!(common::isogrid_with(&endpoint, &["status"]).code, 3);
}
