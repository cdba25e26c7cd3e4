//! The one place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use isogrid_core::Timestamp;

/// The present time. A clock set before 1970 reads as zero.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_millis() as u64)
}
