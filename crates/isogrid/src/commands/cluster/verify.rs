//! `isogrid cluster verify`: reads every byte of a backup and of those it builds on, without a cluster.

use clap::Args;
use isogrid_backup::verify::verify;
use serde_json::json;

use super::place::{StoreArgs, backup_or_newest};
use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print, print_json};
use crate::text::{size, thousands};

/// Which backup.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Where the backups are: a folder, or s3://BUCKET[/PREFIX]
    #[arg(long, value_name = "PLACE")]
    from: String,

    /// Which one; without it, the newest
    #[arg(long, value_name = "ID")]
    backup: Option<String>,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) async fn run(args: &VerifyArgs, format: Format) -> CommandResult {
    let place = args.store.open(&args.from, false)?;
    let id = backup_or_newest(&place, args.backup.as_deref()).await?;
    let verified = verify(&place, &id).await?;
    let faults: Vec<String> = verified.faults.iter().map(ToString::to_string).collect();
    match format {
        Format::Json => print_json(&json!({
            "backup": id,
            "sound": faults.is_empty(),
            "chain": verified.backups,
            "objects": verified.objects,
            "bytes": verified.bytes,
            "records": verified.records,
            "faults": faults,
        }))?,
        Format::Table if faults.is_empty() => print(&format!(
            "{id} is sound: {} records, {} objects, {}, backups {}\n",
            thousands(verified.records),
            thousands(verified.objects),
            size(verified.bytes),
            verified.backups.join(" ")
        ))?,
        Format::Table => print(&format!("{id} is damaged:\n  {}\n", faults.join("\n  ")))?,
    }
    Ok(if faults.is_empty() { Exit::Ok } else { Exit::Failed })
}
