//! A walk over all records of a partition, page by page, for copies: in the order of the maps and, within a map, of the
//! key hashes. Expired records are included: a replica removes them when its primary does.
//!
//! The cursor is a map and a hash, so that, as for a scan, it does not matter whether a table grew between two pages or
//! lies on another replica: a record that is present throughout comes exactly once.

use std::ops::RangeInclusive;

use isogrid_core::{Entry, MapId};

use crate::hash::KeyHash;
use crate::map_store::MapStore;
use crate::partition::Partition;
use crate::scan::in_hash_order;

/// What a record is counted with beyond its key and value, so that a page of tiny records ends too.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// Where a page of a walk begins. The default is the beginning of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalkCursor {
    /// The number of the map.
    pub map: u32,
    /// The hash within the map.
    pub hash: u64,
}

/// One record of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkedRecord<'s> {
    /// The map.
    pub map: MapId,
    /// The hash of the key.
    pub hash: KeyHash,
    /// The key.
    pub key: &'s [u8],
    /// Value, version and expiry.
    pub entry: Entry<'s>,
}

/// One page of a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked<'s> {
    /// The records, in the order of the walk.
    pub records: Vec<WalkedRecord<'s>>,
    /// Where the next page begins; `None` when the walk is done.
    pub next: Option<WalkCursor>,
}

impl Partition {
    /// One page of all records. It ends when it has about `bytes_max` bytes, but has at least one record if any is left.
    pub fn walk(&self, cursor: WalkCursor, bytes_max: usize) -> Walked<'_> {
        self.walk_hashes(0..=u64::MAX, cursor, bytes_max)
    }

    /// One page of the records in a bucket: of those whose hash begins with these eight bits, of all maps.
    pub fn walk_bucket(&self, bucket: u8, cursor: WalkCursor, bytes_max: usize) -> Walked<'_> {
        let first = u64::from(bucket) << 56;
        self.walk_hashes(first..=first | u64::MAX >> 8, cursor, bytes_max)
    }

    /// One page of the records whose hash is in a range, of all maps.
    pub fn walk_hashes(
        &self,
        hashes: RangeInclusive<u64>,
        cursor: WalkCursor,
        bytes_max: usize,
    ) -> Walked<'_> {
        let mut walker = Walker { page: Walked::default(), bytes: 0, bytes_max };
        let first = cursor.map as usize;
        for (index, store) in self.maps.iter().enumerate().skip(first) {
            let Some(store) = store.as_deref() else { continue };
            let from = if index == first { cursor.hash } else { 0 };
            let hashes = KeyHash(from.max(*hashes.start()))..=KeyHash(*hashes.end());
            if !walker.take_map(self, store, &hashes) {
                break;
            }
        }
        walker.page
    }

    /// The maps that have records here, in order.
    pub fn maps(&self) -> impl Iterator<Item = MapId> {
        let maps = self.maps.iter().flatten();
        maps.filter(|store| store.content.table.len() > 0).map(|store| store.id())
    }

    /// How many records all maps have here, expired ones included until they are removed.
    pub fn total_entries(&self) -> usize {
        self.maps.iter().flatten().map(|store| store.content.table.len()).sum()
    }
}

/// A page that is being filled.
struct Walker<'s> {
    page: Walked<'s>,
    bytes: usize,
    bytes_max: usize,
}

impl<'s> Walker<'s> {
    /// Adds the records of a map in a range, or says that the page ended within.
    fn take_map(
        &mut self,
        partition: &'s Partition,
        store: &'s MapStore,
        hashes: &RangeInclusive<KeyHash>,
    ) -> bool {
        let map = store.id();
        for (_, segment) in store.content.table.segments_from(*hashes.start()) {
            let records =
                in_hash_order(segment, *hashes.start(), &partition.common.hasher, |_| true);
            for group in records.chunk_by(|(one, _), (other, _)| one == other) {
                let hash = group[0].0;
                if hash > *hashes.end() {
                    return true;
                }
                // Records with the same hash stay together: no cursor could stand between them.
                if self.bytes >= self.bytes_max && !self.page.records.is_empty() {
                    self.page.next = Some(WalkCursor { map: map.0, hash: hash.0 });
                    return false;
                }
                for &(hash, record) in group {
                    let (key, entry) = (record.key(), record.entry());
                    self.bytes += key.len() + entry.value.len() + RECORD_OVERHEAD_BYTES;
                    self.page.records.push(WalkedRecord { map, hash, key, entry });
                }
            }
        }
        true
    }
}

#[cfg(test)]
#[path = "walk_test.rs"]
mod tests;
