//! [`Table`]: the records of one map in one partition, by extendible hashing.
//!
//! ```text
//!  hash --top bits--> directory --> segment --low bits--> bucket --tag--> record
//! ```
//!
//! A full segment grows from 1 to 64 buckets and then splits in two by the next bit of the hash, so that a write waits at
//! most for a copy of some 450 slots, and a lookup always looks into exactly one segment. The directory has one entry per
//! prefix of the hash; it doubles when a segment as deep as itself splits.

use crate::bucket::BUCKET_BYTES;
use crate::hash::{DIRECTORY_DEPTH_MAX, KeyHash, KeyHasher};
use crate::raw::{Record, RecordMut, RecordRef, prefetch};
use crate::segment::{SEGMENT_BUCKETS_MAX, Segment, SegmentPlace};

/// How much deeper than even hashes need the directory may become before the keys are taken for an attack.
const DEPTH_SLACK: u32 = 8;

/// Where a record lies. Valid until the table changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    segment: usize,
    within: SegmentPlace,
}

/// The keys collide so strongly that no reasonable directory can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyCollisions;

/// The records of one map in one partition.
#[derive(Default)]
pub(crate) struct Table {
    /// By prefix of the hash: an index into `segments`. Empty as long as there are no records.
    directory: Vec<u32>,
    segments: Vec<Segment>,
    /// How many bits of the hash choose the directory entry.
    depth: u32,
    len: usize,
    /// Of all records.
    record_bytes: usize,
    /// Of all buckets.
    bucket_bytes: usize,
}

impl Table {
    /// How many records there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many bytes of memory the records, buckets, segments and directory have.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.record_bytes
            + self.bucket_bytes
            + self.segments.capacity() * size_of::<Segment>()
            + self.directory.capacity() * size_of::<u32>()
    }

    /// The segment for a hash; `None` only when the table is empty.
    #[inline]
    fn segment_index(&self, hash: KeyHash) -> Option<usize> {
        self.directory.get(hash.prefix(self.depth)).map(|&index| index as usize)
    }

    /// The record with this key.
    #[inline]
    pub(crate) fn get(&self, hash: KeyHash, key: &[u8]) -> Option<RecordRef<'_>> {
        let segment = &self.segments[self.segment_index(hash)?];
        segment.find(hash, key).map(|within| segment.record(within))
    }

    /// The place of the record with this key.
    #[inline]
    pub(crate) fn find(&self, hash: KeyHash, key: &[u8]) -> Option<Place> {
        let segment = self.segment_index(hash)?;
        let within = self.segments[segment].find(hash, key)?;
        Some(Place { segment, within })
    }

    /// The place of a record that may have this hash and is the wanted one.
    pub(crate) fn find_where(
        &self,
        hash: KeyHash,
        wanted: impl FnMut(RecordRef<'_>) -> bool,
    ) -> Option<Place> {
        let segment = self.segment_index(hash)?;
        let within = self.segments[segment].find_where(hash, wanted)?;
        Some(Place { segment, within })
    }

    /// The record at a place.
    #[inline]
    pub(crate) fn record(&self, place: Place) -> RecordRef<'_> {
        self.segments[place.segment].record(place.within)
    }

    /// The record at a place, to change in place.
    #[inline]
    pub(crate) fn record_mut(&mut self, place: Place) -> RecordMut<'_> {
        self.segments[place.segment].record_mut(place.within)
    }

    /// Puts another record with the same key at a place.
    #[inline]
    pub(crate) fn replace(&mut self, place: Place, record: Record) -> Record {
        self.record_bytes += record.borrow().allocation();
        let old = self.segments[place.segment].replace(place.within, record);
        self.record_bytes -= old.borrow().allocation();
        old
    }

    /// Makes room for one more record with this hash.
    #[inline]
    pub(crate) fn reserve(
        &mut self,
        hash: KeyHash,
        hasher: &KeyHasher,
    ) -> Result<(), TooManyCollisions> {
        match self.segment_index(hash) {
            Some(segment) if self.segments[segment].has_room() => Ok(()),
            _ => self.grow(hash, hasher, depth_max(self.len)),
        }
    }

    /// Makes room for one more record with this hash that a table with more records took before.
    ///
    /// # Panics
    /// When no directory could tell the records apart; then no other table had them either.
    #[inline]
    pub(crate) fn reserve_deep(&mut self, hash: KeyHash, hasher: &KeyHasher) {
        let has_room = |segment: usize| self.segments[segment].has_room();
        if !self.segment_index(hash).is_some_and(has_room) {
            self.grow(hash, hasher, DIRECTORY_DEPTH_MAX).expect("another table had these records");
        }
    }

    #[cold]
    fn grow(
        &mut self,
        hash: KeyHash,
        hasher: &KeyHasher,
        depth_max: u32,
    ) -> Result<(), TooManyCollisions> {
        loop {
            let Some(index) = self.segment_index(hash) else {
                self.start();
                return Ok(());
            };
            let segment = &mut self.segments[index];
            if segment.has_room() {
                return Ok(());
            }
            if segment.is_at_most_buckets() {
                // All records may fall on one side: then the loop splits that side again.
                if self.segments[index].depth() == self.depth && self.depth >= depth_max {
                    return Err(TooManyCollisions);
                }
                self.split(index, hash, hasher);
            } else {
                self.bucket_bytes += segment.bucket_bytes();
                segment.grow(hasher);
            }
        }
    }

    fn start(&mut self) {
        let segment = Segment::new(0);
        self.bucket_bytes = segment.bucket_bytes();
        self.segments = Vec::with_capacity(1);
        self.segments.push(segment);
        self.directory = vec![0];
        self.depth = 0;
    }

    fn split(&mut self, index: usize, hash: KeyHash, hasher: &KeyHasher) {
        let depth = self.segments[index].depth();
        if depth == self.depth {
            let mut deeper = Vec::with_capacity(self.directory.len() * 2);
            deeper.extend(self.directory.iter().flat_map(|&entry| [entry, entry]));
            self.directory = deeper;
            self.depth += 1;
        }
        let new_index = self.segments.len();
        if new_index == self.segments.capacity() {
            self.segments.reserve_exact(new_index);
        }
        let old = std::mem::replace(&mut self.segments[index], Segment::new(depth + 1));
        self.bucket_bytes -= old.bucket_bytes();
        let (low, high) = old.split(hasher);
        self.bucket_bytes += low.bucket_bytes() + high.bucket_bytes();
        self.segments[index] = low;
        self.segments.push(high);
        // The old segment had `2 * half` neighbouring entries; the upper half of them is the new one's.
        let half = 1 << (self.depth - depth - 1);
        let first = hash.prefix(depth) * 2 * half;
        self.directory[first + half..first + 2 * half].fill(new_index as u32);
    }

    /// How many bytes the table itself needs to take one more record with this hash.
    pub(crate) fn growth_bytes(&self, hash: KeyHash) -> usize {
        let Some(index) = self.segment_index(hash) else {
            return BUCKET_BYTES + size_of::<Segment>() + size_of::<u32>();
        };
        let segment = &self.segments[index];
        if segment.has_room() {
            return 0;
        }
        if !segment.is_at_most_buckets() {
            return segment.bucket_bytes();
        }
        let deepens = segment.depth() == self.depth;
        let directory = if deepens { self.directory.len() * size_of::<u32>() } else { 0 };
        let is_exhausted = self.segments.len() == self.segments.capacity();
        let segments = if is_exhausted { self.segments.len() * size_of::<Segment>() } else { 0 };
        SEGMENT_BUCKETS_MAX * BUCKET_BYTES + directory + segments
    }

    /// Adds a record whose key is not here, after [`Table::reserve`] for its hash.
    #[inline]
    pub(crate) fn insert(&mut self, hash: KeyHash, record: Record) -> Place {
        let segment = self.segment_index(hash).expect("reserve made a segment");
        self.record_bytes += record.borrow().allocation();
        self.len += 1;
        Place { segment, within: self.segments[segment].insert(hash, record) }
    }

    /// Removes the record at a place. An empty table keeps no memory.
    pub(crate) fn remove(&mut self, place: Place, hasher: &KeyHasher) -> Record {
        let segment = &mut self.segments[place.segment];
        let record = segment.remove(place.within);
        let bucket_bytes = segment.bucket_bytes();
        if segment.shrink(hasher) {
            self.bucket_bytes -= bucket_bytes - segment.bucket_bytes();
        }
        self.len -= 1;
        self.record_bytes -= record.borrow().allocation();
        if self.len == 0 {
            *self = Table::default();
        }
        record
    }

    /// Asks for the directory's entry of a hash.
    #[inline]
    pub(crate) fn prefetch_directory(&self, hash: KeyHash) {
        if let Some(entry) = self.directory.get(hash.prefix(self.depth)) {
            prefetch(entry);
        }
    }

    /// Asks for the segment of a hash.
    #[inline]
    pub(crate) fn prefetch_segment(&self, hash: KeyHash) {
        if let Some(index) = self.segment_index(hash) {
            prefetch(&self.segments[index]);
        }
    }

    /// Asks for the bucket where a hash is at home.
    #[inline]
    pub(crate) fn prefetch_bucket(&self, hash: KeyHash) {
        if let Some(index) = self.segment_index(hash) {
            self.segments[index].home(hash).prefetch();
        }
    }

    /// Asks for the records that may have this hash; their bucket should be near by now.
    #[inline]
    pub(crate) fn prefetch_records(&self, hash: KeyHash) {
        if let Some(index) = self.segment_index(hash) {
            self.segments[index].prefetch_records(hash);
        }
    }

    /// All records, in no order.
    pub(crate) fn records(&self) -> impl Iterator<Item = RecordRef<'_>> {
        self.segments.iter().flat_map(Segment::records)
    }

    /// The segments from the one that holds `from` on, in the order of the hashes, each with the first hash that it may hold.
    pub(crate) fn segments_from(&self, from: KeyHash) -> impl Iterator<Item = (KeyHash, &Segment)> {
        let mut entry = from.prefix(self.depth);
        std::iter::from_fn(move || {
            let segment = &self.segments[*self.directory.get(entry)? as usize];
            // A segment less deep than the directory has several neighbouring entries: go to the first behind them.
            let entries = 1 << (self.depth - segment.depth());
            let first = entry & !(entries - 1);
            entry = first + entries;
            let hash = (first as u64).checked_shl(u64::BITS - self.depth).unwrap_or(0);
            Some((KeyHash(hash), segment))
        })
    }

    /// Up to `places.len()` records near a random spot. Hashes have nothing to do with use, so neighbours are as good a
    /// sample as any, and their slots share cache lines. Returns how many; zero only when the table is empty.
    pub(crate) fn sample(&self, random: u64, places: &mut [Place]) -> usize {
        let mut found = 0;
        let Some(start) = self.segment_index(KeyHash(random)) else { return 0 };
        for step in 0..self.segments.len() {
            let index = (start + step) % self.segments.len();
            let buckets = self.segments[index].buckets();
            for offset in 0..buckets.len() {
                let bucket = (random as usize).wrapping_add(offset) & (buckets.len() - 1);
                buckets[bucket].prefetch_all();
                for slot in 0..buckets[bucket].records().count() {
                    if found == places.len() {
                        return found;
                    }
                    places[found] = Place { segment: index, within: SegmentPlace { bucket, slot } };
                    found += 1;
                }
            }
            // Two, so that the caller may dislike one.
            if found > 1 {
                break;
            }
        }
        found
    }
}

impl Default for Place {
    fn default() -> Self {
        Place::NONE
    }
}

impl Place {
    /// A place to fill a buffer with.
    pub(crate) const NONE: Place =
        Place { segment: usize::MAX, within: SegmentPlace { bucket: 0, slot: 0 } };
}

/// How deep the directory may be: a few levels more than evenly spread hashes would ever need.
fn depth_max(len: usize) -> u32 {
    let needed = (len / SEGMENT_BUCKETS_MAX).max(1).ilog2();
    (needed + DEPTH_SLACK).min(DIRECTORY_DEPTH_MAX)
}

#[cfg(test)]
#[path = "table_test.rs"]
mod tests;
