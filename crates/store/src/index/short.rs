//! [`Short`]: bytes that mostly fit where a pointer to them would stand, so that a walk through a tree follows none.

use std::borrow::Borrow;
use std::cmp::Ordering;

/// So many bytes need no memory of their own.
const HERE_BYTES: usize = 22;

/// Memory is given in pieces of this size.
const PIECE_BYTES: usize = 16;

/// Bytes, in the order of bytes.
#[derive(Debug)]
pub(super) enum Short {
    Here(u8, [u8; HERE_BYTES]),
    There(Box<[u8]>),
}

impl Short {
    pub(super) fn new(bytes: &[u8]) -> Self {
        if bytes.len() > HERE_BYTES {
            return Short::There(bytes.into());
        }
        let mut here = [0; HERE_BYTES];
        here[..bytes.len()].copy_from_slice(bytes);
        Short::Here(bytes.len() as u8, here)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Short::Here(len, bytes) => &bytes[..usize::from(*len)],
            Short::There(bytes) => bytes,
        }
    }

    /// How much memory of its own so many bytes need.
    pub(super) fn allocation(len: usize) -> usize {
        if len > HERE_BYTES { len.next_multiple_of(PIECE_BYTES) } else { 0 }
    }
}

impl Borrow<[u8]> for Short {
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq for Short {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Short {}

impl PartialOrd for Short {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Short {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_ones_are_in_the_order_of_bytes() {
        assert_eq!(size_of::<Short>(), 24);
        let long = [7; 40];
        let parts = [&long[..0], &long[..22], &long[..23], &long[..], &[8]];
        for pair in parts.windows(2) {
            assert!(Short::new(pair[0]) < Short::new(pair[1]));
        }
        assert_eq!(parts.map(|bytes| Short::allocation(bytes.len())), [0, 0, 32, 48, 0]);
        assert_eq!(Short::new(&long).bytes(), long);
    }
}
