//! A table as it is stored: the number of its partitions, its version, and the entries that were ever assigned.

use isogrid_core::{PartitionCount, Table, TableDelta, TableVersion};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes the table as the delta since nothing.
pub(super) fn serialize<S: Serializer>(table: &Table, serializer: S) -> Result<S::Ok, S::Error> {
    table.delta_since(TableVersion(0)).serialize(serializer)
}

/// Makes the table of that delta; a broken one is an error.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Table, D::Error> {
    let delta = TableDelta::deserialize(deserializer)?;
    let Some(partitions) = PartitionCount::new(delta.partitions) else {
        return Err(D::Error::custom("the number of partitions is not a power of two"));
    };
    let table = Table::unassigned(partitions);
    if delta.version == TableVersion(0) {
        return Ok(table);
    }
    table.apply(&delta).map_err(D::Error::custom)
}
