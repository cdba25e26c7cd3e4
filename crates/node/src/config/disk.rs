//! `[disk]`: how much the node may keep on disk.

use serde::{Deserialize, Serialize};

/// The smallest budget that can be set: two segments of the log, of which the newest always stays.
pub const DISK_BUDGET_BYTES_MIN: u64 = 128 << 20;

/// How much the node may keep on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskConfig {
    /// How many bytes log and snapshots of this node may have together. Once they have as many, writes are refused but for
    /// deletes, and go on when there is room again. It should be twice the data and 256 MiB, or more. Without it the disk is the
    /// only bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
}
