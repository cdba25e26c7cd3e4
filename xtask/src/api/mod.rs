//! `cargo xtask api`: docs/api.md is what the files in proto/ say, comments included.
//!
//! | module | what it does |
//! |---|---|
//! | [`contract`] | reads the contract: services, messages, enums, each with its comment |
//! | [`page`] | makes the page of it |

mod contract;
mod page;

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;

use crate::step::{self, Verdict};

/// Where the page is, from the root.
const PAGE: &str = "docs/api.md";

/// What is done.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write the page anew, instead of comparing it
    #[arg(long)]
    write: bool,
}

/// Checks the page, or writes it; returns whether all was good.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    if options.write {
        return step::run("api", || {
            std::fs::write(root.join(PAGE), page::of(&contract::read(root)?))?;
            Ok(Verdict::Good)
        });
    }
    step::run("api", || verdict(root))
}

/// Whether the page is what the contract says, and the contract says enough.
pub(crate) fn verdict(root: &Path) -> Result<Verdict> {
    let contract = contract::read(root)?;
    let mut findings = page::silent(&contract);
    let path = root.join(PAGE);
    let written = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    if written != page::of(&contract) {
        findings.push(format!("{PAGE} is not what proto/ says: cargo xtask api --write"));
    }
    Ok(if findings.is_empty() { Verdict::Good } else { Verdict::Bad(findings.join("\n")) })
}
