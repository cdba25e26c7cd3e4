//! A change of a map: what operators write, and what the council keeps.

use isogrid_cluster::council::{Acknowledge, Durability, MapMode, MapRecord, ReadMode};
use isogrid_core::{
    ColumnType, Error, ErrorCode, Eviction, IndexColumn, IndexKind, MapColumn, MapId, MapIndex,
    MapSchema, MapSettings, Result,
};
use isogrid_proto::pb;

/// How far a backup may be behind where nothing else is said, in milliseconds.
const READ_LAG_MS_DEFAULT: u64 = 1_000;

const EVICTIONS: [(&str, Eviction); 3] =
    [("none", Eviction::None), ("lru", Eviction::Lru), ("lfu", Eviction::Lfu)];
const ACKNOWLEDGES: [(&str, Acknowledge); 2] =
    [("sync", Acknowledge::Sync), ("async", Acknowledge::Async)];
const DURABILITIES: [(&str, Durability); 3] =
    [("memory", Durability::Memory), ("os", Durability::Os), ("fsync", Durability::Fsync)];

/// A map before anything is said of it.
pub(super) fn fresh(settings: MapSettings, durability: Durability) -> MapRecord {
    let mode = MapMode { durability, ..MapMode::default() };
    MapRecord { id: MapId(0), settings, mode, schema: None }
}

/// A map after a change: what the change does not say stays. `copies`: as many as the cluster makes by itself;
/// `durability_unset`: what is promised where nothing is said.
pub(super) fn changed(
    map: MapRecord,
    change: &pb::MapChange,
    (copies, durability_unset): (usize, Durability),
) -> Result<MapRecord> {
    let MapRecord { id, mut settings, mut mode, mut schema } = map;
    set(&mut settings.eviction, "eviction", change.eviction.as_deref(), &EVICTIONS)?;
    settings.entries_max = change.entries_max.unwrap_or(settings.entries_max);
    settings.bytes_max = change.bytes_max.unwrap_or(settings.bytes_max);
    set(&mut mode.acknowledge, "acknowledge", change.acknowledge.as_deref(), &ACKNOWLEDGES)?;
    set(&mut mode.durability, "durability", change.durability.as_deref(), &DURABILITIES)?;
    let is_in_memory = durability_unset == Durability::Memory;
    if is_in_memory && change.durability.is_some() && mode.durability != Durability::Memory {
        return Err(wrong(
            "durability: the node keeps its data in memory; only memory is possible without node.data_dir",
        ));
    }
    mode.read = read(mode.read, change)?;
    mode.require_pruned = change.require_pruned.unwrap_or(mode.require_pruned);
    if let Some(backups) = change.backups {
        let allowed = u8::try_from(backups).ok().filter(|count| *count <= MapMode::BACKUPS_MAX);
        let most = MapMode::BACKUPS_MAX;
        mode.backups =
            Some(allowed.ok_or_else(|| wrong(format!("backups {backups}; at most {most}")))?);
    }
    if let Some(least) = change.min_in_sync {
        mode.min_in_sync = u8::try_from(least).unwrap_or(u8::MAX);
    }
    let wanted = mode.copies(copies);
    if mode.min_in_sync == 0 || usize::from(mode.min_in_sync) > wanted {
        let least = mode.min_in_sync;
        return Err(wrong(format!(
            "min_in_sync {least}; at least 1, and at most its {wanted} copies"
        )));
    }
    if let Some(columns) = &change.schema {
        schema = read_schema(columns)?;
    }
    if let Some(indexes) = &change.indexes {
        settings.indexes = read_indexes(indexes, schema.as_ref())?;
    }
    Ok(MapRecord { id, settings, mode, schema })
}

/// How reads are done after a change.
fn read(now: ReadMode, change: &pb::MapChange) -> Result<ReadMode> {
    let known = match now {
        ReadMode::Backup { lag_ms_max } => lag_ms_max,
        ReadMode::Lease | ReadMode::Confirmed | ReadMode::Any => READ_LAG_MS_DEFAULT,
    };
    let lag_ms_max = change.read_lag_ms_max.unwrap_or(known);
    let next = match (change.read.as_deref(), now) {
        (None, ReadMode::Backup { .. }) | (Some("backup"), _) => ReadMode::Backup { lag_ms_max },
        (None, now) => now,
        (Some("lease"), _) => ReadMode::Lease,
        (Some("confirmed"), _) => ReadMode::Confirmed,
        (Some("any"), _) => ReadMode::Any,
        (Some(other), _) => {
            let why = format!("read {other:?}; known are lease, confirmed, backup and any");
            return Err(wrong(why));
        }
    };
    let is_for_backups = matches!(next, ReadMode::Backup { .. });
    match change.read_lag_ms_max {
        Some(lag) if lag > 0 && !is_for_backups => {
            Err(wrong(format!("read_lag_ms_max {lag}; it is for maps with read = backup")))
        }
        _ => Ok(next),
    }
}

/// The columns that a change gives to a map, if it gives it any.
fn read_schema(schema: &pb::MapSchema) -> Result<Option<MapSchema>> {
    if schema.columns.is_empty() {
        return Ok(None);
    }
    let column = |column: &pb::MapColumn| {
        let holds = ColumnType::named(&column.r#type).ok_or_else(|| {
            let known = ColumnType::ALL.map(ColumnType::name).join(", ");
            wrong(format!("column {}: type {:?}; known are {known}", column.name, column.r#type))
        })?;
        Ok(MapColumn { name: column.name.clone(), holds })
    };
    let columns = schema.columns.iter().map(column).collect::<Result<_>>()?;
    let partition_by = Some(schema.partition_by.clone()).filter(|name| !name.is_empty());
    let schema = MapSchema { columns, partition_by };
    schema.check()?;
    Ok(Some(schema))
}

/// Columns as operators see them.
pub(crate) fn described_schema(schema: &MapSchema) -> pb::MapSchema {
    let column = |one: &MapColumn| pb::MapColumn {
        name: one.name.clone(),
        r#type: one.holds.name().to_owned(),
    };
    let columns = schema.columns.iter().map(column).collect();
    pb::MapSchema { columns, partition_by: schema.partition_by.clone().unwrap_or_default() }
}

/// The indexes that a change gives to a map with these columns.
fn read_indexes(indexes: &pb::MapIndexes, schema: Option<&MapSchema>) -> Result<Vec<MapIndex>> {
    let column = |column: &pb::MapIndexColumn| {
        let of_map = match &*column.path {
            [name] => schema.and_then(|schema| schema.column(name)),
            _ => None,
        };
        let is_time = of_map.map_or(column.is_time, |one| one.holds == ColumnType::Timestamp);
        IndexColumn { path: column.path.clone(), is_time }
    };
    let index = |one: &pb::MapIndex| {
        let kind = match one.kind.as_str() {
            "" => IndexKind::default(),
            name => IndexKind::named(name).ok_or_else(|| {
                let known = IndexKind::ALL.map(IndexKind::name).join(", ");
                wrong(format!("index {}: kind {name:?}; known are {known}", one.name))
            })?,
        };
        let columns = one.columns.iter().map(column).collect();
        Ok(MapIndex { name: one.name.clone(), kind, columns, unique: one.unique })
    };
    let indexes = indexes.indexes.iter().map(index).collect::<Result<Vec<_>>>()?;
    MapIndex::check_all(&indexes)?;
    Ok(indexes)
}

/// An index as operators see it.
pub(crate) fn described_index(index: &MapIndex) -> pb::MapIndex {
    let column =
        |one: &IndexColumn| pb::MapIndexColumn { path: one.path.clone(), is_time: one.is_time };
    pb::MapIndex {
        name: index.name.clone(),
        kind: index.kind.name().to_owned(),
        columns: index.columns.iter().map(column).collect(),
        unique: index.unique,
    }
}

/// A map as operators see it.
pub(crate) fn described(name: &str, map: &MapRecord, copies: usize) -> pb::MapStatus {
    let (read, read_lag_ms_max) = match map.mode.read {
        ReadMode::Lease => ("lease", 0),
        ReadMode::Confirmed => ("confirmed", 0),
        ReadMode::Backup { lag_ms_max } => ("backup", lag_ms_max),
        ReadMode::Any => ("any", 0),
    };
    let of_cluster = copies.saturating_sub(1) as u32;
    pb::MapStatus {
        name: name.to_owned(),
        eviction: name_of(map.settings.eviction, &EVICTIONS),
        entries_max: map.settings.entries_max,
        bytes_max: map.settings.bytes_max,
        id: map.id.0,
        backups: map.mode.backups.map_or(of_cluster, u32::from),
        acknowledge: name_of(map.mode.acknowledge, &ACKNOWLEDGES),
        min_in_sync: map.mode.min_in_sync.into(),
        read: read.to_owned(),
        read_lag_ms_max,
        durability: name_of(map.mode.durability, &DURABILITIES),
        schema: map.schema.as_ref().map(described_schema),
        indexes: map.settings.indexes.iter().map(unseen).collect(),
        require_pruned: map.mode.require_pruned,
        ..pb::MapStatus::default()
    }
}

/// An index of which nobody said how it stands.
fn unseen(index: &MapIndex) -> pb::MapIndexStatus {
    pb::MapIndexStatus { index: Some(described_index(index)), ..pb::MapIndexStatus::default() }
}

fn set<T: Copy>(to: &mut T, what: &str, said: Option<&str>, known: &[(&str, T)]) -> Result<()> {
    let Some(said) = said else { return Ok(()) };
    let found = known.iter().find(|(name, _)| *name == said);
    let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    *to = found.ok_or_else(|| wrong(format!("{what} {said:?}; known are {}", names())))?.1;
    Ok(())
}

fn name_of<T: PartialEq>(value: T, known: &[(&str, T)]) -> String {
    let found = known.iter().find(|(_, other)| *other == value);
    found.map_or_else(String::new, |(name, _)| (*name).to_owned())
}

fn wrong(why: impl Into<String>) -> Error {
    Error::new(ErrorCode::ArgumentInvalid, why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> MapRecord {
        fresh(MapSettings::default(), Durability::Memory)
    }

    #[test]
    fn what_is_said_changes_and_the_rest_stays() {
        let change = pb::MapChange {
            backups: Some(2),
            min_in_sync: Some(3),
            eviction: Some("lru".into()),
            read: Some("backup".into()),
            require_pruned: Some(true),
            ..pb::MapChange::default()
        };
        let map = changed(base(), &change, (2, Durability::Memory)).unwrap();
        let shown = described("m", &map, 2);
        assert_eq!((shown.backups, shown.min_in_sync, shown.eviction.as_str()), (2, 3, "lru"));
        assert_eq!((shown.read.as_str(), shown.read_lag_ms_max), ("backup", READ_LAG_MS_DEFAULT));
        assert_eq!((shown.acknowledge.as_str(), shown.durability.as_str()), ("sync", "memory"));
        assert!(shown.require_pruned && !described("m", &base(), 2).require_pruned);
        assert_eq!(
            changed(map.clone(), &pb::MapChange::default(), (2, Durability::Memory)).unwrap(),
            map
        );
        let closer = pb::MapChange { read_lag_ms_max: Some(5), ..pb::MapChange::default() };
        assert_eq!(
            changed(map, &closer, (2, Durability::Memory)).unwrap().mode.read,
            ReadMode::Backup { lag_ms_max: 5 }
        );
        assert_eq!(described("m", &base(), 2).backups, 1, "as many as the cluster's");
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        let nothing = pb::MapChange::default;
        for (change, text) in [
            (pb::MapChange { backups: Some(6), ..nothing() }, "at most 5"),
            (pb::MapChange { min_in_sync: Some(3), ..nothing() }, "its 2 copies"),
            (pb::MapChange { min_in_sync: Some(0), ..nothing() }, "at least 1"),
            (pb::MapChange { eviction: Some("mru".into()), ..nothing() }, "none, lru, lfu"),
            (pb::MapChange { read: Some("x".into()), ..nothing() }, "confirmed"),
            (pb::MapChange { read_lag_ms_max: Some(5), ..nothing() }, "read = backup"),
            (pb::MapChange { durability: Some("fsync".into()), ..nothing() }, "in memory"),
        ] {
            let refused = changed(base(), &change, (2, Durability::Memory)).expect_err(text);
            assert_eq!(refused.code(), ErrorCode::ArgumentInvalid);
            assert!(refused.detail().contains(text), "{refused}");
        }
    }
}
