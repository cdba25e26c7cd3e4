//! `isogrid map rename-key MAP FROM TO`: move a record to another key of the same partition.

use clap::Args;
use isogrid_client::{Grid, Rename};
use isogrid_core::Version;
use serde_json::json;

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print_json, tell};

use super::byte_map;

/// From where to where, and when.
#[derive(Debug, Args)]
pub(crate) struct RenameKeyArgs {
    /// The map
    map: String,

    /// The key that has the record
    from: String,

    /// The key that gets it, with the same tag in braces: {user:7}:draft, {user:7}:final
    to: String,

    /// Only if there is nothing at the new key
    #[arg(long)]
    if_absent: bool,
}

pub(super) async fn run(grid: &Grid, args: &RenameKeyArgs, format: Format) -> CommandResult {
    let map = byte_map(grid, &args.map);
    let rename = map.rename(args.from.as_bytes(), args.to.as_bytes());
    let renamed = if args.if_absent {
        rename.if_absent().await?
    } else {
        rename.await?.map_or(Rename::Missing, Rename::Renamed)
    };
    let (version, text): (Option<Version>, String) = match &renamed {
        Rename::Renamed(version) => (Some(*version), format!("renamed, version {version}")),
        Rename::Missing => (None, format!("not renamed: no {:?} in map {:?}", args.from, args.map)),
        Rename::Conflict(there) => {
            let version = there.version;
            let text = format!("not renamed: {:?} is there with version {version}", args.to);
            (Some(version), text)
        }
    };
    match format {
        Format::Json => {
            let object =
                json!({ "renamed": renamed.is_renamed(), "version": version.map(|v| v.0) });
            print_json(&object)?;
        }
        Format::Table => tell(text),
    }
    Ok(if renamed.is_renamed() { Exit::Ok } else { Exit::Failed })
}
