//! Appends, syncs and prunes when the disk fails.

use std::io::ErrorKind;

use isogrid_core::PartitionId;

use crate::faulty_disk::{Fault, FaultyDisk, Operation};
use crate::place::Place;
use crate::testing::{STORAGE, append, append_to, reopen, replayed};
use crate::{LogSettings, Record, WalError, open};

const SMALL: LogSettings = LogSettings { segment_bytes_max: 200 };

/// The first call of each of these fails.
fn fail_once(disk: &FaultyDisk, operations: &[Operation], kind: ErrorKind) {
    let mut left = operations.to_vec();
    disk.set_decider(Some(Box::new(move |call| {
        let Some(at) = left.iter().position(|operation| *operation == call.operation) else {
            return Fault::None;
        };
        match left.remove(at) {
            Operation::Write => Fault::Torn(call.bytes - 1, kind),
            _ => Fault::Fails(kind),
        }
    })));
}

#[test]
fn a_refused_write_is_taken_back_and_later_ones_are_kept() {
    for failing in [&[Operation::Write][..], &[Operation::Write, Operation::SetLen]] {
        for power in [false, true] {
            let mut disk = FaultyDisk::default();
            let (mut log, _) = reopen(&disk);
            append(&mut log, 1, 2).unwrap();
            fail_once(&disk, failing, ErrorKind::Other);
            let records = [3, 4].map(|seq| Record::Entries {
                partition: PartitionId(1),
                first: isogrid_core::LogPosition::new(1, seq),
                last: isogrid_core::LogPosition::new(1, seq),
                entries: b"?",
            });
            assert!(matches!(log.append(&records), Err(WalError::Io { .. })));
            if power {
                disk.crash(|steps| steps);
                let (_, recovery) = reopen(&disk);
                assert_eq!(replayed(&recovery, 1), [1, 2], "{failing:?}");
                continue;
            }
            append(&mut log, 3, 3).unwrap();
            let (_, recovery) = reopen(&disk);
            assert_eq!(replayed(&recovery, 1), [1, 2, 3], "{failing:?}");
            assert_eq!(recovery.remarks(), [], "{failing:?}");
        }
    }
}

#[test]
fn a_full_disk_is_told_apart_and_passes() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 1).unwrap();
    disk.set_capacity(Some(log.disk_bytes() + 10));
    for _ in 0..3 {
        let error = append(&mut log, 2, 3).unwrap_err();
        assert!(matches!(error, WalError::NoSpace { .. }), "{error}");
        assert!(error.to_string().contains("free space"));
    }
    disk.set_capacity(None);
    append(&mut log, 2, 4).unwrap();
    assert_eq!(replayed(&reopen(&disk).1, 1), [1, 2, 3, 4]);
}

#[test]
fn after_a_failed_sync_nothing_is_trusted_until_all_is_written_again() {
    let mut disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 2).unwrap();
    log.sync().unwrap();
    append(&mut log, 3, 4).unwrap();
    fail_once(&disk, &[Operation::Sync], ErrorKind::Other);
    assert!(matches!(log.sync(), Err(WalError::Failed { .. })));
    for _ in 0..2 {
        assert!(matches!(log.sync(), Err(WalError::Failed { .. })));
        assert!(matches!(append(&mut log, 5, 5), Err(WalError::Failed { .. })));
    }
    // The system still shows the bytes, and takes them for synced.
    assert_eq!(replayed(&reopen(&disk).1, 1), [1, 2, 3, 4]);
    disk.crash(|_| 0);
    assert_eq!(replayed(&reopen(&disk).1, 1), [1, 2, 3, 4]);
}

#[test]
fn a_sync_beside_appends_covers_what_came_before_it() {
    let mut disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, STORAGE, SMALL).unwrap();
    for seq in 1..=9 {
        append(&mut log, seq, seq).unwrap();
    }
    let end = log.end();
    let job = log.begin_sync().unwrap().unwrap();
    append(&mut log, 10, 10).unwrap();
    let done = job.run();
    assert_eq!(log.finish_sync(done).unwrap(), end);
    disk.crash(|_| 0);
    let (_, recovery) = reopen(&disk);
    assert_eq!(replayed(&recovery, 1)[..9], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(recovery.segments() > 2);
}

#[test]
fn a_mark_does_not_speak_of_what_was_written_during_its_sync() {
    let mut disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 1).unwrap();
    let job = log.begin_sync().unwrap().unwrap();
    let done = job.run();
    append(&mut log, 2, 2).unwrap();
    log.finish_sync(done).unwrap();
    append(&mut log, 3, 3).unwrap();
    fail_once(&disk, &[Operation::Sync], ErrorKind::Other);
    assert!(log.sync().is_err());
    reopen(&disk);
    disk.crash(|_| 0);
    assert_eq!(replayed(&reopen(&disk).1, 1), [1, 2, 3]);
}

#[test]
fn an_idle_log_is_not_synced_again() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 1).unwrap();
    log.sync().unwrap();
    let syncs = disk.syncs();
    log.sync().unwrap();
    assert!(log.begin_sync().unwrap().is_none());
    assert_eq!(disk.syncs(), syncs);
}

#[test]
fn a_new_segment_stays_although_its_folder_was_not_synced_for_it() {
    let mut disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, STORAGE, SMALL).unwrap();
    for seq in 1..=9 {
        append(&mut log, seq, seq).unwrap();
    }
    log.sync().unwrap();
    let segments = disk.paths().len();
    disk.crash(|_| 0);
    assert_eq!(disk.paths().len(), segments);
}

#[test]
fn the_next_segment_is_made_beside_the_appends() {
    let mut disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, STORAGE, SMALL).unwrap();
    append(&mut log, 1, 1).unwrap();
    assert!(log.begin_next().is_none(), "there is room enough");
    append(&mut log, 2, 2).unwrap();
    assert!(log.is_next_due());
    let job = log.begin_next().unwrap();
    assert!(!log.is_next_due() && log.begin_next().is_none(), "it is begun");
    let before = log.end().segment;
    for seq in 3..=6 {
        append(&mut log, seq, seq).unwrap();
    }
    assert_eq!(log.end().segment, before, "until it is there the present one goes on");
    log.finish_next(job.run());
    let (syncs, paths) = (disk.syncs(), disk.paths().len());
    let place = append(&mut log, 7, 7).unwrap();
    assert_eq!((place.segment, disk.syncs()), (before + 1, syncs), "nothing is waited for");
    assert_eq!(disk.paths().len(), paths);
    log.sync().unwrap();
    disk.crash(|_| 0);
    assert_eq!(replayed(&reopen(&disk).1, 1), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_power_failure_in_a_new_segment_takes_what_was_not_synced() {
    for kept in [0, 20, 48, 70, usize::MAX] {
        let mut disk = FaultyDisk::default();
        let (mut log, _) = open(&disk, STORAGE, SMALL).unwrap();
        for seq in 1..=3 {
            append(&mut log, seq, seq).unwrap();
        }
        log.sync().unwrap();
        let job = log.begin_next().unwrap();
        log.finish_next(job.run());
        let place = append_to(&mut log, 1, 4, 40).unwrap();
        assert_eq!(place.segment, 2);
        disk.crash(|_| kept);
        let (mut log, recovery) = reopen(&disk);
        let last = if kept == usize::MAX { 40 } else { 3 };
        assert_eq!(recovery.partitions()[0].last.seq, last, "{kept}");
        assert!(recovery.partitions()[0].damage.is_none() && recovery.lost().is_empty(), "{kept}");
        append(&mut log, last + 1, last + 1).unwrap();
        let (_, recovery) = reopen(&disk);
        assert_eq!(recovery.partitions()[0].last.seq, last + 1, "{kept}");
        assert!(recovery.partitions()[0].damage.is_none() && recovery.lost().is_empty(), "{kept}");
    }
}

#[test]
fn a_next_segment_that_was_not_needed_is_nothing_to_speak_of() {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, STORAGE, SMALL).unwrap();
    append(&mut log, 1, 1).unwrap();
    append(&mut log, 2, 2).unwrap();
    let job = log.begin_next().unwrap();
    log.finish_next(job.run());
    let (_, recovery) = reopen(&disk);
    assert_eq!((recovery.remarks(), replayed(&recovery, 1)), (&[][..], vec![1, 2]));
}

#[test]
fn a_next_segment_that_cannot_be_made_is_made_when_it_is_needed() {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, STORAGE, SMALL).unwrap();
    append(&mut log, 1, 1).unwrap();
    append(&mut log, 2, 2).unwrap();
    let job = log.begin_next().unwrap();
    fail_once(&disk, &[Operation::Create], ErrorKind::Other);
    log.finish_next(job.run());
    for seq in 3..=6 {
        append(&mut log, seq, seq).unwrap();
    }
    assert!(log.end().segment > 1);
    assert_eq!(replayed(&reopen(&disk).1, 1), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn segments_are_removed_beside_the_appends() {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, STORAGE, SMALL).unwrap();
    let places: Vec<Place> = (1..=9).map(|seq| append(&mut log, seq, seq).unwrap()).collect();
    let before = log.disk_bytes();
    let job = log.begin_prune(places[8].segment).unwrap();
    append(&mut log, 10, 10).unwrap();
    assert!(log.disk_bytes() > before, "they count until they are gone");
    fail_once(&disk, &[Operation::Remove], ErrorKind::Other);
    assert!(log.finish_prune(job.run()).is_err());
    disk.set_decider(None);
    let gone = log.prune(places[8].segment).unwrap() as u64;
    assert_eq!(gone, places[8].segment - places[0].segment, "the next time they go");
    assert!(log.disk_bytes() < before);
}

#[test]
fn the_index_says_from_where_the_log_is_needed() {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, STORAGE, SMALL).unwrap();
    let places: Vec<Place> = (1..=6).map(|seq| append(&mut log, seq, seq).unwrap()).collect();
    let other = append_to(&mut log, 2, 1, 1).unwrap();
    let partition = PartitionId(1);
    let from = |log: &crate::NodeLog<_>, seq| log.replay_from(partition, seq);
    assert!(places[5].segment > places[0].segment);
    assert_eq!(from(&log, 0), places[0]);
    assert!(from(&log, 5) <= places[5] && from(&log, 5).segment == places[5].segment);
    assert_eq!(from(&log, 6), log.end(), "nothing of it is needed");
    assert_eq!(log.replay_from(PartitionId(2), 0), other);
    assert_eq!(log.prune(places[5].segment).unwrap() as u64, places[5].segment - places[0].segment);
    assert_eq!(log.oldest_segment(), Some(places[5].segment));
    log.append(&[Record::Reset { partition }]).unwrap();
    assert_eq!(from(&log, 0), log.end(), "all before is void");
}

#[test]
fn what_is_no_run_and_marks_of_others_are_refused() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    let end = log.end();
    assert!(matches!(append(&mut log, 3, 2), Err(WalError::Refused { .. })));
    let mark = Record::Durable { place: end };
    assert!(matches!(log.append(&[mark]), Err(WalError::Refused { .. })));
    assert_eq!(log.end(), end);
}
