//! [`Segment`]: up to 64 buckets with linear probing, small enough that a write may copy it whole.
//!
//! A record lies in its home bucket or, if that was full, in a later one; the slot says how far behind its home it lies.
//! The rule that every lookup relies on: **all buckets between a record's home and its place are full**. A removal keeps
//! it by moving a record from behind into the hole, so there are no tombstones.

use crate::bucket::{BUCKET_BYTES, BUCKET_SLOTS, Bucket};
use crate::hash::{KeyHash, KeyHasher};
use crate::raw::{Record, RecordMut, RecordRef, Slot};

/// A segment with this many buckets splits instead of growing.
pub(crate) const SEGMENT_BUCKETS_MAX: usize = 64;

/// How many records ahead a copy asks for their keys.
const PREFETCH_AHEAD: usize = 16;

/// Where in a segment a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentPlace {
    pub(crate) bucket: usize,
    pub(crate) slot: usize,
}

/// Some buckets and the records in them, all of which share the first `depth` bits of their hashes.
pub(crate) struct Segment {
    buckets: Box<[Bucket]>,
    len: u32,
    depth: u32,
}

impl Segment {
    /// The smallest segment.
    pub(crate) fn new(depth: u32) -> Self {
        Segment { buckets: empty_buckets(1), len: 0, depth }
    }

    /// How many of the top bits of the hash choose this segment.
    #[inline]
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    /// How many records it has.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// How many bytes its buckets have.
    #[inline]
    pub(crate) fn bucket_bytes(&self) -> usize {
        self.buckets.len() * BUCKET_BYTES
    }

    /// Whether another record fits without growing: 7 of 8 slots may be filled.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.len() < self.buckets.len() * (BUCKET_SLOTS - 1)
    }

    /// Whether growing means splitting.
    #[inline]
    pub(crate) fn is_at_most_buckets(&self) -> bool {
        self.buckets.len() == SEGMENT_BUCKETS_MAX
    }

    /// Finds the record with this key.
    #[inline]
    pub(crate) fn find(&self, hash: KeyHash, key: &[u8]) -> Option<SegmentPlace> {
        self.find_where(hash, |record| record.key() == key)
    }

    /// Finds a record among those whose hash has the same home and tag.
    #[inline]
    pub(crate) fn find_where(
        &self,
        hash: KeyHash,
        mut wanted: impl FnMut(RecordRef<'_>) -> bool,
    ) -> Option<SegmentPlace> {
        let mask = self.buckets.len() - 1;
        let tag = hash.tag();
        let mut bucket = hash.bucket(mask);
        // Some bucket is not full, because at most 7 of 8 slots are filled: the loop ends there at the latest.
        loop {
            let line = &self.buckets[bucket];
            for slot in line.matching(tag) {
                // The comparison waits for the record's first line; the others may come meanwhile.
                line.prefetch_record(slot);
                if line.record(slot).is_some_and(&mut wanted) {
                    return Some(SegmentPlace { bucket, slot });
                }
            }
            if !line.is_full() {
                return None;
            }
            bucket = (bucket + 1) & mask;
        }
    }

    /// The record at a place that a find returned.
    #[inline]
    pub(crate) fn record(&self, place: SegmentPlace) -> RecordRef<'_> {
        self.buckets[place.bucket].record(place.slot).expect("a place has a record")
    }

    /// The record at a place, to change.
    #[inline]
    pub(crate) fn record_mut(&mut self, place: SegmentPlace) -> RecordMut<'_> {
        self.buckets[place.bucket].record_mut(place.slot).expect("a place has a record")
    }

    /// Puts another record with the same key at a place.
    #[inline]
    pub(crate) fn replace(&mut self, place: SegmentPlace, record: Record) -> Record {
        self.buckets[place.bucket].replace(place.slot, record).expect("a place has a record")
    }

    /// The home bucket of a hash and those after it, as long as they may hold a record of that hash.
    #[inline]
    pub(crate) fn home(&self, hash: KeyHash) -> &Bucket {
        &self.buckets[hash.bucket(self.buckets.len() - 1)]
    }

    /// Asks for the records that may have this hash. Looks one bucket beyond a full home: hardly any lies further.
    #[inline]
    pub(crate) fn prefetch_records(&self, hash: KeyHash) {
        let mask = self.buckets.len() - 1;
        let home = hash.bucket(mask);
        let line = &self.buckets[home];
        line.prefetch_matching(hash.tag());
        if line.is_full() {
            self.buckets[(home + 1) & mask].prefetch_matching(hash.tag());
        }
    }

    /// All buckets.
    pub(crate) fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// All records, in no order.
    pub(crate) fn records(&self) -> impl Iterator<Item = RecordRef<'_>> {
        self.buckets.iter().flat_map(Bucket::records)
    }

    /// Adds a record whose key is not here. The segment must have room.
    #[inline]
    pub(crate) fn insert(&mut self, hash: KeyHash, record: Record) -> SegmentPlace {
        debug_assert!(self.has_room(), "the table made room");
        self.len += 1;
        self.place(hash, Slot::new(record, hash))
    }

    #[inline]
    fn place(&mut self, hash: KeyHash, mut slot: Slot) -> SegmentPlace {
        let mask = self.buckets.len() - 1;
        let home = hash.bucket(mask);
        let mut distance = 0;
        while self.buckets[(home + distance) & mask].is_full() {
            distance += 1;
        }
        slot.set_distance(distance);
        let bucket = (home + distance) & mask;
        SegmentPlace { bucket, slot: self.buckets[bucket].push(slot) }
    }

    /// Removes the record at a place. Other places of this segment are no longer valid.
    pub(crate) fn remove(&mut self, place: SegmentPlace) -> Record {
        let was_full = self.buckets[place.bucket].is_full();
        let slot = self.buckets[place.bucket].take(place.slot);
        self.len -= 1;
        // No record passed over a bucket that had an empty slot.
        if was_full {
            self.refill(place.bucket);
        }
        slot.into_record().expect("a place has a record")
    }

    /// Mends the rule above for a bucket that was full and has a hole now: the next record that passed over the bucket
    /// moves into it, and leaves a hole further on.
    fn refill(&mut self, mut hole: usize) {
        let mask = self.buckets.len() - 1;
        let mut gap = 1;
        while gap <= mask {
            let from = (hole + gap) & mask;
            let was_full = self.buckets[from].is_full();
            if let Some(slot) = self.buckets[from].position_behind_home(gap) {
                let mut moved = self.buckets[from].take(slot);
                moved.set_distance(moved.distance() - gap);
                self.buckets[hole].push(moved);
                hole = from;
                gap = 0;
            }
            if !was_full {
                return;
            }
            gap += 1;
        }
    }

    /// Moves all records into twice as many buckets.
    pub(crate) fn grow(&mut self, hasher: &KeyHasher) {
        self.resize(self.buckets.len() * 2, hasher);
    }

    /// Gives up half of the buckets when they are nearly empty. Says whether it did.
    pub(crate) fn shrink(&mut self, hasher: &KeyHasher) -> bool {
        let is_sparse = self.buckets.len() > 1 && self.len() <= self.buckets.len();
        if is_sparse {
            self.resize(self.buckets.len() / 2, hasher);
        }
        is_sparse
    }

    fn resize(&mut self, buckets: usize, hasher: &KeyHasher) {
        let slots = self.drain(hasher);
        self.buckets = empty_buckets(buckets);
        for (hash, slot) in slots {
            self.place(hash, slot);
        }
    }

    /// Two segments: the records whose next hash bit is clear, and those whose is set.
    pub(crate) fn split(mut self, hasher: &KeyHasher) -> (Segment, Segment) {
        let slots = self.drain(hasher);
        let high_len = slots.iter().filter(|(hash, _)| hash.bit_after(self.depth)).count();
        let mut low = Segment::with_room(slots.len() - high_len, self.depth + 1);
        let mut high = Segment::with_room(high_len, self.depth + 1);
        for (hash, slot) in slots {
            let side = if hash.bit_after(self.depth) { &mut high } else { &mut low };
            side.len += 1;
            side.place(hash, slot);
        }
        (low, high)
    }

    /// An empty segment in which so many records fill at most 5 of 8 slots, or the largest.
    fn with_room(len: usize, depth: u32) -> Segment {
        let wanted = len.div_ceil(5).max(1).next_power_of_two();
        Segment { buckets: empty_buckets(wanted.min(SEGMENT_BUCKETS_MAX)), len: 0, depth }
    }

    /// Takes all slots out, with their hashes. The keys lie scattered in memory, so they are asked for ahead.
    fn drain(&mut self, hasher: &KeyHasher) -> Vec<(KeyHash, Slot)> {
        let slots: Vec<Slot> = self.buckets.iter_mut().flat_map(Bucket::drain).collect();
        slots.iter().take(PREFETCH_AHEAD).for_each(Slot::prefetch);
        let mut hashes = Vec::with_capacity(slots.len());
        for (index, slot) in slots.iter().enumerate() {
            if let Some(later) = slots.get(index + PREFETCH_AHEAD) {
                later.prefetch();
            }
            hashes.push(hasher.hash(slot.record().expect("a drained slot is filled").key()));
        }
        hashes.into_iter().zip(slots).collect()
    }
}

fn empty_buckets(count: usize) -> Box<[Bucket]> {
    (0..count).map(|_| Bucket::EMPTY).collect()
}

#[cfg(test)]
#[path = "segment_test.rs"]
mod tests;
