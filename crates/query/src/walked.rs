//! [`Walked`]: what one statement has walked over at the node that was asked.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one statement has walked over so far. What other nodes walk over for it is not in here.
#[derive(Debug, Default)]
pub struct Walked {
    entries: AtomicU64,
    partitions: AtomicU64,
}

impl Walked {
    /// Entries that were looked at.
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Partitions in which some were.
    pub fn partitions(&self) -> u64 {
        self.partitions.load(Ordering::Relaxed)
    }

    pub(crate) fn over_entries(&self, entries: u64) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
    }

    pub(crate) fn over_partition(&self) {
        self.partitions.fetch_add(1, Ordering::Relaxed);
    }
}
