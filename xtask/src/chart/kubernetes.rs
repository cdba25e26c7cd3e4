//! What is rendered fits the schemas of Kubernetes, of the oldest version that the chart is for and of a recent one. Of
//! Prometheus' operator there is no schema in a registry: of its kinds the few fields that the chart uses are listed here.

use std::path::Path;

use anyhow::{Context, Result};

use super::render::{CASES, documents};
use super::tools::Tools;

/// The oldest stands in Chart.yaml too.
const VERSIONS: &[&str] = &["1.30", "1.35"];

/// The kinds that Kubernetes does not know, and the keys that they may have in the chart.
const MONITORS: &[(&str, &[&str])] = &[
    ("ServiceMonitor", &["selector", "endpoints"]),
    ("PodMonitor", &["selector", "podMetricsEndpoints"]),
    ("PrometheusRule", &["groups"]),
];

pub(super) fn check(root: &Path, tools: &Tools) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let (mut files, mut findings) = (Vec::new(), Vec::new());
    for case in CASES {
        let text = std::fs::read_to_string(root.join(case.golden)).context(case.golden)?;
        let (foreign, own): (Vec<&str>, Vec<&str>) = documents(&text).partition(|d| is_foreign(d));
        findings.extend(foreign.iter().flat_map(|document| monitor(case.name, document)));
        let file = folder.path().join(format!("{}.yaml", case.name));
        std::fs::write(&file, own.join("\n---\n"))?;
        files.push(file);
    }
    for version in VERSIONS {
        let said = tools.validate(root, version, &files)?;
        if !said.is_good {
            let shown = folder.path().display().to_string();
            findings.push(format!(
                "Kubernetes {version}: {}",
                said.text.replace(&shown, "golden").trim()
            ));
        }
    }
    let oldest = format!("kubeVersion: \">={}.0-0\"", VERSIONS[0]);
    let chart = std::fs::read_to_string(root.join("helm/isogrid/Chart.yaml"))?;
    if !chart.contains(&oldest) {
        findings.push(format!("Chart.yaml has not {oldest}, against which the chart is checked"));
    }
    Ok(findings)
}

fn is_foreign(document: &str) -> bool {
    document.contains("apiVersion: monitoring.coreos.com/v1\n")
}

fn monitor(case: &str, document: &str) -> Vec<String> {
    let kind = document.lines().find_map(|line| line.strip_prefix("kind: ")).unwrap_or_default();
    let Some((_, known)) = MONITORS.iter().find(|(known, _)| *known == kind) else {
        return vec![format!("{case}: nobody knows {kind}")];
    };
    let spec = document.lines().skip_while(|line| *line != "spec:").skip(1);
    let keys = spec
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with([' ', '#', '-']));
    keys.filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| !known.contains(key))
        .map(|(key, _)| format!("{case}: {kind} has no spec.{key}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_a_monitor_has_not_is_found() {
        let document = "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nspec:\n  selector:\n    matchLabels: {}\n  \
                        endpoints:\n    - port: http\n";
        assert!(is_foreign(document));
        assert_eq!(monitor("a", document), ["a: PodMonitor has no spec.endpoints"]);
    }
}
