//! [`Bucket`]: one cache line of eight slots, filled from the left, so that the last slot alone says whether it is full.

use crate::raw::{self, Record, RecordMut, RecordRef, Slot};

/// How many slots a bucket has: a cache line of them.
pub(crate) const BUCKET_SLOTS: usize = 8;

/// How many bytes a bucket has.
pub(crate) const BUCKET_BYTES: usize = size_of::<Bucket>();

/// Eight slots that share a cache line.
#[repr(align(64))]
pub(crate) struct Bucket {
    slots: [Slot; BUCKET_SLOTS],
}

impl Bucket {
    /// A bucket without records.
    pub(crate) const EMPTY: Bucket = Bucket { slots: [const { Slot::EMPTY }; BUCKET_SLOTS] };

    /// Whether a record that belongs here may lie in a later bucket.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        !self.slots[BUCKET_SLOTS - 1].is_empty()
    }

    /// The filled slots with this tag: nearly always none or the one that is looked for.
    #[inline]
    pub(crate) fn matching(&self, tag: u32) -> Matches {
        let mut mask = 0;
        for (index, slot) in self.slots.iter().enumerate() {
            mask |= u32::from(slot.tag() == tag) << index;
        }
        Matches { mask }
    }

    /// The record in a slot.
    #[inline]
    pub(crate) fn record(&self, slot: usize) -> Option<RecordRef<'_>> {
        self.slots[slot].record()
    }

    /// The record in a slot, to change.
    #[inline]
    pub(crate) fn record_mut(&mut self, slot: usize) -> Option<RecordMut<'_>> {
        self.slots[slot].record_mut()
    }

    /// Puts another record with the same key in the place of this one.
    #[inline]
    pub(crate) fn replace(&mut self, slot: usize, record: Record) -> Option<Record> {
        self.slots[slot].replace(record)
    }

    /// The filled slots.
    pub(crate) fn records(&self) -> impl Iterator<Item = RecordRef<'_>> {
        self.slots.iter().map_while(Slot::record)
    }

    /// Fills the first empty slot. The bucket must not be full.
    #[inline]
    pub(crate) fn push(&mut self, filled: Slot) -> usize {
        let empty = self.slots.iter().position(Slot::is_empty).expect("the bucket has room");
        self.slots[empty] = filled;
        empty
    }

    /// Empties a slot; the last filled one takes its place.
    #[inline]
    pub(crate) fn take(&mut self, slot: usize) -> Slot {
        let taken = self.slots[slot].take();
        let last = self.slots.iter().rposition(|slot| !slot.is_empty());
        if let Some(last) = last
            && last > slot
        {
            self.slots.swap(slot, last);
        }
        taken
    }

    /// Empties the whole bucket.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Slot> {
        self.slots.iter_mut().map(Slot::take).take_while(|slot| !slot.is_empty())
    }

    /// The first slot whose record lies at least so many buckets behind its home.
    pub(crate) fn position_behind_home(&self, distance: usize) -> Option<usize> {
        self.slots.iter().position(|slot| !slot.is_empty() && slot.distance() >= distance)
    }

    /// Asks for this cache line.
    #[inline]
    pub(crate) fn prefetch(&self) {
        raw::prefetch(self);
    }

    /// Asks for the beginning of one record.
    #[inline]
    pub(crate) fn prefetch_record(&self, slot: usize) {
        self.slots[slot].prefetch();
    }

    /// Asks for the beginnings of the records with this tag.
    #[inline]
    pub(crate) fn prefetch_matching(&self, tag: u32) {
        for slot in self.matching(tag) {
            self.slots[slot].prefetch();
        }
    }

    /// Asks for the beginnings of all records.
    #[inline]
    pub(crate) fn prefetch_all(&self) {
        for slot in self.slots.iter().take_while(|slot| !slot.is_empty()) {
            slot.prefetch();
        }
    }
}

/// The indexes of the slots that match a tag.
pub(crate) struct Matches {
    mask: u32,
}

impl Iterator for Matches {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.mask == 0 {
            return None;
        }
        // The mask has eight bits; saying so spares a bounds check at every use.
        let slot = self.mask.trailing_zeros() as usize % BUCKET_SLOTS;
        self.mask &= self.mask - 1;
        Some(slot)
    }
}
