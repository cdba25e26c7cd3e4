//! What stands out at a node, as it is asked for and told: slow operations, hot keys, large records, and how it was before.

use isogrid_core::MapId;
use serde::{Deserialize, Serialize};

/// Which keys are asked for most?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HotQuestion {
    /// Of this map; none: of all.
    pub(crate) map: Option<MapId>,
    /// How many of each.
    pub(crate) keys_max: u32,
}

/// Which records of a map are the largest?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BigQuestion {
    pub(crate) map: MapId,
    pub(crate) keys_max: u32,
    /// How many records the node looks at.
    pub(crate) entries_max: u64,
}

/// A slow operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SlowReport {
    /// Counted since the node started.
    pub(crate) number: u64,
    /// When it was answered, in milliseconds since the epoch.
    pub(crate) at_ms: u64,
    pub(crate) operation: String,
    /// Empty if it is gone.
    pub(crate) map: String,
    /// The beginning of the key.
    pub(crate) key: Vec<u8>,
    pub(crate) key_bytes: u32,
    pub(crate) partition: u16,
    pub(crate) took_us: u64,
    /// How many other operations were executed together with it.
    pub(crate) beside: u32,
    /// Empty if it is not known.
    pub(crate) client: String,
    /// A statement of SQL without the values in it; empty for all else, as the figures of one are nought.
    pub(crate) statement: String,
    /// Rows that it gave, or wrote.
    pub(crate) rows: u64,
    /// What it walked over at this node.
    pub(crate) entries_scanned: u64,
    pub(crate) partitions_scanned: u64,
}

/// The keys of a map that are asked for most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HotMapReport {
    pub(crate) map: MapId,
    /// Of how many samples.
    pub(crate) samples: u64,
    pub(crate) keys: Vec<HotKeyReport>,
}

/// A key that is asked for often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HotKeyReport {
    /// Its beginning.
    pub(crate) key: Vec<u8>,
    pub(crate) key_bytes: u32,
    pub(crate) samples: u64,
}

/// The largest records of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BigKeysReport {
    /// How many records were looked at, and how many there are.
    pub(crate) looked_at: u64,
    pub(crate) entries: u64,
    /// The largest first.
    pub(crate) keys: Vec<BigKeyReport>,
}

/// A large record.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BigKeyReport {
    /// The beginning of its key.
    pub(crate) key: Vec<u8>,
    pub(crate) key_bytes: u32,
    pub(crate) value_bytes: u64,
    pub(crate) partition: u16,
}

/// The key figures of a moment, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PointReport {
    /// In seconds since the epoch.
    pub(crate) at_s: u64,
    pub(crate) figures: Vec<f32>,
}
