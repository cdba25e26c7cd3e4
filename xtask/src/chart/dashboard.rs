//! The dashboard for Grafana: the table of panels below is its source, helm/isogrid/files/dashboard.json what comes of it. Every
//! metric that is documented has its place on it.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::alerts::unknown_metrics;

const FILE: &str = "helm/isogrid/files/dashboard.json";

/// Which nodes are shown: the variables above the panels.
const WHICH: &str = r#"namespace=~"$namespace", instance=~"$instance""#;

/// A panel: what stands above it, the unit, and a line for each query with its name. `{}` in a query is which nodes.
struct Panel {
    title: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
}

const fn panel(
    title: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { title, unit, queries }
}

/// The rows, each with its panels.
const ROWS: &[(&str, &[Panel])] = &[
    (
        "Nodes",
        &[
            panel(
                "Nodes by version",
                "none",
                &[("{{version}}", "count by (version) (isogrid_build_info{})")],
            ),
            panel(
                "Reading data back, ready at 100 %",
                "percentunit",
                &[("{{instance}}", "isogrid_disk_recovered_ratio{}")],
            ),
            panel(
                "Last recovery took",
                "s",
                &[("{{instance}}", "isogrid_disk_recovery_seconds{}")],
            ),
        ],
    ),
    (
        "Data on disk",
        &[
            panel(
                "Log, snapshots and budget",
                "bytes",
                &[
                    ("{{instance}} log", "isogrid_disk_log_bytes{}"),
                    ("{{instance}} snapshots", "isogrid_disk_snapshot_bytes{}"),
                    ("{{instance}} budget", "isogrid_disk_budget_bytes{}"),
                ],
            ),
            panel(
                "Free on the file system",
                "bytes",
                &[("{{instance}}", "isogrid_disk_free_bytes{}")],
            ),
            panel(
                "Refuses writes",
                "bool_yes_no",
                &[
                    ("{{instance}} disk", "isogrid_disk_refusing{}"),
                    ("{{instance}} budget", "isogrid_disk_over_budget{}"),
                ],
            ),
            panel(
                "Written",
                "Bps",
                &[
                    (
                        "{{instance}} log",
                        "rate(isogrid_disk_log_written_bytes_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} snapshots",
                        "rate(isogrid_disk_snapshot_written_bytes_total{}[$__rate_interval])",
                    ),
                ],
            ),
            panel(
                "Syncs of the log",
                "s",
                &[
                    (
                        "{{instance}} p50",
                        "histogram_quantile(0.5, rate(isogrid_disk_sync_seconds_bucket{}[$__rate_interval]))",
                    ),
                    (
                        "{{instance}} p99",
                        "histogram_quantile(0.99, rate(isogrid_disk_sync_seconds_bucket{}[$__rate_interval]))",
                    ),
                ],
            ),
            panel(
                "Snapshots and errors",
                "short",
                &[
                    (
                        "{{instance}} snapshots",
                        "increase(isogrid_disk_snapshots_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} errors",
                        "increase(isogrid_disk_errors_total{}[$__rate_interval])",
                    ),
                ],
            ),
        ],
    ),
    (
        "Indexes",
        &[
            panel("Keys", "short", &[("{{instance}}", "isogrid_index_entries{}")]),
            panel("Memory", "bytes", &[("{{instance}}", "isogrid_index_bytes{}")]),
            panel(
                "Records that indexes being built lack",
                "short",
                &[("{{instance}}", "isogrid_index_records_missing{}")],
            ),
        ],
    ),
    (
        "What stands out",
        &[
            panel(
                "Slow operations",
                "reqps",
                &[("{{instance}}", "rate(isogrid_slow_operations_total{}[$__rate_interval])")],
            ),
            panel(
                "Share of the hottest key",
                "percentunit",
                &[("{{instance}} {{map}}", "isogrid_hot_key_ops_ratio{}")],
            ),
        ],
    ),
    (
        "Queries",
        &[
            panel(
                "Statements",
                "reqps",
                &[
                    ("{{instance}}", "rate(isogrid_query_statements_total{}[$__rate_interval])"),
                    ("{{instance}} failed", "rate(isogrid_query_failed_total{}[$__rate_interval])"),
                ],
            ),
            panel(
                "Partitions",
                "short",
                &[
                    (
                        "{{instance}} walked over",
                        "rate(isogrid_query_partitions_scanned_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} not needed",
                        "rate(isogrid_query_partitions_pruned_total{}[$__rate_interval])",
                    ),
                ],
            ),
            panel(
                "Rows",
                "rowsps",
                &[
                    (
                        "{{instance}} looked at",
                        "rate(isogrid_query_rows_scanned_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} returned",
                        "rate(isogrid_query_rows_returned_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} written",
                        "rate(isogrid_query_rows_written_total{}[$__rate_interval])",
                    ),
                ],
            ),
            panel(
                "Pages from indexes",
                "short",
                &[("{{instance}}", "rate(isogrid_query_index_seeks_total{}[$__rate_interval])")],
            ),
            panel(
                "PostgreSQL's clients",
                "short",
                &[
                    ("{{instance}}", "isogrid_pg_connections{}"),
                    (
                        "{{instance}} refused",
                        "increase(isogrid_pg_connections_refused_total{}[$__rate_interval])",
                    ),
                ],
            ),
        ],
    ),
];

/// Panels beside each other, in Grafana's grid of 24 columns.
const PANELS_PER_LINE: usize = 3;
const COLUMNS: usize = 24 / PANELS_PER_LINE;
const HEIGHT: usize = 8;

/// Writes the file.
pub(super) fn write(root: &Path) -> Result<()> {
    std::fs::write(root.join(FILE), text()?).context(FILE)
}

/// Whether the file is what the table says, and the table what is documented.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    if std::fs::read_to_string(root.join(FILE)).unwrap_or_default() != text()? {
        findings.push(format!("{FILE} is not what its source says: cargo xtask chart --write"));
    }
    let page = std::fs::read_to_string(root.join("docs/metrics.md"))?;
    let panels = ROWS.iter().flat_map(|(_, panels)| *panels);
    let queries = panels.flat_map(|panel| panel.queries).map(|(_, query)| *query);
    let shown = queries.collect::<Vec<&str>>().join("\n");
    findings.extend(unknown_metrics(&shown, &page).map(|name| format!("{FILE}: no metric {name}")));
    let names = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let words: BTreeSet<&str> = shown
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map(|word| word.trim_end_matches("_bucket"))
        .collect();
    let missing = names.filter(|name| !words.contains(name));
    findings.extend(missing.map(|name| format!("{FILE} does not show {name}")));
    Ok(findings)
}

fn text() -> Result<String> {
    Ok(serde_json::to_string_pretty(&dashboard())? + "\n")
}

fn dashboard() -> Value {
    let (mut panels, mut y) = (Vec::new(), 0);
    for (row, of_row) in ROWS {
        panels.push(json!({
            "id": panels.len() + 1, "type": "row", "title": row, "collapsed": false,
            "gridPos": { "x": 0, "y": y, "w": 24, "h": 1 }, "panels": [],
        }));
        y += 1;
        for (index, panel) in of_row.iter().enumerate() {
            let (line, column) = (index / PANELS_PER_LINE, index % PANELS_PER_LINE);
            let place =
                json!({ "x": column * COLUMNS, "y": y + line * HEIGHT, "w": COLUMNS, "h": HEIGHT });
            panels.push(time_series(panel, panels.len() + 1, &place));
        }
        y += of_row.len().div_ceil(PANELS_PER_LINE) * HEIGHT;
    }
    json!({
        "uid": "isogrid-nodes",
        "title": "Isogrid: nodes",
        "tags": ["isogrid"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "30s",
        "time": { "from": "now-3h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus" },
            variable("namespace", "label_values(isogrid_build_info, namespace)"),
            variable("instance", r#"label_values(isogrid_build_info{namespace=~"$namespace"}, instance)"#),
        ] },
        "panels": panels,
    })
}

/// A variable of which all values are chosen at first; where a label is not there, all is matched.
fn variable(name: &str, query: &str) -> Value {
    json!({
        "name": name, "type": "query", "query": query, "refresh": 2, "multi": true, "includeAll": true,
        "allValue": ".*", "current": { "text": "All", "value": "$__all" }, "datasource": data_source(),
    })
}

fn time_series(panel: &Panel, id: usize, place: &Value) -> Value {
    let target = |(index, (legend, query)): (usize, &(&str, &str))| {
        let letter = char::from(b'A' + u8::try_from(index).expect("a panel has few queries"));
        json!({
            "refId": letter.to_string(), "expr": query.replace("{}", &format!("{{{WHICH}}}")),
            "legendFormat": legend, "datasource": data_source(),
        })
    };
    let targets: Vec<Value> = panel.queries.iter().enumerate().map(target).collect();
    json!({
        "id": id, "type": "timeseries", "title": panel.title, "gridPos": place, "datasource": data_source(),
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
        let dashboard = dashboard();
        let panels = dashboard["panels"].as_array().expect("panels");
        let mut taken = BTreeSet::new();
        for panel in panels {
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(x < 24 && taken.insert((x, y)), "{}", panel["title"]);
                }
            }
        }
    }

    #[test]
    fn queries_are_of_the_chosen_nodes() {
        let text = text().expect("it can be written");
        assert!(!text.contains("{}"), "every query says which nodes");
        assert!(text.contains(
            r#"isogrid_disk_free_bytes{namespace=~\"$namespace\", instance=~\"$instance\"}"#
        ));
    }
}
