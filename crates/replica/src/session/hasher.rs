//! [`SessionHasher`]: a hash of a session's number in one multiplication, the same on every node.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds the hasher.
pub(super) type SessionHash = BuildHasherDefault<SessionHasher>;

/// Hashes one number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SessionHasher(u64);

impl Hasher for SessionHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        // The golden ratio spreads consecutive numbers; folding the halves brings the high bits down.
        let product = u128::from(number ^ self.0) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
}
