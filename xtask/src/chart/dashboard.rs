//! The dashboards for Grafana: the tables of panels in the modules are their source, the files of helm/isogrid/files/dashboards
//! what comes of them. Every metric that is documented has its place on one.

mod clients;
mod cluster;
mod maps;
mod overview;
mod queries;
mod replication;
mod runtime;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::alerts::unknown_metrics;

/// Where the files are.
const FOLDER: &str = "helm/isogrid/files/dashboards";

/// Which nodes are shown: the variables above the panels.
const WHICH: &str = r#"namespace=~"$namespace", instance=~"$instance""#;

/// A dashboard: its file and what stands above it.
struct Dashboard {
    name: &'static str,
    title: &'static str,
    /// Whether single maps can be chosen.
    has_maps: bool,
    rows: &'static [Row],
}

/// What stands above some panels, and these.
type Row = (&'static str, &'static [Panel]);

/// A panel: what stands above it, the unit, and a line for each query with its name. In a query `{}` and `,}` are which nodes.
struct Panel {
    title: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
    kind: &'static str,
}

/// Lines over time.
const fn panel(
    title: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { title, unit, queries, kind: "timeseries" }
}

/// Figures as they are now.
const fn stat(
    title: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { title, unit, queries, kind: "stat" }
}

/// All of them.
const DASHBOARDS: &[Dashboard] = &[
    Dashboard {
        name: "overview",
        title: "Isogrid: overview",
        has_maps: false,
        rows: overview::ROWS,
    },
    Dashboard { name: "maps", title: "Isogrid: maps", has_maps: true, rows: maps::ROWS },
    Dashboard {
        name: "cluster",
        title: "Isogrid: cluster and moves",
        has_maps: false,
        rows: cluster::ROWS,
    },
    Dashboard {
        name: "replication",
        title: "Isogrid: replication and durability",
        has_maps: false,
        rows: replication::ROWS,
    },
    Dashboard { name: "clients", title: "Isogrid: clients", has_maps: false, rows: clients::ROWS },
    Dashboard { name: "queries", title: "Isogrid: queries", has_maps: false, rows: queries::ROWS },
    Dashboard { name: "runtime", title: "Isogrid: runtime", has_maps: false, rows: runtime::ROWS },
];

/// Panels beside each other, in Grafana's grid of 24 columns.
const PANELS_PER_LINE: usize = 3;
const COLUMNS: usize = 24 / PANELS_PER_LINE;
const HEIGHT: usize = 8;

/// Writes the files, and removes others.
pub(super) fn write(root: &Path) -> Result<()> {
    let folder = root.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    for file in strangers(root)? {
        std::fs::remove_file(folder.join(&file)).with_context(|| file.clone())?;
    }
    for dashboard in DASHBOARDS {
        std::fs::write(folder.join(dashboard.file()), dashboard.text()?).context(dashboard.name)?;
    }
    Ok(())
}

/// Whether the files are what the tables say, and the tables what is documented.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for dashboard in DASHBOARDS {
        let file = root.join(FOLDER).join(dashboard.file());
        if std::fs::read_to_string(&file).unwrap_or_default() != dashboard.text()? {
            let name = dashboard.file();
            findings.push(format!(
                "{FOLDER}/{name} is not what its source says: cargo xtask chart --write"
            ));
        }
    }
    let strangers = strangers(root)?.into_iter();
    findings.extend(strangers.map(|file| format!("{FOLDER}/{file} has no source")));
    let page = std::fs::read_to_string(root.join("docs/metrics.md"))?;
    let shown = queries().collect::<Vec<String>>().join("\n");
    findings.extend(
        unknown_metrics(&shown, &page).map(|name| format!("{FOLDER}: there is no metric {name}")),
    );
    let names = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let words: BTreeSet<&str> = shown
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map(|word| word.trim_end_matches("_bucket"))
        .collect();
    let missing = names.filter(|name| !words.contains(name));
    findings.extend(missing.map(|name| format!("{FOLDER} does not show {name}")));
    Ok(findings)
}

/// All queries as Prometheus is asked when all nodes are chosen.
pub(crate) fn queries() -> impl Iterator<Item = String> {
    let panels = DASHBOARDS.iter().flat_map(|dashboard| dashboard.rows).flat_map(|(_, row)| *row);
    panels.flat_map(|panel| panel.queries).map(|(_, query)| asked(query))
}

/// Files that no table is the source of.
fn strangers(root: &Path) -> Result<Vec<String>> {
    let Ok(files) = std::fs::read_dir(root.join(FOLDER)) else { return Ok(Vec::new()) };
    let mut strangers = Vec::new();
    for file in files {
        let name = file?.file_name().to_string_lossy().into_owned();
        if DASHBOARDS.iter().all(|dashboard| dashboard.file() != name) {
            strangers.push(name);
        }
    }
    Ok(strangers)
}

/// A query with which nodes in it.
fn asked(query: &str) -> String {
    query.replace("{}", &format!("{{{WHICH}}}")).replace(",}", &format!(", {WHICH}}}"))
}

impl Dashboard {
    fn file(&self) -> String {
        format!("{}.json", self.name)
    }

    fn text(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.json())? + "\n")
    }

    fn json(&self) -> Value {
        let (mut panels, mut y) = (Vec::new(), 0);
        for (row, of_row) in self.rows {
            panels.push(json!({
                "id": panels.len() + 1, "type": "row", "title": row, "collapsed": false,
                "gridPos": { "x": 0, "y": y, "w": 24, "h": 1 }, "panels": [],
            }));
            y += 1;
            for (index, panel) in of_row.iter().enumerate() {
                let (line, column) = (index / PANELS_PER_LINE, index % PANELS_PER_LINE);
                let (x, y) = (column * COLUMNS, y + line * HEIGHT);
                let place = json!({ "x": x, "y": y, "w": COLUMNS, "h": HEIGHT });
                panels.push(drawn(panel, panels.len() + 1, &place));
            }
            y += of_row.len().div_ceil(PANELS_PER_LINE) * HEIGHT;
        }
        json!({
            "uid": format!("isogrid-{}", self.name),
            "title": self.title,
            "tags": ["isogrid"],
            "schemaVersion": 39,
            "editable": true,
            "refresh": "30s",
            "time": { "from": "now-3h", "to": "now" },
            "links": [{
                "title": "Isogrid", "type": "dashboards", "tags": ["isogrid"], "asDropdown": true,
                "includeVars": true, "keepTime": true,
            }],
            "templating": { "list": self.variables() },
            "panels": panels,
        })
    }

    fn variables(&self) -> Vec<Value> {
        let mut variables = vec![
            json!({ "name": "datasource", "type": "datasource", "query": "prometheus" }),
            variable("namespace", "label_values(isogrid_build_info, namespace)"),
            variable(
                "instance",
                r#"label_values(isogrid_build_info{namespace=~"$namespace"}, instance)"#,
            ),
        ];
        if self.has_maps {
            let maps = r#"label_values(isogrid_map_entries{namespace=~"$namespace"}, map)"#;
            variables.push(variable("map", maps));
        }
        variables
    }
}

/// A variable of which all values are chosen at first; where a label is not there, all is matched.
fn variable(name: &str, query: &str) -> Value {
    json!({
        "name": name, "type": "query", "query": query, "refresh": 2, "multi": true, "includeAll": true,
        "allValue": ".*", "current": { "text": "All", "value": "$__all" }, "datasource": data_source(),
    })
}

fn drawn(panel: &Panel, id: usize, place: &Value) -> Value {
    let target = |(index, (legend, query)): (usize, &(&str, &str))| {
        let letter = char::from(b'A' + u8::try_from(index).expect("a panel has few queries"));
        json!({
            "refId": letter.to_string(), "expr": asked(query),
            "legendFormat": legend, "datasource": data_source(),
        })
    };
    let targets: Vec<Value> = panel.queries.iter().enumerate().map(target).collect();
    json!({
        "id": id, "type": panel.kind, "title": panel.title, "gridPos": place, "datasource": data_source(),
        "fieldConfig": { "defaults": { "unit": panel.unit, "min": 0 }, "overrides": [] },
        "targets": targets,
    })
}

fn data_source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_do_not_cover_each_other() {
        for dashboard in DASHBOARDS {
            let json = dashboard.json();
            let mut taken = BTreeSet::new();
            for panel in json["panels"].as_array().expect("panels") {
                let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
                for x in at("x")..at("x") + at("w") {
                    for y in at("y")..at("y") + at("h") {
                        let title = &panel["title"];
                        assert!(x < 24 && taken.insert((x, y)), "{}: {title}", dashboard.title);
                    }
                }
            }
        }
    }

    #[test]
    fn queries_are_of_the_chosen_nodes() {
        for query in queries() {
            let selectors = query.matches('{').count();
            assert_eq!(query.matches(WHICH).count(), selectors, "every selector in {query}");
        }
        assert_eq!(asked("a{}"), format!("a{{{WHICH}}}"));
        assert_eq!(asked(r#"a{b="c",}"#), format!(r#"a{{b="c", {WHICH}}}"#));
    }
}
