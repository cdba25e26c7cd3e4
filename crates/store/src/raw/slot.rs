//! [`Slot`]: a record's owner that is as small as a pointer and remembers a little more. Part of the unsafe module.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::prefetch::prefetch_line;
use super::{Record, RecordMut, RecordRef};
use crate::hash::{KeyHash, TAG_BITS};

/// One 64-bit slot of a bucket: zero, or a record's pointer (bits 4..47), the tag of its hash (50..63), and how many
/// buckets it lies behind its home (high part in bits 48..49, low part in bits 0..3).
#[repr(transparent)]
pub(crate) struct Slot(*mut u8);

/// The bits of a slot that are the pointer.
pub(super) const POINTER_MASK: usize = 0x0000_ffff_ffff_fff0;
const TAG_SHIFT: u32 = usize::BITS - TAG_BITS;
const DISTANCE_HIGH_SHIFT: u32 = 48;

// SAFETY: a slot is an optional `Record`, which is both.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl Slot {
    /// No record.
    pub(crate) const EMPTY: Slot = Slot(ptr::null_mut());

    /// Puts a record into a slot.
    #[inline]
    pub(crate) fn new(record: Record, hash: KeyHash) -> Slot {
        let head = record.head.as_ptr();
        // The slot is the owner now.
        std::mem::forget(record);
        Slot(head.map_addr(|address| address | (hash.tag() as usize) << TAG_SHIFT))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_null()
    }

    /// The tag; zero for an empty slot, which is also the tag of some records.
    #[inline]
    pub(crate) fn tag(&self) -> u32 {
        (self.0.addr() >> TAG_SHIFT) as u32
    }

    /// How many buckets the record lies behind its home.
    #[inline]
    pub(crate) fn distance(&self) -> usize {
        let address = self.0.addr();
        (address >> DISTANCE_HIGH_SHIFT & 3) << 4 | address & 15
    }

    /// Notes how many buckets the record lies behind its home: at most 63.
    #[inline]
    pub(crate) fn set_distance(&mut self, distance: usize) {
        debug_assert!(distance < 64, "a distance has six bits");
        let bits = (distance >> 4 & 3) << DISTANCE_HIGH_SHIFT | distance & 15;
        let mask = 3 << DISTANCE_HIGH_SHIFT | 15;
        self.0 = self.0.map_addr(|address| address & !mask | bits);
    }

    #[inline]
    fn head(&self) -> Option<NonNull<u8>> {
        NonNull::new(self.0.map_addr(|address| address & POINTER_MASK))
    }

    /// The record, to read.
    #[inline]
    pub(crate) fn record(&self) -> Option<RecordRef<'_>> {
        self.head().map(|head| RecordRef { head, lifetime: PhantomData })
    }

    /// The record, to change.
    #[inline]
    pub(crate) fn record_mut(&mut self) -> Option<RecordMut<'_>> {
        self.head().map(|head| RecordMut { head, lifetime: PhantomData })
    }

    /// Takes the slot's content out and leaves it empty.
    #[inline]
    pub(crate) fn take(&mut self) -> Slot {
        std::mem::replace(self, Slot::EMPTY)
    }

    /// The record itself.
    #[inline]
    pub(crate) fn into_record(self) -> Option<Record> {
        let head = self.head();
        // The record is the owner now.
        std::mem::forget(self);
        head.map(|head| Record { head })
    }

    /// Puts another record with the same key in the place of this one.
    #[inline]
    pub(crate) fn replace(&mut self, record: Record) -> Option<Record> {
        let bits = self.0.addr() & !POINTER_MASK;
        let head = record.head.as_ptr().map_addr(|address| address | bits);
        std::mem::forget(record);
        std::mem::replace(self, Slot(head)).into_record()
    }

    /// Asks for the first two cache lines of the record: header, key and the beginning of the value. A third would help
    /// larger records, but a window of 32 then asks for more lines than the core can have under way.
    #[inline]
    pub(crate) fn prefetch(&self) {
        let head = self.0.map_addr(|address| address & POINTER_MASK);
        for line in 0..2 {
            prefetch_line(head.wrapping_add(line * 64));
        }
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        if !self.is_empty() {
            drop(self.take().into_record());
        }
    }
}
