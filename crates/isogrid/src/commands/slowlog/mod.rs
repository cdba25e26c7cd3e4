//! `isogrid slowlog`: the operations that took long, of all nodes.

mod ls;
mod show;
mod tail;

use clap::Subcommand;

use crate::cli::Global;
use crate::connect::in_runtime;
use crate::exit::CommandResult;

pub(crate) use show::object;

/// What to do with the slow operations.
#[derive(Debug, Subcommand)]
pub(crate) enum SlowlogCommand {
    /// List the newest slow operations of all nodes
    Ls(ls::LsArgs),
    /// Show slow operations as they come
    Tail(tail::TailArgs),
}

pub(crate) fn run(command: &SlowlogCommand, global: &Global) -> CommandResult {
    in_runtime(async || match command {
        SlowlogCommand::Ls(args) => ls::run(args, global).await,
        SlowlogCommand::Tail(args) => tail::run(args, global).await,
    })
}
