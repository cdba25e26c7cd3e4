//! `cargo xtask verify`: every check the project has, one line each. It writes nothing but build output.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::step::{self, Verdict, cargo, verdict_of};
use crate::{api, chart, tidy};

/// Runs all steps, also after one failed, and returns whether all were good.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut all_good = true;
    all_good &= step::run("fmt", || verdict_of(&mut cargo(root, &["fmt", "--all", "--check"])))?;
    all_good &= step::run("tidy", || tidy::verdict(root))?;
    all_good &= step::run("api", || api::verdict(root))?;
    all_good &= step::run("chart", || chart::verdict(root))?;
    all_good &= step::run("alerts", || chart::fire(root))?;
    all_good &= step::run("clippy", || verdict_of(&mut clippy(root)))?;
    all_good &= step::run("without SQL", || verdict_of(&mut without_sql(root)))?;
    all_good &= step::run("doc", || verdict_of(&mut doc(root)))?;
    all_good &= step::run("deny", || deny(root))?;
    all_good &= step::run("advisories", || advisories(root))?;
    Ok(all_good)
}

fn clippy(root: &Path) -> Command {
    let mut command = cargo(root, &["clippy", "--workspace", "--all-targets", "--all-features"]);
    command.args(["--locked", "--", "--deny", "warnings"]);
    command
}

/// The binary must also build without what most of a build is for.
fn without_sql(root: &Path) -> Command {
    let mut command = cargo(root, &["check", "--package", "isogrid", "--no-default-features"]);
    command.arg("--locked");
    command
}

fn doc(root: &Path) -> Command {
    let mut command = cargo(root, &["doc", "--workspace", "--all-features", "--no-deps"]);
    command.arg("--locked").env("RUSTDOCFLAGS", "--deny warnings");
    command
}

/// Licences, bans and sources need nothing but the crates themselves.
fn deny(root: &Path) -> Result<Verdict> {
    if !has_cargo_deny() {
        return Ok(Verdict::Skipped("cargo-deny is not installed".into()));
    }
    verdict_of(&mut cargo_deny(root, &["check", "licenses", "bans", "sources"]))
}

/// Advisories need a database, which not every machine can fetch.
fn advisories(root: &Path) -> Result<Verdict> {
    if !has_cargo_deny() {
        return Ok(Verdict::Skipped("cargo-deny is not installed".into()));
    }
    match verdict_of(&mut cargo_deny(root, &["fetch", "db"]))? {
        Verdict::Good => verdict_of(&mut cargo_deny(root, &["check", "advisories"])),
        _ => Ok(Verdict::Skipped("the advisory database cannot be fetched".into())),
    }
}

fn has_cargo_deny() -> bool {
    Command::new("cargo-deny").arg("--version").output().is_ok_and(|output| output.status.success())
}

fn cargo_deny(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo-deny");
    command.current_dir(root).args(["--all-features", "--log-level", "warn"]).args(arguments);
    command
}
