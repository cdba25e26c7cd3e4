//! `isogrid map del MAP KEY…`: remove keys.

use clap::Args;
use isogrid_client::{Delete, Grid};
use isogrid_core::Version;
use serde_json::json;

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print_json, tell};

use super::byte_map;

/// Which keys, and when.
#[derive(Debug, Args)]
pub(crate) struct DelArgs {
    /// The map
    map: String,

    /// The keys
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,

    /// Only if the entry has this version; for one key
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
}

pub(super) async fn run(grid: &Grid, args: &DelArgs, format: Format) -> CommandResult {
    let map = byte_map(grid, &args.map);
    let mut deleted = 0;
    for key in &args.keys {
        let gone = match args.if_version {
            None => map.delete(key.as_bytes()).await?,
            Some(version) => {
                let delete = map.delete(key.as_bytes()).if_version(Version(version));
                match delete.await? {
                    Delete::Deleted(_) => true,
                    Delete::Missing => false,
                    Delete::Conflict(current) => {
                        tell(format!("not removed: {key:?} has version {}", current.version));
                        continue;
                    }
                }
            }
        };
        if gone {
            deleted += 1;
        } else {
            tell(format!("no {key:?} in map {:?}", args.map));
        }
    }
    if format == Format::Json {
        print_json(&json!({ "deleted": deleted, "keys": args.keys.len() }))?;
    }
    Ok(match deleted {
        0 => Exit::Failed,
        all if all == args.keys.len() => Exit::Ok,
        _ => Exit::Partial,
    })
}
