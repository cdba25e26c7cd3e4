//! The one module with `unsafe`: a record is a single allocation behind a pointer, a slot of the table is such a pointer
//! with a tag and a distance in the bits it does not need, and the processor is told early which lines will be read.
//!
//! Everything outside sees owning, safe types: [`Record`] frees itself, [`Slot`] owns its record, [`RecordRef`] and
//! [`RecordMut`] borrow it. What the module relies on, everywhere:
//!
//! 1. A `Record`'s pointer comes from `alloc` with size `shape.allocation()` and alignment 16, and nobody else has it.
//! 2. The header always describes a shape with exactly that allocation, so the same layout is given to `dealloc`.
//! 3. All bytes from the header to the end of the value are initialised.
//! 4. Pointers use 48 bits (checked at allocation) and their low four bits are zero.

#![allow(
    unsafe_code,
    reason = "one allocation per record and prefetch: measured, see PERFORMANCE.md"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

use isogrid_core::{Timestamp, Version};

use crate::shape::{HEADER_BYTES, Shape};

#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "a slot packs a 48-bit pointer with 20 other bits: isogrid-store needs 64-bit pointers"
);

mod prefetch;
mod slot;

pub(crate) use prefetch::prefetch;
pub use prefetch::{prefetch_all, prefetch_end};
pub(crate) use slot::Slot;

const ALIGN: usize = 16;

/// The largest record that is copied to be kept, so that the new one can take its place.
const COPIED_BYTES_MAX: usize = 1 << 10;

/// What a new record is made of.
pub(crate) struct Fields<'a> {
    pub(crate) key: &'a [u8],
    /// The value in two parts, so that appending needs no buffer between.
    pub(crate) value: [&'a [u8]; 2],
    pub(crate) version: Version,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) access: u16,
}

/// What becomes of a record's value.
#[derive(Clone, Copy)]
pub(crate) enum NewValue<'a> {
    /// These bytes.
    Whole(&'a [u8]),
    /// The present value and these bytes.
    Appended(&'a [u8]),
}

impl Shape {
    /// The shape with another value, how many bytes of the present value stay, and the bytes that follow them.
    #[inline]
    fn with_value<'v>(
        &self,
        value: NewValue<'v>,
        expires_at: Option<Timestamp>,
    ) -> (Shape, usize, &'v [u8]) {
        let (kept, bytes) = match value {
            NewValue::Whole(bytes) => (0, bytes),
            NewValue::Appended(bytes) => (self.value_len(), bytes),
        };
        (Shape::new(self.key_len(), kept + bytes.len(), expires_at.is_some()), kept, bytes)
    }
}

/// An owned record.
pub(crate) struct Record {
    head: NonNull<u8>,
}

// SAFETY: a record is plain bytes that only its owner can reach (1); there is no thread-bound state in it.
unsafe impl Send for Record {}
// SAFETY: a shared record can only be read.
unsafe impl Sync for Record {}

impl Record {
    /// Allocates and fills a record.
    pub(crate) fn new(fields: &Fields<'_>) -> Self {
        let value_len = fields.value[0].len() + fields.value[1].len();
        let shape = Shape::new(fields.key.len(), value_len, fields.expires_at.is_some());
        let mut record = Record { head: allocate(&shape) };
        let mut writer = record.borrow_mut();
        writer.write_header(&shape, fields.version, fields.access, fields.expires_at);
        writer.write(shape.key_offset(), fields.key);
        writer.write(shape.value_offset(), fields.value[0]);
        writer.write(shape.value_offset() + fields.value[0].len(), fields.value[1]);
        record
    }

    /// The record, to read.
    #[inline]
    pub(crate) fn borrow(&self) -> RecordRef<'_> {
        RecordRef { head: self.head, lifetime: PhantomData }
    }

    #[inline]
    fn borrow_mut(&mut self) -> RecordMut<'_> {
        RecordMut { head: self.head, lifetime: PhantomData }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        #[cfg(test)]
        tests::LIVE_RECORDS.set(tests::LIVE_RECORDS.get() - 1);
        let layout = layout(&self.borrow().shape());
        // SAFETY: (1) and (2): the pointer came from `alloc` with this very layout, and this is its only owner.
        unsafe { dealloc(self.head.as_ptr(), layout) }
    }
}

/// Memory for a record of this shape, which the caller fills before anybody looks at it.
#[inline]
fn allocate(shape: &Shape) -> NonNull<u8> {
    let layout = layout(shape);
    // SAFETY: an allocation is never empty, because the header is not.
    let Some(head) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
    assert!(head.addr().get() & !slot::POINTER_MASK == 0, "user pointers have 48 bits");
    #[cfg(test)]
    tests::LIVE_RECORDS.set(tests::LIVE_RECORDS.get() + 1);
    head
}

#[inline]
fn layout(shape: &Shape) -> Layout {
    Layout::from_size_align(shape.allocation(), ALIGN)
        .expect("a record is far smaller than isize::MAX")
}

/// A borrowed record.
#[derive(Clone, Copy)]
pub(crate) struct RecordRef<'a> {
    head: NonNull<u8>,
    lifetime: PhantomData<&'a [u8]>,
}

// The accessors with `'a` give slices that outlive this small handle, but not the borrow of the record.
impl<'a> RecordRef<'a> {
    #[inline]
    fn read<const N: usize>(self, offset: usize) -> [u8; N] {
        // SAFETY: (3): callers read only inside the header that the flags announce; a byte array has alignment 1.
        unsafe { self.head.add(offset).cast::<[u8; N]>().read() }
    }

    #[inline]
    fn slice(self, offset: usize, len: usize) -> &'a [u8] {
        // SAFETY: (3): callers name the key, the value or both, as the header describes them; the borrow `'a` of the
        // record keeps it alive and unchanged.
        unsafe { slice::from_raw_parts(self.head.add(offset).as_ptr(), len) }
    }

    /// The lengths of the parts.
    #[inline]
    pub(crate) fn shape(self) -> Shape {
        let flags = self.read::<1>(6)[0];
        let [key_low, value_low, value_high] = self.read::<3>(9);
        let key_len = usize::from(key_low);
        let value_len = usize::from(u16::from_le_bytes([value_low, value_high]));
        let shape = Shape::from_header(key_len, value_len, flags);
        if !shape.is_wide() {
            return shape;
        }
        let high = u32::from_le_bytes(self.read::<4>(HEADER_BYTES)) as usize;
        Shape::from_header(key_len | (high & 0xff) << 8, value_len | (high >> 8) << 16, flags)
    }

    #[inline]
    pub(crate) fn version(self) -> Version {
        let [a, b, c, d, e, f] = self.read::<6>(0);
        Version(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    /// The 16 bits that the eviction policy keeps here.
    #[inline]
    pub(crate) fn access(self) -> u16 {
        u16::from_le_bytes(self.read::<2>(7))
    }

    #[inline]
    pub(crate) fn expires_at(self) -> Option<Timestamp> {
        let shape = self.shape();
        shape
            .expires()
            .then(|| Timestamp(u64::from_le_bytes(self.read::<8>(shape.expiry_offset()))))
    }

    #[inline]
    pub(crate) fn key(self) -> &'a [u8] {
        let shape = self.shape();
        self.slice(shape.key_offset(), shape.key_len())
    }

    #[inline]
    pub(crate) fn value(self) -> &'a [u8] {
        let shape = self.shape();
        self.slice(shape.value_offset(), shape.value_len())
    }

    /// The key and, right behind it, the value.
    #[inline]
    pub(crate) fn key_and_value(self) -> &'a [u8] {
        let shape = self.shape();
        self.slice(shape.key_offset(), shape.key_len() + shape.value_len())
    }

    /// A record that is equal in all parts.
    pub(crate) fn to_owned(self) -> Record {
        self.copy(&self.shape())
    }

    /// The same. `shape` is this one's.
    #[inline]
    fn copy(self, shape: &Shape) -> Record {
        let bytes = self.slice(0, shape.value_offset() + shape.value_len());
        let mut record = Record { head: allocate(shape) };
        // All that is initialised, the header with it: (2) and (3) hold for the copy as they do here.
        record.borrow_mut().write(0, bytes);
        record
    }

    /// How many bytes the record occupies.
    #[inline]
    pub(crate) fn allocation(self) -> usize {
        self.shape().allocation()
    }
}

/// A record borrowed for changes.
pub(crate) struct RecordMut<'a> {
    head: NonNull<u8>,
    lifetime: PhantomData<&'a mut [u8]>,
}

impl<'a> RecordMut<'a> {
    /// The record, to read.
    #[inline]
    pub(crate) fn to_ref(&self) -> RecordRef<'_> {
        RecordRef { head: self.head, lifetime: PhantomData }
    }

    /// Gives up the right to change the record.
    #[inline]
    pub(crate) fn into_ref(self) -> RecordRef<'a> {
        RecordRef { head: self.head, lifetime: PhantomData }
    }

    #[inline]
    pub(crate) fn set_access(&mut self, access: u16) {
        self.write(7, &access.to_le_bytes());
    }

    /// Writes a new value, version and expiry over the old ones if the record keeps its size and its kind of header;
    /// otherwise changes nothing and says `false`.
    #[inline]
    pub(crate) fn overwrite(
        &mut self,
        value: NewValue<'_>,
        version: Version,
        expires_at: Option<Timestamp>,
        access: u16,
    ) -> bool {
        let old = self.to_ref().shape();
        let (shape, kept, bytes) = old.with_value(value, expires_at);
        if !old.fits(&shape) {
            return false;
        }
        self.write_header(&shape, version, access, expires_at);
        self.write(shape.value_offset() + kept, bytes);
        true
    }

    /// The same, and returns a copy of the old record; nothing, and nothing is changed, also if the record is so large that
    /// it is cheaper to leave it alone and write a new one. The copy's memory was used a moment ago; a new record's was used
    /// when some other record was replaced, and is in no cache.
    #[inline]
    pub(crate) fn copy_and_overwrite(
        &mut self,
        value: NewValue<'_>,
        version: Version,
        expires_at: Option<Timestamp>,
        access: u16,
    ) -> Option<Record> {
        let old = self.to_ref().shape();
        let (shape, kept, bytes) = old.with_value(value, expires_at);
        if old.allocation() > COPIED_BYTES_MAX || !old.fits(&shape) {
            return None;
        }
        let copy = self.to_ref().copy(&old);
        self.write_header(&shape, version, access, expires_at);
        self.write(shape.value_offset() + kept, bytes);
        Some(copy)
    }

    #[inline]
    fn write_header(
        &mut self,
        shape: &Shape,
        version: Version,
        access: u16,
        expires_at: Option<Timestamp>,
    ) {
        debug_assert!(version <= Version::MAX, "a version has 48 bits");
        let [access_low, access_high] = access.to_le_bytes();
        let first = version.0 & Version::MAX.0
            | u64::from(shape.flags()) << 48
            | u64::from(access_low) << 56;
        let second = u32::from(access_high)
            | (shape.key_len() as u32 & 0xff) << 8
            | (shape.value_len() as u32 & 0xffff) << 16;
        self.write(0, &first.to_le_bytes());
        self.write(8, &second.to_le_bytes());
        if shape.is_wide() {
            let high = (shape.key_len() >> 8) as u32 | ((shape.value_len() >> 16) as u32) << 8;
            self.write(HEADER_BYTES, &high.to_le_bytes());
        }
        if let Some(at) = expires_at {
            self.write(shape.expiry_offset(), &at.0.to_le_bytes());
        }
    }

    #[inline]
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        // SAFETY: callers write only inside the allocation: header parts that the shape announces, the key at its
        // place, a value whose shape has the allocation's size (2), or all of a record of the same shape. `bytes` is another object, because this borrow
        // of the record is exclusive.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.head.add(offset).as_ptr(), bytes.len());
        }
    }
}

#[cfg(test)]
#[path = "raw_test.rs"]
pub(crate) mod tests;
