//! [`Source`]: what holds the maps, declared here and implemented by a node.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use isogrid_core::{MapIndex, MapSchema, PartitionCount, PartitionId, Result};

/// One record of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The version of the record.
    pub version: u64,
    /// When it expires, in milliseconds since 1970, if it does.
    pub expires_at_ms: Option<u64>,
}

/// Some records of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records.
    pub rows: Vec<Row>,
    /// Where the next page begins; `None` when the partition is done.
    pub next: Option<u64>,
}

/// Where to look in an index: in a partition, from a key on and before another; an empty one is no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeekPlace {
    /// The partition.
    pub partition: PartitionId,
    /// Where to begin.
    pub from: Bytes,
    /// Where to end.
    pub to: Bytes,
}

/// Some records that an index has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundPage {
    /// The records.
    pub rows: Vec<Row>,
    /// Where the next page begins; `None` when there is no more.
    pub next: Option<Bytes>,
}

/// What a map is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapDefinition {
    /// Its columns, if they were given to it.
    pub schema: Option<MapSchema>,
    /// Its settings, as operators write them.
    pub settings: Vec<(String, String)>,
    /// What finds its records by their fields.
    pub indexes: Vec<MapIndex>,
}

/// How an index stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexStanding {
    /// Its name.
    pub name: String,
    /// How many keys it has.
    pub entries: u64,
    /// How many bytes it takes in one copy.
    pub bytes: u64,
    /// About how many records it has, and how many there are.
    pub built: (u64, u64),
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlace {
    /// Where clients and other nodes reach it: `host:port`.
    pub address: String,
    /// What fails together with it.
    pub zone: Option<String>,
}

/// What holds the maps.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// How many partitions every map has.
    fn partitions(&self) -> PartitionCount;

    /// The name of the node that leads a partition, if any does.
    fn leader(&self, partition: PartitionId) -> Option<String>;

    /// Where a node is, if that is known.
    fn place(&self, _node: &str) -> Option<NodePlace> {
        None
    }

    /// The names of all maps.
    fn maps(&self) -> Vec<String>;

    /// What a map is; `None` when there is none of this name.
    fn map(&self, name: &str) -> Option<MapDefinition>;

    /// Makes a map. What the settings do not say is as in every new map. Says whether there was none of this name.
    ///
    /// # Errors
    /// The name, the columns or a setting cannot be, or the cluster cannot decide now.
    async fn create_map(
        &self,
        name: &str,
        schema: Option<MapSchema>,
        settings: &[(String, String)],
    ) -> Result<bool>;

    /// Gives a map these columns, where none at all take away those that it has and `None` leaves them, and changes these settings.
    ///
    /// # Errors
    /// There is no such map, these cannot be, or the cluster cannot decide now.
    async fn change_map(
        &self,
        name: &str,
        schema: Option<MapSchema>,
        settings: &[(String, String)],
    ) -> Result<()>;

    /// Gives a map these indexes, and no others.
    ///
    /// # Errors
    /// There is no such map, these cannot be, or the cluster cannot decide now.
    async fn set_indexes(&self, map: &str, indexes: Vec<MapIndex>) -> Result<()>;

    /// How the indexes of a map stand.
    ///
    /// # Errors
    /// The grid's.
    async fn index_standings(&self, map: &str) -> Result<Vec<IndexStanding>>;

    /// Drops a map with its records. Says whether there was one.
    ///
    /// # Errors
    /// The cluster cannot decide now.
    async fn drop_map(&self, name: &str) -> Result<bool>;

    /// About so many records of a partition of a map, from a cursor on, which is zero at the beginning. A record that is present
    /// throughout comes exactly once, whoever holds the partition meanwhile.
    ///
    /// # Errors
    /// The grid's: nobody leads the partition, or time ran out.
    async fn page(
        &self,
        map: &str,
        (partition, cursor): (PartitionId, u64),
        rows_max: u32,
    ) -> Result<Page>;

    /// About so many records that an index of a map has in each of some places; `None` for one where the index is not there, or does
    /// not have all records yet. A record whose fields stay as they are comes exactly once.
    ///
    /// # Errors
    /// As for a page.
    async fn seek(
        &self,
        map: &str,
        index: &str,
        places: &[SeekPlace],
        rows_max: u32,
    ) -> Result<Vec<Option<FoundPage>>>;
}
