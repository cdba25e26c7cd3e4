//! Tests of the unsafe module: every header, every boundary of the lengths, every bit of a slot. Small enough for Miri.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::hash::KeyHash;

thread_local! {
    /// How many records this test's thread has allocated and not freed.
    pub(crate) static LIVE_RECORDS: Cell<i64> = const { Cell::new(0) };
}

const CASES: u32 = if cfg!(miri) { 8 } else { 256 };

fn record(key: &[u8], value: &[u8], expires_at: Option<Timestamp>) -> Record {
    let version = Version(0x0102_0304_0506);
    Record::new(&Fields { key, value: [value, &[]], version, expires_at, access: 0xabcd })
}

/// Lengths around the places where the header changes its form.
fn key_len() -> impl Strategy<Value = usize> {
    prop_oneof![0..40usize, 250..260usize, Just(65_535usize)]
}

fn value_len() -> impl Strategy<Value = usize> {
    let large = if cfg!(miri) { 70_000 } else { 300_000usize };
    prop_oneof![0..300usize, 65_530..65_540usize, Just(large)]
}

fn expiry() -> impl Strategy<Value = Option<Timestamp>> {
    proptest::option::of(any::<u64>().prop_map(Timestamp))
}

fn pattern(len: usize, salt: u8) -> Vec<u8> {
    (0..len).map(|index| (index as u8).wrapping_mul(31) ^ salt).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn a_record_gives_back_its_parts(
        key_len in key_len(),
        value_len in value_len(),
        split in any::<prop::sample::Index>(),
        expires_at in expiry(),
        version in 0..=Version::MAX.0,
        access in any::<u16>(),
    ) {
        let (key, value) = (pattern(key_len, 1), pattern(value_len, 2));
        let (head, tail) = value.split_at(split.index(value_len + 1));
        let version = Version(version);
        let record = Record::new(&Fields { key: &key, value: [head, tail], version, expires_at, access });
        let read = record.borrow();
        prop_assert_eq!(read.key(), &key[..]);
        prop_assert_eq!(read.value(), &value[..]);
        prop_assert_eq!(read.key_and_value(), &[key.clone(), value.clone()].concat()[..]);
        prop_assert_eq!((read.version(), read.access()), (version, access));
        prop_assert_eq!(read.expires_at(), expires_at);
        prop_assert_eq!(read.shape(), Shape::new(key_len, value_len, expires_at.is_some()));
    }

    #[test]
    fn an_overwrite_is_like_a_new_record_or_changes_nothing(
        key_len in key_len(),
        old_len in value_len(),
        new_len in value_len(),
        old_expiry in expiry(),
        new_expiry in expiry(),
        appends in any::<bool>(),
    ) {
        let (key, old, new) = (pattern(key_len, 1), pattern(old_len, 2), pattern(new_len, 3));
        let record = record(&key, &old, old_expiry);
        let mut slot = Slot::new(record, KeyHash(0));
        let mut writer = slot.record_mut().expect("filled");
        let value = if appends { NewValue::Appended(&new) } else { NewValue::Whole(&new) };
        let expected = if appends { [&old[..], &new[..]].concat() } else { new.clone() };
        let before = writer.to_ref().shape();
        let after = Shape::new(key_len, expected.len(), new_expiry.is_some());
        let done = writer.overwrite(value, Version(7), new_expiry, 9);
        prop_assert_eq!(done, before.fits(&after));
        let read = slot.record().expect("filled");
        prop_assert_eq!(read.key(), &key[..]);
        prop_assert_eq!(read.value(), if done { &expected[..] } else { &old[..] });
        prop_assert_eq!(read.expires_at(), if done { new_expiry } else { old_expiry });
        prop_assert_eq!(read.version(), if done { Version(7) } else { Version(0x0102_0304_0506) });
        prop_assert_eq!(read.access(), if done { 9 } else { 0xabcd });
    }

    #[test]
    fn a_slot_keeps_tag_and_distance_beside_the_pointer(hash in any::<u64>(), steps in prop::collection::vec(0..64usize, 1..8)) {
        let mut slot = Slot::new(record(b"key", b"value", None), KeyHash(hash));
        for distance in steps {
            slot.set_distance(distance);
            prop_assert_eq!(slot.distance(), distance);
            prop_assert_eq!(slot.tag(), KeyHash(hash).tag());
            prop_assert_eq!(slot.record().expect("filled").key(), b"key");
        }
    }
}

#[test]
fn the_largest_record_has_its_lengths_in_the_header() {
    let value_len = if cfg!(miri) { 1 << 17 } else { 16 << 20 };
    let record = record(&pattern(65_535, 1), &vec![7; value_len], Some(Timestamp(u64::MAX)));
    assert_eq!(record.borrow().shape().key_len(), 65_535);
    assert_eq!(record.borrow().value().len(), value_len);
    assert_eq!(record.borrow().expires_at(), Some(Timestamp(u64::MAX)));
}

#[test]
fn a_slot_owns_its_record() {
    let before = LIVE_RECORDS.get();
    let mut slot = Slot::new(record(b"a", b"1", None), KeyHash(u64::MAX));
    slot.set_distance(63);
    assert_eq!(LIVE_RECORDS.get(), before + 1);
    let old = slot.replace(record(b"a", b"2", None)).expect("it was filled");
    assert_eq!(
        (old.borrow().value(), slot.record().expect("filled").value()),
        (&b"1"[..], &b"2"[..])
    );
    assert_eq!((slot.tag(), slot.distance()), (KeyHash(u64::MAX).tag(), 63));
    drop(old);
    assert_eq!(LIVE_RECORDS.get(), before + 1);
    let taken = slot.take();
    assert!(slot.is_empty() && slot.record().is_none() && slot.take().into_record().is_none());
    slot.prefetch();
    taken.prefetch();
    drop(taken);
    drop(slot);
    assert_eq!(LIVE_RECORDS.get(), before);
}

#[test]
fn records_may_move_to_another_thread() {
    fn check<T: Send + Sync>() {}
    check::<Record>();
    check::<Slot>();
    check::<crate::Partition>();
}

#[test]
fn access_bits_change_alone() {
    let mut slot = Slot::new(record(b"key", b"value", Some(Timestamp(5))), KeyHash(3));
    slot.record_mut().expect("filled").set_access(0x1234);
    let read = slot.record_mut().expect("filled").into_ref();
    assert_eq!((read.access(), read.key(), read.value()), (0x1234, &b"key"[..], &b"value"[..]));
    assert_eq!(
        (read.version(), read.expires_at()),
        (Version(0x0102_0304_0506), Some(Timestamp(5)))
    );
}
