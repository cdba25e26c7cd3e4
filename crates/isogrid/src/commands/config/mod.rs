//! `isogrid config`: look at the configuration without starting anything.

mod explain;
mod print_default;
mod reference;
mod validate;

use clap::Subcommand;

use crate::exit::CommandResult;
use crate::output::Format;

use super::settings::SettingArgs;

pub(crate) use explain::origins;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every key with its explanation and default, as a file to start from
    PrintDefault,
    /// Print the tables of all keys as Markdown, as docs/configuration.md has them
    Reference,
    /// Check a configuration and list everything that is wrong with it
    Validate(SettingArgs),
    /// Show a value and where it comes from; without a key, all of them
    Explain(explain::ExplainArgs),
}

pub(crate) fn run(command: ConfigCommand, format: Format) -> CommandResult {
    match command {
        ConfigCommand::PrintDefault => print_default::run(format),
        ConfigCommand::Reference => reference::run(format),
        ConfigCommand::Validate(args) => validate::run(&args, format),
        ConfigCommand::Explain(args) => explain::run(&args, format),
    }
}
