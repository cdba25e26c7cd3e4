//! `isogrid map info MAP`: one map.

use clap::Args;
use isogrid_client::Grid;

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print, print_json, tell};
use crate::text::{size, thousands};

use super::ls::{limit, object};

/// Which map.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The map
    map: String,
}

pub(super) async fn run(grid: &Grid, args: &InfoArgs, format: Format) -> CommandResult {
    let Some(map) = grid.map_info(&args.map).await? else {
        tell(format!("no map {:?}", args.map));
        return Ok(Exit::Failed);
    };
    if format == Format::Json {
        print_json(&object(&map))?;
        return Ok(Exit::Ok);
    }
    let each = map.bytes.checked_div(map.entries).unwrap_or(0);
    print(&format!(
        "map          {}\nentries      {}\nbytes        {} ({} per entry)\neviction     {}\nentries_max  {}\n\
         bytes_max    {}\n",
        map.name,
        thousands(map.entries),
        size(map.bytes),
        size(each),
        map.eviction,
        limit(map.entries_max, thousands),
        limit(map.bytes_max, size),
    ))?;
    Ok(Exit::Ok)
}
