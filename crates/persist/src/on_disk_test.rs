//! What is written of a log, when it counts, and what is written again.

use isogrid_core::{Incarnation, PartitionId};
use isogrid_replica::{Event, Recorded};
use isogrid_wal::Record;

use super::*;
use crate::testing::{Kept, MAPS, now, refuse, replica};

/// Where the entries of the only part begin and end, and whether they must be synced.
fn entries(unwritten: &Unwritten) -> (u64, LogPosition, bool) {
    let [Part { what: What::Entries { first, last, must_sync, .. }, .. }] = unwritten.parts[..]
    else {
        panic!("{:?} are not the entries of one partition", unwritten.parts);
    };
    (first.seq, last, must_sync)
}

/// Whether the only part is a reset.
fn is_reset(unwritten: &Unwritten) -> bool {
    matches!(unwritten.parts[..], [Part { what: What::Reset { .. }, .. }])
}

fn written(kept: &mut Kept, unwritten: &Unwritten) -> Option<Counts> {
    kept.on_disk.was_written(&unwritten.parts[0])
}

/// Says to one what the other has said to it.
fn deliver(from: &mut Kept, to: &mut Kept) {
    let (sender, receiver) = (from.replica.me().clone(), to.replica.me().clone());
    for (whom, message) in std::mem::take(&mut from.said.messages) {
        assert_eq!(whom, receiver);
        to.step(Event::Receive { from: &sender, to: Incarnation(1), message });
    }
}

#[test]
fn what_was_appended_is_written_once() {
    let mut kept = Kept::new("a");
    kept.read(1, "a", &["a"]);
    let unwritten = kept.unwritten();
    assert_eq!(entries(&unwritten).0, 1);
    assert_eq!(unwritten.parts[0].before, LogPosition::START);
    let mut all = Vec::new();
    kept.replica.log().read_batch(0, usize::MAX, &mut all);
    assert_eq!(unwritten.bytes, all);
    assert!(kept.unwritten().is_empty(), "it is on its way");
    let before = kept.last();
    assert_eq!(written(&mut kept, &unwritten), Some(Counts::Now(before)));
    kept.step(Event::Persisted(before));
    kept.put(0, "k", b"w");
    let unwritten = kept.unwritten();
    assert_eq!((entries(&unwritten).0, unwritten.parts[0].before), (before.seq + 1, before));
}

#[test]
fn the_parts_of_a_window_share_its_bytes() {
    let (mut one, mut other) = (Kept::leading("a"), Kept::leading("a"));
    one.put(0, "k", b"v");
    other.put(0, "longer", b"value");
    let mut out = Unwritten::default();
    one.on_disk.unwritten(&one.replica, 3, MAPS, &mut out).unwrap();
    other.on_disk.unwritten(&other.replica, 7, MAPS, &mut out).unwrap();
    assert_eq!([out.parts[0].slot, out.parts[1].slot], [3, 7]);
    let ends = |part: &Part| match part.what {
        What::Entries { begin, end, .. } => (begin, end),
        What::Reset { .. } => (0, 0),
    };
    let (first, second) = (ends(&out.parts[0]), ends(&out.parts[1]));
    assert_eq!((first.0, first.1, second.1), (0, second.0, out.bytes.len()));
    let mut log = Vec::new();
    other.replica.log().read_batch(1, usize::MAX, &mut log);
    assert!(matches!(
        out.records()[1],
        Record::Entries { entries, .. } if entries == log
    ));
}

#[test]
fn much_is_written_in_runs() {
    let mut kept = Kept::leading("a");
    (0..9).for_each(|number| kept.put(0, &number.to_string(), &vec![7; 900_000]));
    let mut runs = Vec::new();
    while runs.len() < 9 {
        let unwritten = kept.unwritten();
        if unwritten.is_empty() {
            break;
        }
        assert!(unwritten.bytes.len() <= RUN_BYTES_MAX);
        let (first, last, _) = entries(&unwritten);
        runs.push((first, last.seq));
    }
    assert!(runs.len() > 1, "{runs:?}");
    assert!(runs.windows(2).all(|two| two[1].0 == two[0].1 + 1), "{runs:?}");
    assert_eq!((runs[0].0, runs[runs.len() - 1].1), (2, kept.last().seq));
}

#[test]
fn a_write_that_the_disk_refused_is_offered_again() {
    let mut kept = Kept::leading("a");
    let told = kept.told;
    kept.put(0, "k", b"v");
    refuse(&kept.disk, true);
    assert!(!kept.persist());
    assert_eq!((kept.told, kept.on_disk.persisted), (told, told), "nobody heard that it counts");
    kept.put(0, "k", b"w");
    let again = kept.unwritten();
    assert_eq!(entries(&again), (2, LogPosition::new(1, 3), false), "with what came meanwhile");
    kept.on_disk.was_not_written(&again.parts[0]);
    refuse(&kept.disk, false);
    assert!(kept.persist());
    assert_eq!(kept.told, kept.last());
    let last = kept.last();
    assert_eq!(kept.reopened().last(), last);
}

#[test]
fn what_was_cut_off_is_written_again_as_what_took_its_place() {
    let (mut old, mut new) = (Kept::new("a"), Kept::new("b"));
    for one in [&mut old, &mut new] {
        one.read(1, "a", &["a", "b"]);
    }
    old.persist();
    deliver(&mut old, &mut new);
    new.persist();
    deliver(&mut new, &mut old);
    // These never leave the old primary, but they are on its disk.
    old.put(0, "k", b"lost");
    old.put(0, "k", b"lost too");
    old.persist();
    old.said = Recorded::default();
    let cut = old.last();
    for one in [&mut new, &mut old] {
        one.read(2, "b", &["a", "b"]);
    }
    new.persist();
    deliver(&mut new, &mut old);
    assert_eq!((cut.seq, old.last()), (3, LogPosition::new(2, 2)));
    let unwritten = old.unwritten();
    assert_eq!(entries(&unwritten), (1, old.last(), false), "what stands is written once more");
    assert_eq!(unwritten.parts[0].before, cut);
    old.on_disk.was_not_written(&unwritten.parts[0]);
    assert!(old.persist());
    deliver(&mut old, &mut new);
    new.put(0, "k", b"kept");
    deliver(&mut new, &mut old);
    assert!(old.persist());
    assert_eq!(old.last(), LogPosition::new(2, 3));
    let mut log = Vec::new();
    new.replica.log().read_batch(0, usize::MAX, &mut log);
    let mut back = old.reopened();
    assert_eq!(back.last(), new.last());
    let mut found = Vec::new();
    back.replica.log().read_batch(0, usize::MAX, &mut found);
    assert_eq!(found, log);
    assert!(back.unwritten().is_empty());
}

#[test]
fn a_log_that_became_shorter_is_followed_and_nothing_is_written() {
    let mut kept = Kept::new("a");
    kept.on_disk.written = LogPosition::new(1, 9);
    assert!(kept.unwritten().is_empty());
    assert_eq!(kept.on_disk.written, LogPosition::START, "what comes next replaces that");
    kept.read(1, "a", &["a"]);
    assert_eq!(entries(&kept.unwritten()).0, 1);
}

#[test]
fn nothing_follows_what_the_window_has_no_entry_behind() {
    let mut kept = Kept::leading("a");
    kept.put(0, "k", b"v");
    kept.persist();
    kept.image();
    let mut kept = kept.reopened();
    kept.read(2, "a", &["a"]);
    assert!(kept.replica.log().base().seq > 0);
    kept.on_disk.written = LogPosition::START;
    let mut out = Unwritten::default();
    let refused = kept.on_disk.unwritten(&kept.replica, 0, MAPS, &mut out);
    assert_eq!(refused, Err(NothingFollows));
    assert!(out.is_empty() && out.bytes.is_empty());
    assert_eq!(kept.on_disk.written, LogPosition::START);
}

#[test]
fn a_reset_is_written_once_and_nothing_behind_it() {
    let mut kept = Kept::leading("a");
    kept.step(Event::DiskVoided);
    kept.put(0, "k", b"v");
    let reset = kept.unwritten();
    assert!(is_reset(&reset) && reset.bytes.is_empty());
    assert_eq!(written(&mut kept, &reset), None, "nothing counts by it");
    kept.put(0, "k", b"w");
    assert!(kept.unwritten().is_empty(), "what comes behind worthless data is not written");
    kept.step(Event::DiskVoided);
    assert!(is_reset(&kept.unwritten()), "another time, another reset");
    assert!(kept.unwritten().is_empty());
}

#[test]
fn a_reset_that_the_disk_refused_is_offered_again() {
    let mut kept = Kept::leading("a");
    kept.step(Event::DiskVoided);
    refuse(&kept.disk, true);
    assert!(!kept.persist());
    let again = kept.unwritten();
    assert!(is_reset(&again));
    kept.on_disk.was_not_written(&again.parts[0]);
    refuse(&kept.disk, false);
    assert!(kept.persist());
    assert!(kept.unwritten().is_empty());
}

#[test]
fn what_a_damaged_disk_has_stays_until_an_image_is_there() {
    let mut kept = Kept::leading("a");
    kept.put(0, "k", b"v");
    kept.persist();
    let mut kept = kept.reopened();
    assert!(kept.unwritten().is_empty(), "all it has is on disk");
    kept.step(Event::Damaged);
    kept.on_disk.keep_void(&kept.replica);
    assert!(kept.unwritten().is_empty(), "no reset");
    kept.read(2, "a", &["a"]);
    assert!(kept.unwritten().is_empty(), "and nothing behind it");
}

#[test]
fn what_must_be_synced_counts_when_it_is() {
    let mut kept = Kept::leading("a");
    kept.put(1, "k", b"v");
    let unwritten = kept.unwritten();
    assert!(entries(&unwritten).2);
    let last = kept.last();
    let before = kept.on_disk.persisted;
    assert_eq!(written(&mut kept, &unwritten), Some(Counts::WhenSynced(last)));
    assert_eq!(kept.on_disk.persisted, before);
    kept.on_disk.synced(last);
    assert_eq!(kept.on_disk.persisted, last);
}

#[test]
fn what_comes_behind_something_that_waits_waits_too() {
    let mut kept = Kept::leading("a");
    kept.put(1, "k", b"synced");
    assert!(kept.persist());
    let waits = kept.last();
    assert!(kept.told < waits);
    kept.put(0, "k", b"not synced");
    assert!(kept.persist());
    assert!(kept.told < waits, "it would count before what stands before it");
    kept.sync();
    assert_eq!(kept.told, kept.last());
    kept.put(0, "k", b"not synced");
    assert!(kept.persist());
    assert_eq!(kept.told, kept.last(), "nothing waits any more");
}

#[test]
fn a_sync_of_earlier_entries_does_not_end_the_wait_for_later_ones() {
    let mut kept = Kept::leading("a");
    let wait = |kept: &mut Kept, map| {
        kept.put(map, "k", b"v");
        let unwritten = kept.unwritten();
        (written(kept, &unwritten), kept.last())
    };
    let (counts, first) = wait(&mut kept, 1);
    assert_eq!(counts, Some(Counts::WhenSynced(first)));
    let (counts, second) = wait(&mut kept, 1);
    assert_eq!(counts, Some(Counts::WhenSynced(second)));
    kept.on_disk.synced(first);
    assert_eq!(kept.on_disk.persisted, first);
    let (counts, third) = wait(&mut kept, 0);
    assert_eq!(counts, Some(Counts::WhenSynced(third)), "the second still waits");
    kept.on_disk.synced(second);
    let (counts, fourth) = wait(&mut kept, 0);
    assert_eq!(counts, Some(Counts::WhenSynced(fourth)), "and so does the third");
    kept.on_disk.synced(fourth);
    let (counts, fifth) = wait(&mut kept, 0);
    assert_eq!(counts, Some(Counts::Now(fifth)));
}

#[test]
fn a_part_says_of_which_partition_it_is() {
    let mut replica = replica("a", PartitionId(5));
    replica.step(Event::DiskVoided, now(), &mut Recorded::default());
    let (mut on_disk, mut out) = (OnDisk::default(), Unwritten::default());
    on_disk.unwritten(&replica, 2, MAPS, &mut out).unwrap();
    let what = What::Reset { before: 0 };
    let part = Part { partition: PartitionId(5), slot: 2, before: LogPosition::START, what };
    assert_eq!(out.parts, [part]);
    assert_eq!(out.records(), [Record::Reset { partition: PartitionId(5) }]);
}
