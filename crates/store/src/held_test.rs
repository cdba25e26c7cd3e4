//! States are read as they were, whatever is written meanwhile; and nothing is kept for nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use isogrid_core::{
    Cause, Effect, Expiry, IndexColumn, IndexKind, Limits, MapIndex, MapSettings, Op, Page,
    PartitionId, Reply, Scan, Seek, Sought,
};
use proptest::prelude::*;

use super::*;
use crate::hash::KeyHasher;
use crate::partition::Partition;
use crate::partition::tests::{MAP, partition};

const BY: &str = "by_a";

fn scan(cursor: u64, entries_max: u32, view: View) -> Op<'static> {
    let (prefix, glob, filter) = (&b""[..], &b""[..], &b""[..]);
    let partition = PartitionId(3);
    Op::Scan(Scan { partition, cursor, entries_max, prefix, glob, filter, with_values: true, view })
}

/// Where a reader is: in a scan at a hash, or in an index at a key.
#[derive(Clone)]
enum Place {
    Hash(u64),
    Key(Vec<u8>),
}

/// A reader of one state.
struct Reader {
    view: View,
    next: Option<Place>,
    found: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Reader {
    fn new(first: Place) -> Self {
        Reader { view: View::Begin, next: Some(first), found: BTreeMap::new() }
    }

    /// Takes a page. Every record comes once.
    fn read(&mut self, partition: &mut Partition, entries_max: u32, now: u64) -> Result<()> {
        let place = self.next.clone().expect("there is more");
        let from = match &place {
            Place::Key(from) => from.clone(),
            Place::Hash(_) => Vec::new(),
        };
        let view = self.view;
        let op = match place {
            Place::Hash(cursor) => scan(cursor, entries_max, view),
            Place::Key(_) => {
                let partition = PartitionId(3);
                Op::Seek(Seek { partition, index: BY, from: &from, to: b"", entries_max, view })
            }
        };
        let (entries, next, at) = match partition.run(MAP, op, now) {
            Reply::Page(Page { next, at, entries }) => (entries, next.map(Place::Hash), at),
            Reply::Sought(Sought { next, at, entries }) => {
                (entries, next.map(|key| Place::Key(key.to_vec())), at)
            }
            Reply::Failed(error) => return Err(error),
            other => panic!("{other:?}"),
        };
        for one in &entries {
            let before = self.found.insert(one.key.to_vec(), one.entry.value.to_vec());
            assert_eq!(before, None, "{:?} came twice", one.key);
        }
        assert_eq!(next.is_some(), at.is_some());
        self.view = at.map_or(View::Latest, View::At);
        self.next = next;
        Ok(())
    }

    fn read_all(&mut self, partition: &mut Partition, entries_max: u32) -> Result<()> {
        while self.next.is_some() {
            self.read(partition, entries_max, 1)?;
        }
        Ok(())
    }
}

/// All records, looked at at once.
fn all(partition: &mut Partition) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut reader = Reader::new(Place::Hash(0));
    reader.view = View::Latest;
    while let Some(Place::Hash(cursor)) = reader.next {
        let Reply::Page(page) = partition.run(MAP, scan(cursor, u32::MAX, View::Latest), 1) else {
            panic!("no page")
        };
        let records = page.entries.iter();
        reader.found.extend(records.map(|one| (one.key.to_vec(), one.entry.value.to_vec())));
        reader.next = page.next.map(Place::Hash);
    }
    reader.found
}

fn put(partition: &mut Partition, key: u32, value: u32) {
    let value = format!("{{\"a\": {value}}}");
    partition.run(MAP, Op::put(format!("key:{key}").as_bytes(), value.as_bytes()), 1);
}

fn delete(partition: &mut Partition, key: u32) {
    partition.run(MAP, Op::delete(format!("key:{key}").as_bytes()), 1);
}

fn index(partition: &mut Partition) {
    let columns = vec![IndexColumn::of_text("a")];
    let index = MapIndex { name: BY.into(), kind: IndexKind::Ordered, columns, unique: false };
    let settings = MapSettings { indexes: vec![index], ..MapSettings::default() };
    partition.configure(MAP, &settings, Arc::default());
    while partition.build_indexes(100) {}
}

fn filled(keys: u32) -> Partition {
    let mut partition = partition();
    index(&mut partition);
    (0..keys).for_each(|key| put(&mut partition, key, key));
    partition
}

/// How many states are read, and how many bytes are kept for them, once those that are done are gone.
fn kept(partition: &mut Partition, now: u64) -> (usize, usize) {
    let store = partition.maps[MAP.0 as usize].as_deref_mut().expect("the map is there");
    store.content.tidy_states(Timestamp(now));
    store.content.held.as_ref().map_or((0, 0), |held| (held.states.len(), held.bytes))
}

fn change(partition: &mut Partition, (what, key, value): (u8, u32, u32)) {
    match what {
        0..5 => put(partition, key, value),
        5..8 => delete(partition, key),
        8 => {
            let (from, to) = (format!("key:{key}"), format!("key:{value}"));
            let (from, to) = (from.as_bytes(), to.as_bytes());
            partition.run(MAP, Op::Rename { from, to, if_absent: false }, 1);
        }
        _ => {
            let expiry = Expiry::At(Timestamp(1));
            partition.run(MAP, Op::Expire { key: format!("key:{key}").as_bytes(), expiry }, 1);
        }
    }
}

proptest! {
    #[test]
    fn whoever_reads_sees_one_state(
        keys in 0_u32..300,
        readers in prop::collection::vec((any::<bool>(), 1_u32..40), 1..4),
        changes in prop::collection::vec((0_u8..10, 0_u32..320, 0_u32..320), 0..400),
        pace in 1_usize..30,
        collide in any::<bool>(),
    ) {
        let mut partition = filled(keys);
        if collide {
            let hasher = KeyHasher::instead(|key| u64::from(key[key.len() - 1]) << 60);
            partition = Partition::with_hasher(PartitionId(3), hasher, &Limits::default());
            index(&mut partition);
            (0..keys).for_each(|key| put(&mut partition, key, key));
        }
        let mut reading = Vec::new();
        let mut left = changes.into_iter();
        for (by_index, size) in readers {
            let expected = all(&mut partition);
            let first = if by_index { Place::Key(Vec::new()) } else { Place::Hash(0) };
            let mut reader = Reader::new(first);
            reader.read(&mut partition, size, 1).unwrap();
            reading.push((reader, size, expected));
            left.by_ref().take(pace).for_each(|one| change(&mut partition, one));
        }
        while reading.iter().any(|(reader, ..)| reader.next.is_some()) {
            for (reader, size, _) in &mut reading {
                if reader.next.is_some() {
                    reader.read(&mut partition, *size, 1).unwrap();
                }
                left.by_ref().take(pace).for_each(|one| change(&mut partition, one));
            }
        }
        for (reader, _, expected) in reading {
            prop_assert_eq!(reader.found, expected);
        }
        prop_assert_eq!(kept(&mut partition, 1), (0, 0));
        left.for_each(|one| change(&mut partition, one));
        prop_assert_eq!(kept(&mut partition, 1), (0, 0));
    }
}

#[test]
fn whoever_has_seen_enough_is_forgotten() {
    let mut partition = filled(100);
    let mut reader = Reader::new(Place::Hash(0));
    reader.read(&mut partition, 10, 1).unwrap();
    delete(&mut partition, 7);
    assert!(kept(&mut partition, 1).1 > 0);
    let View::At(moment) = reader.view else { panic!("there is more") };
    let done = partition.run(MAP, scan(0, 1, View::Done(moment)), 1);
    assert_eq!(done, Reply::Page(Page::default()));
    assert_eq!(kept(&mut partition, 1), (0, 0));
}

#[test]
fn where_there_is_no_index_nothing_is_kept() {
    let mut partition = filled(100);
    let seek = Seek {
        partition: PartitionId(3),
        index: "none",
        from: b"",
        to: b"",
        entries_max: 10,
        view: View::Begin,
    };
    let Reply::Failed(error) = partition.run(MAP, Op::Seek(seek), 1) else { panic!("it is there") };
    assert_eq!(error.code(), ErrorCode::IndexNotReady);
    assert_eq!(kept(&mut partition, 1), (0, 0));
}

#[test]
fn the_last_page_may_be_asked_for_again() {
    let mut partition = filled(30);
    let mut reader = Reader::new(Place::Hash(0));
    reader.read(&mut partition, 20, 1).unwrap();
    let again = (reader.view, reader.next.clone());
    for _ in 0..2 {
        (reader.view, reader.next) = again.clone();
        reader.found.clear();
        reader.read(&mut partition, 20, 1).unwrap();
        assert!(reader.next.is_none() && reader.found.len() == 10);
    }
    assert_eq!(kept(&mut partition, 1), (0, 0));
}

#[test]
fn who_asks_for_nothing_for_a_minute_begins_anew() {
    let mut partition = filled(100);
    let mut reader = Reader::new(Place::Hash(0));
    reader.read(&mut partition, 10, 1_000).unwrap();
    delete(&mut partition, 7);
    partition.expire(Timestamp(1_000 + IDLE_MS - 1), 1);
    reader.read(&mut partition, 10, 40_000).unwrap();
    assert_eq!(kept(&mut partition, 40_000 + IDLE_MS - 1).0, 1);
    partition.expire(Timestamp(40_000 + IDLE_MS), 1);
    assert_eq!(kept(&mut partition, 40_000), (0, 0));
    let lost = reader.read(&mut partition, 10, 120_000).unwrap_err();
    assert_eq!(lost.code(), ErrorCode::ViewLost);
}

#[test]
fn what_is_cleared_or_taken_back_is_lost_to_readers() {
    let mut partition = filled(100);
    let mut reader = Reader::new(Place::Hash(0));
    reader.read(&mut partition, 10, 1).unwrap();
    partition.run(MAP, Op::Clear { partition: PartitionId(3) }, 1);
    assert_eq!(reader.read(&mut partition, 10, 1).unwrap_err().code(), ErrorCode::ViewLost);

    let mut partition = filled(100);
    partition.journal(true);
    let before = partition.last_version();
    delete(&mut partition, 7);
    let mut reader = Reader::new(Place::Hash(0));
    reader.read(&mut partition, 10, 1).unwrap();
    put(&mut partition, 8, 1);
    partition.undo_after(before);
    assert_eq!(reader.read(&mut partition, 10, 1).unwrap_err().code(), ErrorCode::ViewLost);
}

#[test]
fn no_more_than_so_much_is_kept() {
    let mut partition = partition();
    let large = vec![b'x'; 1 << 20];
    for key in 0..40 {
        partition.run(MAP, Op::put(format!("key:{key}").as_bytes(), &large), 1);
    }
    let mut reader = Reader::new(Place::Hash(0));
    reader.read(&mut partition, 1, 1).unwrap();
    (0..30).for_each(|key| delete(&mut partition, key));
    assert!((30 << 20..KEPT_BYTES_MAX).contains(&kept(&mut partition, 1).1));
    (30..40).for_each(|key| delete(&mut partition, key));
    assert_eq!(kept(&mut partition, 1), (0, 0));
    assert_eq!(reader.read(&mut partition, 1, 1).unwrap_err().code(), ErrorCode::ViewLost);
}

#[test]
fn no_more_than_so_many_are_kept() {
    let mut partition = filled(100);
    let mut first = Reader::new(Place::Hash(0));
    first.read(&mut partition, 10, 1).unwrap();
    for number in 0..STATES_MAX as u32 {
        put(&mut partition, 200, number);
        Reader::new(Place::Hash(0)).read(&mut partition, 10, 1).unwrap();
    }
    assert_eq!(kept(&mut partition, 1).0, STATES_MAX);
    assert_eq!(first.read(&mut partition, 10, 1).unwrap_err().code(), ErrorCode::ViewLost);
}

/// A replica that has applied the same changes.
fn replica(keys: u32) -> Partition {
    let mut replica = partition();
    index(&mut replica);
    for key in 0..keys {
        let (name, value) = (format!("key:{key}"), format!("{{\"a\": {key}}}"));
        let effect = Effect::Put {
            map: MAP,
            key: name.as_bytes(),
            value: value.as_bytes(),
            expires_at: None,
        };
        let hash = replica.common.hasher.hash(name.as_bytes());
        replica.apply(Version(u64::from(key) + 1), &effect, hash);
    }
    replica
}

#[test]
fn another_replica_goes_on_if_it_has_the_same() {
    for first in [Place::Hash(0), Place::Key(Vec::new())] {
        let mut partition = filled(100);
        let expected = all(&mut partition);
        let begun = |partition: &mut Partition| {
            let mut reader = Reader::new(first.clone());
            reader.read(partition, 10, 1).unwrap();
            reader
        };
        // Versions that change nothing here do not matter.
        let mut same = replica(100);
        same.apply(Version(200), &Effect::Nothing, KeyHash(0));
        let mut reader = begun(&mut partition);
        reader.read(&mut same, 10, 1).unwrap();
        // From now on it is kept here.
        change(&mut same, (0, 5, 7));
        change(&mut same, (6, 6, 0));
        reader.read_all(&mut same, 10).unwrap();
        assert_eq!(reader.found, expected);
        assert_eq!(kept(&mut same, 1), (0, 0));

        let mut reader = begun(&mut partition);
        let mut without = replica(100);
        let hash = without.common.hasher.hash(b"key:50");
        let gone = Effect::Remove { map: MAP, key: b"key:50", cause: Cause::Deleted };
        without.apply(Version(101), &gone, hash);
        let lost = reader.read(&mut without, 10, 1).unwrap_err();
        assert_eq!(lost.code(), ErrorCode::ViewLost);

        let mut reader = begun(&mut partition);
        let mut newer = replica(100);
        put(&mut newer, 50, 7);
        let lost = reader.read(&mut newer, 10, 1).unwrap_err();
        assert_eq!(lost.code(), ErrorCode::ViewLost);
    }
}

#[test]
fn a_map_that_is_not_there_is_no_state_that_had_records() {
    let moment = Moment { version: Version(7), records: 1 };
    let mut partition = partition();
    let lost = partition.run(MAP, scan(0, 10, View::At(moment)), 1);
    let Reply::Failed(error) = lost else { panic!("{lost:?}") };
    assert_eq!(error.code(), ErrorCode::ViewLost);
}
