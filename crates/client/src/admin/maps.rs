//! Maps with their sizes, settings and modes, as plain values.

use isogrid_core::{ColumnType, IndexColumn, IndexKind, MapColumn, MapIndex, MapSchema};
use isogrid_proto::pb;

/// A map's size, settings and mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MapInfo {
    /// The map's name.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// How many entries it has.
    pub entries: u64,
    /// How many bytes they take in one copy, overhead included.
    pub bytes: u64,
    /// Which records make room: none, lru or lfu.
    pub eviction: String,
    /// The most entries; zero for no limit.
    pub entries_max: u64,
    /// The most bytes; zero for no limit.
    pub bytes_max: u64,
    /// How many copies beside the primary's.
    pub backups: u32,
    /// When a write is acknowledged: sync, when every in-sync replica holds it, or async, when the primary does.
    pub acknowledge: String,
    /// Writes are refused while fewer replicas are in sync, the primary included.
    pub min_in_sync: u32,
    /// How a read is done that does not say otherwise: lease, confirmed, backup or any.
    pub read: String,
    /// Of reads at a backup: the most milliseconds behind.
    pub read_lag_ms_max: u64,
    /// What an acknowledged write survives: memory, os or fsync.
    pub durability: String,
    /// What its values are, if that was said.
    pub schema: Option<MapSchema>,
    /// What finds its records by their fields.
    pub indexes: Vec<IndexInfo>,
    /// Whether statements of SQL that walk over all of it are refused.
    pub require_pruned: bool,
}

/// An index of a map, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexInfo {
    /// What it is.
    pub index: MapIndex,
    /// How many keys it has.
    pub entries: u64,
    /// How many bytes it takes in one copy.
    pub bytes: u64,
    /// About how many of the records it has.
    pub built: u64,
    /// How many records there are.
    pub records: u64,
}

/// Maps, and who could not be asked about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MapList {
    /// The maps, in the order of their names.
    pub maps: Vec<MapInfo>,
    /// Members that did not answer: what they lead is not counted.
    pub missing: Vec<String>,
}

/// What is to change about a map. What is `None` stays as it is, or takes its default in a new map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapChange {
    /// Which records make room: none, lru or lfu.
    pub eviction: Option<String>,
    /// The most entries; zero for no limit.
    pub entries_max: Option<u64>,
    /// The most bytes; zero for no limit.
    pub bytes_max: Option<u64>,
    /// How many copies beside the primary's.
    pub backups: Option<u32>,
    /// When a write is acknowledged: sync or async.
    pub acknowledge: Option<String>,
    /// How many replicas must be in sync for a write, the primary included.
    pub min_in_sync: Option<u32>,
    /// How a read is done that does not say otherwise: lease, confirmed, backup or any.
    pub read: Option<String>,
    /// Of reads at a backup: the most milliseconds behind.
    pub read_lag_ms_max: Option<u64>,
    /// What an acknowledged write survives: memory, os or fsync.
    pub durability: Option<String>,
    /// What its values are.
    pub schema: Option<MapSchema>,
    /// These indexes and no others.
    pub indexes: Option<Vec<MapIndex>>,
    /// Whether statements of SQL that walk over all of it are refused.
    pub require_pruned: Option<bool>,
}

/// What must be so before a map is created or changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapExpect {
    /// Anything.
    #[default]
    Any,
    /// There is no such map.
    New,
    /// There is such a map.
    Existing,
}

impl MapExpect {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            MapExpect::Any => "any",
            MapExpect::New => "new",
            MapExpect::Existing => "existing",
        }
    }
}

/// What a map was and is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutMapOutcome {
    /// What it was; `None` for a new map.
    pub before: Option<MapInfo>,
    /// What it is now, or would be.
    pub after: MapInfo,
}

impl From<pb::MapStatus> for MapInfo {
    fn from(map: pb::MapStatus) -> Self {
        MapInfo {
            name: map.name,
            id: map.id,
            entries: map.entries,
            bytes: map.bytes,
            eviction: map.eviction,
            entries_max: map.entries_max,
            bytes_max: map.bytes_max,
            backups: map.backups,
            acknowledge: map.acknowledge,
            min_in_sync: map.min_in_sync,
            read: map.read,
            read_lag_ms_max: map.read_lag_ms_max,
            durability: map.durability,
            schema: map.schema.and_then(read_schema),
            indexes: map.indexes.into_iter().filter_map(read_index).collect(),
            require_pruned: map.require_pruned,
        }
    }
}

/// Columns of a type that this client does not know are those of a later version, and left out.
fn read_schema(schema: pb::MapSchema) -> Option<MapSchema> {
    let column = |one: pb::MapColumn| {
        let holds = ColumnType::named(&one.r#type)?;
        Some(MapColumn { name: one.name, holds })
    };
    let columns: Vec<MapColumn> = schema.columns.into_iter().filter_map(column).collect();
    let partition_by = Some(schema.partition_by).filter(|name| !name.is_empty());
    (!columns.is_empty()).then_some(MapSchema { columns, partition_by })
}

/// An index of a kind that this client does not know is one of a later version, and left out.
fn read_index(status: pb::MapIndexStatus) -> Option<IndexInfo> {
    let index = status.index?;
    let column = |one: pb::MapIndexColumn| IndexColumn { path: one.path, is_time: one.is_time };
    let (entries, bytes) = (status.entries, status.bytes);
    let index = MapIndex {
        name: index.name,
        kind: IndexKind::named(&index.kind)?,
        columns: index.columns.into_iter().map(column).collect(),
        unique: index.unique,
    };
    Some(IndexInfo { index, entries, bytes, built: status.built, records: status.records })
}

fn described_indexes(indexes: Vec<MapIndex>) -> pb::MapIndexes {
    let column = |one: IndexColumn| pb::MapIndexColumn { path: one.path, is_time: one.is_time };
    let index = |one: MapIndex| pb::MapIndex {
        name: one.name,
        kind: one.kind.name().to_owned(),
        columns: one.columns.into_iter().map(column).collect(),
        unique: one.unique,
    };
    pb::MapIndexes { indexes: indexes.into_iter().map(index).collect() }
}

fn described_schema(schema: MapSchema) -> pb::MapSchema {
    let column =
        |one: MapColumn| pb::MapColumn { name: one.name, r#type: one.holds.name().to_owned() };
    pb::MapSchema {
        columns: schema.columns.into_iter().map(column).collect(),
        partition_by: schema.partition_by.unwrap_or_default(),
    }
}

impl From<pb::ListMapsReply> for MapList {
    fn from(reply: pb::ListMapsReply) -> Self {
        MapList {
            maps: reply.maps.into_iter().map(MapInfo::from).collect(),
            missing: reply.missing,
        }
    }
}

impl From<MapChange> for pb::MapChange {
    fn from(change: MapChange) -> Self {
        pb::MapChange {
            eviction: change.eviction,
            entries_max: change.entries_max,
            bytes_max: change.bytes_max,
            backups: change.backups,
            acknowledge: change.acknowledge,
            min_in_sync: change.min_in_sync,
            read: change.read,
            read_lag_ms_max: change.read_lag_ms_max,
            durability: change.durability,
            schema: change.schema.map(described_schema),
            indexes: change.indexes.map(described_indexes),
            require_pruned: change.require_pruned,
        }
    }
}

impl From<pb::PutMapReply> for PutMapOutcome {
    fn from(reply: pb::PutMapReply) -> Self {
        PutMapOutcome {
            before: reply.before.map(MapInfo::from),
            after: reply.after.unwrap_or_default().into(),
        }
    }
}
