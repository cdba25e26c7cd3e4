//! `isogrid map clear MAP --yes`: remove all entries of a map.

use clap::Args;
use isogrid_client::Grid;
use serde_json::json;

use crate::exit::{CommandResult, Exit, wrong_argument};
use crate::output::{Format, print_json, tell};
use crate::text::thousands;

use super::byte_map;

/// Which map.
#[derive(Debug, Args)]
pub(crate) struct ClearArgs {
    /// The map
    map: String,

    /// Yes, remove them
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(grid: &Grid, args: &ClearArgs, format: Format) -> CommandResult {
    let map = byte_map(grid, &args.map);
    if !args.yes {
        let entries = thousands(map.len().await?);
        let detail =
            format!("this would remove all {entries} entries of map {:?}; say --yes", args.map);
        return Err(wrong_argument(detail));
    }
    let removed = map.clear().await?;
    if format == Format::Json {
        print_json(&json!({ "removed": removed }))?;
    } else {
        tell(format!("removed {} entries", thousands(removed)));
    }
    Ok(Exit::Ok)
}
