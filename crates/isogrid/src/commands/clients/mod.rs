//! `isogrid clients`: who is connected to the nodes, and how to end a connection.

mod kill;
mod ls;

use clap::Subcommand;

use crate::cli::Global;
use crate::connect::with_operator;
use crate::exit::CommandResult;

/// What to do with clients.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientsCommand {
    /// List who is connected, through all doors
    Ls(ls::LsArgs),
    /// End connections; a client that tries again comes back
    Kill(kill::KillArgs),
}

pub(crate) fn run(command: ClientsCommand, global: &Global) -> CommandResult {
    let format = global.output;
    with_operator(global, async |operator| match command {
        ClientsCommand::Ls(args) => ls::run(&operator, &args, format).await,
        ClientsCommand::Kill(args) => kill::run(&operator, &args, format).await,
    })
}
