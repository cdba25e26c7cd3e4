//! `isogrid disk inspect|verify|repair`: what is in a node's data folder, whether it is sound, and what a start would do about
//! what is not. Works without a node; only `repair` needs it to be stopped.

mod inspect;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use isogrid_core::{Error, ErrorCode};
use isogrid_wal::WalError;

use crate::exit::{CommandResult, Failure, wrong_argument};
use crate::output::Format;

/// What to do with a data folder.
#[derive(Debug, Subcommand)]
pub(crate) enum DiskCommand {
    /// List what is there: segments of the log, records, entries, snapshots
    Inspect(inspect::InspectArgs),
    /// Check every byte, and say what is damaged
    Verify(FolderArgs),
    /// Do what a start does about an end that was torn and files left over, and say what only another copy can mend
    Repair(verify::RepairArgs),
}

/// Whose data.
#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// The node's data folder (node.data_dir), or `data` within it
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl FolderArgs {
    /// The folder with the log and the snapshots.
    fn data(&self) -> Result<PathBuf, Failure> {
        let inner = self.folder.join("data");
        let data = if inner.is_dir() { inner } else { self.folder.clone() };
        if data.join("log").is_dir() {
            return Ok(data);
        }
        let folder = self.folder.display();
        Err(wrong_argument(format!(
            "{folder} holds no data of a node: there is no data/log in it (node.data_dir of its configuration says where they are)"
        )))
    }
}

pub(crate) fn run(command: DiskCommand, format: Format) -> CommandResult {
    match command {
        DiskCommand::Inspect(args) => inspect::run(&args, format),
        DiskCommand::Verify(args) => verify::run(&args, format),
        DiskCommand::Repair(args) => verify::repair(&args, format),
    }
}

fn unusable(folder: &std::path::Path, why: &WalError) -> Failure {
    Error::new(ErrorCode::DataDirUnusable, format!("{}: {why}", folder.display())).into()
}
