//! Cursors, their lag, and what is told to those who fell behind.

use isogrid_core::{Effect, Hlc, LogPosition, MapId};

use super::*;
use crate::entry::{Answer, Entries, Entry};
use crate::log::WindowLimits;

const NOW: Timestamp = Timestamp(1_000);

/// Ten entries, made at 100, 200, ... 1,000 ms.
fn log() -> Log {
    let limits = WindowLimits { bytes_max: 10_000, spare_bytes_max: 10_000, age_ms_max: 10_000 };
    let mut log = Log::new(LogPosition::START, limits);
    for seq in 1..=10 {
        log.append(&Entry {
            position: LogPosition::new(1, seq),
            hlc: Hlc((100 * seq) << 16),
            request: None,
            answer: Answer::None,
            effect: Effect::Clear { map: MapId(1) },
        });
    }
    log
}

#[test]
fn the_required_readers_hold_the_window() {
    let mut readers = Readers::default();
    assert_eq!(readers.min_required(), None);
    let backup = readers.open(ReaderKind::Backup, true, 4, NOW);
    let disk = readers.open(ReaderKind::Disk, true, 6, NOW);
    let learner = readers.open(ReaderKind::Learner, false, 1, NOW);
    assert_eq!(readers.min_required(), Some(4));
    readers.set_required(learner, true);
    assert_eq!(readers.min_required(), Some(1));
    readers.remove(learner);
    readers.advance(backup, 9, Timestamp(2_000));
    assert_eq!(readers.min_required(), Some(6));
    readers.advance(disk, 5, Timestamp(2_000));
    assert_eq!(readers.get(disk).map(|disk| (disk.passed, disk.advanced_at)), Some((6, NOW)));
    readers.place(disk, 5, Timestamp(2_000));
    assert_eq!(readers.min_required(), Some(5));
    assert_eq!(readers.iter().map(|(id, _)| id).collect::<Vec<_>>(), [backup, disk]);
    assert!(readers.open(ReaderKind::Index, false, 0, NOW) > learner, "no name is given twice");
}

#[test]
fn lag_is_told_in_entries_bytes_and_milliseconds() {
    let mut log = log();
    let mut readers = Readers::default();
    let backup = readers.open(ReaderKind::Backup, true, 7, NOW);
    let bytes = log.bytes() / 10;
    let lag = readers.lag(backup, &log, Timestamp(1_050));
    assert_eq!(lag, Some(Lag { ops: 3, bytes: 3 * bytes, ms: 250 }));
    readers.advance(backup, 10, NOW);
    assert_eq!(readers.lag(backup, &log, Timestamp(9_000)), Some(Lag::default()));
    readers.place(backup, 2, NOW);
    log.prune_to(6);
    let lag = readers.lag(backup, &log, Timestamp(1_050));
    assert_eq!(lag, Some(Lag { ops: 8, bytes: 4 * bytes, ms: 350 }));
    readers.remove(backup);
    assert_eq!(readers.lag(backup, &log, NOW), None);
}

#[test]
fn committed_entries_are_read_in_order_without_gap_or_repeat() {
    let log = log();
    let mut readers = Readers::default();
    let id = readers.resume(readers.offset(2), &log, NOW).expect("held");
    let mut seen = Vec::new();
    for commit in [2, 5, 5, 8, 10] {
        let mut out = Vec::new();
        let entry_bytes = log.bytes() as usize / 10;
        let last = readers.read_committed(id, commit, &log, 2 * entry_bytes, &mut out);
        let last = last.expect("held");
        assert!(last <= commit);
        seen.extend(Entries::new(&out).map(|read| read.expect("valid").entry.position.seq));
        readers.advance(id, last, NOW);
    }
    assert_eq!(seen, [3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn who_fell_out_of_the_window_is_told() {
    let mut log = log();
    let mut readers = Readers::new(3);
    let index = readers.open(ReaderKind::Index, false, 2, NOW);
    let watcher = readers.resume(readers.offset(2), &log, NOW).expect("held");
    let backup = readers.open(ReaderKind::Backup, true, 8, NOW);
    log.prune_to(6);
    let mut out = Vec::new();
    assert_eq!(readers.fallen(&log).collect::<Vec<_>>(), [index, watcher]);
    let read = |id, out: &mut Vec<u8>| readers.read_committed(id, 10, &log, 1_000, out);
    let oldest = WatchOffset { loss_generation: 3, seq: 6 };
    assert_eq!(read(index, &mut out), Err(Refused::Lagged { missed: 4 }));
    assert_eq!(read(watcher, &mut out), Err(Refused::Compacted { oldest }));
    assert!(out.is_empty());
    assert_eq!(read(backup, &mut out), Ok(10));
    assert_eq!(readers.clone().resume(oldest, &log, NOW).map(|_| ()), Ok(()));
    readers.place(index, 6, NOW);
    assert_eq!(readers.fallen(&log).collect::<Vec<_>>(), [watcher]);
    readers.remove(watcher);
    assert_eq!(readers.read_committed(watcher, 10, &log, 1_000, &mut out), Err(Refused::Closed));
}

#[test]
fn a_place_in_a_lost_history_counts_no_more() {
    let log = log();
    let mut readers = Readers::new(0);
    let before = readers.offset(4);
    let watcher = readers.resume(before, &log, NOW).expect("held");
    readers.lose_history(1);
    let compacted = Refused::Compacted { oldest: WatchOffset { loss_generation: 1, seq: 0 } };
    let mut out = Vec::new();
    assert_eq!(readers.read_committed(watcher, 10, &log, 1_000, &mut out), Err(compacted));
    assert_eq!(readers.resume(before, &log, NOW), Err(compacted));
    assert_eq!(readers.resume(readers.offset(11), &log, NOW), Err(compacted));
    assert!(readers.resume(readers.offset(10), &log, NOW).is_ok());
}

#[test]
fn who_left_is_waited_for_for_a_while() {
    let mut readers = Readers::new(0);
    let ahead = readers.open(ReaderKind::Backup, true, 10, Timestamp(0));
    let behind = readers.open(ReaderKind::Backup, true, 4, Timestamp(0));
    assert_eq!(readers.min_wanted(Timestamp(0), 50), Some(4));
    readers.remove(behind);
    assert_eq!(readers.min_required(), Some(10));
    assert_eq!(readers.min_wanted(Timestamp(100), 50), Some(4), "it has just left");
    assert_eq!(readers.min_wanted(Timestamp(150), 50), Some(4));
    assert_eq!(readers.min_wanted(Timestamp(151), 50), Some(10));
    readers.remove(ahead);
    readers.expect_back(7);
    assert_eq!(readers.min_wanted(Timestamp(200), 50), Some(7));
    readers.lose_history(1);
    assert_eq!(readers.min_wanted(Timestamp(200), 50), None, "numbers of another history");
}
