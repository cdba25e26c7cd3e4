//! `isogrid support`: everything that somebody needs who is to help, in one file, without secrets.
//!
//! | module | what lives there |
//! |---|---|
//! | [`bundle`] | the command that writes it |
//! | [`analyze`] | the command that reads it |
//! | [`gather`] | what goes in, from the cluster and this machine |
//! | [`redact`] | what must not |
//! | [`http`] | one question over HTTP |

mod analyze;
mod bundle;
mod gather;
mod http;
mod redact;

use clap::Subcommand;

use crate::cli::Global;
use crate::exit::CommandResult;

/// What to do for somebody who is to help.
#[derive(Debug, Subcommand)]
pub(crate) enum SupportCommand {
    /// Gather status, configuration, figures, slow operations and findings into one .tar.gz, without secrets
    Bundle(Box<bundle::BundleArgs>),
    /// Read such a file and say what it found: the state of the cluster then, and the findings of doctor
    Analyze(analyze::AnalyzeArgs),
}

pub(crate) fn run(command: &SupportCommand, global: &Global) -> CommandResult {
    match command {
        SupportCommand::Bundle(args) => bundle::run(args, global),
        SupportCommand::Analyze(args) => analyze::run(args, global.output),
    }
}
