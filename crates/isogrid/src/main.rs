//! The binary `isogrid`: a node, a local cluster for development, and every tool to look at them and work with them.
//!
//! | module | what it does |
//! |---|---|
//! | [`cli`] | the tree of commands, and the options all have |
//! | [`commands`] | one file per command |
//! | [`connect`] | from `--endpoint` to a connected grid |
//! | [`exit`] | exit codes and failures |
//! | [`output`], [`text`] | tables, JSON, and bytes made safe to show |
//! | [`duration`] | `10s`, `5m` |
//! | [`keys`] | what is typed on a terminal that is drawn on |
//! | [`progress`] | bars on a terminal |
//!
//! docs/cli.md shows every command with its output.

mod cli;
mod commands;
mod connect;
mod duration;
mod exit;
mod keys;
mod output;
mod progress;
mod text;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::output::tell;

/// Measured to serve the many small allocations of connections and batches better than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if let Some(text) = failure.text() {
                tell(text);
            }
            failure.exit().into()
        }
    }
}
