//! `isogrid disk verify` and `repair`.

use std::path::Path;

use clap::Args;
use isogrid_core::{Error, ErrorCode};
use isogrid_wal::{LogSettings, OsDisk, Remark, Verified};
use serde_json::{Value, json};

use super::{FolderArgs, unusable};
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print, print_json, tell};
use crate::text::thousands;

/// What to repair.
#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    folder: FolderArgs,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Checks everything; the exit code is 1 when something is damaged.
pub(super) fn run(args: &FolderArgs, format: Format) -> CommandResult {
    let verified = look(&args.data()?)?;
    show(&verified, format)?;
    Ok(if verified.damages.is_empty() { Exit::Ok } else { Exit::Failed })
}

pub(super) fn repair(args: &RepairArgs, format: Format) -> CommandResult {
    let folder = args.folder.data()?;
    // The lock is taken for a dry run too: what a running node writes looks like a torn end.
    let disk = OsDisk::lock(&folder).map_err(|why| {
        Error::new(ErrorCode::DataDirUnusable, format!("{}: {why}", folder.display()))
    })?;
    let before = look(&folder)?;
    for remark in &before.remarks {
        tell(format!("{}{}", if args.dry_run { "would: " } else { "" }, what_is_done(remark)));
    }
    if !args.dry_run {
        isogrid_wal::open(&disk, before.storage, LogSettings::default())
            .map_err(|why| unusable(&folder, &why))?;
    }
    let after = if args.dry_run { before } else { look(&folder)? };
    show(&after, format)?;
    if after.damages.is_empty() {
        return Ok(Exit::Ok);
    }
    tell(
        "What is damaged comes back from another node's copy once this node runs. Without another copy, start the node: what is \
         sound of it counts as suspect, and isogrid status says of which partitions.",
    );
    Ok(Exit::Failed)
}

fn look(folder: &Path) -> Result<Verified, Failure> {
    isogrid_wal::verify(&OsDisk::look(folder)).map_err(|why| unusable(folder, &why))
}

fn what_is_done(remark: &Remark) -> String {
    match remark {
        Remark::TornTail { place, bytes } => {
            format!(
                "{bytes} bytes behind {place} are no part of the log: the last write did not get through"
            )
        }
        Remark::UnfinishedSegment { number } => {
            format!("segment {number} was being made and holds nothing: it is removed")
        }
        Remark::DamagedMark { place } => format!("a mark at {place} is damaged: it is not needed"),
        Remark::SnapshotSkipped { damage } => {
            format!("another snapshot is taken instead: {damage}")
        }
    }
}

fn show(verified: &Verified, format: Format) -> Result<(), Failure> {
    let is_damaged = |one: &&isogrid_wal::Recovered| one.damage.is_some();
    if format == Format::Json {
        let damages: Vec<Value> = verified
            .damages
            .iter()
            .map(|one| json!({ "file": one.file, "offset": one.offset, "why": one.why }))
            .collect();
        let partitions: Vec<u16> =
            verified.partitions.iter().filter(is_damaged).map(|one| one.partition.0).collect();
        return print_json(&json!({
            "storage": format!("{:032x}", verified.storage),
            "segments": verified.segments,
            "records": verified.records,
            "partitions": verified.partitions.len(),
            "damaged_partitions": partitions,
            "damages": damages,
        }));
    }
    let mut text = format!(
        "storage {:032x}: {} partitions, {} segments, {} records\n",
        verified.storage,
        verified.partitions.len(),
        verified.segments,
        thousands(verified.records)
    );
    for damage in &verified.damages {
        text.push_str(&format!("DAMAGED {damage}\n"));
    }
    for one in verified.partitions.iter().filter(is_damaged) {
        let left = if one.is_usable {
            format!("sound up to {}", one.last)
        } else {
            "nothing of it can be used".into()
        };
        text.push_str(&format!("partition {}: {left}\n", one.partition.0));
    }
    if verified.damages.is_empty() {
        text.push_str("every byte is what was written\n");
    }
    print(&text)
}
