//! The maps of the cluster: a name, a number, settings, and how writes and reads are done.

use isogrid_core::{MapId, MapSettings};
use serde::{Deserialize, Serialize};

/// A map as the council knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapRecord {
    /// Its number, the same on every node, dense, and never given to another map.
    pub id: MapId,
    /// Its settings.
    pub settings: MapSettings,
    /// How its writes and reads are done.
    pub mode: MapMode,
}

/// How the writes and reads of a map are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapMode {
    /// When a write is acknowledged.
    pub acknowledge: Acknowledge,
    /// Writes are refused while fewer replicas than this are in sync.
    pub min_in_sync: u8,
    /// How a read that does not say otherwise is done.
    pub read: ReadMode,
    /// What an acknowledged write survives.
    pub durability: Durability,
}

impl Default for MapMode {
    fn default() -> Self {
        MapMode {
            acknowledge: Acknowledge::Sync,
            min_in_sync: 1,
            read: ReadMode::Lease,
            durability: Durability::Os,
        }
    }
}

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acknowledge {
    /// When every in-sync replica holds it.
    #[default]
    Sync,
    /// When the primary holds it.
    Async,
}

/// How a read is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadMode {
    /// At the primary, under its lease: never stale.
    #[default]
    Lease,
    /// At the primary, after a round to the in-sync set: never stale, and no clock is trusted.
    Confirmed,
    /// At a backup that is not further behind than this.
    Backup {
        /// The most milliseconds behind.
        lag_ms_max: u64,
    },
    /// Anywhere, stale as it may be.
    Any,
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The loss of all but one of the in-sync nodes.
    Memory,
    /// And the end of every process.
    #[default]
    Os,
    /// And a power loss everywhere.
    Fsync,
}
