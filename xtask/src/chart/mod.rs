//! `cargo xtask chart`: the Helm chart renders what was agreed on, refuses what is wrong, and knows only what the binary knows.
//!
//! | module | what it does |
//! |---|---|
//! | [`tools`] | finds helm and Kubernetes' schemas, in the versions that are pinned |
//! | [`render`] | what the chart makes of each set of values, and the files that hold it |
//! | [`kubernetes`] | holds what was rendered against Kubernetes' schemas |
//! | [`wrong`] | values that must be refused, and with which words |
//! | [`known`] | keys and settings of the chart beside those of the binary |
//! | [`dashboard`] | the dashboards, from tables of panels |
//! | [`alerts`] | rules beside their documentation, and whether they fire |

pub(crate) mod alerts;
pub(crate) mod dashboard;
mod known;
mod kubernetes;
mod render;
mod tools;
mod wrong;

use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::step::{self, Verdict};

use self::tools::Tools;

/// What is done.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write the dashboards and the files of helm/golden and deploy anew, instead of comparing them
    #[arg(long)]
    write: bool,
}

/// Checks the chart, or writes what is rendered from it; returns whether all was good.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    if options.write {
        return step::run("chart", || write(root));
    }
    Ok(step::run("chart", || verdict(root))? & step::run("alerts", || fire(root))?)
}

/// Whether the alerts fire.
pub(crate) fn fire(root: &Path) -> Result<Verdict> {
    alerts::fire(root)
}

fn write(root: &Path) -> Result<Verdict> {
    dashboard::write(root)?;
    let Some(tools) = tools::find() else { return Ok(missing()) };
    render::write(root, &tools)?;
    Ok(Verdict::Good)
}

/// All checks; what they found, one line each.
pub(crate) fn verdict(root: &Path) -> Result<Verdict> {
    let mut findings = known::check(root)?;
    findings.extend(alerts::check(root)?);
    findings.extend(dashboard::check(root)?);
    let Some(tools) = tools::find() else {
        return Ok(if findings.is_empty() { missing() } else { Verdict::Bad(findings.join("\n")) });
    };
    for check in [lint, render::check, render::scaling, kubernetes::check, wrong::check] {
        // What cannot be rendered is a finding too.
        findings.extend(check(root, &tools).unwrap_or_else(|error| vec![format!("{error:#}")]));
    }
    Ok(if findings.is_empty() { Verdict::Good } else { Verdict::Bad(findings.join("\n")) })
}

fn missing() -> Verdict {
    Verdict::Skipped(format!("no helm in {}: .ci/run puts it there", tools::folder().display()))
}

fn lint(root: &Path, tools: &Tools) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for case in render::CASES {
        let mut arguments = vec!["lint", "--strict", "--quiet"];
        arguments.extend(case.values());
        let said = tools.helm(root, &arguments, None)?;
        if !said.is_good {
            findings.push(format!("{}: helm lint: {}", case.name, said.text.trim()));
        }
    }
    Ok(findings)
}
