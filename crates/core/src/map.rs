//! The settings of a map.

use serde::{Deserialize, Serialize};

use crate::index::MapIndex;

/// Which records make room when a map reaches one of its limits or the node its memory mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Eviction {
    /// None: writes that need room are refused.
    #[default]
    None,
    /// The least recently used of a sample.
    Lru,
    /// The least frequently used of a sample.
    Lfu,
}

/// What an operator can set for a map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MapSettings {
    /// Which records make room.
    pub eviction: Eviction,
    /// The most entries of the map; zero for no limit.
    pub entries_max: u64,
    /// The most bytes of the map, overhead included; zero for no limit.
    pub bytes_max: u64,
    /// What is kept beside the records so that some are found by their fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<MapIndex>,
}
