//! The project's chores: `cargo xtask verify` checks everything and writes nothing, `cargo xtask fix` writes.
//!
//! | module | what it does |
//! |---|---|
//! | [`verify`] | every check, one line each |
//! | [`fix`] | formats, and mends what clippy can mend |
//! | [`tidy`] | the rules of the house that no ready-made tool knows |
//! | [`chart`] | the Helm chart: rendered, compared, held against schemas and the documentation |
//! | [`api`] | docs/api.md, from the contract in proto/ |
//! | [`bench_peers`] | redis and Isogrid side by side: a table of ratios |
//! | [`observe`] | a real Prometheus, a real cluster, and whether dashboards and alerts say what is so |
//! | [`step`] | runs one step and prints its line |

#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

mod api;
mod bench_peers;
mod chart;
mod fix;
mod observe;
mod step;
mod tidy;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check everything: format, clippy, documentation, tidy rules, dependencies. Writes nothing.
    Verify,
    /// Format, and mend what clippy can mend.
    Fix,
    /// Check the tidy rules alone: a second instead of minutes.
    Tidy,
    /// Check the Helm chart, or write what is rendered from it.
    Chart(chart::Options),
    /// Check docs/api.md against the contract in proto/, or write it.
    Api(api::Options),
    /// Measure redis and Isogrid side by side on this machine, and print a table of ratios.
    BenchPeers(bench_peers::Options),
    /// Let a Prometheus read a cluster through load and failures, and check every panel and alert. Needs a built binary.
    Observe(observe::Options),
}

fn main() -> Result<ExitCode> {
    let root = workspace_root()?;
    let all_good = match Arguments::parse().chore {
        Chore::Verify => verify::run(&root)?,
        Chore::Fix => fix::run(&root)?,
        Chore::Tidy => tidy::run(&root)?,
        Chore::Chart(options) => chart::run(&root, &options)?,
        Chore::Api(options) => api::run(&root, &options)?,
        Chore::BenchPeers(options) => bench_peers::run(&root, &options)?,
        Chore::Observe(options) => observe::run(&root, &options)?,
    };
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn workspace_root() -> Result<PathBuf> {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
    let root = PathBuf::from(own).join("..");
    root.canonicalize().with_context(|| format!("no workspace at {}", root.display()))
}
