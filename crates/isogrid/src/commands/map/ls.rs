//! `isogrid map ls`: the maps with their sizes and settings.

use isogrid_client::{IndexInfo, MapInfo, Operator};
use isogrid_core::MapColumn;
use serde_json::{Value, json};

use crate::exit::CommandResult;
use crate::exit::Exit;
use crate::output::{Format, print_json, print_within, tell};
use crate::text::{size, thousands};

use super::change::{settings_of, shown};

/// The columns, and those that are left out where a terminal is too narrow.
const COLUMNS: [&str; 10] = [
    "map",
    "entries",
    "bytes",
    "backups",
    "acknowledge",
    "read",
    "durability",
    "eviction",
    "entries_max",
    "bytes_max",
];
const LEFT_OUT: [&str; 5] = ["read", "acknowledge", "eviction", "entries_max", "bytes_max"];

pub(super) async fn run(operator: &Operator, format: Format) -> CommandResult {
    let list = operator.maps().await?;
    if !list.missing.is_empty() {
        tell(format!("not counted: what {} lead", list.missing.join(", ")));
    }
    if format == Format::Json {
        print_json(&list.maps.iter().map(object).collect::<Vec<Value>>())?;
        return Ok(Exit::Ok);
    }
    let mut rows = Vec::new();
    for map in &list.maps {
        let limits = settings_of(map)
            .into_iter()
            .filter(|(name, _)| matches!(*name, "entries_max" | "bytes_max"));
        let mut row = vec![
            map.name.clone(),
            thousands(map.entries),
            size(map.bytes),
            map.backups.to_string(),
            map.acknowledge.clone(),
            map.read.clone(),
            map.durability.clone(),
            map.eviction.clone(),
        ];
        row.extend(limits.map(|(name, value)| shown(name, &value)));
        rows.push(row);
    }
    print_within(&COLUMNS, &rows, &LEFT_OUT)?;
    Ok(Exit::Ok)
}

/// A map as JSON.
pub(crate) fn object(map: &MapInfo) -> Value {
    let mut object = json!({
        "name": map.name,
        "id": map.id,
        "entries": map.entries,
        "bytes": map.bytes,
    });
    if let Value::Object(object) = &mut object {
        object.extend(settings_of(map).map(|(name, value)| (name.to_owned(), value)));
        if let Some(schema) = &map.schema {
            let column = |one: &MapColumn| json!({"name": one.name, "type": one.holds.name()});
            object.insert("columns".into(), schema.columns.iter().map(column).collect());
            object.insert("partition_by".into(), json!(schema.partition_by));
        }
        if !map.indexes.is_empty() {
            let name = |one: &IndexInfo| json!(one.index.name);
            object.insert("indexes".into(), map.indexes.iter().map(name).collect());
        }
    }
    object
}
