//! Values that must be refused, and with which words: helm/golden/wrong.json.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::tools::Tools;

const TABLE: &str = "helm/golden/wrong.json";

/// Values with a mistake.
#[derive(Deserialize)]
struct Wrong {
    values: Value,
    /// What is said about it.
    says: String,
}

pub(super) fn check(root: &Path, tools: &Tools) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join(TABLE)).context(TABLE)?;
    let table: Vec<Wrong> = serde_json::from_str(&text).context(TABLE)?;
    let mut findings = Vec::new();
    for Wrong { values, says } in table {
        let values = values.to_string();
        let said = tools.helm(root, &["template", "--values", "-", "isogrid"], Some(&values))?;
        if said.is_good {
            findings.push(format!("{values} is taken"));
        } else if !said.text.contains(&says) {
            findings.push(format!("{values}: not {says:?}, but {:?}", said.text.trim()));
        }
    }
    Ok(findings)
}
