//! Tests of renames: what they answer, what they leave, how they are taken back and applied elsewhere, and limits.

use std::sync::Arc;

use isogrid_core::{
    Condition, Effect, Entry, ErrorCode, Eviction, Expiry, MapSettings, Op, Reply, Timestamp,
    Version,
};

use crate::partition::tests::{MAP, partition};
use crate::partition::{Context, Partition};
use crate::replication_test::Held;
use crate::usage::MapUsage;

const OVER: Op<'_> = Op::Rename { from: b"a", to: b"b", if_absent: false };
const NEW: Op<'_> = Op::Rename { from: b"a", to: b"b", if_absent: true };

fn put_until<'a>(key: &'a [u8], value: &'a [u8], at: u64) -> Op<'a> {
    let (condition, expiry) = (Condition::Always, Expiry::At(Timestamp(at)));
    Op::Put { key, value, condition, expiry, return_old: false }
}

fn written(version: u64) -> Reply<'static> {
    Reply::Written { version: Version(version), old: None }
}

fn entry(value: &[u8], version: u64, expires_at: Option<u64>) -> Entry<'_> {
    Entry { value, version: Version(version), expires_at: expires_at.map(Timestamp) }
}

fn get<'s>(partition: &'s mut Partition, key: &[u8]) -> Reply<'s> {
    partition.run(MAP, Op::Get { key }, 1)
}

/// Executes on a partition with its journal on, and says what changed.
fn effects(partition: &mut Partition, op: Op<'_>, now: u64) -> Vec<(u64, Held)> {
    let (hash, context) =
        (partition.hash_of(&op), Context { now: Timestamp(now), over_mark: false });
    let changes = partition.execute_journaled(MAP, &op, hash, &context).changes;
    changes.map(|(version, effect)| (version.0, Held::new(&effect))).collect()
}

#[test]
fn a_record_moves_with_its_expiry_and_gets_a_new_version() {
    let mut partition = partition();
    assert_eq!(partition.run(MAP, OVER, 1), Reply::Missing, "no such map");
    partition.run(MAP, put_until(b"a", b"value", 90), 1);
    partition.run(MAP, Op::put(b"b", b"old"), 1);
    assert_eq!(partition.run(MAP, OVER, 1), written(3));
    assert_eq!(get(&mut partition, b"a"), Reply::Missing);
    assert_eq!(get(&mut partition, b"b"), Reply::Found(entry(b"value", 3, Some(90))));
    assert_eq!(partition.next_expiry(), Some(Timestamp(90)));
    assert_eq!(partition.run(MAP, OVER, 1), Reply::Missing, "it has moved");
    partition.check();
}

#[test]
fn if_absent_gives_way_to_a_live_record_and_to_nothing_else() {
    let mut partition = partition();
    partition.run(MAP, Op::put(b"a", b"value"), 1);
    partition.run(MAP, put_until(b"b", b"there", 5), 1);
    let there = Reply::Conflict { current: Some(entry(b"there", 2, Some(5))) };
    assert_eq!(partition.run(MAP, NEW, 4), there);
    assert_eq!(get(&mut partition, b"a"), Reply::Found(entry(b"value", 1, None)));
    assert_eq!(partition.run(MAP, NEW, 5), written(4), "what has expired goes first, by itself");
    assert_eq!(get(&mut partition, b"b"), Reply::Found(entry(b"value", 4, None)));
}

#[test]
fn an_expired_record_does_not_move() {
    let mut partition = partition();
    partition.journal(true);
    partition.run(MAP, put_until(b"a", b"value", 5), 1);
    partition.run(MAP, Op::put(b"b", b"stays"), 1);
    let removed = Held::Remove(MAP, b"a".to_vec(), isogrid_core::Cause::Expired);
    assert_eq!(effects(&mut partition, OVER, 5), [(3, removed)]);
    assert_eq!(get(&mut partition, b"b"), Reply::Found(entry(b"stays", 2, None)));
}

#[test]
fn a_rename_to_itself_is_a_write_that_leaves_all_as_it_is() {
    let mut partition = partition();
    partition.journal(true);
    let same = |if_absent| Op::Rename { from: b"a", to: b"a", if_absent };
    assert_eq!(effects(&mut partition, same(false), 1), []);
    partition.run(MAP, put_until(b"a", b"value", 90), 1);
    let put = Held::Put(MAP, b"a".to_vec(), b"value".to_vec(), Some(Timestamp(90)));
    assert_eq!(effects(&mut partition, same(false), 1), [(2, put)]);
    assert_eq!(effects(&mut partition, same(true), 1), []);
    let there = Reply::Conflict { current: Some(entry(b"value", 2, Some(90))) };
    assert_eq!(partition.run(MAP, same(true), 1), there);
}

#[test]
fn a_rename_is_one_change_and_is_taken_back_whole() {
    for over in [false, true] {
        let (mut partition, usage) = (partition(), Arc::new(MapUsage::default()));
        partition.configure(MAP, &MapSettings::default(), usage.clone());
        partition.journal(true);
        partition.run(MAP, put_until(b"a", b"value", 90), 1);
        if over {
            partition.run(MAP, put_until(b"b", b"old", 70), 1);
        }
        partition.settle(partition.last_version());
        let last = partition.last_version();
        let state = |partition: &Partition| {
            (partition.digest(), partition.entries(MAP), partition.next_expiry())
        };
        let before = (state(&partition), partition.total_bytes());
        let moved = (b"a".to_vec(), b"b".to_vec(), b"value".to_vec());
        let moved = Held::Rename(MAP, moved.0, moved.1, moved.2, Some(Timestamp(90)));
        assert_eq!(effects(&mut partition, OVER, 1), [(last.0 + 1, moved)]);
        assert_eq!((partition.entries(MAP), partition.unsettled()), (1, 1));
        let kept = if over { 64 } else { 32 };
        assert_eq!(partition.unsettled_bytes(), kept);
        partition.undo_after(last);
        assert_eq!((state(&partition), partition.total_bytes()), before);
        assert_eq!(usage.entries(), 1 + u64::from(over));
        partition.check();
    }
}

#[test]
fn a_conflict_shows_the_new_key_beside_the_changes() {
    let mut partition = partition();
    partition.journal(true);
    partition.run(MAP, Op::put(b"a", b"value"), 1);
    partition.run(MAP, Op::put(b"b", b"there"), 1);
    let (hash, context) = (partition.hash_of(&NEW), Context::default());
    let executed = partition.execute_journaled(MAP, &NEW, hash, &context);
    assert_eq!(executed.reply, Reply::Conflict { current: Some(entry(b"there", 2, None)) });
    assert_eq!(executed.changes.len(), 0);
}

#[test]
fn a_renamed_effect_is_applied_to_what_is_older() {
    let rename = Effect::Rename { map: MAP, from: b"a", to: b"b", value: b"v", expires_at: None };
    let load = |partition: &mut Partition, key: &[u8], version| {
        let hash = partition.hash_of(&Op::Get { key });
        partition.load(MAP, hash, key, &entry(b"copied", version, None));
    };
    let hash = partition().hash_of(&Op::Get { key: b"b" });
    // Versions of a and b before the rename as number 5, and what must be there behind it.
    let cases =
        [(None, None), (Some(4), Some(4)), (Some(6), Some(4)), (Some(4), Some(6)), (None, Some(5))];
    for (a, b) in cases {
        let mut partition = partition();
        a.into_iter().for_each(|version| load(&mut partition, b"a", version));
        b.into_iter().for_each(|version| load(&mut partition, b"b", version));
        partition.apply_if_newer(Version(5), &rename, hash);
        let expected = match a {
            Some(newer @ 6) => Reply::Found(entry(b"copied", newer, None)),
            _ => Reply::Missing,
        };
        assert_eq!(get(&mut partition, b"a"), expected, "{a:?} {b:?}");
        let expected = match b {
            Some(newer @ 5..) => entry(b"copied", newer, None),
            _ => entry(b"v", 5, None),
        };
        assert_eq!(get(&mut partition, b"b"), Reply::Found(expected), "{a:?} {b:?}");
        partition.check();
    }
}

#[test]
fn a_rename_whose_record_is_not_here_is_replayed_as_a_put() {
    let mut partition = partition();
    partition.journal(true);
    let rename = Effect::Rename { map: MAP, from: b"a", to: b"b", value: b"v", expires_at: None };
    let hash = partition.hash_of(&Op::Get { key: b"b" });
    partition.apply_journaled(Version(1), &rename, hash);
    assert_eq!(get(&mut partition, b"b"), Reply::Found(entry(b"v", 1, None)));
    partition.undo_after(Version(0));
    assert_eq!(partition.entries(MAP), 0);
}

fn code(reply: &Reply<'_>) -> Option<ErrorCode> {
    match reply {
        Reply::Failed(error) => Some(error.code()),
        _ => None,
    }
}

#[test]
fn both_keys_must_be_short_enough() {
    let mut partition = partition();
    let long = vec![b'x'; 70_000];
    partition.run(MAP, Op::put(b"a", b"v"), 1);
    for (from, to) in [(&long[..], &b"a"[..]), (b"a", &long)] {
        let op = Op::Rename { from, to, if_absent: false };
        assert_eq!(code(&partition.run(MAP, op, 1)), Some(ErrorCode::KeyTooLong));
    }
}

#[test]
fn a_full_map_takes_a_rename_that_needs_nothing_and_refuses_one_that_does() {
    let usage = Arc::new(MapUsage::default());
    let mut partition = partition();
    partition.run(MAP, Op::put(b"a", b"value"), 1);
    let bytes_max = partition.bytes(MAP) as u64;
    let settings = MapSettings {
        eviction: Eviction::None,
        entries_max: 1,
        bytes_max,
        ..MapSettings::default()
    };
    partition.configure(MAP, &settings, usage.clone());
    assert_eq!(partition.run(MAP, OVER, 1), written(2));
    let long = [b'x'; 100];
    let longer = Op::Rename { from: b"b", to: &long, if_absent: false };
    assert_eq!(code(&partition.run(MAP, longer, 1)), Some(ErrorCode::MapFull));
    assert_eq!(get(&mut partition, b"b"), Reply::Found(entry(b"value", 2, None)));
    let context = Context { now: Timestamp(1), over_mark: true };
    let hash = partition.hash_of(&longer);
    let refused = code(&partition.execute(MAP, &longer, hash, &context));
    assert_eq!(refused, Some(ErrorCode::MemoryFull));
    assert_eq!((usage.entries(), usage.bytes()), (1, bytes_max));
    partition.check();
}

#[test]
fn what_is_renamed_is_not_evicted_for_the_longer_key() {
    for over in [false, true] {
        let mut partition = partition();
        let settings = MapSettings { eviction: Eviction::Lru, ..MapSettings::default() };
        partition.configure(MAP, &settings, Arc::default());
        let long = [b'x'; 100];
        partition.run(MAP, Op::put(b"a", b"value"), 1);
        if over {
            partition.run(MAP, Op::put(&long, b""), 1);
        }
        partition.run(MAP, Op::put(b"other", &[7; 500]), 1);
        let op = Op::Rename { from: b"a", to: &long, if_absent: false };
        let (hash, context) =
            (partition.hash_of(&op), Context { now: Timestamp(1), over_mark: true });
        let version = partition.last_version().0;
        let reply = partition.execute(MAP, &op, hash, &context);
        // Over a record of the same key nothing is needed, so nothing goes.
        assert_eq!(reply, written(version + if over { 1 } else { 2 }));
        assert_eq!(partition.entries(MAP), if over { 2 } else { 1 });
        assert!(
            matches!(get(&mut partition, &long), Reply::Found(found) if found.value == b"value")
        );
    }
}
