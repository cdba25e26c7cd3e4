//! Tests of the bucket digests.

use isogrid_core::{MapId, Op};

use super::*;
use crate::partition::tests::partition;

#[test]
fn the_buckets_add_up_to_the_digest_and_show_where_two_replicas_differ() {
    let (mut one, mut other) = (partition(), partition());
    for number in 0..3_000u32 {
        for replica in [&mut one, &mut other] {
            replica.run(MapId(number % 3), Op::put(&number.to_le_bytes(), b"v"), 1);
        }
    }
    assert_eq!(one.bucket_digests(), other.bucket_digests());
    assert_eq!(one.bucket_digests().total(), one.digest());
    let op = Op::put(b"another", b"v");
    let bucket = (one.hash_of(&op).0 >> 56) as u8;
    other.run(MapId(1), op, 1);
    let digests = other.bucket_digests();
    assert_eq!(digests.total(), other.digest());
    assert_eq!(one.bucket_digests().differing(&digests).collect::<Vec<_>>(), [bucket]);
    let sent = BucketDigests::new(Box::new(*digests.sums()));
    assert_eq!(sent, digests);
    // The same record in another map is another record.
    one.run(MapId(2), op, 1);
    assert_eq!(one.bucket_digests().differing(&digests).collect::<Vec<_>>(), [bucket]);
}

#[test]
fn an_empty_partition_has_empty_buckets() {
    assert!(partition().bucket_digests().sums().iter().all(|sum| *sum == 0));
}
