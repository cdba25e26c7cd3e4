//! What must be so when the scenario has ended.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::prometheus::Prometheus;
use crate::chart::{alerts, dashboard};

/// What is there for so short that Prometheus rarely sees it: the tests of recovery do.
const PASSING: &str = "isogrid_disk_recovered_ratio";

/// What only nodes with SQL have.
const OF_SQL: [&str; 2] = ["isogrid_query_", "isogrid_pg_"];

/// What the scenario is made for.
const MUST_FIRE: [&str; 5] = [
    "IsogridClusterNotSafe",
    "IsogridMemberDown",
    "IsogridNodeMissing",
    "IsogridPartitionsUnderReplicated",
    "IsogridWritesRejectedForMemory",
];

/// What says that the machine is slow or full, which it may be while others use it.
const MAY_FIRE: [&str; 8] = [
    "IsogridCoresBusy",
    "IsogridCoresComeLate",
    "IsogridCouncilElections",
    "IsogridCouncilSyncSlow",
    "IsogridDiskFillsUp",
    "IsogridDiskSyncSlow",
    "IsogridLatencyHigh",
    "IsogridReplicationLags",
];

/// A scenario that has ended.
pub(super) struct Run<'a> {
    pub(super) prometheus: &'a Prometheus,
    /// When it began.
    pub(super) from_s: u64,
    pub(super) has_sql: bool,
}

impl Run<'_> {
    /// All that is not as it should be.
    pub(super) fn findings(&self, root: &Path, pages: &[String]) -> Result<Vec<String>> {
        let mut findings = Vec::new();
        let mut queries = 0;
        for query in dashboard::queries().filter(|query| self.is_due(query)) {
            queries += 1;
            let asked = query
                .replace("$__rate_interval", "10s")
                .replace("$namespace", ".*")
                .replace("$instance", ".*")
                .replace("$map", ".*");
            match self.prometheus.since(self.from_s, &asked) {
                Ok(series) if series.is_empty() => findings.push(format!("no data: {asked}")),
                Ok(_) => {}
                Err(error) => findings.push(format!("{asked}: {error}")),
            }
        }
        let rules = std::fs::read_to_string(root.join("helm/isogrid/files/alerts.yaml"))?;
        let metrics = alerts::metrics_of(&rules);
        for metric in metrics.iter().filter(|metric| self.is_due(metric)) {
            if self.prometheus.since(self.from_s, metric)?.is_empty() {
                findings.push(format!("an alert is of {metric}, which nobody has"));
            }
        }
        let fired = self.prometheus.fired(self.from_s)?;
        println!("        {queries} queries, {} metrics of alerts", metrics.len());
        println!("        fired: {}", fired.join(", "));
        findings.extend(of_alerts(&fired));
        findings.extend(self.of_pages(root, pages)?);
        Ok(findings)
    }

    /// Whether a query can have data here.
    fn is_due(&self, query: &str) -> bool {
        let is_of_sql = OF_SQL.iter().any(|start| query.contains(start));
        !query.contains(PASSING) && (self.has_sql || !is_of_sql)
    }

    /// What nodes tell is documented, what is documented they tell, and promtool finds nothing.
    fn of_pages(&self, root: &Path, pages: &[String]) -> Result<Vec<String>> {
        let document = std::fs::read_to_string(root.join("docs/metrics.md"))?;
        let names = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let documented: BTreeSet<&str> = names.filter(|name| self.is_due(name)).collect();
        let types = pages.iter().flat_map(|page| page.lines());
        let told: BTreeSet<&str> =
            types.filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let mut findings = Vec::new();
        let unknown = told.difference(&documented);
        findings.extend(unknown.map(|name| format!("docs/metrics.md does not know {name}")));
        let missing = documented.difference(&told);
        findings.extend(missing.map(|name| format!("no node tells {name}")));
        for page in pages {
            findings.extend(linted(page)?);
        }
        Ok(findings)
    }
}

fn of_alerts(fired: &[String]) -> Vec<String> {
    let has = |name: &str| fired.iter().any(|one| one == name);
    let missing = MUST_FIRE.iter().filter(|name| !has(name));
    let missing = missing.map(|name| format!("{name} did not fire"));
    let known = |name: &str| MUST_FIRE.contains(&name) || MAY_FIRE.contains(&name);
    let others = fired.iter().filter(|name| !known(name));
    missing.chain(others.map(|name| format!("{name} fired, and should not"))).collect()
}

/// What promtool has against a page.
fn linted(page: &str) -> Result<Option<String>> {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut child = promtool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("it has an input")?.write_all(page.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let is_good = output.status.success() && said.trim().is_empty();
    Ok((!is_good).then(|| format!("promtool check metrics: {}", said.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fires_must_and_what_must_fires() {
        let mut fired: Vec<String> = MUST_FIRE.iter().map(|name| (*name).to_owned()).collect();
        fired.push(MAY_FIRE[0].to_owned());
        assert!(of_alerts(&fired).is_empty());
        fired[0] = "IsogridSomething".to_owned();
        assert_eq!(of_alerts(&fired).len(), 2, "one did not, one should not");
    }
}
