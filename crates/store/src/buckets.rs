//! [`BucketDigests`]: the digest of a partition in 256 parts, to find out where two replicas differ.

use crate::digest;
use crate::partition::Partition;

/// How many buckets there are: one per value of the top eight bits of a key's hash.
pub const BUCKETS: usize = 256;

/// The digest of a partition by the top eight bits of the key hashes, over all maps. Records count as they do in
/// [`Partition::digest`], so the sum over the buckets is that digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketDigests {
    sums: Box<[u128; BUCKETS]>,
}

impl BucketDigests {
    /// The digests from their sums, as another replica sent them.
    pub fn new(sums: Box<[u128; BUCKETS]>) -> Self {
        BucketDigests { sums }
    }

    /// The digest of each bucket.
    pub fn sums(&self) -> &[u128; BUCKETS] {
        &self.sums
    }

    /// The digest of all buckets: equal to the partition's.
    pub fn total(&self) -> u128 {
        self.sums.iter().fold(0, |sum, bucket| sum.wrapping_add(*bucket))
    }

    /// The buckets that have different records on the other replica.
    pub fn differing(&self, other: &BucketDigests) -> impl Iterator<Item = u8> {
        let pairs = self.sums.iter().zip(other.sums.iter());
        let differing = |(bucket, (one, other))| (one != other).then_some(bucket);
        (0..=u8::MAX).zip(pairs).filter_map(differing)
    }
}

impl Partition {
    /// The digests of the buckets, added up now from all records: as expensive as a walk, so only for partitions whose
    /// digests differ.
    pub fn bucket_digests(&self) -> BucketDigests {
        let mut sums = Box::new([0u128; BUCKETS]);
        for store in self.maps.iter().flatten() {
            let mut of_map = [0u128; BUCKETS];
            for record in store.content.table.records() {
                let bucket = (self.common.hasher.hash(record.key()).0 >> 56) as usize;
                of_map[bucket] = of_map[bucket].wrapping_add(digest::of_record(record));
            }
            for (sum, of_map) in sums.iter_mut().zip(of_map) {
                *sum = sum.wrapping_add(digest::of_map(store.id(), of_map));
            }
        }
        BucketDigests { sums }
    }
}

#[cfg(test)]
#[path = "buckets_test.rs"]
mod tests;
