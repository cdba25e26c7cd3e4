//! Tests of single operations: the cases that the contract leaves open, one by one.

use isogrid_core::{Entry, MapId, PartitionId, Timestamp, Version};

use super::*;
use crate::partition::Partition;
use crate::partition::tests::{MAP, partition};

const KEY: &[u8] = b"key";

fn put<'a>(value: &'a [u8], condition: Condition, expiry: Expiry) -> Op<'a> {
    Op::Put { key: KEY, value, condition, expiry, return_old: false }
}

fn entry(value: &[u8], version: u64, expires_at: Option<u64>) -> Entry<'_> {
    Entry { value, version: Version(version), expires_at: expires_at.map(Timestamp) }
}

fn written(version: u64) -> Reply<'static> {
    Reply::Written { version: Version(version), old: None }
}

fn code(reply: Reply<'_>) -> ErrorCode {
    match reply {
        Reply::Failed(error) => {
            assert_eq!(error.outcome(), isogrid_core::Outcome::NotApplied);
            error.code()
        }
        other => panic!("{other:?} is no failure"),
    }
}

fn with_key(value: &[u8]) -> Partition {
    let mut partition = partition();
    partition.run(MAP, Op::put(KEY, value), 1);
    partition
}

#[test]
fn conditions_of_a_put() {
    let mut partition = partition();
    let never = Expiry::Never;
    let version = Condition::IfVersion;
    assert_eq!(partition.run(MAP, put(b"1", Condition::IfPresent, never), 1), Reply::Missing);
    let conflict = Reply::Conflict { current: None };
    assert_eq!(partition.run(MAP, put(b"1", version(Version(1)), never), 1), conflict);
    assert_eq!(partition.run(MAP, put(b"1", Condition::IfAbsent, never), 1), written(1));
    let conflict = Reply::Conflict { current: Some(entry(b"1", 1, None)) };
    assert_eq!(partition.run(MAP, put(b"2", Condition::IfAbsent, never), 1), conflict);
    assert_eq!(partition.run(MAP, put(b"2", version(Version(9)), never), 1), conflict);
    assert_eq!(partition.run(MAP, put(b"2", version(Version(1)), never), 1), written(2));
    assert_eq!(partition.run(MAP, put(b"3", Condition::IfPresent, never), 1), written(3));
    assert_eq!(partition.run(MAP, Op::Get { key: KEY }, 1), Reply::Found(entry(b"3", 3, None)));
}

#[test]
fn conditions_of_a_delete() {
    let mut partition = partition();
    let delete = |condition| Op::Delete { key: KEY, condition, return_old: true };
    assert_eq!(partition.run(MAP, delete(Condition::IfVersion(Version(1))), 1), Reply::Missing);
    partition.run(MAP, Op::put(KEY, b"1"), 1);
    let conflict = Reply::Conflict { current: Some(entry(b"1", 1, None)) };
    assert_eq!(partition.run(MAP, delete(Condition::IfVersion(Version(2))), 1), conflict);
    assert_eq!(partition.run(MAP, delete(Condition::IfAbsent), 1), conflict);
    let deleted = Reply::Deleted { version: Version(2), old: Some(entry(b"1", 1, None)) };
    assert_eq!(partition.run(MAP, delete(Condition::IfVersion(Version(1))), 1), deleted);
    assert_eq!(partition.run(MAP, delete(Condition::IfPresent), 1), Reply::Missing);
    assert_eq!(partition.run(MAP, Op::put(KEY, b"2"), 1), written(3), "versions are not reused");
}

#[test]
fn the_old_value_comes_back_when_asked_for() {
    let mut partition = partition();
    let put = |value| Op::Put {
        key: KEY,
        value,
        condition: Condition::Always,
        expiry: Expiry::AfterMs(10),
        return_old: true,
    };
    assert_eq!(partition.run(MAP, put(b"1"), 1), written(1));
    let old = Some(entry(b"1", 1, Some(11)));
    assert_eq!(partition.run(MAP, put(b"2"), 2), Reply::Written { version: Version(2), old });
    assert_eq!(partition.run(MAP, Op::Get { key: KEY }, 2), Reply::Found(entry(b"2", 2, Some(12))));
    partition.check();
}

#[test]
fn an_expired_record_is_absent_for_every_operation() {
    let ops: [(Op<'_>, Reply<'_>); 11] = [
        (Op::Get { key: KEY }, Reply::Missing),
        (Op::Exists { key: KEY }, Reply::Flag(false)),
        (Op::Touch { key: KEY }, Reply::Flag(false)),
        (Op::Len { partition: PartitionId(3) }, Reply::Count(0)),
        (Op::Clear { partition: PartitionId(3) }, Reply::Count(0)),
        (put(b"2", Condition::IfAbsent, Expiry::Keep), written(3)),
        (Op::delete(KEY), Reply::Missing),
        (Op::Expire { key: KEY, expiry: Expiry::Never }, Reply::Missing),
        (
            Op::Increment { key: KEY, delta: 2, format: NumberFormat::Text, expiry: Expiry::Keep },
            Reply::Integer { value: 2, version: Version(3) },
        ),
        (Op::Append { key: KEY, value: b"xy" }, Reply::Integer { value: 2, version: Version(3) }),
        (
            Op::CompareAndSet { key: KEY, expected: None, value: b"n", expiry: Expiry::Keep },
            written(3),
        ),
    ];
    for (op, reply) in ops {
        let mut partition = partition();
        partition.run(MAP, put(b"1", Condition::Always, Expiry::AfterMs(10)), 1);
        assert_eq!(partition.run(MAP, op, 11), reply, "{op:?}");
        partition.check();
        let kept = partition.run(MAP, Op::Get { key: KEY }, u64::MAX);
        assert!(
            !matches!(kept, Reply::Found(Entry { expires_at: Some(_), .. })),
            "{op:?}: {kept:?}"
        );
    }
}

#[test]
fn a_write_that_has_expired_already_vanishes_at_once() {
    for expiry in [Expiry::At(Timestamp(5)), Expiry::AfterMs(0), Expiry::At(Timestamp(0))] {
        let mut partition = partition();
        assert_eq!(partition.run(MAP, put(b"1", Condition::Always, expiry), 5), written(1));
        assert_eq!(partition.run(MAP, Op::Get { key: KEY }, 0), Reply::Missing);
        partition.run(MAP, Op::put(KEY, b"2"), 5);
        assert_eq!(partition.run(MAP, put(b"3", Condition::Always, expiry), 5), written(3));
        assert_eq!((partition.entries(MAP), partition.total_bytes()), (0, 0));
        partition.run(MAP, Op::put(KEY, b"4"), 5);
        assert_eq!(partition.run(MAP, Op::Expire { key: KEY, expiry }, 5), written(5));
        assert_eq!((partition.entries(MAP), partition.digest()), (0, 0));
    }
}

#[test]
fn expire_changes_the_version_only_if_it_changes_something() {
    let mut partition = with_key(b"1");
    let expire = |expiry| Op::Expire { key: KEY, expiry };
    assert_eq!(partition.run(MAP, expire(Expiry::Keep), 1), written(1));
    assert_eq!(partition.run(MAP, expire(Expiry::Never), 1), written(1));
    assert_eq!(partition.run(MAP, expire(Expiry::AfterMs(9)), 1), written(2));
    assert_eq!(partition.run(MAP, expire(Expiry::At(Timestamp(10))), 2), written(2));
    assert_eq!(partition.run(MAP, Op::Get { key: KEY }, 2), Reply::Found(entry(b"1", 2, Some(10))));
    assert_eq!(partition.run(MAP, expire(Expiry::Never), 2), written(3));
    assert_eq!(partition.run(MAP, Op::Get { key: KEY }, 99), Reply::Found(entry(b"1", 3, None)));
    partition.check();
}

#[test]
fn writes_treat_the_expiry_as_told() {
    let mut partition = partition();
    partition.run(MAP, put(b"1", Condition::Always, Expiry::AfterMs(10)), 0);
    partition.run(MAP, put(b"2", Condition::Always, Expiry::Keep), 1);
    let increment =
        |expiry| Op::Increment { key: KEY, delta: 1, format: NumberFormat::Text, expiry };
    partition.run(MAP, increment(Expiry::Keep), 2);
    partition.run(MAP, Op::Append { key: KEY, value: b"0" }, 3);
    assert_eq!(
        partition.run(MAP, Op::Get { key: KEY }, 3),
        Reply::Found(entry(b"30", 4, Some(10)))
    );
    partition.run(MAP, increment(Expiry::Never), 4);
    assert_eq!(partition.run(MAP, Op::Get { key: KEY }, 4), Reply::Found(entry(b"31", 5, None)));
}

#[test]
fn compare_and_set_compares_bytes() {
    let mut partition = with_key(b"1");
    let set =
        |expected| Op::CompareAndSet { key: KEY, expected, value: b"2", expiry: Expiry::Never };
    let conflict = Reply::Conflict { current: Some(entry(b"1", 1, None)) };
    assert_eq!(partition.run(MAP, set(None), 1), conflict);
    assert_eq!(partition.run(MAP, set(Some(b"")), 1), conflict);
    assert_eq!(partition.run(MAP, set(Some(b"1")), 1), written(2));
    partition.run(MAP, Op::delete(KEY), 1);
    assert_eq!(partition.run(MAP, set(Some(b"2")), 1), Reply::Conflict { current: None });
    assert_eq!(partition.run(MAP, set(None), 1), written(4));
}

#[test]
fn failures_leave_everything_as_it_was() {
    let limits =
        isogrid_core::Limits { key_bytes_max: 8, value_bytes_max: 8, ..Default::default() };
    let mut partition = Partition::new(PartitionId(0), 1, &limits);
    partition.run(MAP, Op::put(KEY, b"1234567"), 1);
    let before = partition.digest();
    let float = Op::IncrementFloat {
        key: KEY,
        delta: 1e300,
        format: NumberFormat::Text,
        expiry: Expiry::Never,
    };
    let text = Op::Increment {
        key: KEY,
        delta: 1,
        format: NumberFormat::MessagePack,
        expiry: Expiry::Never,
    };
    let cases = [
        (Op::put(b"123456789", b""), ErrorCode::KeyTooLong),
        (Op::Get { key: b"123456789" }, ErrorCode::KeyTooLong),
        (Op::put(KEY, b"123456789"), ErrorCode::ValueTooLarge),
        (Op::Append { key: KEY, value: b"89" }, ErrorCode::ValueTooLarge),
        (float, ErrorCode::ValueTooLarge),
        (text, ErrorCode::NotANumber),
    ];
    for (op, expected) in cases {
        assert_eq!(code(partition.run(MAP, op, 1)), expected, "{op:?}");
    }
    assert_eq!((partition.digest(), partition.last_version()), (before, Version(1)));
    let appended = Reply::Integer { value: 8, version: Version(2) };
    assert_eq!(partition.run(MAP, Op::Append { key: KEY, value: b"8" }, 1), appended);
}

#[test]
fn a_full_table_refuses_new_keys_and_keeps_the_rest() {
    let hasher = crate::hash::KeyHasher::instead(|_| 77);
    let mut partition = Partition::with_hasher(PartitionId(0), hasher, &Default::default());
    for number in 0..448u32 {
        partition.run(MAP, Op::put(&number.to_le_bytes(), b"v"), 1);
    }
    let before = (partition.digest(), partition.last_version(), partition.total_bytes());
    assert_eq!(code(partition.run(MAP, Op::put(b"new", b"v"), 1)), ErrorCode::TableFull);
    assert_eq!(before.0, partition.digest());
    assert_eq!(before.1, partition.last_version());
    partition.check();
    assert!(matches!(
        partition.run(MAP, Op::put(&5u32.to_le_bytes(), b"w"), 1),
        Reply::Written { .. }
    ));
}

#[test]
fn floats_are_incremented_in_both_formats() {
    let mut partition = with_key(b"10.5");
    let add = |key, delta, format| Op::IncrementFloat { key, delta, format, expiry: Expiry::Never };
    let sum = Reply::Float { value: 10.75, version: Version(2) };
    assert_eq!(partition.run(MAP, add(KEY, 0.25, NumberFormat::Text), 1), sum);
    assert_eq!(partition.run(MAP, Op::Get { key: KEY }, 1), Reply::Found(entry(b"10.75", 2, None)));
    let sum = Reply::Float { value: 1.5, version: Version(3) };
    assert_eq!(partition.run(MapId(1), add(b"m", 1.5, NumberFormat::MessagePack), 1), sum);
    let bytes = [0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        partition.run(MapId(1), Op::Get { key: b"m" }, 1),
        Reply::Found(entry(&bytes, 3, None))
    );
}
