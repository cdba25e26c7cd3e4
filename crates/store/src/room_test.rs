//! Tests of limits, eviction and the memory mark.

use std::sync::Arc;

use isogrid_core::{Limits, MapSettings, Op, PartitionId, Reply};

use super::*;
use crate::partition::tests::{MAP, partition};
use crate::partition::{Context, Partition};
use crate::usage::MapUsage;

fn limited(eviction: Eviction, entries_max: u64, bytes_max: u64) -> (Partition, Arc<MapUsage>) {
    let usage = Arc::new(MapUsage::default());
    let mut partition = partition();
    partition.configure(
        MAP,
        &MapSettings { eviction, entries_max, bytes_max, ..MapSettings::default() },
        usage.clone(),
    );
    (partition, usage)
}

fn key(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

fn has(partition: &mut Partition, number: u32) -> bool {
    partition.run(MAP, Op::Exists { key: &key(number) }, 1) == Reply::Flag(true)
}

fn code(reply: &Reply<'_>) -> Option<ErrorCode> {
    match reply {
        Reply::Failed(error) => Some(error.code()),
        _ => None,
    }
}

#[test]
fn a_full_map_without_policy_takes_only_what_adds_nothing() {
    let (mut partition, usage) = limited(Eviction::None, 3, 0);
    for number in 0..3 {
        assert_eq!(code(&partition.run(MAP, Op::put(&key(number), b"v"), 1)), None);
    }
    let refused = partition.run(MAP, Op::put(&key(3), b"v"), 1);
    assert_eq!(code(&refused), Some(ErrorCode::MapFull));
    assert_eq!(code(&partition.run(MAP, Op::put(&key(1), b"longer value"), 1)), None);
    assert_eq!(usage.entries(), 3);
    partition.run(MAP, Op::delete(&key(0)), 1);
    assert_eq!(code(&partition.run(MAP, Op::put(&key(3), b"v"), 1)), None);
    partition.check();
}

#[test]
fn an_expired_record_makes_room_without_a_policy() {
    let (mut partition, _) = limited(Eviction::None, 1, 0);
    partition.run(MAP, Op::put(&key(0), b"v"), 1);
    partition.run(MAP, Op::Expire { key: &key(0), expiry: isogrid_core::Expiry::AfterMs(5) }, 1);
    assert_eq!(code(&partition.run(MAP, Op::put(&key(1), b"v"), 5)), Some(ErrorCode::MapFull));
    assert_eq!(code(&partition.run(MAP, Op::put(&key(1), b"v"), 6)), None);
    assert_eq!(partition.entries(MAP), 1);
}

#[test]
fn limits_hold_after_every_operation() {
    for eviction in [Eviction::None, Eviction::Lru, Eviction::Lfu] {
        for (entries_max, bytes_max) in [(100, 0), (0, 40_000), (500, 30_000)] {
            let (mut partition, usage) = limited(eviction, entries_max, bytes_max);
            let (mut refused, mut value) = (0, vec![]);
            for number in 0..3_000u32 {
                value.resize(number as usize * 37 % 400, 1);
                let reply = partition.run(MAP, Op::put(&key(number * 7 % 1_000), &value), 1);
                refused += u32::from(code(&reply) == Some(ErrorCode::MapFull));
                assert!(entries_max == 0 || usage.entries() <= entries_max);
                assert!(bytes_max == 0 || usage.bytes() <= bytes_max, "{}", usage.bytes());
            }
            assert_eq!(usage.entries(), partition.entries(MAP) as u64);
            assert_eq!(usage.bytes(), partition.bytes(MAP) as u64);
            assert_eq!(refused > 0, eviction == Eviction::None);
            partition.check();
        }
    }
}

#[test]
fn lru_keeps_what_is_used() {
    let (mut partition, _) = limited(Eviction::Lru, 500, 0);
    for number in 0..5_000 {
        partition.run(MAP, Op::put(&key(number), b"v"), 1);
        for hot in 0..10.min(number) {
            assert!(
                matches!(partition.run(MAP, Op::Get { key: &key(hot) }, 1), Reply::Found(_)),
                "{hot}"
            );
        }
    }
    let recent = (4_800..5_000).filter(|number| has(&mut partition, *number)).count();
    assert!(recent > 180, "{recent} of the last 200");
}

#[test]
fn lfu_keeps_what_is_used_often_through_a_flood_of_new_keys() {
    let (mut partition, _) = limited(Eviction::Lfu, 500, 0);
    for number in 0..400 {
        partition.run(MAP, Op::put(&key(number), b"v"), 1);
    }
    for _ in 0..200 {
        (0..50).for_each(|hot| drop(partition.run(MAP, Op::Touch { key: &key(hot) }, 1)));
    }
    for number in 1_000..6_000 {
        partition.run(MAP, Op::put(&key(number), b"v"), 1);
    }
    let hot = (0..50).filter(|number| has(&mut partition, *number)).count();
    let rare = (50..400).filter(|number| has(&mut partition, *number)).count();
    assert!(hot >= 48 && rare < 100, "{hot} of 50 often used, {rare} of 350 rarely used");
}

#[test]
fn a_record_that_grows_is_not_evicted_for_its_own_growth() {
    // 92 bytes for the table, 32 and 80 for the records.
    let (mut partition, _) = limited(Eviction::Lru, 0, 210);
    partition.run(MAP, Op::put(&key(0), b"ab"), 1);
    partition.run(MAP, Op::put(&key(1), &[0; 50]), 1);
    for _ in 0..100 {
        partition.run(MAP, Op::Touch { key: &key(1) }, 1);
    }
    // The colder of the two is the one that needs 16 bytes more.
    let appended = partition.run(MAP, Op::Append { key: &key(0), value: &[1; 30] }, 1);
    assert!(matches!(appended, Reply::Integer { value: 32, .. }), "{appended:?}");
    let found = partition.run(MAP, Op::Get { key: &key(0) }, 1);
    assert!(matches!(found, Reply::Found(entry) if entry.value.len() == 32), "{found:?}");
    assert!(!has(&mut partition, 1));
}

#[test]
fn the_same_operations_evict_the_same_records() {
    let run = || {
        let (mut partition, _) = limited(Eviction::Lfu, 100, 0);
        (0..1_000).for_each(|n| drop(partition.run(MAP, Op::put(&key(n * 13 % 400), b"v"), 1)));
        partition.digest()
    };
    assert_eq!(run(), run());
}

#[test]
fn an_excess_in_other_partitions_is_visible_and_evictable() {
    let usage = Arc::new(MapUsage::default());
    let settings = MapSettings {
        eviction: Eviction::Lru,
        entries_max: 10,
        bytes_max: 0,
        ..MapSettings::default()
    };
    let mut partitions: Vec<_> =
        (0..2).map(|id| Partition::new(PartitionId(id), 42, &Limits::default())).collect();
    partitions.iter_mut().for_each(|partition| partition.configure(MAP, &settings, usage.clone()));
    (0..10).for_each(|n| drop(partitions[0].run(MAP, Op::put(&key(n), b"v"), 1)));
    // Nothing else is in the second partition: the write goes on.
    assert_eq!(code(&partitions[1].run(MAP, Op::put(&key(50), b"v"), 1)), None);
    assert_eq!((usage.entries(), partitions[1].entries(MAP)), (11, 1));
    let freed = partitions[0].evict(MAP, Timestamp(1)).expect("there is something");
    assert!(freed >= 32);
    assert_eq!((usage.entries(), partitions[0].entries(MAP)), (10, 9));
    // The next new key of the second partition takes the place of its only other record.
    partitions[1].run(MAP, Op::put(&key(51), b"v"), 1);
    assert_eq!((usage.entries(), partitions[1].entries(MAP)), (10, 1));
    assert!(has(&mut partitions[1], 51));
    assert_eq!(partitions[0].evict(isogrid_core::MapId(7), Timestamp(1)), None);
}

#[test]
fn a_lower_limit_takes_effect_with_the_next_write() {
    let (mut partition, usage) = limited(Eviction::Lru, 0, 0);
    (0..100).for_each(|n| drop(partition.run(MAP, Op::put(&key(n), b"v"), 1)));
    let settings = MapSettings {
        eviction: Eviction::Lru,
        entries_max: 10,
        bytes_max: 0,
        ..MapSettings::default()
    };
    partition.configure(MAP, &settings, usage.clone());
    assert_eq!(usage.entries(), 100);
    partition.run(MAP, Op::put(&key(200), b"v"), 1);
    assert_eq!(usage.entries(), 10);
    partition.check();
}

fn over_mark<'s>(partition: &'s mut Partition, op: Op<'_>) -> Reply<'s> {
    let hash = partition.hash_of(&op);
    partition.execute(MAP, &op, hash, &Context { now: Timestamp(1), over_mark: true })
}

#[test]
fn over_the_memory_mark_a_map_without_policy_refuses_what_needs_memory_and_nothing_else() {
    let mut partition = partition();
    partition.run(MAP, Op::put(&key(1), b"v"), 1);
    let before = partition.digest();
    let full = Some(ErrorCode::MemoryFull);
    let large = [7; 100];
    assert_eq!(code(&over_mark(&mut partition, Op::put(&key(2), b"v"))), full);
    assert_eq!(code(&over_mark(&mut partition, Op::put(&key(1), &large))), full);
    assert_eq!(code(&over_mark(&mut partition, Op::Append { key: &key(1), value: &large })), full);
    assert_eq!(partition.digest(), before);
    assert_eq!(code(&over_mark(&mut partition, Op::put(&key(1), b"w"))), None, "in its place");
    let found = over_mark(&mut partition, Op::Get { key: &key(1) });
    assert!(matches!(found, Reply::Found(entry) if entry.value == b"w"));
    assert!(matches!(over_mark(&mut partition, Op::delete(&key(1))), Reply::Deleted { .. }));
}

#[test]
fn over_the_memory_mark_a_write_frees_more_than_it_needs() {
    let (mut partition, usage) = limited(Eviction::Lru, 0, 0);
    (0..1_000).for_each(|n| drop(partition.run(MAP, Op::put(&key(n), &[0; 100]), 1)));
    let mut bytes = partition.bytes(MAP);
    for number in 2_000..2_100 {
        assert_eq!(code(&over_mark(&mut partition, Op::put(&key(number), &[0; 150]))), None);
        assert!(partition.bytes(MAP) < bytes);
        bytes = partition.bytes(MAP);
    }
    assert!(usage.entries() <= 900);
    // A map with nothing else to evict cannot pay for a new record.
    partition.run(MAP, Op::Clear { partition: PartitionId(3) }, 1);
    let reply = over_mark(&mut partition, Op::put(&key(1), b"v"));
    assert_eq!(code(&reply), Some(ErrorCode::MemoryFull));
    partition.check();
}

#[test]
fn a_write_larger_than_its_map_evicts_nothing() {
    let (mut partition, _) = limited(Eviction::Lru, 0, 4_000);
    for number in 0..5 {
        assert_eq!(code(&partition.run(MAP, Op::put(&key(number), b"v"), 1)), None);
    }
    let refused = partition.run(MAP, Op::put(&key(9), &[7; 5_000]), 1);
    assert_eq!(code(&refused), Some(ErrorCode::MapFull));
    assert!((0..5).all(|number| has(&mut partition, number)));
}
