//! `[disk]`: how much the node may keep on disk, and when it is written anew.

use serde::{Deserialize, Serialize};

/// The smallest budget that can be set: two segments of the log, of which the newest always stays.
pub const DISK_BUDGET_BYTES_MIN: u64 = 128 << 20;

/// How much the node may keep on disk, and when it is written anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskConfig {
    /// How many bytes log and snapshots of this node may have together. Once they have as many, writes are refused but for
    /// deletes, and go on when there is room again. It should be twice the data and 256 MiB, or more. Without it the disk is the
    /// only bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// How long entries may stand in the log before a snapshot of their partition has them, in milliseconds: a node that starts
    /// reads the log behind the snapshots. Where the log grows long, snapshots are written sooner.
    pub snapshot_age_ms: u64,
}

impl Default for DiskConfig {
    fn default() -> Self {
        DiskConfig { budget: None, snapshot_age_ms: 3_600_000 }
    }
}
