//! `isogrid map ls`: the maps with their sizes and settings.

use isogrid_client::{Grid, MapInfo};
use serde_json::{Value, json};

use crate::exit::CommandResult;
use crate::exit::Exit;
use crate::output::{Format, print_json, print_table, table};
use crate::text::{size, thousands};

pub(super) async fn run(grid: &Grid, format: Format) -> CommandResult {
    let maps = grid.maps().await?;
    if format == Format::Json {
        print_json(&maps.iter().map(object).collect::<Vec<Value>>())?;
        return Ok(Exit::Ok);
    }
    let mut rows = table(&["map", "entries", "bytes", "eviction", "entries_max", "bytes_max"]);
    for map in &maps {
        rows.add_row([
            map.name.clone(),
            thousands(map.entries),
            size(map.bytes),
            map.eviction.clone(),
            limit(map.entries_max, thousands),
            limit(map.bytes_max, size),
        ]);
    }
    print_table(&rows)?;
    Ok(Exit::Ok)
}

/// A limit for people; zero is none.
pub(super) fn limit(limit: u64, show: impl Fn(u64) -> String) -> String {
    if limit == 0 { "-".into() } else { show(limit) }
}

/// A map as JSON.
pub(super) fn object(map: &MapInfo) -> Value {
    json!({
        "name": map.name,
        "entries": map.entries,
        "bytes": map.bytes,
        "eviction": map.eviction,
        "entries_max": map.entries_max,
        "bytes_max": map.bytes_max,
    })
}
