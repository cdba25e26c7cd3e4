//! Tests of the journal: the effect of each kind of operation, and the answer beside it.

use std::sync::Arc;

use isogrid_core::{
    Condition, Entry, Eviction, Expiry, MapSettings, NumberFormat, Op, PartitionId, Timestamp,
};

use super::*;
use crate::partition::tests::{MAP, partition};
use crate::partition::{Context, Partition};
use crate::replication_test::Held;

fn journaled() -> Partition {
    let mut partition = partition();
    partition.journal(true);
    partition
}

fn at(now: u64) -> Context {
    Context { now: Timestamp(now), over_mark: false }
}

/// Executes an operation at a time and returns its effects.
fn effects(partition: &mut Partition, op: Op<'_>, now: u64) -> Vec<(u64, Held)> {
    let hash = partition.hash_of(&op);
    let executed = partition.execute_journaled(MAP, &op, hash, &at(now));
    let effects: Vec<_> = own(executed.changes.clone());
    assert_eq!(executed.changes.len(), effects.len());
    effects
}

fn own(changes: Changes<'_>) -> Vec<(u64, Held)> {
    changes.map(|(version, effect)| (version.0, Held::new(&effect))).collect()
}

fn put(key: &[u8], value: &[u8], expires_at: Option<u64>) -> Held {
    Held::Put(MAP, key.to_vec(), value.to_vec(), expires_at.map(Timestamp))
}

fn removed(key: &[u8], cause: Cause) -> Held {
    Held::Remove(MAP, key.to_vec(), cause)
}

fn put_until<'a>(key: &'a [u8], value: &'a [u8], expiry: Expiry) -> Op<'a> {
    Op::Put { key, value, condition: Condition::Always, expiry, return_old: false }
}

#[test]
fn every_write_has_an_absolute_effect() {
    let mut partition = journaled();
    let (text, keep) = (NumberFormat::Text, Expiry::Keep);
    let later = Expiry::AfterMs(50);
    let cas = |expected, value| Op::CompareAndSet { key: b"k", expected, value, expiry: later };
    let increment = Op::Increment { key: b"n", delta: 5, format: text, expiry: keep };
    let half = Op::IncrementFloat { key: b"n", delta: 0.5, format: text, expiry: keep };
    let append = Op::Append { key: b"k", value: b"+" };
    let expire = |expiry| Op::Expire { key: b"k", expiry };
    let steps: Vec<(Op<'_>, Vec<Held>)> = vec![
        (Op::put(b"k", b"v"), vec![put(b"k", b"v", None)]),
        (put_until(b"k", b"w", later), vec![put(b"k", b"w", Some(60))]),
        (
            put_until(b"k", b"longer than before", keep),
            vec![put(b"k", b"longer than before", Some(60))],
        ),
        (cas(Some(b"no"), b"x"), vec![]),
        (cas(Some(b"longer than before"), b"x"), vec![put(b"k", b"x", Some(60))]),
        (append, vec![put(b"k", b"x+", Some(60))]),
        (expire(Expiry::Never), vec![put(b"k", b"x+", None)]),
        // A change also if nothing is different: its version is the one of its log entry.
        (expire(Expiry::Never), vec![put(b"k", b"x+", None)]),
        (expire(Expiry::At(Timestamp(99))), vec![put(b"k", b"x+", Some(99))]),
        (increment, vec![put(b"n", b"5", None)]),
        (half, vec![put(b"n", b"5.5", None)]),
        (increment, vec![]),
        (Op::Get { key: b"k" }, vec![]),
        (Op::Len { partition: PartitionId(3) }, vec![]),
        (Op::delete(b"k"), vec![removed(b"k", Cause::Deleted)]),
        (Op::delete(b"k"), vec![]),
        (Op::Clear { partition: PartitionId(3) }, vec![Held::Clear(MAP)]),
        (Op::Clear { partition: PartitionId(3) }, vec![]),
    ];
    for (op, expected) in steps {
        let first = partition.last_version().0 + 1;
        let expected: Vec<_> = (first..).zip(expected).collect();
        assert_eq!(effects(&mut partition, op, 10), expected, "{op:?}");
        assert_eq!(partition.last_version().0 + 1, first + expected.len() as u64);
    }
}

#[test]
fn a_write_that_expires_at_once_removes_what_was_there_or_changes_nothing() {
    let mut partition = journaled();
    let gone = put_until(b"k", b"w", Expiry::At(Timestamp(5)));
    assert_eq!(effects(&mut partition, gone, 10), [(1, Held::Nothing)]);
    partition.run(MAP, Op::put(b"k", b"v"), 10);
    assert_eq!(effects(&mut partition, gone, 10), [(3, removed(b"k", Cause::Expired))]);
    partition.run(MAP, Op::put(b"k", b"v"), 10);
    let expire = Op::Expire { key: b"k", expiry: Expiry::At(Timestamp(10)) };
    assert_eq!(effects(&mut partition, expire, 10), [(5, removed(b"k", Cause::Expired))]);
}

#[test]
fn a_write_over_an_expired_record_removes_it_first() {
    let mut partition = journaled();
    let expired = (2, removed(b"k", Cause::Expired));
    partition.run(MAP, put_until(b"k", b"v", Expiry::At(Timestamp(5))), 1);
    let written = effects(&mut partition, Op::put(b"k", b"w"), 9);
    assert_eq!(written, [expired.clone(), (3, put(b"k", b"w", None))]);
    partition.undo_after(Version(1));
    // Also a write that then has nothing to do.
    let expiry = Expiry::Never;
    let cas = Op::CompareAndSet { key: b"k", expected: Some(b"v"), value: b"w", expiry };
    for op in [Op::delete(b"k"), cas, put_if_present(b"k")] {
        assert_eq!(effects(&mut partition, op, 9), std::slice::from_ref(&expired), "{op:?}");
        partition.undo_after(Version(1));
    }
    assert_eq!(effects(&mut partition, Op::Get { key: b"k" }, 9), []);
    partition.check();
}

fn put_if_present(key: &[u8]) -> Op<'_> {
    let (condition, expiry) = (Condition::IfPresent, Expiry::Never);
    Op::Put { key, value: b"w", condition, expiry, return_old: false }
}

#[test]
fn expiry_and_eviction_by_the_node_are_recorded_with_their_cause() {
    let mut partition = journaled();
    let settings = MapSettings { eviction: Eviction::Lru, ..MapSettings::default() };
    partition.configure(MAP, &settings, Arc::default());
    partition.run(MAP, put_until(b"a", b"v", Expiry::At(Timestamp(5))), 1);
    partition.run(MAP, put_until(b"b", b"v", Expiry::At(Timestamp(6))), 1);
    partition.run(MAP, put_until(b"c", b"v", Expiry::At(Timestamp(7))), 1);
    partition.run(MAP, Op::put(b"d", b"v"), 1);
    assert_eq!(partition.expire(Timestamp(6), 10), 2);
    let expired = [(5, removed(b"a", Cause::Expired)), (6, removed(b"b", Cause::Expired))];
    assert_eq!(own(partition.changes()), expired);
    assert!(partition.evict(MAP, Timestamp(7)).is_some());
    assert_eq!(own(partition.changes()), [(7, removed(b"c", Cause::Expired))]);
    assert!(partition.evict(MAP, Timestamp(7)).is_some());
    assert_eq!(own(partition.changes()), [(8, removed(b"d", Cause::Evicted))]);
    assert!(partition.evict(MAP, Timestamp(7)).is_none());
    assert_eq!(partition.changes().len(), 0);
}

#[test]
fn a_write_at_a_limit_makes_room_first_and_also_when_it_fails() {
    let mut partition = journaled();
    let settings = MapSettings {
        eviction: Eviction::Lru,
        entries_max: 2,
        bytes_max: 0,
        ..MapSettings::default()
    };
    partition.configure(MAP, &settings, Arc::default());
    partition.run(MAP, Op::put(b"a", b"v"), 1);
    partition.run(MAP, Op::put(b"b", b"v"), 1);
    let written = effects(&mut partition, Op::put(b"c", b"v"), 1);
    assert!(matches!(&written[0], (3, Held::Remove(_, _, Cause::Evicted))), "{written:?}");
    assert_eq!(written[1..], [(4, put(b"c", b"v", None))]);
    let op = Op::put(b"d", &[0; 100_000]);
    let context = Context { now: Timestamp(1), over_mark: true };
    let executed = partition.execute_journaled(MAP, &op, partition.hash_of(&op), &context);
    assert!(matches!(executed.reply, Reply::Failed(_)));
    assert!(own(executed.changes).iter().all(|(_, held)| matches!(held, Held::Remove(..))));
    assert_eq!((partition.entries(MAP), partition.last_version()), (0, Version(6)));
    partition.undo_after(Version(2));
    assert_eq!(partition.entries(MAP), 2);
    partition.check();
}

#[test]
fn the_reply_and_the_changes_stand_side_by_side() {
    let mut partition = journaled();
    partition.run(MAP, Op::put(b"k", b"old"), 1);
    let entry = |value, version| Entry { value, version: Version(version), expires_at: None };
    let (condition, expiry) = (Condition::Always, Expiry::Never);
    let op = Op::Put { key: b"k", value: b"new", condition, expiry, return_old: true };
    let hash = partition.hash_of(&op);
    let mut executed = partition.execute_journaled(MAP, &op, hash, &at(1));
    let written = Effect::Put { map: MAP, key: b"k", value: b"new", expires_at: None };
    assert_eq!(executed.changes.next(), Some((Version(2), written)));
    let reply = Reply::Written { version: Version(2), old: Some(entry(b"old", 1)) };
    assert_eq!(executed.reply, reply);
    // What the list of changes keeps is not taken for an old entry that was not asked for, or of another operation.
    let reply = partition.run(MAP, Op::put(b"k", b"newer"), 1);
    assert_eq!(reply, Reply::Written { version: Version(3), old: None });
    let delete = Op::Delete { key: b"k", condition, return_old: true };
    let reply = partition.run(MAP, delete, 1);
    assert_eq!(reply, Reply::Deleted { version: Version(4), old: Some(entry(b"newer", 3)) });
    let reply = partition.run(MAP, op, 1);
    assert_eq!(reply, Reply::Written { version: Version(5), old: None });
}

#[test]
fn large_records_are_kept_and_not_copied_and_every_size_is_taken_back() {
    let mut partition = journaled();
    for (old, new) in [(100, 100), (100, 400), (5_000, 5_000), (5_000, 10), (70_000, 70_001)] {
        let before = partition.last_version();
        partition.run(MAP, Op::put(b"k", &vec![1; old]), 1);
        let (version, digest) = (partition.last_version(), partition.digest());
        partition.run(MAP, Op::put(b"k", &vec![2; new]), 1);
        assert!(partition.unsettled_bytes() >= old);
        partition.undo_after(version);
        assert_eq!(partition.digest(), digest, "{old} bytes under {new}");
        partition.check();
        partition.undo_after(before);
        assert_eq!((partition.unsettled_bytes(), partition.total_bytes()), (0, 0));
    }
}

#[test]
fn without_a_journal_nothing_is_kept() {
    let mut partition = partition();
    partition.run(MAP, Op::put(b"k", b"v"), 1);
    partition.run(MAP, Op::put(b"k", b"v"), 1);
    assert_eq!((partition.changes().len(), partition.unsettled()), (0, 0));
    partition.journal(true);
    partition.run(MAP, Op::put(b"k", b"v"), 1);
    partition.journal(true);
    assert_eq!((partition.changes().len(), partition.unsettled()), (1, 1));
    partition.journal(false);
    assert_eq!((partition.changes().len(), partition.unsettled()), (0, 0));
}
