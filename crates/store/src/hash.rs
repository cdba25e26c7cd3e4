//! [`KeyHash`]: the one hash of an operation, and which of its bits choose what.
//!
//! ```text
//!  63 ......... 30 | 29 ..... 16 | 15 .. 6 | 5 ..... 0
//!  directory       | tag (14)    |         | bucket (6)
//! ```
//!
//! The directory takes as many of the top bits as it is deep, so walking it is walking in hash order. No bit of the tag
//! chooses a directory entry or a bucket, so a tag tells apart the records that meet in one bucket.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many bits of the hash are a slot's tag.
pub(crate) const TAG_BITS: u32 = 14;

/// The lowest bit of the tag.
const TAG_SHIFT: u32 = 16;

/// The deepest a directory can be without taking bits of the tag.
pub(crate) const DIRECTORY_DEPTH_MAX: u32 = 64 - TAG_SHIFT - TAG_BITS;

/// The hash of a key: computed once per operation, stable as long as the cluster lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub u64);

/// The hash of a key under a cluster's seed. All replicas of a partition must use the same seed, because a scan's cursor
/// is a hash.
#[inline]
pub fn hash_key(seed: u64, key: &[u8]) -> KeyHash {
    KeyHash(xxh3_64_with_seed(key, seed))
}

impl KeyHash {
    /// The bits that a slot remembers.
    #[inline]
    pub(crate) fn tag(self) -> u32 {
        (self.0 >> TAG_SHIFT) as u32 & ((1 << TAG_BITS) - 1)
    }

    /// The home bucket in a segment of `bucket_mask + 1` buckets.
    #[inline]
    pub(crate) fn bucket(self, bucket_mask: usize) -> usize {
        self.0 as usize & bucket_mask
    }

    /// The top `depth` bits. Two shifts, because one shift by 64 is not defined.
    #[inline]
    pub(crate) fn prefix(self, depth: u32) -> usize {
        ((self.0 >> 1) >> (63 - depth)) as usize
    }

    /// Whether the bit that follows the top `depth` bits is set.
    #[inline]
    pub(crate) fn bit_after(self, depth: u32) -> bool {
        (self.0 >> (63 - depth)) & 1 == 1
    }
}

/// Hashes the key of a record again: records do not store their hash, and a growing table needs it.
#[derive(Clone, Copy)]
pub(crate) struct KeyHasher {
    seed: u64,
    /// What tests hash with instead, so that they can choose what collides.
    #[cfg(test)]
    instead: Option<fn(&[u8]) -> u64>,
}

impl KeyHasher {
    /// The hasher of a cluster.
    pub(crate) fn new(seed: u64) -> Self {
        KeyHasher {
            seed,
            #[cfg(test)]
            instead: None,
        }
    }

    /// A hasher that a test made.
    #[cfg(test)]
    pub(crate) fn instead(hash: fn(&[u8]) -> u64) -> Self {
        KeyHasher { seed: 0, instead: Some(hash) }
    }

    /// The hash of a key.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        #[cfg(test)]
        if let Some(instead) = self.instead {
            return KeyHash(instead(key));
        }
        hash_key(self.seed, key)
    }
}
