//! [`Source`]: what holds the maps, declared here and implemented by a node.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use isogrid_core::{
    Condition, Expiry, MapIndex, MapSchema, Moment, PartitionCount, PartitionId, Result, View,
};

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
    /// The state that the next page shows, if it is kept.
    pub at: Option<Moment>,
}

/// Where a page is taken: from a partition, from the hash of a key on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PagePlace {
    /// The partition.
    pub partition: PartitionId,
    /// Where to begin: zero, then what the last page said.
    pub cursor: u64,
    /// The state that is shown.
    pub view: View,
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
    /// The state that is shown.
    pub view: View,
}

/// Some records that an index has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundPage {
    /// The records.
    pub rows: Vec<Row>,
    /// Where the next page begins; `None` when there is no more.
    pub next: Option<Bytes>,
    /// The state that the next page shows, if it is kept.
    pub at: Option<Moment>,
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

/// One record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: Bytes,
    /// What becomes of the record.
    pub change: Change,
    /// When this may happen.
    pub condition: Condition,
}

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has this value.
    Put {
        /// The value.
        value: Bytes,
        /// When the record expires.
        expiry: Expiry,
    },
    /// It goes.
    Delete,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It happened; this is the version.
    Done(u64),
    /// Its condition did not hold, so nothing was written, and there is another record of this key.
    Other,
    /// The same, and there is no record of this key.
    Absent,
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

    /// About so many records of a partition of a map, and of these such as a filter means, as it is encoded; an empty one means all.
    /// A record that is present throughout comes exactly once, whoever holds the partition meanwhile; and of one state all that it has.
    ///
    /// # Errors
    /// The grid's: nobody leads the partition, the state is not kept any more, or time ran out.
    async fn page(&self, map: &str, place: PagePlace, filter: &[u8], rows_max: u32)
    -> Result<Page>;

    /// Nobody asks for more of a state.
    fn let_go(&self, map: &str, partition: PartitionId, moment: Moment);

    /// The records of some keys of a map, where there are any.
    ///
    /// # Errors
    /// As for a page.
    async fn records(&self, map: &str, keys: &[Bytes]) -> Result<Vec<Option<Row>>>;

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

    /// Whether this node leads a partition.
    fn is_here(&self, partition: PartitionId) -> bool;

    /// How many records a partition of a map has, and for each of some places of its indexes how many are there, counted up to so
    /// many; `None` for one where the index is not there or does not have all records yet.
    ///
    /// # Errors
    /// As for a page.
    async fn sizes(
        &self,
        map: &str,
        partition: PartitionId,
        places: &[(&str, SeekPlace)],
        most: u32,
    ) -> Result<(u64, Vec<Option<u64>>)>;

    /// Writes records of a map, each alone: what became of each, in their order. A key occurs once. An error says of its record whether
    /// that was written; one whose fate nobody knows says that.
    async fn write(&self, map: &str, writes: &[Write], patience: Duration) -> Vec<Result<Written>>;
}
