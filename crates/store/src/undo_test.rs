//! Tests of taking back: clear, tables that emptied meanwhile, accounts, settling, versions.

use std::sync::Arc;

use isogrid_core::{Condition, Expiry, MapSettings, PartitionId, Timestamp};

use super::*;
use crate::partition::tests::{MAP, partition};
use crate::raw::tests::LIVE_RECORDS;
use crate::usage::MapUsage;

const CLEAR: Op<'_> = Op::Clear { partition: PartitionId(3) };

fn journaled() -> (Partition, Arc<MapUsage>) {
    let (mut partition, usage) = (partition(), Arc::new(MapUsage::default()));
    partition.configure(MAP, &MapSettings::default(), usage.clone());
    partition.journal(true);
    (partition, usage)
}

fn fill(partition: &mut Partition, keys: std::ops::Range<u32>, expiry: Expiry) {
    for number in keys {
        let key = number.to_le_bytes();
        let condition = Condition::Always;
        let op = Op::Put { key: &key, value: b"v", condition, expiry, return_old: false };
        partition.run(MAP, op, 1);
    }
}

/// All that must be as it was.
fn state(partition: &Partition, usage: &MapUsage) -> (u128, usize, Option<Timestamp>, u64, u64) {
    (
        partition.digest(),
        partition.entries(MAP),
        partition.next_expiry(),
        partition.last_version().0,
        usage.entries(),
    )
}

#[test]
fn a_clear_is_taken_back_whole() {
    let (mut partition, usage) = journaled();
    fill(&mut partition, 0..1_000, Expiry::At(Timestamp(50)));
    partition.undo_after(partition.last_version());
    let before = (state(&partition, &usage), partition.total_bytes(), usage.bytes());
    partition.run(MAP, CLEAR, 1);
    assert_eq!((partition.total_bytes(), partition.next_expiry()), (0, None));
    assert!(partition.unsettled_bytes() >= before.1);
    fill(&mut partition, 500..1_500, Expiry::Never);
    partition.run(MAP, CLEAR, 1);
    partition.undo_after(Version(1_000));
    assert_eq!((state(&partition, &usage), partition.total_bytes(), usage.bytes()), before);
    partition.check();
}

#[test]
fn a_table_that_emptied_is_filled_again() {
    let (mut partition, usage) = journaled();
    fill(&mut partition, 0..5_000, Expiry::Never);
    partition.settle(Version(5_000));
    assert_eq!(partition.unsettled(), 0);
    partition.undo_after(Version(5_000));
    let before = state(&partition, &usage);
    (0..5_000u32).for_each(|key| drop(partition.run(MAP, Op::delete(&key.to_le_bytes()), 1)));
    assert_eq!(partition.total_bytes(), 0);
    partition.undo_after(Version(5_000));
    assert_eq!(state(&partition, &usage), before);
    assert_eq!(usage.bytes(), partition.total_bytes() as u64);
    partition.check();
}

#[test]
fn records_that_no_evenly_filled_table_would_tell_apart_come_back() {
    // The colliding keys go in when there are enough others, and come back when there are not.
    let hasher = KeyHasher::instead(|key| match key.len() {
        4 => crate::hash_key(1, key).0,
        _ => crate::hash_key(1, key).0 >> 11 | 1 << 63,
    });
    let mut partition =
        Partition::with_hasher(PartitionId(3), hasher, &isogrid_core::Limits::default());
    partition.journal(true);
    fill(&mut partition, 0..4_000, Expiry::Never);
    for number in 0..1_000u64 {
        let reply = partition.run(MAP, Op::put(&number.to_le_bytes(), b"v"), 1);
        assert!(matches!(reply, Reply::Written { .. }), "{number}");
    }
    let (version, digest) = (partition.last_version(), partition.digest());
    (0..4_000u32).for_each(|key| drop(partition.run(MAP, Op::delete(&key.to_le_bytes()), 1)));
    (0..1_000u64).for_each(|key| drop(partition.run(MAP, Op::delete(&key.to_le_bytes()), 1)));
    partition.undo_after(version);
    assert_eq!(partition.digest(), digest);
    partition.check();
}

#[test]
fn what_is_settled_is_freed_and_what_is_not_can_be_taken_back() {
    let (mut partition, usage) = journaled();
    let live = LIVE_RECORDS.get();
    fill(&mut partition, 0..10, Expiry::Never);
    fill(&mut partition, 0..10, Expiry::Never);
    assert_eq!((partition.unsettled(), LIVE_RECORDS.get() - live), (20, 20));
    partition.settle(Version(15));
    assert_eq!((partition.unsettled(), LIVE_RECORDS.get() - live), (5, 15));
    let digest = partition.digest();
    fill(&mut partition, 0..10, Expiry::AfterMs(10));
    partition.undo_after(Version(20));
    assert_eq!(partition.digest(), digest);
    partition.undo_after(Version(15));
    assert_eq!((partition.last_version(), partition.unsettled()), (Version(15), 0));
    // Settling too far settles what there is.
    partition.settle(Version(99));
    fill(&mut partition, 20..21, Expiry::Never);
    partition.undo_after(Version(15));
    assert_eq!((usage.entries(), LIVE_RECORDS.get() - live), (10, 10));
    partition.check();
}

#[test]
#[should_panic(expected = "version 3 is settled")]
fn what_is_settled_stays() {
    let (mut partition, _) = journaled();
    fill(&mut partition, 0..10, Expiry::Never);
    partition.settle(Version(4));
    partition.undo_after(Version(3));
}

#[test]
#[should_panic(expected = "version 3 is settled")]
fn what_was_not_journaled_stays() {
    let mut partition = partition();
    fill(&mut partition, 0..10, Expiry::Never);
    partition.journal(true);
    partition.undo_after(Version(3));
}

#[test]
fn versions_can_be_skipped_and_come_back_with_the_changes() {
    let (mut partition, _) = journaled();
    partition.set_version(Version(7));
    fill(&mut partition, 0..1, Expiry::Never);
    partition.set_version(Version(20));
    fill(&mut partition, 1..2, Expiry::Never);
    let versions: Vec<_> = partition.changes().map(|(version, _)| version.0).collect();
    assert_eq!(versions, [21]);
    partition.undo_after(Version(15));
    assert_eq!((partition.last_version(), partition.entries(MAP)), (Version(15), 1));
    partition.undo_after(Version(3));
    assert_eq!((partition.last_version(), partition.entries(MAP)), (Version(3), 0));
}

#[test]
#[should_panic(expected = "versions do not go back")]
fn versions_do_not_go_back() {
    let (mut partition, _) = journaled();
    partition.set_version(Version(7));
    partition.set_version(Version(6));
}

#[test]
fn a_long_journal_gives_its_memory_back() {
    let (mut partition, _) = journaled();
    fill(&mut partition, 0..10_000, Expiry::Never);
    partition.settle(Version(9_999));
    assert_eq!(partition.unsettled(), 1);
    partition.settle(Version(10_000));
    fill(&mut partition, 0..1, Expiry::Never);
    partition.undo_after(Version(10_000));
    assert_eq!((partition.unsettled(), partition.unsettled_bytes()), (0, 0));
    partition.check();
}
