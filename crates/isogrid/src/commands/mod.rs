//! The commands, one per file. [`run`] hands the command line to the one it names.

pub(crate) mod apply;
pub(crate) mod bench;
pub(crate) mod clients;
pub(crate) mod cluster;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod dev;
pub(crate) mod disk;
pub(crate) mod doctor;
pub(crate) mod error;
pub(crate) mod map;
pub(crate) mod probe;
mod settings;
pub(crate) mod sim;
pub(crate) mod slowlog;
#[cfg(feature = "sql")]
pub(crate) mod sql;
pub(crate) mod start;
pub(crate) mod status;
mod stop;
pub(crate) mod support;
pub(crate) mod top;
pub(crate) mod trace;

use crate::cli::{Cli, Command};
use crate::exit::CommandResult;

/// Runs the command that the command line names.
pub(crate) fn run(cli: Cli) -> CommandResult {
    let global = cli.global;
    match cli.command {
        Command::Start(args) => start::run(&args, global.output),
        Command::Dev(args) => dev::run(&args, global.output),
        Command::Map(command) => map::run(command, &global),
        Command::Apply(args) => apply::run(&args, &global),
        Command::Probe(args) => probe::run(&args, global.output),
        Command::Status(args) => status::run(&args, &global),
        Command::Cluster(command) => cluster::run(command, &global),
        Command::Clients(command) => clients::run(command, &global),
        Command::Top(args) => top::run(&args, &global),
        Command::Support(command) => support::run(&command, &global),
        Command::Doctor(args) => doctor::run(&args, &global),
        Command::Slowlog(command) => slowlog::run(&command, &global),
        Command::Trace(args) => trace::run(&args, &global),
        Command::Disk(command) => disk::run(command, global.output),
        Command::Config(command) => config::run(command, global.output),
        Command::Bench(command) => bench::run(command, &global),
        Command::Sim(args) => sim::run(&args, global.output),
        #[cfg(feature = "sql")]
        Command::Sql(args) => sql::run(&args, &global),
        Command::Error(args) => error::run(&args, global.output),
        Command::Completion(args) => completion::run(&args),
    }
}
