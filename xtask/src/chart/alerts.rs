//! The alerts: each is in the documentation's table with its runbook, knows only metrics that exist, and was seen to fire.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::step::{Verdict, verdict_of};

const RULES: &str = "helm/isogrid/files/alerts.yaml";
const TESTS: &str = "helm/golden/alerts.test.yaml";
const TABLE: &str = "docs/operations/alerts.md";

/// Rules, tests, table and runbooks beside each other. Needs no tools.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let read =
        |path: &str| std::fs::read_to_string(root.join(path)).with_context(|| path.to_owned());
    let (rules, tests, table) = (read(RULES)?, read(TESTS)?, read(TABLE)?);
    let mut findings = beside(&alerts(&rules), &table);
    for (alert, runbook) in alerts(&rules) {
        if !tests.contains(&format!("alertname: {alert}\n        exp_alerts:")) {
            findings.push(format!("{TESTS}: {alert} is never seen to fire"));
        }
        let text = read(runbook).unwrap_or_default();
        if !text.contains(&format!("`{alert}`")) {
            findings.push(format!("{runbook} says nothing of {alert}"));
        }
    }
    let metrics = read("docs/metrics.md")?;
    findings
        .extend(unknown_metrics(&rules, &metrics).map(|name| format!("{RULES}: no metric {name}")));
    Ok(findings)
}

/// Whether the rules are rules, and fire when they should.
pub(super) fn fire(root: &Path) -> Result<Verdict> {
    if !Command::new("promtool").arg("--version").output().is_ok_and(|o| o.status.success()) {
        return Ok(Verdict::Skipped("promtool is not installed".into()));
    }
    let promtool = |arguments: &[&str]| {
        let mut command = Command::new("promtool");
        command.current_dir(root).args(arguments);
        verdict_of(&mut command)
    };
    match promtool(&["check", "rules", RULES])? {
        Verdict::Good => promtool(&["test", "rules", TESTS]),
        bad => Ok(bad),
    }
}

/// The alerts of a file of rules, each with its runbook.
fn alerts(rules: &str) -> Vec<(&str, &str)> {
    let named = |line: &str| line.trim().starts_with("runbook: ");
    rules
        .split("- alert: ")
        .skip(1)
        .map(|part| {
            let line = part.lines().find(|line| named(line)).unwrap_or_default();
            let runbook = line.trim().trim_start_matches("runbook: ");
            (part.lines().next().unwrap_or_default(), runbook)
        })
        .collect()
}

/// What the table has and the rules have not, and the other way round.
fn beside(alerts: &[(&str, &str)], table: &str) -> Vec<String> {
    let in_rules: BTreeSet<String> = alerts
        .iter()
        .map(|(alert, runbook)| {
            format!("{alert} {}", runbook.rsplit('/').next().unwrap_or_default())
        })
        .collect();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let in_table: BTreeSet<String> = rows
        .filter_map(|row| {
            let alert = row.split('`').next()?;
            let runbook = row.rsplit("(runbooks/").next()?.split(')').next()?;
            Some(format!("{alert} {runbook}"))
        })
        .collect();
    let missing = in_rules.difference(&in_table).map(|row| format!("{TABLE} has not: {row}"));
    let unknown = in_table.difference(&in_rules).map(|row| format!("{RULES} has not: {row}"));
    missing.chain(unknown).collect()
}

/// The metrics that the expressions of a file of rules are of.
pub(crate) fn metrics_of(rules: &str) -> BTreeSet<String> {
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_one = |word: &&str| word.starts_with("isogrid_") || word.starts_with("process_");
    words.filter(is_one).map(str::to_owned).collect()
}

/// Names of metrics in a text that the page of metrics has not. A histogram has three more names.
pub(super) fn unknown_metrics<'a>(text: &'a str, page: &'a str) -> impl Iterator<Item = &'a str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("isogrid_")).filter(move |word| {
        let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
        let is_known = |name: &str| page.contains(&format!("`{name}`"));
        !is_known(word) && !stem.is_some_and(is_known)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_that_nobody_has_is_found() {
        let page = "| `isogrid_disk_sync_seconds` | histogram |";
        let text = "rate(isogrid_disk_sync_seconds_bucket[5m]) > isogrid_made_up";
        assert_eq!(unknown_metrics(text, page).collect::<Vec<_>>(), ["isogrid_made_up"]);
    }

    #[test]
    fn rules_and_table_are_held_against_each_other() {
        let rules = "      - alert: A\n        annotations:\n          runbook: runbooks/a.md\n      - alert: B\n        \
                     annotations:\n          runbook: runbooks/b.md\n";
        let table = "| `A` | critical | when | [a](runbooks/a.md) |\n| `B` | warning | when | [c](runbooks/c.md) |\n";
        let found = beside(&alerts(rules), table);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].ends_with("B b.md") && found[1].ends_with("B c.md"), "{found:?}");
    }
}
