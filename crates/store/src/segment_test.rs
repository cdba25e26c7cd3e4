//! Tests of a segment with hashes chosen to collide: probing, wraparound, backward shift, growth and splits.

use std::collections::BTreeSet;

use isogrid_core::Version;
use proptest::prelude::*;

use super::*;
use crate::raw::Fields;

impl Segment {
    /// Checks every rule of a segment.
    pub(crate) fn check(&self, hasher: &KeyHasher) {
        let mask = self.buckets.len() - 1;
        assert!(self.buckets.len().is_power_of_two() && self.buckets.len() <= SEGMENT_BUCKETS_MAX);
        assert_eq!(self.records().count(), self.len(), "records are counted, and lie on the left");
        for (bucket, line) in self.buckets.iter().enumerate() {
            for slot in 0..line.records().count() {
                let record = line.record(slot).expect("filled from the left");
                let hash = hasher.hash(record.key());
                let place = SegmentPlace { bucket, slot };
                assert_eq!(self.find(hash, record.key()), Some(place), "a lookup finds it");
                let distance = bucket.wrapping_sub(hash.bucket(mask)) & mask;
                assert!(line.position_behind_home(distance).is_some());
                for passed in 0..distance {
                    assert!(self.buckets[(hash.bucket(mask) + passed) & mask].is_full());
                }
            }
        }
    }
}

/// The key is the hash.
fn hasher() -> KeyHasher {
    KeyHasher::instead(|key| u64::from_le_bytes(key.try_into().expect("eight bytes")))
}

fn insert(segment: &mut Segment, hash: u64) {
    let key = &hash.to_le_bytes();
    let fields =
        Fields { key, value: [&[], &[]], version: Version(1), expires_at: None, access: 0 };
    while !segment.has_room() {
        segment.grow(&hasher());
    }
    segment.insert(KeyHash(hash), Record::new(&fields));
}

fn find(segment: &Segment, hash: u64) -> Option<SegmentPlace> {
    segment.find(KeyHash(hash), &hash.to_le_bytes())
}

/// A hash with this home in 64 buckets, and a number in bits that choose nothing.
fn hash(home: u64, number: u64) -> u64 {
    home | number << 6
}

#[test]
fn a_crowd_at_the_last_bucket_wraps_around() {
    let mut segment = Segment { buckets: empty_buckets(8), len: 0, depth: 0 };
    for number in 0..30 {
        insert(&mut segment, hash(7, number));
    }
    segment.check(&hasher());
    assert_eq!(find(&segment, hash(7, 29)).map(|place| place.bucket), Some(2), "7, 0, 1, 2");
    for number in 0..30 {
        let place = find(&segment, hash(7, number)).expect("present");
        let record = segment.remove(place);
        assert_eq!(record.borrow().key(), hash(7, number).to_le_bytes());
        segment.check(&hasher());
    }
    assert_eq!(segment.len(), 0);
}

#[test]
fn a_hole_is_filled_by_those_who_passed_and_by_no_other() {
    let mut segment = Segment { buckets: empty_buckets(4), len: 0, depth: 0 };
    (0..8).for_each(|number| insert(&mut segment, hash(0, number)));
    (0..8).for_each(|number| insert(&mut segment, hash(1, number)));
    // Passes over both full buckets.
    insert(&mut segment, hash(0, 8));
    insert(&mut segment, hash(2, 0));
    assert_eq!(find(&segment, hash(0, 8)).map(|place| place.bucket), Some(2));
    segment.remove(find(&segment, hash(0, 3)).expect("present"));
    segment.check(&hasher());
    assert_eq!(find(&segment, hash(0, 8)).map(|place| place.bucket), Some(0), "it came home");
    assert_eq!(find(&segment, hash(2, 0)).map(|place| place.bucket), Some(2), "it was at home");
    segment.remove(find(&segment, hash(1, 0)).expect("present"));
    segment.check(&hasher());
}

#[test]
fn a_split_follows_the_next_bit() {
    let mut segment = Segment::new(0);
    for number in 0..448u64 {
        insert(&mut segment, number << 55);
    }
    assert_eq!((segment.len(), segment.buckets.len(), segment.has_room()), (448, 64, false));
    let (low, high) = segment.split(&hasher());
    low.check(&hasher());
    high.check(&hasher());
    assert_eq!((low.len(), high.len()), (256, 192));
    assert!(low.records().all(|record| record.key()[7] < 0x80));
    assert_eq!((low.depth(), high.depth()), (1, 1));
}

#[test]
fn a_one_sided_split_leaves_a_small_empty_segment() {
    let mut segment = Segment::new(0);
    (0..448).for_each(|number| insert(&mut segment, hash(0, number)));
    let (low, high) = segment.split(&hasher());
    low.check(&hasher());
    assert_eq!((low.len(), high.len(), high.buckets.len()), (448, 0, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 64 }) })]

    #[test]
    fn a_segment_is_a_set(steps in prop::collection::vec((any::<bool>(), 0..12u64, 0..16u64), 1..300)) {
        let mut segment = Segment::new(0);
        let mut model = BTreeSet::new();
        for (adds, home, number) in steps {
            // Homes crowd around the wraparound, also when there are few buckets.
            let hash = hash((home + 58) % 64, number << 10 | (number % 2));
            match find(&segment, hash) {
                Some(place) if !adds => {
                    segment.remove(place);
                    model.remove(&hash);
                    segment.shrink(&hasher());
                }
                None if adds => {
                    insert(&mut segment, hash);
                    model.insert(hash);
                }
                found => prop_assert_eq!(found.is_some(), model.contains(&hash)),
            }
        }
        segment.check(&hasher());
        prop_assert_eq!(segment.len(), model.len());
        prop_assert!(model.iter().all(|&hash| find(&segment, hash).is_some()));
    }
}
