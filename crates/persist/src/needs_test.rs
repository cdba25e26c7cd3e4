//! What the log must keep.

use isogrid_core::{Hlc, LogPosition};
use isogrid_wal::faulty_disk::FaultyDisk;
use isogrid_wal::{LogSettings, Record};

use super::*;
use crate::testing::{STORAGE, place};

/// A log with an entry of each of these partitions, in a segment each, the first one in segment 1.
fn log(partitions: &[u16]) -> NodeLog<FaultyDisk> {
    let settings = LogSettings { segment_bytes_max: 1 };
    let (mut log, _) = isogrid_wal::open(&FaultyDisk::default(), STORAGE, settings).unwrap();
    for (index, partition) in partitions.iter().enumerate() {
        let before = partitions[..index].iter().filter(|one| *one == partition).count();
        let position = LogPosition::new(1, before as u64 + 1);
        let partition = PartitionId(*partition);
        log.append(&[Record::Entries {
            partition,
            first: position,
            last: position,
            entries: b"e",
        }])
        .unwrap();
    }
    log
}

fn snapshot(partition: u16, segment: u64) -> (PartitionId, SnapshotInfo) {
    let position = LogPosition::new(1, 1);
    let partition = PartitionId(partition);
    let info = SnapshotInfo {
        path: String::new(),
        partition,
        position,
        replay_from: place(segment),
        complete_at: position,
        hlc: Hlc::default(),
        loss_generation: 0,
        blocks: 0,
        records: 0,
        bytes: 0,
        file_bytes: 0,
    };
    (partition, info)
}

fn of_oldest(needs: &Needs, tried: &[u16]) -> Vec<u16> {
    let tried = tried.iter().map(|one| PartitionId(*one)).collect();
    needs.of_oldest(&tried).map(|one| one.0).collect()
}

#[test]
fn a_partition_without_a_snapshot_needs_the_log_from_its_first_entry_on() {
    let log = log(&[7, 8, 9, 8]);
    let of =
        |partition: u16| Needs::of([PartitionId(partition)], &log, &BTreeMap::new()).first_kept(99);
    assert_eq!([of(7), of(8), of(9)], [1, 2, 3]);
    assert_eq!(of(5), log.end().segment, "it has nothing there");
}

#[test]
fn one_with_a_snapshot_needs_it_from_there_on() {
    let log = log(&[7, 8, 7, 8]);
    let snapshots = BTreeMap::from([snapshot(7, 3)]);
    let needs = |partitions: &[u16]| {
        Needs::of(partitions.iter().map(|one| PartitionId(*one)), &log, &snapshots)
    };
    assert_eq!(needs(&[7]).first_kept(99), 3);
    assert_eq!(needs(&[7, 8]).first_kept(99), 2, "what any of them needs stays");
}

#[test]
fn what_is_written_after_the_partitions_were_listed_stays() {
    let log = log(&[7, 8]);
    let snapshots = BTreeMap::from([snapshot(7, 9)]);
    let listed: [PartitionId; 0] = [];
    assert_eq!(Needs::of(listed, &log, &snapshots).first_kept(2), 2, "there is none");
    assert_eq!(Needs::of([PartitionId(7)], &log, &snapshots).first_kept(4), 4);
}

#[test]
fn images_are_taken_of_those_that_need_the_oldest_segment_once() {
    let log = log(&[4, 2, 9]);
    let snapshots = BTreeMap::from([snapshot(9, 1), snapshot(2, 1), snapshot(3, 8)]);
    let partitions = [9, 4, 3, 2].map(PartitionId);
    let needs = Needs::of(partitions, &log, &snapshots);
    assert_eq!(of_oldest(&needs, &[]), [2, 4, 9], "in their order");
    assert_eq!(of_oldest(&needs, &[4, 3]), [2, 9]);
    assert!(of_oldest(&needs, &[2, 4, 9]).is_empty());
    assert!(of_oldest(&Needs::of([], &log, &snapshots), &[]).is_empty());
}
