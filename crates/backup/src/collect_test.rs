//! Tests of how a partition gets into a backup.

use isogrid_core::MapId;
use isogrid_replica::entry::{Answer, Entry};

use super::*;
use crate::block::Blocks;
use crate::manifest::Point;

/// An entry that puts a record, made at this clock.
fn put(epoch: u64, seq: u64, clock: u64) -> Vec<u8> {
    entry(
        epoch,
        seq,
        clock,
        Effect::Put { map: MapId(1), key: b"k", value: b"v", expires_at: None },
    )
}

fn entry(epoch: u64, seq: u64, clock: u64, effect: Effect<'_>) -> Vec<u8> {
    let (position, hlc) = (LogPosition::new(epoch, seq), Hlc(clock));
    let mut bytes = Vec::new();
    Entry { position, hlc, request: None, answer: Answer::None, effect }.encode(&mut bytes);
    bytes
}

fn begun(mode: Mode) -> Collector {
    Collector::new(4, Begun { mode, from: LogPosition::new(1, 10), loss_generation: 0 })
}

fn page<'a>(records: &'a [u8], kept: &'a [u64], as_of: u64, is_last: bool) -> Page<'a> {
    Page { records, kept, as_of: LogPosition::new(1, as_of), is_last }
}

/// The clocks of the entries in the last object.
fn clocks(object: &[u8]) -> Vec<u64> {
    let blocks = Blocks::of(object).expect("an object").map(|block| block.expect("whole"));
    let entries = blocks.filter(|block| block.kind == Kind::Entries);
    let clock = |block: block::Block| -> Vec<u64> {
        Entries::new(&block.contents).map(|entry| entry.expect("an entry").entry.hlc.0).collect()
    };
    entries.flat_map(clock).collect()
}

#[test]
fn a_partition_ends_exactly_at_the_cut() {
    let mut partition = begun(Mode::Whole);
    partition.page(page(&put(1, 7, 0), &[], 12, true)).expect("a page");
    partition.hold(true);
    for (seq, clock) in [(11, 100), (12, 200), (13, 201)] {
        assert!(!partition.reaches(Hlc(200)), "nothing behind the cut has come");
        partition.entries(&put(1, seq, clock)).expect("it follows");
    }
    assert!(partition.reaches(Hlc(200)));
    partition.finish(Hlc(200)).expect("it is reached");
    let object = partition.take_object();
    assert_eq!(clocks(&object), [100, 200]);
    let part = partition.part_mut();
    assert_eq!((part.cut, part.records, part.entries), (Point { epoch: 1, seq: 12 }, 1, 2));
}

#[test]
fn what_pages_show_must_have_come_as_entries() {
    let mut partition = begun(Mode::Whole);
    partition.page(page(&[], &[], 12, false)).expect("a page");
    partition.entries(&put(1, 11, 300)).expect("it follows");
    assert!(!partition.reaches(Hlc(200)), "pages are to come");
    partition.page(page(&[], &[], 11, true)).expect("a page");
    assert!(!partition.reaches(Hlc(200)), "entry 12 is to come");
    assert!(partition.finish(Hlc(200)).is_err());
    partition.entries(&put(1, 12, 301)).expect("it follows");
    assert!(partition.reaches(Hlc(200)));
    assert!(partition.page(page(&[], &[], 12, true)).is_err(), "there was a last one");
}

#[test]
fn what_does_not_follow_is_refused() {
    let mut partition = begun(Mode::Entries);
    partition.entries(&put(2, 11, 100)).expect("it follows");
    for (wrong, what) in [
        (put(2, 13, 101), "a gap"),
        (put(2, 11, 101), "again"),
        (put(1, 12, 101), "an earlier epoch"),
        (put(2, 12, 100), "the same clock"),
        (vec![1, 2, 3], "no entry"),
    ] {
        assert!(partition.clone().entries(&wrong).is_err(), "{what}");
    }
    partition.entries(&put(3, 12, 101)).expect("a later epoch follows");
    let mut whole = begun(Mode::Whole);
    assert!(whole.page(page(&[7; 40], &[], 10, true)).is_err(), "no records");
}

#[test]
fn a_cut_that_was_given_up_leaves_nothing_out() {
    let mut partition = begun(Mode::Entries);
    partition.hold(true);
    partition.entries(&put(1, 11, 100)).expect("it follows");
    partition.entries(&put(1, 12, 500)).expect("it follows");
    partition.hold(false);
    partition.entries(&put(1, 13, 600)).expect("it follows");
    partition.hold(true);
    partition.entries(&put(1, 14, 700)).expect("it follows");
    partition.finish(Hlc(600)).expect("it is reached");
    assert_eq!(clocks(&partition.take_object()), [100, 500, 600]);
}

#[test]
fn many_entries_do_not_gather_in_memory_unless_the_cut_is_near() {
    let mut partition = begun(Mode::Entries);
    let mut seq = 10;
    let mut more = |partition: &mut Collector, bytes: usize| {
        let begin = seq;
        while (seq - begin) as usize * 60 < bytes {
            seq += 1;
            partition.entries(&put(1, seq, seq * 10)).expect("it follows");
        }
        seq
    };
    more(&mut partition, 2 * ENTRIES_BYTES);
    assert!(partition.buffered() > 0 && partition.entries.len() < ENTRIES_BYTES);
    partition.hold(true);
    let buffered = partition.buffered();
    let last = more(&mut partition, 2 * ENTRIES_BYTES);
    assert_eq!(partition.buffered(), buffered, "the cut may be before all of it");
    partition.finish(Hlc(last * 10 - 1)).expect("it is reached");
    let object = partition.take_object();
    assert_eq!(clocks(&object).len() as u64, partition.part_mut().entries);
    assert_eq!(partition.part_mut().entries, last - 11);
}

#[test]
fn an_idle_partition_takes_no_object_and_its_cut_goes_on() {
    let mut partition = begun(Mode::Entries);
    partition.entries(&entry(1, 11, 100, Effect::Nothing)).expect("it follows");
    partition.entries(&entry(1, 12, 300, Effect::Nothing)).expect("it follows");
    partition.finish(Hlc(200)).expect("it is reached");
    assert!(partition.take_object().is_empty());
    let part = partition.part_mut();
    assert_eq!((part.entries, part.cut), (0, Point { epoch: 1, seq: 11 }));
}

#[test]
fn kept_versions_are_counted_and_written() {
    let mut partition = begun(Mode::Changes);
    partition.page(page(&[], &[3, 5], 10, false)).expect("a page");
    partition.page(page(&put(1, 9, 0), &[4], 10, true)).expect("a page");
    partition.entries(&put(1, 11, 300)).expect("it follows");
    partition.finish(Hlc(200)).expect("it is reached");
    let object = partition.take_object();
    let kept: Vec<u64> = Blocks::of(&object)
        .expect("an object")
        .map(|block| block.expect("whole"))
        .filter(|block| block.kind == Kind::Kept)
        .flat_map(|block| block::versions(&block.contents).expect("versions"))
        .collect();
    assert_eq!(
        (kept, partition.part_mut().kept, partition.part_mut().records),
        (vec![3, 5, 4], 3, 1)
    );
}
