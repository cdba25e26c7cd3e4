//! `[slow_log]`: which operations the node calls slow, and how many of them it keeps.

use serde::{Deserialize, Serialize};

/// Which operations the node calls slow, and how many of them it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlowLogConfig {
    /// How long an operation or a statement of SQL takes that is slow, in milliseconds, until it can be answered: waiting for backups
    /// and disk included. 0 for none.
    pub threshold_ms: u64,
    /// How many slow operations are kept, the newest; `isogrid slowlog` shows them.
    pub entries_max: usize,
    /// Whether the beginning of a slow operation's key is kept.
    pub keys: bool,
}

impl Default for SlowLogConfig {
    fn default() -> Self {
        SlowLogConfig { threshold_ms: 100, entries_max: 256, keys: true }
    }
}
