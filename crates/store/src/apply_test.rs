//! Tests of what is applied from elsewhere.

use std::sync::Arc;

use isogrid_core::{Cause, EndedSessions, Eviction, Op, Reply, Timestamp};

use super::*;
use crate::partition::tests::{MAP, partition};
use crate::raw::tests::LIVE_RECORDS;
use crate::usage::MapUsage;

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Effect<'a> {
    Effect::Put { map: MAP, key, value, expires_at: None }
}

fn remove(key: &[u8]) -> Effect<'_> {
    Effect::Remove { map: MAP, key, cause: Cause::Deleted }
}

fn apply(partition: &mut Partition, version: u64, effect: &Effect<'_>) {
    let hash = hash_of(partition, effect);
    partition.apply(Version(version), effect, hash);
}

fn apply_if_newer(partition: &mut Partition, version: u64, effect: &Effect<'_>) -> bool {
    let hash = hash_of(partition, effect);
    partition.apply_if_newer(Version(version), effect, hash)
}

fn hash_of(partition: &Partition, effect: &Effect<'_>) -> KeyHash {
    match effect {
        Effect::Put { key, .. } | Effect::Remove { key, .. } => partition.common.hasher.hash(key),
        _ => KeyHash(0),
    }
}

fn version_of(partition: &Partition, key: &[u8]) -> Option<u64> {
    let hash = partition.common.hasher.hash(key);
    partition.version_of_key(MAP, hash, key).map(|version| version.0)
}

fn load(partition: &mut Partition, key: &[u8], version: u64) -> bool {
    let hash = partition.common.hasher.hash(key);
    let entry = Entry { value: b"copied", version: Version(version), expires_at: None };
    partition.load(MAP, hash, key, &entry)
}

#[test]
fn an_effect_stands_whatever_the_limits_and_the_accounts_know_it() {
    let (mut partition, usage) = (partition(), Arc::new(MapUsage::default()));
    let settings = MapSettings {
        eviction: Eviction::Lru,
        entries_max: 2,
        bytes_max: 100,
        ..MapSettings::default()
    };
    partition.configure(MAP, &settings, usage.clone());
    for number in 1..=10u64 {
        apply(&mut partition, number * 3, &put(&number.to_le_bytes(), &[7; 60]));
        assert_eq!(partition.last_version(), Version(number * 3));
    }
    assert_eq!((partition.entries(MAP), usage.entries()), (10, 10));
    assert_eq!(usage.bytes(), partition.total_bytes() as u64);
    apply(&mut partition, 31, &remove(&1u64.to_le_bytes()));
    apply(&mut partition, 32, &remove(b"nothing"));
    assert_eq!(usage.entries(), 9);
    apply(&mut partition, 33, &Effect::Clear { map: MAP });
    assert_eq!((usage.entries(), usage.bytes()), (0, 0));
    apply(&mut partition, 34, &Effect::Nothing);
    apply(&mut partition, 35, &Effect::EndSessions(EndedSessions::default()));
    assert_eq!(partition.last_version(), Version(35));
    partition.check();
}

#[test]
fn a_put_overwrites_in_place_and_makes_a_map_that_is_not_there() {
    let mut partition = partition();
    apply(&mut partition, 1, &Effect::Clear { map: MapId(4) });
    apply(&mut partition, 2, &Effect::Remove { map: MapId(4), key: b"k", cause: Cause::Expired });
    assert!(partition.maps.is_empty());
    let expires_at = Some(Timestamp(5));
    let expiring = Effect::Put { map: MapId(4), key: b"k", value: b"v", expires_at };
    partition.apply(Version(3), &expiring, partition.common.hasher.hash(b"k"));
    assert_eq!(partition.maps().collect::<Vec<_>>(), [MapId(4)]);
    // It has expired for readers, and is there until the primary removes it.
    assert_eq!(partition.run(MapId(4), Op::Get { key: b"k" }, 9), Reply::Missing);
    assert_eq!((partition.total_entries(), partition.next_expiry()), (1, Some(Timestamp(5))));
    let live = LIVE_RECORDS.get();
    apply(&mut partition, 4, &put(b"k", b"v"));
    apply(&mut partition, 5, &put(b"k", b"w"));
    assert_eq!((LIVE_RECORDS.get() - live, version_of(&partition, b"k")), (1, Some(5)));
    partition.check();
}

#[test]
fn only_the_newer_wins_and_the_last_version_stays() {
    let mut partition = partition();
    assert!(apply_if_newer(&mut partition, 5, &put(b"k", b"five")));
    assert!(!apply_if_newer(&mut partition, 4, &put(b"k", b"four")));
    assert!(!apply_if_newer(&mut partition, 5, &put(b"k", b"again")));
    assert!(!load(&mut partition, b"k", 5) && load(&mut partition, b"k", 6));
    assert!(!apply_if_newer(&mut partition, 6, &remove(b"k")));
    assert!(apply_if_newer(&mut partition, 7, &remove(b"k")));
    assert!(!apply_if_newer(&mut partition, 8, &remove(b"k")));
    assert!(!apply_if_newer(&mut partition, 9, &Effect::Nothing));
    assert_eq!((partition.last_version(), partition.total_entries()), (Version(0), 0));
    partition.check();
}

#[test]
fn a_clear_takes_what_is_older() {
    for clear in [0, 1, 500, 999, 1_000, 1_001] {
        let mut partition = partition();
        for number in 1..=1_000u64 {
            load(&mut partition, &number.to_le_bytes(), number);
        }
        let changed = apply_if_newer(&mut partition, clear, &Effect::Clear { map: MAP });
        let older = clear.saturating_sub(1).min(1_000);
        assert_eq!((changed, partition.total_entries()), (older > 0, 1_000 - older as usize));
        assert!((1..=1_000u64).all(|number| {
            version_of(&partition, &number.to_le_bytes()) == (number >= clear).then_some(number)
        }));
        partition.check();
    }
}

#[test]
fn a_clear_tells_apart_records_that_share_a_version() {
    // Histories that went apart can give one version to two keys.
    let mut partition =
        Partition::with_hasher(partition().id(), KeyHasher::instead(|_| 9), &Default::default());
    load(&mut partition, b"a", 3);
    load(&mut partition, b"b", 3);
    load(&mut partition, b"c", 5);
    assert!(apply_if_newer(&mut partition, 4, &Effect::Clear { map: MAP }));
    assert_eq!((partition.total_entries(), version_of(&partition, b"c")), (1, Some(5)));
    partition.check();
}

#[test]
fn a_repair_removes_whatever_the_version() {
    let mut partition = partition();
    load(&mut partition, b"k", 9);
    let hash = partition.common.hasher.hash(b"k");
    assert!(partition.remove_copied(MAP, hash, b"k"));
    assert!(!partition.remove_copied(MAP, hash, b"k"));
    assert!(!partition.remove_copied(MapId(7), hash, b"k"));
    assert_eq!((partition.last_version(), partition.digest()), (Version(0), 0));
    partition.check();
}

#[test]
fn everything_is_forgotten_but_settings_and_accounts() {
    let (mut partition, usage) = (partition(), Arc::new(MapUsage::default()));
    let settings = MapSettings { entries_max: 1, ..MapSettings::default() };
    partition.configure(MAP, &settings, usage.clone());
    partition.journal(true);
    partition.run(MAP, Op::put(b"k", b"v"), 1);
    partition.run(MAP, Op::put(b"k", b"w"), 1);
    partition.forget_everything();
    assert_eq!((partition.last_version(), partition.digest()), (Version(0), 0));
    assert_eq!((partition.unsettled(), partition.total_bytes(), usage.bytes()), (0, 0, 0));
    partition.run(MAP, Op::put(b"a", b"v"), 1);
    assert!(matches!(partition.run(MAP, Op::put(b"b", b"v"), 1), Reply::Failed(_)));
    assert_eq!((partition.last_version(), usage.entries()), (Version(1), 1));
    partition.undo_after(Version(0));
    assert_eq!(usage.entries(), 0);
    partition.check();
}

#[test]
fn a_copy_begins_anew_at_its_version() {
    let mut partition = partition();
    partition.journal(true);
    apply(&mut partition, 40, &put(b"k", b"v"));
    for version in [7, 90] {
        partition.restart_at(Version(version));
        partition.run(MAP, Op::put(b"k", b"own"), 1);
        assert_eq!(version_of(&partition, b"k"), Some(version + 1));
        partition.undo_after(Version(version));
        assert_eq!(version_of(&partition, b"k"), Some(40));
    }
    let hash = partition.common.hasher.hash(b"k");
    assert_eq!(partition.peek(MAP, hash, b"k").map(|entry| entry.value), Some(&b"v"[..]));
    // An effect that finds nothing to change has its version all the same.
    partition.apply_journaled(Version(91), &remove(b"other"), hash);
    assert_eq!((partition.last_version(), partition.unsettled()), (Version(91), 1));
    partition.check();
}

#[test]
fn a_backup_becomes_a_primary_and_a_backup_again() {
    let mut partition = partition();
    partition.journal(true);
    apply(&mut partition, 4, &put(b"k", b"v"));
    partition.run(MAP, Op::put(b"k", b"own"), 1);
    assert_eq!(version_of(&partition, b"k"), Some(5));
    partition.undo_after(Version(4));
    assert_eq!(version_of(&partition, b"k"), Some(4));
    apply(&mut partition, 5, &put(b"k", b"another's"));
    assert_eq!((partition.last_version(), partition.changes().len()), (Version(5), 0));
}

#[test]
#[should_panic(expected = "own changes are settled or taken back first")]
fn own_changes_that_may_be_taken_back_are_not_mixed_with_others() {
    let mut partition = partition();
    partition.journal(true);
    partition.run(MAP, Op::put(b"k", b"own"), 1);
    apply(&mut partition, 2, &put(b"k", b"another's"));
}
