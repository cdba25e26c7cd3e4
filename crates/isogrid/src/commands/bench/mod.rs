//! `isogrid bench`: measure a running node.
//!
//! | module | what it does |
//! |---|---|
//! | [`kv`] | gets and puts: its options and its course |
//! | [`plan`] | what is to be measured, and the value all writes share |
//! | [`keys`] | random keys without allocation |
//! | [`fill`] | writes all keys before reads are measured |
//! | [`load`] | one call: a get, a put, or a batch of them |
//! | [`closed`], [`open`] | the callers: as fast as replies come, or on schedule |
//! | [`clock`] | the time, cheaply |
//! | [`tally`] | what a thread has seen |
//! | [`report`] | the figures, as JSON or for people |
//! | `sql` | a statement, asked again and again |
//! | [`cpu`] | the processor time of this process |

mod clock;
mod closed;
mod cpu;
mod fill;
mod keys;
mod kv;
mod load;
mod open;
mod plan;
mod report;
#[cfg(feature = "sql")]
mod sql;
mod tally;

use clap::Subcommand;

use crate::cli::Global;
use crate::exit::CommandResult;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Gets and puts of one map
    Kv(kv::KvArgs),
    /// How long a statement of SQL takes
    #[cfg(feature = "sql")]
    Sql(sql::BenchSqlArgs),
}

pub(crate) fn run(command: BenchCommand, global: &Global) -> CommandResult {
    match command {
        BenchCommand::Kv(args) => kv::run(&args, global),
        #[cfg(feature = "sql")]
        BenchCommand::Sql(args) => sql::run(&args, global),
    }
}
