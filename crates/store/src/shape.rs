//! [`Shape`]: how long the parts of a record are, where they lie, and how many bytes the allocator really gives for it.
//!
//! ```text
//!  0        6       7        9           10             12
//!  | version | flags | access | key_len lo | value_len lo |  WIDE: key_len hi (1), value_len hi (3)
//!                                                         |  EXPIRES: expiry in ms (8)
//!                                                         |  key, value
//! ```

use isogrid_core::limits::{KEY_BYTES_HARD_MAX, VALUE_BYTES_HARD_MAX};

/// The part of the header that every record has.
pub(crate) const HEADER_BYTES: usize = 12;

/// Flag: the high parts of the lengths follow the header.
pub(crate) const WIDE: u8 = 1;

/// Flag: the expiry follows.
pub(crate) const EXPIRES: u8 = 2;

/// The lengths of a record's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    key_len: usize,
    value_len: usize,
    flags: u8,
}

impl Shape {
    /// The shape of a record with a key and a value of these lengths.
    ///
    /// # Panics
    /// When a length is beyond what any record can hold; a partition refuses such operations before.
    #[inline]
    pub(crate) fn new(key_len: usize, value_len: usize, expires: bool) -> Self {
        assert!(key_len <= KEY_BYTES_HARD_MAX, "the partition checked the key's length");
        assert!(value_len <= VALUE_BYTES_HARD_MAX, "the partition checked the value's length");
        let wide = key_len > usize::from(u8::MAX) || value_len > usize::from(u16::MAX);
        let flags = if wide { WIDE } else { 0 } | if expires { EXPIRES } else { 0 };
        Shape { key_len, value_len, flags }
    }

    /// The shape that a header describes.
    #[inline]
    pub(crate) fn from_header(key_len: usize, value_len: usize, flags: u8) -> Self {
        Shape { key_len, value_len, flags }
    }

    #[inline]
    pub(crate) fn key_len(&self) -> usize {
        self.key_len
    }

    #[inline]
    pub(crate) fn value_len(&self) -> usize {
        self.value_len
    }

    #[inline]
    pub(crate) fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the header has the high parts of the lengths.
    #[inline]
    pub(crate) fn is_wide(&self) -> bool {
        self.flags & WIDE != 0
    }

    /// Whether the header has an expiry.
    #[inline]
    pub(crate) fn expires(&self) -> bool {
        self.flags & EXPIRES != 0
    }

    /// Where the expiry lies, if the record has one.
    #[inline]
    pub(crate) fn expiry_offset(&self) -> usize {
        // WIDE is bit 0 and costs four bytes: no branch.
        HEADER_BYTES + usize::from(self.flags & WIDE) * 4
    }

    /// Where the key begins.
    #[inline]
    pub(crate) fn key_offset(&self) -> usize {
        // EXPIRES is bit 1 and costs eight bytes.
        self.expiry_offset() + usize::from(self.flags & EXPIRES) * 4
    }

    /// Where the value begins.
    #[inline]
    pub(crate) fn value_offset(&self) -> usize {
        self.key_offset() + self.key_len
    }

    /// How many bytes the record occupies in memory.
    #[inline]
    pub(crate) fn allocation(&self) -> usize {
        size_class(self.value_offset() + self.value_len)
    }

    /// Whether a record of the other shape can be written over a record of this one.
    #[inline]
    pub(crate) fn fits(&self, other: &Shape) -> bool {
        self.flags == other.flags
            && self.key_len == other.key_len
            && self.allocation() == other.allocation()
    }
}

/// Rounds up to what mimalloc hands out, so that the accounting is what the process really pays and a value can grow a
/// little in place: multiples of 16 up to 128, then four steps per doubling up to 128 KiB, then the coarser steps of its
/// large pages.
#[inline]
pub(crate) fn size_class(bytes: usize) -> usize {
    let step = match bytes {
        0..=128 => 16,
        129..=0x2_0000 => 1 << ((bytes - 1).ilog2() - 2),
        0x2_0001..0x8_0000 => 4 << 10,
        0x8_0000..0x20_0000 => 64 << 10,
        0x20_0000..0x80_0000 => 256 << 10,
        _ => 1 << 20,
    };
    bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_climb_the_allocators_ladder() {
        let ladder =
            [16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640];
        for (below, size) in ladder.iter().zip(&ladder[1..]) {
            assert_eq!(size_class(below + 1), *size);
            assert_eq!(size_class(*size), *size);
        }
        assert_eq!(size_class(0x2_0000), 0x2_0000);
        assert_eq!(size_class(0x2_0001), 0x2_1000);
        assert_eq!(size_class((16 << 20) + 1), 17 << 20);
    }

    #[test]
    fn a_common_record_is_two_cache_lines() {
        let shape = Shape::new(16, 100, false);
        assert_eq!(shape.allocation(), 128);
        assert_eq!((shape.key_offset(), shape.value_offset()), (12, 28));
    }

    #[test]
    fn each_flag_costs_its_bytes() {
        assert_eq!(Shape::new(255, 65_535, false).key_offset(), 12);
        assert_eq!(Shape::new(256, 0, false).key_offset(), 16);
        assert_eq!(Shape::new(0, 65_536, false).key_offset(), 16);
        assert_eq!(Shape::new(1, 1, true).key_offset(), 20);
        assert_eq!(Shape::new(256, 1, true).key_offset(), 24);
        assert_eq!(Shape::new(256, 1, true).expiry_offset(), 16);
    }
}
