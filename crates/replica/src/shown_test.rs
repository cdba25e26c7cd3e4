//! Tests of what reads show.

use isogrid_core::{Cause, Entry};

use super::*;

const MAP: MapId = MapId(3);

fn remove(key: &[u8]) -> Effect<'_> {
    Effect::Remove { map: MAP, key, cause: Cause::Deleted }
}

fn hash(key: &[u8]) -> KeyHash {
    KeyHash(u64::from(key[0]))
}

#[test]
fn a_removal_is_remembered_until_it_is_committed() {
    let mut removals = Removals::default();
    removals.note(5, &remove(b"a"), hash);
    removals.note(6, &remove(b"b"), hash);
    removals.note(7, &remove(b"a"), hash);
    removals.settle(5);
    assert_eq!(removals.of(MAP, hash(b"a")), 7, "the newer removal of the key counts");
    assert_eq!(removals.of(MAP, hash(b"b")), 6);
    assert_eq!(removals.of(MapId(4), hash(b"b")), 0, "another map");
    removals.settle(7);
    assert_eq!(removals.of(MAP, hash(b"a")), 0);
    assert!(removals.order.is_empty() && removals.newest.is_empty());
}

#[test]
fn a_rename_removes_its_old_key() {
    let mut removals = Removals::default();
    let rename = Effect::Rename { map: MAP, from: b"a", to: b"b", value: b"v", expires_at: None };
    removals.note(5, &rename, hash);
    assert_eq!((removals.of(MAP, hash(b"a")), removals.of(MAP, hash(b"b"))), (5, 0));
    removals.settle(5);
    assert_eq!(removals.of(MAP, hash(b"a")), 0);
}

#[test]
fn a_clear_removes_every_key_of_its_map() {
    let mut removals = Removals::default();
    removals.note(5, &Effect::Clear { map: MAP }, hash);
    removals.note(6, &remove(b"a"), hash);
    assert_eq!(removals.of(MAP, hash(b"a")), 6);
    assert_eq!(removals.of(MAP, hash(b"x")), 5);
    assert_eq!(removals.of(MapId(4), hash(b"x")), 0);
    removals.settle(6);
    assert_eq!(removals.of(MAP, hash(b"x")), 0);
}

#[test]
fn a_reply_is_true_once_the_newest_entry_it_shows_is_committed() {
    let entry = Entry { value: b"v", version: Version(8), expires_at: None };
    let newest =
        |op: &Op<'_>, reply: &Reply<'_>| newest_shown(op, reply, 99, || Some(Version(7)), || 6);
    let get = Op::Get { key: b"k" };
    assert_eq!(newest(&get, &Reply::Found(entry)), 8);
    assert_eq!(newest(&get, &Reply::Missing), 6, "the removal must be committed");
    assert_eq!(newest(&Op::Exists { key: b"k" }, &Reply::Flag(true)), 7);
    assert_eq!(newest(&Op::Exists { key: b"k" }, &Reply::Flag(false)), 6);
    let len = Op::Len { partition: isogrid_core::PartitionId(0) };
    assert_eq!(newest(&len, &Reply::Count(3)), 99, "a count shows everything");
}
