//! Tests of the directory: splits, accounting, order, the depth cap, and that memory comes back.

use std::collections::BTreeSet;

use isogrid_core::Version;
use proptest::prelude::*;

use super::*;
use crate::raw::Fields;
use crate::raw::tests::LIVE_RECORDS;

impl Table {
    /// Checks every rule of a table, and counts its bytes anew.
    pub(crate) fn check(&self, hasher: &KeyHasher) {
        for segment in &self.segments {
            segment.check(hasher);
        }
        assert_eq!(self.records().count(), self.len);
        let records: usize = self.records().map(RecordRef::allocation).sum();
        let buckets: usize = self.segments.iter().map(Segment::bucket_bytes).sum();
        let segments = self.segments.capacity() * size_of::<Segment>();
        assert_eq!(self.bytes(), records + buckets + segments + self.directory.capacity() * 4);
        if self.len == 0 {
            assert_eq!((self.bytes(), self.directory.len()), (0, 0), "an empty table is free");
            return;
        }
        assert_eq!(self.directory.len(), 1 << self.depth);
        let in_order = self.segments_from(KeyHash(0)).map(|(_, segment)| segment);
        let covered: usize = in_order.map(|segment| 1 << (self.depth - segment.depth())).sum();
        assert_eq!(covered, self.directory.len(), "the segments cover all hashes");
        for record in self.records() {
            let hash = hasher.hash(record.key());
            assert_eq!(self.get(hash, record.key()).map(|found| found.key()), Some(record.key()));
        }
    }
}

fn record(key: &[u8]) -> Record {
    Record::new(&Fields {
        key,
        value: [b"value", &[]],
        version: Version(1),
        expires_at: None,
        access: 0,
    })
}

fn insert(table: &mut Table, hasher: &KeyHasher, key: &[u8]) -> Result<(), TooManyCollisions> {
    let hash = hasher.hash(key);
    let before = table.bytes();
    let expected = before + table.growth_bytes(hash) + record(key).borrow().allocation();
    table.reserve(hash, hasher)?;
    table.insert(hash, record(key));
    let is_split = table.bytes() > before + 4_096;
    assert!(table.bytes() <= expected || is_split, "growth was announced");
    Ok(())
}

fn key_is_hash() -> KeyHasher {
    KeyHasher::instead(|key| u64::from_le_bytes(key.try_into().expect("eight bytes")))
}

const MANY: u32 = if cfg!(miri) { 600 } else { 20_000 };

#[test]
fn a_table_grows_and_shrinks_and_gives_all_memory_back() {
    let hasher = KeyHasher::new(7);
    let live = LIVE_RECORDS.get();
    let mut table = Table::default();
    for number in 0..MANY {
        insert(&mut table, &hasher, &number.to_le_bytes()).expect("even hashes");
        if number.is_power_of_two() {
            table.check(&hasher);
        }
    }
    table.check(&hasher);
    let full = table.bytes();
    for number in 0..MANY {
        let key = number.to_le_bytes();
        let place = table.find(hasher.hash(&key), &key).expect("present");
        assert_eq!(table.remove(place, &hasher).borrow().key(), key);
        if number.is_power_of_two() || number == MANY - 10 {
            table.check(&hasher);
        }
    }
    table.check(&hasher);
    assert!(full > table.bytes() && table.bytes() == 0);
    assert_eq!(LIVE_RECORDS.get(), live);
}

#[test]
fn a_dropped_table_frees_its_records() {
    let hasher = KeyHasher::new(7);
    let live = LIVE_RECORDS.get();
    let mut table = Table::default();
    (0..1_000u32).for_each(|n| insert(&mut table, &hasher, &n.to_le_bytes()).expect("even hashes"));
    assert_eq!(LIVE_RECORDS.get(), live + 1_000);
    drop(table);
    assert_eq!(LIVE_RECORDS.get(), live);
}

#[test]
fn the_smallest_table_is_one_cache_line_and_a_little() {
    let mut table = Table::default();
    insert(&mut table, &KeyHasher::new(7), b"key").expect("it is empty");
    assert_eq!(table.bytes(), 64 + size_of::<Segment>() + 4 + 32);
}

#[test]
fn colliding_keys_are_refused_and_nothing_is_lost() {
    let hasher = KeyHasher::instead(|_| 0x1234_5678_9abc_def0);
    let mut table = Table::default();
    let refused = (0..10_000u32).find(|n| insert(&mut table, &hasher, &n.to_le_bytes()).is_err());
    assert_eq!(refused, Some(448), "a full segment that no bit divides");
    assert!(table.depth <= depth_max(table.len()));
    for number in 0..448u32 {
        let key = number.to_le_bytes();
        assert!(table.get(hasher.hash(&key), &key).is_some());
    }
    table.check(&hasher);
    // A removal makes room again.
    let place = table.find(hasher.hash(&[]), &5u32.to_le_bytes()).expect("present");
    table.remove(place, &hasher);
    insert(&mut table, &hasher, &5u32.to_le_bytes()).expect("there is room");
    table.check(&hasher);
}

#[test]
fn keys_that_share_a_long_prefix_are_told_apart_up_to_the_cap() {
    // The first eight bits are the same for all: eight splits put all records on one side.
    let hasher = KeyHasher::instead(|key| crate::hash_key(1, key).0 >> 8 | 0xab << 56);
    let mut table = Table::default();
    (0..4_000u32)
        .for_each(|n| insert(&mut table, &hasher, &n.to_le_bytes()).expect("below the cap"));
    table.check(&hasher);
    assert!(table.depth >= 8 && table.depth <= depth_max(table.len()), "{}", table.depth);
}

#[test]
fn segments_come_in_the_order_of_hashes_from_any_hash_on() {
    let hasher = KeyHasher::new(3);
    let mut table = Table::default();
    (0..5_000u32).for_each(|n| insert(&mut table, &hasher, &n.to_le_bytes()).expect("even hashes"));
    let mut last = 0;
    for (_, segment) in table.segments_from(KeyHash(0)) {
        let hashes = segment.records().map(|record| hasher.hash(record.key()).0);
        let (least, most) = hashes.fold((u64::MAX, 0), |(a, b), hash| (a.min(hash), b.max(hash)));
        assert!(last < least, "segments do not overlap");
        last = most;
    }
    for from in [0, 1, u64::MAX / 3, u64::MAX] {
        let hashes = table.records().map(|record| hasher.hash(record.key()).0);
        let expected = hashes.filter(|hash| *hash >= from).count();
        let found = table.segments_from(KeyHash(from)).flat_map(|(_, segment)| segment.records());
        assert_eq!(found.filter(|record| hasher.hash(record.key()).0 >= from).count(), expected);
    }
}

#[test]
fn a_sample_has_records_wherever_it_begins() {
    let hasher = key_is_hash();
    let mut table = Table::default();
    assert_eq!(table.sample(5, &mut [Place::NONE; 8]), 0);
    // Nearly everything lies in one corner, and some segments are empty.
    (0..600u64).for_each(|n| {
        insert(&mut table, &hasher, &n.rotate_right(10).to_le_bytes()).expect("fits")
    });
    for random in (0..64u64).map(|n| n << 58 | n) {
        let mut places = [Place::NONE; 8];
        let found = table.sample(random, &mut places);
        assert!(found >= 2);
        let keys: BTreeSet<_> = places[..found].iter().map(|p| table.record(*p).key()).collect();
        assert_eq!(keys.len(), found, "no record twice");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 24 }) })]

    /// Hashes of few values in the top, the middle and the low bits, so that everything collides with something.
    #[test]
    fn a_table_is_a_set_whatever_the_hashes(
        steps in prop::collection::vec((0..4u8, 0..8u64, 0..40u64, 0..4u64), 1..1_500),
    ) {
        let hasher = key_is_hash();
        let mut table = Table::default();
        let mut model = BTreeSet::new();
        for (action, top, middle, low) in steps {
            let hash = top << 61 | middle << 30 | low;
            let key = hash.to_le_bytes();
            match (action, table.find(KeyHash(hash), &key)) {
                (0, Some(place)) => {
                    table.remove(place, &hasher);
                    model.remove(&hash);
                }
                (1, Some(place)) => {
                    table.replace(place, record(&key));
                }
                (_, None) if action > 0 && insert(&mut table, &hasher, &key).is_ok() => {
                    model.insert(hash);
                }
                (_, found) => prop_assert_eq!(found.is_some(), model.contains(&hash)),
            }
        }
        table.check(&hasher);
        prop_assert_eq!(table.len(), model.len());
    }
}
