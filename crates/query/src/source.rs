//! [`Source`]: what holds the maps, declared here and implemented by a node.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use isogrid_core::{PartitionCount, PartitionId, Result};

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

/// What holds the maps.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// How many partitions every map has.
    fn partitions(&self) -> PartitionCount;

    /// The name of the node that leads a partition, if any does.
    fn leader(&self, partition: PartitionId) -> Option<String>;

    /// The names of all maps.
    fn maps(&self) -> Vec<String>;

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
}
