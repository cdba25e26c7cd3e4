//! The Helm chart against the binary: what it renders (helm/golden) is a configuration that the binary takes, commands that it
//! has, maps that it can make, and paths that it serves. Needs no Helm: that the files are what the chart makes today is
//! checked by `cargo xtask chart`.

mod common;

use std::path::PathBuf;

use common::{Running, eventually, http_get, isogrid, isogrid_with};
use serde::Deserialize;
use serde_json::Value;

const BINARY: &str = "/usr/local/bin/isogrid";

/// What the pods of the tests are called, and where they are.
const POD: &str = "isogrid-0";
const ZONE: &str = "zone-a";

/// Everything that was rendered: the name of the file and its documents.
fn rendered() -> Vec<(String, Vec<Value>)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let golden = std::fs::read_dir(root.join("helm/golden")).expect("the folder");
    let mut paths: Vec<PathBuf> = golden.map(|entry| entry.expect("a file").path()).collect();
    paths.push(root.join("deploy/isogrid.yaml"));
    let name = |path: &PathBuf| path.file_name().expect("a file").to_string_lossy().into_owned();
    let is_rendered = |name: &str| name.ends_with(".yaml") && name.matches('.').count() == 1;
    paths.retain(|path| is_rendered(&name(path)));
    assert!(paths.len() >= 8, "{paths:?}");
    let read =
        |path: &PathBuf| (name(path), documents(&std::fs::read_to_string(path).expect("text")));
    paths.iter().map(read).collect()
}

fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    let read = |document| Value::deserialize(document).expect("YAML");
    documents.map(read).filter(|value| !value.is_null()).collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> impl Iterator<Item = &'a Value> {
    documents.iter().filter(move |document| document["kind"] == kind)
}

/// The file that a ConfigMap holds, wherever it stands.
fn held<'a>(documents: &'a [Value], file: &str) -> Option<&'a str> {
    of_kind(documents, "ConfigMap").find_map(|map| map["data"][file].as_str())
}

/// The variables that a container of a node gets, on an address of this family.
fn variables(container: &Value) -> Vec<(String, String)> {
    let address =
        if container.to_string().contains("[$(POD_IP)]") { "fd00::1" } else { "10.0.0.1" };
    let value = |variable: &Value| match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
        Some("metadata.name") => POD.to_owned(),
        Some("status.podIP") => address.to_owned(),
        Some(label) if label.starts_with("metadata.labels") => ZONE.to_owned(),
        Some(other) => panic!("{other}"),
        None if variable["valueFrom"]["resourceFieldRef"].is_object() => "2".to_owned(),
        None => variable["value"].as_str().expect("a value").replace("$(POD_IP)", address),
    };
    let variables = container["env"].as_array().expect("variables");
    variables.iter().map(|v| (v["name"].as_str().expect("a name").to_owned(), value(v))).collect()
}

#[test]
fn the_binary_takes_the_configuration_of_every_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("isogrid.toml");
    let path = file.to_str().expect("text");
    let mut nodes = 0;
    for (name, documents) in rendered() {
        std::fs::write(&file, held(&documents, "isogrid.toml").expect(&name)).expect("written");
        for set in of_kind(&documents, "StatefulSet") {
            nodes += 1;
            let variables = variables(&set["spec"]["template"]["spec"]["containers"][0]);
            let variables: Vec<(&str, &str)> =
                variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let ran = isogrid_with(&variables, &["config", "validate", "--config", path]);
            assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
            let explain = ["config", "explain", "node.name", "--config", path, "-o", "json"];
            assert_eq!(isogrid_with(&variables, &explain).json()["value"], POD, "{name}");
            if name == "multizone.yaml" || name == "everything.yaml" {
                let explain = ["config", "explain", "node.zone", "--config", path, "-o", "json"];
                let zone = isogrid_with(&variables, &explain).json()["value"].to_string();
                assert!(zone.starts_with("\"zone-"), "{name}: {zone}");
            }
        }
    }
    assert!(nodes > 10, "{nodes}");
}

/// Every command of the binary in a document: those of containers and of probes.
fn commands(value: &Value, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Array(items) if items.first().is_some_and(|first| first == BINARY) => {
            let text = |item: &Value| item.as_str().expect("text").to_owned();
            found.push(items.iter().skip(1).map(text).collect());
        }
        Value::Array(items) => items.iter().for_each(|item| commands(item, found)),
        Value::Object(object) => object.values().for_each(|item| commands(item, found)),
        _ => {}
    }
}

#[test]
fn the_binary_has_every_command() {
    let mut all = Vec::new();
    for (_, documents) in rendered() {
        documents.iter().for_each(|document| commands(document, &mut all));
    }
    all.sort();
    all.dedup();
    let is_there = |word: &str| all.iter().any(|command| command.iter().any(|part| part == word));
    for word in [
        "start", "probe", "status", "apply", "backup", "verify", "leave", "stop", "put", "get",
        "drop",
    ] {
        assert!(is_there(word), "{word} in {all:?}");
    }
    for command in all {
        // Help is shown once all that stands before it was understood.
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let ran = isogrid(&arguments);
        assert_eq!(ran.code, 0, "{command:?}: {}", ran.stderr);
    }
}

#[test]
fn the_binary_takes_the_maps() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("objects.json");
    let mut files = 0;
    for (name, documents) in rendered() {
        let Some(objects) = held(&documents, "objects.json") else { continue };
        files += 1;
        std::fs::write(&file, objects).expect("written");
        let path = file.to_str().expect("text");
        // A file with a mistake is refused before anybody is asked; nobody listens there.
        let ran = isogrid(&["apply", "-f", path, "--dry-run", "--endpoint", "127.0.0.1:9"]);
        assert_eq!(ran.code, 3, "{name}: {}", ran.stderr);
        std::fs::write(&file, objects.replace("backups", "backup")).expect("written");
        let ran = isogrid(&["apply", "-f", path, "--dry-run", "--endpoint", "127.0.0.1:9"]);
        assert_eq!(ran.code, 2, "{name}: {}", ran.stderr);
    }
    assert!(files > 0);
}

/// The paths that are asked for over HTTP: by probes and by Prometheus.
fn paths(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| paths(item, found)),
        Value::Object(object) => {
            if let Some(path) = object.get("path").and_then(Value::as_str) {
                found.push(path.to_owned());
            }
            object.values().for_each(|item| paths(item, found));
        }
        _ => {}
    }
}

#[test]
fn a_node_serves_every_path() {
    let mut all = Vec::new();
    for (_, documents) in rendered() {
        for set in of_kind(&documents, "StatefulSet") {
            paths(&set["spec"]["template"]["spec"]["containers"], &mut all);
        }
        for kind in ["PodMonitor", "ServiceMonitor"] {
            of_kind(&documents, kind).for_each(|monitor| paths(&monitor["spec"], &mut all));
        }
    }
    all.sort();
    all.dedup();
    assert_eq!(all, ["/health/live", "/health/ready", "/health/startup", "/metrics"]);
    let free = ["--grpc-addr", "127.0.0.1:0", "--gossip-addr", "127.0.0.1:0", "--http-addr"];
    let arguments = [&["start", "-o", "json"][..], &free, &["127.0.0.1:0"]].concat();
    let (_running, line) = Running::start(&arguments);
    let node: Value = serde_json::from_str(&line).expect("the node says where it listens");
    let http = node["http"].as_str().expect("an address");
    for path in all {
        eventually(&path, || {
            http_get(http, &path).is_some_and(|answer| answer.starts_with("HTTP/1.1 200 OK"))
        });
    }
}

#[test]
fn no_pod_may_do_more_than_it_must() {
    for (name, documents) in rendered() {
        let mut pods = Vec::new();
        documents.iter().for_each(|document| pod_specs(document, &mut pods));
        assert!(!pods.is_empty(), "{name}");
        for pod in pods {
            assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
            assert_eq!(
                pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
                "{name}"
            );
            let all = ["containers", "initContainers"].map(|key| pod[key].as_array());
            for container in all.into_iter().flatten().flatten() {
                // What users put beside is theirs.
                if container["name"] == "beside" {
                    continue;
                }
                let security = &container["securityContext"];
                assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
                assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
                assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{name}");
            }
        }
    }
}

fn pod_specs<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| pod_specs(item, found)),
        Value::Object(object) if object.contains_key("containers") => found.push(value),
        Value::Object(object) => object.values().for_each(|item| pod_specs(item, found)),
        _ => {}
    }
}
