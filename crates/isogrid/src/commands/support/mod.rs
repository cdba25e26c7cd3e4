//! `isogrid support`: everything that somebody needs who is to help, in one file, without secrets.
//!
//! | module | what lives there |
//! |---|---|
//! | [`bundle`] | the command |
//! | [`gather`] | what goes in, from the cluster and this machine |
//! | [`redact`] | what must not |
//! | [`http`] | one question over HTTP |

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
    Bundle(bundle::BundleArgs),
}

pub(crate) fn run(command: &SupportCommand, global: &Global) -> CommandResult {
    match command {
        SupportCommand::Bundle(args) => bundle::run(args, global),
    }
}
