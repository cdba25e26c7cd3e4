//! The tree of commands, and the options all have.

use clap::{Args, Parser, Subcommand};

use crate::commands::apply::ApplyArgs;
use crate::commands::bench::BenchCommand;
use crate::commands::clients::ClientsCommand;
use crate::commands::cluster::ClusterCommand;
use crate::commands::completion::CompletionArgs;
use crate::commands::config::ConfigCommand;
use crate::commands::dev::DevArgs;
use crate::commands::disk::DiskCommand;
use crate::commands::doctor::DoctorArgs;
use crate::commands::error::ErrorArgs;
use crate::commands::map::MapCommand;
use crate::commands::probe::ProbeArgs;
use crate::commands::sim::SimArgs;
use crate::commands::slowlog::SlowlogCommand;
#[cfg(feature = "sql")]
use crate::commands::sql::SqlArgs;
use crate::commands::start::StartArgs;
use crate::commands::status::StatusArgs;
use crate::commands::support::SupportCommand;
use crate::commands::top::TopArgs;
use crate::commands::trace::TraceArgs;
use crate::output::Format;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, or there is no such key, map or entry
  2  the command line or the configuration is wrong: nothing was tried
  3  no node answers, or it is not ready
  4  some of it was done, some failed
  5  it may or may not have been done
  6  the simulation found a violation

Data goes to standard output, prose to standard error. `isogrid error IG-nnnn` explains an error.";

/// An in-memory data grid: run a node, look at it, work with its maps.
#[derive(Debug, Parser)]
#[command(name = "isogrid", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    /// The options all commands have.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The options all commands have.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The node to talk to
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "ISOGRID_ENDPOINT",
        default_value = "127.0.0.1:7700",
        help_heading = "Everywhere"
    )]
    pub(crate) endpoint: String,

    /// How data is printed
    #[arg(
        short = 'o',
        long = "output",
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t = Format::Table,
        help_heading = "Everywhere"
    )]
    pub(crate) output: Format,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node until it is told to stop (SIGTERM or Ctrl-C)
    Start(StartArgs),
    /// Run a local cluster for development, and print how to connect to it
    Dev(DevArgs),
    /// Read and write maps, and manage them
    #[command(subcommand)]
    Map(MapCommand),
    /// Create and alter maps as a file says
    Apply(ApplyArgs),
    /// Show the members of the cluster and how they are
    Status(StatusArgs),
    /// Ask a node whether it lives, is ready, has started, may be restarted, or is back
    Probe(ProbeArgs),
    /// Look at the cluster, and say what is wanted of its nodes
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Show who is connected, and end connections
    #[command(subcommand)]
    Clients(ClientsCommand),
    /// Watch the members, their load, what moves and which keys are hot
    Top(TopArgs),
    /// Look for what is wrong with this machine and the cluster, and say what to do
    Doctor(Box<DoctorArgs>),
    /// Gather what somebody needs who is to help
    #[command(subcommand)]
    Support(SupportCommand),
    /// Show the operations that took long
    #[command(subcommand)]
    Slowlog(SlowlogCommand),
    /// Show where a key lives, and time the way there
    Trace(TraceArgs),
    /// Ask for rows of maps with a statement of SQL
    #[cfg(feature = "sql")]
    Sql(SqlArgs),
    /// Look at a node's data on disk, without the node
    #[command(subcommand)]
    Disk(DiskCommand),
    /// Look at the configuration without starting anything
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Measure a running node
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Try to break a cluster in virtual time: the same seed always does the same
    Sim(Box<SimArgs>),
    /// Explain an error code, or list all
    Error(ErrorArgs),
    /// Print the completion script of a shell
    Completion(CompletionArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_both_global_options() {
        for command in [&["isogrid", "status"] as &[&str], &["isogrid", "map", "ls"]] {
            let mut arguments = command.to_vec();
            arguments.extend(["-o", "json", "--endpoint", "h:1"]);
            let cli = Cli::try_parse_from(arguments).expect("global options go anywhere");
            assert_eq!((cli.global.output, cli.global.endpoint.as_str()), (Format::Json, "h:1"));
        }
    }
}
