//! [`ExpiryIndex`]: which records of a map expire when, earliest first.
//!
//! An entry is an expiry and a hash: enough to find the record, and half the size of an entry with the key. Several
//! records can share both, so each entry counts them.

use std::collections::BTreeMap;

use isogrid_core::Timestamp;

use crate::hash::KeyHash;

/// What an indexed record is charged. Expiries mostly grow, so the leaves of the B-tree keep six of their eleven places: 256
/// bytes of a leaf, and a sixth of an inner node's 384, for six records.
pub(crate) const EXPIRY_ENTRY_BYTES: usize = 52;

/// The records of one map that expire, by expiry.
#[derive(Default)]
pub(crate) struct ExpiryIndex {
    entries: BTreeMap<(Timestamp, KeyHash), u32>,
    records: usize,
}

impl ExpiryIndex {
    /// How many bytes the index is charged.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.records * EXPIRY_ENTRY_BYTES
    }

    /// Notes that a record expires.
    pub(crate) fn add(&mut self, at: Timestamp, hash: KeyHash) {
        *self.entries.entry((at, hash)).or_insert(0) += 1;
        self.records += 1;
    }

    /// Forgets a record that was added with the same expiry and hash.
    pub(crate) fn remove(&mut self, at: Timestamp, hash: KeyHash) {
        let count = self.entries.get_mut(&(at, hash)).expect("the record was added");
        *count -= 1;
        if *count == 0 {
            self.entries.remove(&(at, hash));
        }
        self.records -= 1;
    }

    /// The earliest expiry.
    pub(crate) fn next(&self) -> Option<(Timestamp, KeyHash)> {
        self.entries.first_key_value().map(|(&entry, _)| entry)
    }

    /// How many records have expired by now and are still here. Costs a step per such record; active expiry keeps them
    /// few.
    pub(crate) fn due(&self, now: Timestamp) -> usize {
        let end = (now, KeyHash(u64::MAX));
        self.entries.range(..=end).map(|(_, &count)| count as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_by_time_and_are_counted_when_they_collide() {
        let mut index = ExpiryIndex::default();
        index.add(Timestamp(20), KeyHash(1));
        index.add(Timestamp(10), KeyHash(u64::MAX));
        index.add(Timestamp(10), KeyHash(u64::MAX));
        assert_eq!(index.next(), Some((Timestamp(10), KeyHash(u64::MAX))));
        assert_eq!((index.due(Timestamp(9)), index.due(Timestamp(10))), (0, 2));
        index.remove(Timestamp(10), KeyHash(u64::MAX));
        assert_eq!(index.due(Timestamp(20)), 2);
        index.remove(Timestamp(10), KeyHash(u64::MAX));
        assert_eq!(index.next(), Some((Timestamp(20), KeyHash(1))));
        index.remove(Timestamp(20), KeyHash(1));
        assert_eq!((index.next(), index.bytes()), (None, 0));
    }
}
