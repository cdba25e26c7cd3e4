//! `cargo xtask fix`: the counterpart of verify that writes.

use std::path::Path;

use anyhow::Result;

use crate::step::{self, cargo, verdict_of};

/// Mends what clippy can mend, then formats; returns whether both worked.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut clippy = cargo(root, &["clippy", "--workspace", "--all-targets", "--all-features"]);
    clippy.args(["--fix", "--allow-dirty", "--allow-staged"]);
    let mended = step::run("clippy --fix", || verdict_of(&mut clippy))?;
    let formatted = step::run("fmt", || verdict_of(&mut cargo(root, &["fmt", "--all"])))?;
    Ok(mended && formatted)
}
