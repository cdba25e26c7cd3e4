//! Maps as statements make, change and show them: by the same way as operators do.

use isogrid_cluster::council::MapRecord;
use isogrid_core::{Error, ErrorCode, MapIndex, MapSchema, Result};
use isogrid_proto::pb;
use isogrid_query::{IndexStanding, MapDefinition};

use crate::config::kind::{Kind, Raw};
use crate::grpc::admin::{described, described_index, described_schema, list, put};
use crate::node::Shared;

const KNOWN: &str = "backups, acknowledge, min_in_sync, read, read_lag_ms_max, durability, eviction, entries_max, bytes_max and require_pruned";

/// A map as a statement shows it.
pub(crate) fn of(name: &str, map: &MapRecord, copies: usize) -> MapDefinition {
    let status = described(name, map, copies);
    let number =
        |name: &str, value: u64| (value != 0).then(|| (name.to_owned(), value.to_string()));
    let word = |name: &str, value: String| Some((name.to_owned(), value));
    let settings = [
        word("backups", status.backups.to_string()),
        word("acknowledge", status.acknowledge),
        word("min_in_sync", status.min_in_sync.to_string()),
        word("read", status.read),
        number("read_lag_ms_max", status.read_lag_ms_max),
        word("durability", status.durability),
        word("eviction", status.eviction),
        number("entries_max", status.entries_max),
        number("bytes_max", status.bytes_max),
        status.require_pruned.then(|| ("require_pruned".to_owned(), "true".to_owned())),
    ];
    MapDefinition {
        schema: map.schema.clone(),
        settings: settings.into_iter().flatten().collect(),
        indexes: map.settings.indexes.clone(),
    }
}

/// Makes a map. Says whether there was none of this name.
pub(crate) async fn create(
    shared: &Shared,
    name: &str,
    schema: Option<MapSchema>,
    settings: &[(String, String)],
) -> Result<bool> {
    if shared.control.find_map(name).await?.is_some() {
        return Ok(false);
    }
    let schema = schema.as_ref().map(described_schema);
    put_map(shared, name, pb::MapChange { schema, ..change_of(settings)? }, "new").await?;
    Ok(true)
}

/// Gives a map these columns, if any are said, and changes these settings.
pub(crate) async fn change(
    shared: &Shared,
    name: &str,
    schema: Option<MapSchema>,
    settings: &[(String, String)],
) -> Result<()> {
    let schema = schema.as_ref().map(described_schema);
    put_map(shared, name, pb::MapChange { schema, ..change_of(settings)? }, "existing").await
}

/// Gives a map these indexes, and no others.
pub(crate) async fn set_indexes(shared: &Shared, name: &str, indexes: &[MapIndex]) -> Result<()> {
    let indexes = indexes.iter().map(described_index).collect();
    let indexes = Some(pb::MapIndexes { indexes });
    put_map(shared, name, pb::MapChange { indexes, ..pb::MapChange::default() }, "existing").await
}

/// How the indexes of a map stand on all nodes together.
pub(crate) async fn index_standings(shared: &Shared, name: &str) -> Result<Vec<IndexStanding>> {
    let request = pb::ListMapsRequest { map: name.to_owned(), all: true };
    let maps = list(shared, &request).await?.maps;
    let standing = |status: pb::MapIndexStatus| IndexStanding {
        name: status.index.map(|index| index.name).unwrap_or_default(),
        entries: status.entries,
        bytes: status.bytes,
        built: (status.built, status.records),
    };
    Ok(maps.into_iter().flat_map(|map| map.indexes).map(standing).collect())
}

async fn put_map(shared: &Shared, name: &str, change: pb::MapChange, expect: &str) -> Result<()> {
    let (name, expect) = (name.to_owned(), expect.to_owned());
    let request = pb::PutMapRequest { name, change: Some(change), expect, dry_run: false };
    put(shared, &request).await.map(drop)
}

/// What these settings say.
fn change_of(settings: &[(String, String)]) -> Result<pb::MapChange> {
    let mut change = pb::MapChange::default();
    for (name, value) in settings {
        let text = || Some(value.clone());
        match name.as_str() {
            "backups" => change.backups = Some(small(name, value)?),
            "acknowledge" => change.acknowledge = text(),
            "min_in_sync" => change.min_in_sync = Some(small(name, value)?),
            "read" => change.read = text(),
            "read_lag_ms_max" => change.read_lag_ms_max = Some(number(name, value)?),
            "durability" => change.durability = text(),
            "eviction" => change.eviction = text(),
            "entries_max" => change.entries_max = Some(number(name, value)?),
            "bytes_max" => change.bytes_max = Some(bytes(name, value)?),
            "require_pruned" => change.require_pruned = Some(flag(name, value)?),
            _ => return Err(wrong(format!("no setting {name:?}; known are {KNOWN}"))),
        }
    }
    Ok(change)
}

fn number(name: &str, value: &str) -> Result<u64> {
    value.parse().map_err(|_| wrong(format!("{name} = {value:?}; it is a whole number")))
}

fn small(name: &str, value: &str) -> Result<u32> {
    number(name, value).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn bytes(name: &str, value: &str) -> Result<u64> {
    let kind = Kind::Bytes { min: 0, max: i64::MAX as u64 };
    let number = kind.read(&Raw::Text(value.to_owned())).and_then(|value| value.as_integer());
    let number = number.and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| wrong(format!("{name} = {value:?}; it is {}", kind.allowed())))
}

fn flag(name: &str, value: &str) -> Result<bool> {
    let flag = Kind::Flag.read(&Raw::Text(value.to_owned())).and_then(|value| value.as_bool());
    flag.ok_or_else(|| wrong(format!("{name} = {value:?}; it is {}", Kind::Flag.allowed())))
}

fn wrong(why: String) -> Error {
    Error::new(ErrorCode::ArgumentInvalid, why)
}
