//! The chart knows what the documentation knows, which tests hold against the binary: every configuration key can be set or is
//! set by the chart, and nothing else can; so can every setting of a map. Needs no tools.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

const SCHEMA: &str = "helm/isogrid/values.schema.json";

/// What the chart sets by itself, in isogrid.toml or in the environment of a pod.
const OWN_KEYS: &[&str] = &[
    "node.name",
    "node.cluster",
    "node.grpc_addr",
    "node.gossip_addr",
    "node.http_addr",
    "node.pg_addr",
    "node.advertise",
    "node.data_dir",
    "node.zone",
    "node.at_end",
    "cluster.seeds",
    "cluster.key_file",
    "cluster.expect",
    "cluster.drain_timeout_ms",
];

/// What no value sets: the chart has no witnesses.
const KEYS_LEFT_OUT: &[&str] = &["node.role"];

/// Where the schema lets through what Kubernetes checks itself.
const OPEN: &[&str] = &[
    "affinity",
    "tolerations",
    "extraVolumes",
    "extraVolumeMounts",
    "extraContainers",
    "extraObjects",
    "definitions.pass",
    "extraEnv.valueFrom",
];

pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let read =
        |path: &str| std::fs::read_to_string(root.join(path)).with_context(|| path.to_owned());
    let schema: Value = serde_json::from_str(&read(SCHEMA)?).context(SCHEMA)?;
    let mut findings = keys(&schema, &read("docs/configuration.md")?);
    findings.extend(settings(&schema, &read("docs/cli.md")?));
    let mut open = Vec::new();
    find_open(&schema, "", &mut open);
    findings.extend(
        open.into_iter().map(|path| format!("{SCHEMA}: {path} takes whatever it is given")),
    );
    Ok(findings)
}

/// The keys that the chart has, and those that are documented.
fn keys(schema: &Value, configuration: &str) -> Vec<String> {
    let sections = &schema["properties"]["config"]["properties"];
    let names = |value: &Value| -> Vec<String> {
        value["properties"].as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default()
    };
    let mut has: BTreeSet<String> =
        OWN_KEYS.iter().chain(KEYS_LEFT_OUT).map(|key| (*key).to_owned()).collect();
    for (section, value) in sections.as_object().into_iter().flatten() {
        has.extend(names(value).into_iter().map(|key| format!("{section}.{key}")));
    }
    let of_map = names(&schema["definitions"]["mapConfig"]);
    has.extend(of_map.into_iter().map(|key| format!("maps.NAME.{key}")));
    let documented: BTreeSet<String> = table_names(configuration).map(str::to_owned).collect();
    differences(&has, &documented, "configuration key")
}

/// The settings of a map that `objects` takes, and those of `isogrid map create`.
fn settings(schema: &Value, cli: &str) -> Vec<String> {
    let settings = schema["definitions"]["mapObject"]["properties"].as_object();
    let has = settings.into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let section = cli.split("### map create, map alter").nth(1).unwrap_or_default();
    let section = section.split("\n### ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `--"));
    let flags = rows.flat_map(|line| line.split("`--").skip(1));
    let names = flags.filter_map(|flag| flag.split([' ', '`']).next());
    let documented = names.map(|name| name.replace('-', "_")).collect();
    differences(&has, &documented, "setting of maps")
}

fn differences(has: &BTreeSet<String>, documented: &BTreeSet<String>, what: &str) -> Vec<String> {
    let unknown = has
        .difference(documented)
        .map(|name| format!("the chart has the {what} {name}: nobody knows it"));
    let missing =
        documented.difference(has).map(|name| format!("the chart has not the {what} {name}"));
    unknown.chain(missing).collect()
}

/// What stands in backquotes at the beginning of a table's row, with a dot in it.
fn table_names(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.contains('.') && !name.contains([' ', '/']))
}

/// The objects of the schema that take any property, but for those that are meant to.
fn find_open(value: &Value, path: &str, open: &mut Vec<String>) {
    let Some(object) = value.as_object() else { return };
    let is_object = object.get("type").is_some_and(|kind| kind.to_string().contains("\"object\""));
    if is_object && !object.contains_key("additionalProperties") && !OPEN.contains(&path) {
        open.push(if path.is_empty() { "the top".into() } else { path.to_owned() });
    }
    for (key, inner) in object {
        let named =
            |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match key.as_str() {
            "properties" | "patternProperties" | "definitions" => {
                let prefix = if key == "definitions" { "definitions." } else { "" };
                for (name, inner) in inner.as_object().into_iter().flatten() {
                    find_open(inner, &named(&format!("{prefix}{name}")), open);
                }
            }
            "items" | "additionalProperties" => find_open(inner, path, open),
            "oneOf" => {
                inner.as_array().into_iter().flatten().for_each(|one| find_open(one, path, open))
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_that_only_one_side_has_are_found() {
        let schema = json!({ "properties": { "config": { "properties": {
            "log": { "properties": { "level": {}, "colour": {} } } } } } });
        let page =
            "| key | default |\n| `log.level` | a |\n| `log.format` | b |\n| `node.role` | c |\n";
        let found = keys(&schema, page);
        assert!(
            found.contains(
                &"the chart has the configuration key log.colour: nobody knows it".into()
            )
        );
        assert!(found.contains(&"the chart has not the configuration key log.format".into()));
        assert!(!found.iter().any(|line| line.contains("log.level")));
    }

    #[test]
    fn an_object_that_takes_anything_is_found() {
        let mut open = Vec::new();
        let closed = json!({ "type": "object", "additionalProperties": false });
        let schema = json!({ "type": "object", "additionalProperties": false, "properties": {
            "a": closed, "affinity": { "type": "object" },
            "b": { "type": "array", "items": { "type": ["object", "null"] } } } });
        find_open(&schema, "", &mut open);
        assert_eq!(open, ["b"]);
    }
}
