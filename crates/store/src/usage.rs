//! [`MapUsage`]: what one map uses on this node, shared by its partitions, so that a limit holds for the node; and
//! `Ledger`: what one partition has put on that account.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A partition whose map has no limit reports changes when they exceed this, so that cores that write to different
/// partitions of one map do not fight for a cache line.
const UNREPORTED_BYTES_MAX: u64 = 4 << 10;

/// As above, in entries.
const UNREPORTED_ENTRIES_MAX: u64 = 32;

/// How many entries and bytes a map has on this node. Sums that belong to no lock: read and added to in relaxed order.
#[derive(Debug, Default)]
pub struct MapUsage {
    entries: AtomicU64,
    bytes: AtomicU64,
    expired: AtomicU64,
    evicted_for_limits: AtomicU64,
    evicted_for_memory: AtomicU64,
}

/// What a record had to go for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// A limit of its map.
    Limit,
    /// The node's memory mark.
    Memory,
}

impl MapUsage {
    /// The entries of all partitions. Exact for a map with limits; else each partition may lag a few entries behind until
    /// its next expiry round.
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// The bytes of all partitions, overhead included. As exact as [`MapUsage::entries`].
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Records that were removed because they had expired, by primaries on this node.
    pub fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// Records that were evicted for the limits of the map, by primaries on this node.
    pub fn evicted_for_limits(&self) -> u64 {
        self.evicted_for_limits.load(Ordering::Relaxed)
    }

    /// Records that were evicted because the node was over its memory mark.
    pub fn evicted_for_memory(&self) -> u64 {
        self.evicted_for_memory.load(Ordering::Relaxed)
    }

    pub(crate) fn note_expired(&self) {
        self.expired.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_evicted(&self, pressure: Pressure) {
        let count = match pressure {
            Pressure::Limit => &self.evicted_for_limits,
            Pressure::Memory => &self.evicted_for_memory,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Wrapping, so that a decrease is an addition too.
    fn add(&self, entries: u64, bytes: u64) {
        if entries != 0 {
            self.entries.fetch_add(entries, Ordering::Relaxed);
        }
        if bytes != 0 {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

/// What one partition has reported to the map's account. Takes it back when it is dropped.
pub(crate) struct Ledger {
    usage: Arc<MapUsage>,
    entries: u64,
    bytes: u64,
}

impl Ledger {
    /// A ledger that has reported nothing yet.
    pub(crate) fn new(usage: Arc<MapUsage>) -> Self {
        Ledger { usage, entries: 0, bytes: 0 }
    }

    /// The map's account.
    pub(crate) fn usage(&self) -> &MapUsage {
        &self.usage
    }

    /// Reports what there is now.
    pub(crate) fn report(&mut self, entries: u64, bytes: u64) {
        self.usage.add(entries.wrapping_sub(self.entries), bytes.wrapping_sub(self.bytes));
        (self.entries, self.bytes) = (entries, bytes);
    }

    /// Reports what there is now if it is worth the cost.
    #[inline]
    pub(crate) fn report_if_much(&mut self, entries: u64, bytes: u64) {
        let is_much = entries.abs_diff(self.entries) > UNREPORTED_ENTRIES_MAX
            || bytes.abs_diff(self.bytes) > UNREPORTED_BYTES_MAX;
        if is_much {
            self.report(entries, bytes);
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.report(0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_takes_back_what_it_reported() {
        let usage = Arc::new(MapUsage::default());
        let mut first = Ledger::new(usage.clone());
        let mut second = Ledger::new(usage.clone());
        first.report(3, 300);
        second.report(1, 100);
        first.report(2, 150);
        assert_eq!((usage.entries(), usage.bytes()), (3, 250));
        second.report_if_much(2, 200);
        assert_eq!((usage.entries(), usage.bytes()), (3, 250), "too little to report");
        drop(first);
        assert_eq!((usage.entries(), usage.bytes()), (1, 100));
        drop(second);
        assert_eq!((usage.entries(), usage.bytes()), (0, 0));
    }
}
