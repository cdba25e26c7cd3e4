//! What recovery makes of damage, of foreign folders and of newer formats.

use isogrid_core::{LogPosition, PartitionId};

use crate::disk::{Disk, DiskFile};
use crate::faulty_disk::FaultyDisk;
use crate::place::{Place, segment_path};
use crate::record::{RECORD_HEADER_BYTES, segment_seed};
use crate::testing::{PLENTY, STORAGE, append, append_to, reopen, replayed, snapshot};
use crate::{LogSettings, OsDisk, Record, Remark, WalError, open};

fn segment(number: u64) -> String {
    segment_path(number)
}

#[test]
fn a_torn_tail_is_cut_and_told() {
    for cut in 1..40 {
        let disk = FaultyDisk::default();
        let (mut log, _) = reopen(&disk);
        append(&mut log, 1, 2).unwrap();
        let place = append(&mut log, 3, 9).unwrap();
        disk.edit(&segment(1), |bytes| bytes.truncate(bytes.len() - cut));
        let (mut log, recovery) = reopen(&disk);
        assert!(matches!(recovery.remarks(), [Remark::TornTail { place: at, .. }] if *at == place));
        assert_eq!((replayed(&recovery, 1), recovery.lost()), (vec![1, 2], &[][..]), "{cut}");
        append(&mut log, 3, 3).unwrap();
        let (_, recovery) = reopen(&disk);
        assert_eq!((replayed(&recovery, 1), recovery.remarks()), (vec![1, 2, 3], &[][..]));
    }
}

#[test]
fn a_changed_byte_at_the_end_is_cut_and_told_as_damage() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 2).unwrap();
    let place = append(&mut log, 3, 9).unwrap();
    let end = disk.content(&segment(1)).unwrap().len();
    for offset in place.offset as usize..end {
        let changed = disk.copy();
        changed.flip(&segment(1), offset, 5);
        let (_, recovery) = reopen(&changed);
        assert!(matches!(recovery.remarks(), [Remark::TornTail { place: at, .. }] if *at == place));
        assert_eq!(replayed(&recovery, 1), [1, 2], "{offset}");
        assert_eq!(recovery.lost().len(), 1, "{offset}");
        // As long as nothing took its place it is told again.
        let (mut log, recovery) = reopen(&changed);
        assert_eq!(recovery.lost().len(), 1, "{offset}");
        append(&mut log, 3, 3).unwrap();
        assert_eq!(reopen(&changed).1.lost(), [], "{offset}");
    }
}

#[test]
fn what_was_synced_is_never_cut_as_torn() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 2).unwrap();
    let place = append(&mut log, 3, 3).unwrap();
    log.sync().unwrap();
    disk.flip(&segment(1), place.offset as usize + RECORD_HEADER_BYTES, 0);
    // The mark that tells of the sync is behind it; without anything valid behind, it is the mark that counts.
    let (_, recovery) = reopen(&disk);
    assert_eq!(recovery.remarks(), []);
    let damage = recovery.partitions()[0].damage.clone().unwrap();
    assert_eq!((damage.file, damage.offset), (segment(1), place.offset));
    assert_eq!(replayed(&recovery, 1), [1, 2]);
}

#[test]
fn a_flipped_body_damages_its_partition_and_a_flipped_header_all() {
    for (at, others) in [(RECORD_HEADER_BYTES, false), (0, true), (4, true)] {
        let disk = FaultyDisk::default();
        let (mut log, _) = reopen(&disk);
        append_to(&mut log, 2, 1, 1).unwrap();
        let place = append(&mut log, 1, 2).unwrap();
        append_to(&mut log, 2, 2, 2).unwrap();
        append_to(&mut log, 3, 1, 1).unwrap();
        disk.flip(&segment(1), place.offset as usize + at, 3);
        let (mut log, recovery) = reopen(&disk);
        let damaged = |partition: u16| {
            let all = recovery.partitions().iter();
            all.filter(|p| p.partition.0 == partition && p.damage.is_some()).count() == 1
        };
        assert_eq!((damaged(1), damaged(2), damaged(3)), (!others, others, false), "{at}");
        assert_eq!(recovery.lost().len(), usize::from(others));
        assert_eq!(replayed(&recovery, 2), if others { vec![1] } else { vec![1, 2] });
        // A partition that begins anew is sound again; the others stay what they are.
        log.append(&[Record::Reset { partition: PartitionId(2) }]).unwrap();
        let (_, recovery) = reopen(&disk);
        assert!(recovery.partitions().iter().all(|p| p.partition.0 != 2));
    }
}

#[test]
fn a_missing_segment_is_damage() {
    let settings = LogSettings { segment_bytes_max: 200 };
    for missing in [1, 2] {
        let disk = FaultyDisk::default();
        let (mut log, _) = open(&disk, STORAGE, settings).unwrap();
        for seq in 1..=9 {
            append(&mut log, seq, seq).unwrap();
        }
        disk.remove(&segment(missing)).unwrap();
        let (_, recovery) = reopen(&disk);
        let partition = &recovery.partitions()[0];
        let damage = partition.damage.as_ref().unwrap();
        assert!(damage.why.contains("missing"), "{damage}");
        assert_eq!(recovery.lost().len(), usize::from(missing == 2));
    }
}

#[test]
fn a_snapshot_and_the_log_behind_it_make_the_whole() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 6).unwrap();
    let info = snapshot(&disk, &mut log, (4, 6)).unwrap();
    append(&mut log, 7, 8).unwrap();
    let (_, recovery) = reopen(&disk);
    let partition = &recovery.partitions()[0];
    assert_eq!(partition.snapshot.as_ref(), Some(&info));
    assert_eq!((partition.last.seq, partition.is_usable), (8, true));
    assert_eq!(
        replayed(&recovery, 1),
        [1, 2, 3, 4, 5, 6, 7, 8],
        "the first four are to be skipped"
    );
    let mut reader = recovery.snapshot(partition).unwrap().unwrap();
    assert_eq!(reader.next_block().unwrap().unwrap().bytes, [1, 2, 3, 4, 5, 6]);
    assert!(reader.next_block().unwrap().is_none());
}

#[test]
fn a_snapshot_that_the_log_does_not_complete_is_not_used() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 4).unwrap();
    let place = append(&mut log, 5, 6).unwrap();
    snapshot(&disk, &mut log, (2, 6)).unwrap();
    disk.flip(&segment(1), place.offset as usize + 20, 1);
    let (_, recovery) = reopen(&disk);
    let partition = &recovery.partitions()[0];
    assert!(partition.damage.is_some() && !partition.is_usable);
}

#[test]
fn an_older_snapshot_or_the_log_alone_take_the_place_of_a_broken_one() {
    for has_older in [false, true] {
        let disk = FaultyDisk::default();
        let (mut log, _) = reopen(&disk);
        append(&mut log, 1, 4).unwrap();
        let older = snapshot(&disk, &mut log, (2, 4)).unwrap();
        let kept = disk.content(&older.path).unwrap();
        append(&mut log, 5, 6).unwrap();
        let newer = snapshot(&disk, &mut log, (6, 6)).unwrap();
        assert!(disk.content(&older.path).is_none(), "older ones are removed");
        if has_older {
            disk.create(&older.path).unwrap().write_at(0, &kept).unwrap();
        }
        disk.flip(&newer.path, 130, 2);
        let (_, recovery) = reopen(&disk);
        let partition = &recovery.partitions()[0];
        assert_eq!((partition.last.seq, partition.damage.clone()), (6, None));
        assert_eq!(partition.snapshot, has_older.then_some(older));
        assert!(matches!(recovery.remarks(), [Remark::SnapshotSkipped { .. }]));
    }
}

#[test]
fn a_broken_snapshot_without_the_log_is_damage() {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, STORAGE, LogSettings { segment_bytes_max: 100 }).unwrap();
    append(&mut log, 1, 4).unwrap();
    append(&mut log, 5, 6).unwrap();
    let info = snapshot(&disk, &mut log, (6, 6)).unwrap();
    append_to(&mut log, 2, 1, 1).unwrap();
    assert!(log.prune(info.replay_from.segment).unwrap() > 0);
    disk.flip(&info.path, 40, 2);
    let (_, recovery) = reopen(&disk);
    let partition = &recovery.partitions()[0];
    assert_eq!(partition.damage.as_ref().unwrap().file, info.path);
    assert!(!partition.is_usable);
}

#[test]
fn a_reset_voids_snapshots_and_log() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 6).unwrap();
    let info = snapshot(&disk, &mut log, (6, 6)).unwrap();
    log.append(&[Record::Reset { partition: PartitionId(1) }]).unwrap();
    let (_, recovery) = reopen(&disk);
    assert!(recovery.partitions().is_empty());
    assert_eq!(disk.content(&info.path), None, "nobody can use it");
}

#[test]
fn a_snapshot_made_right_after_a_reset_is_kept() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 6).unwrap();
    log.append(&[Record::Reset { partition: PartitionId(1) }]).unwrap();
    let info = snapshot(&disk, &mut log, (4, 4)).unwrap();
    let (_, recovery) = reopen(&disk);
    let partition = &recovery.partitions()[0];
    assert_eq!((partition.snapshot.as_ref(), partition.last.seq), (Some(&info), 4));
    assert!(partition.is_usable && replayed(&recovery, 1).is_empty());
}

/// A log with entries for an image at 50 that is not there, behind what was before.
fn begin_image(disk: &FaultyDisk, is_reset: bool) -> crate::NodeLog<FaultyDisk> {
    let (mut log, _) = reopen(disk);
    append(&mut log, 1, 6).unwrap();
    let partition = PartitionId(1);
    if is_reset {
        log.append(&[Record::Reset { partition }]).unwrap();
    }
    let position = LogPosition::new(1, 50);
    log.append(&[Record::ImageBegun { partition, position }]).unwrap();
    log
}

#[test]
fn without_its_image_what_follows_says_nothing_and_what_was_before_stays() {
    for is_reset in [false, true] {
        let disk = FaultyDisk::default();
        let mut log = begin_image(&disk, is_reset);
        let place = append(&mut log, 51, 55).unwrap();
        append_to(&mut log, 2, 1, 1).unwrap();
        let check = || {
            let (_, recovery) = reopen(&disk);
            assert!(recovery.lost().is_empty());
            let found = recovery.partitions().iter().find(|one| one.partition.0 == 1);
            let last = found.map(|one| (one.last.seq, one.damage.is_none()));
            assert_eq!(last, (!is_reset).then_some((6, true)));
            let before: &[u8] = if is_reset { &[] } else { &[1, 2, 3, 4, 5, 6] };
            assert_eq!(replayed(&recovery, 1), before);
        };
        check();
        // Nor does damage there concern anybody.
        disk.flip(&segment(place.segment), place.offset as usize + RECORD_HEADER_BYTES, 0);
        check();
    }
}

#[test]
fn with_its_image_what_follows_goes_on() {
    let disk = FaultyDisk::default();
    let mut log = begin_image(&disk, true);
    let head = crate::testing::head(log.replay_from(PartitionId(1), 50), 50);
    append(&mut log, 51, 55).unwrap();
    let mut writer = crate::SnapshotWriter::create(&disk, STORAGE, head).unwrap();
    writer.block(&[9; 10], 10).unwrap();
    let synced = log.sync().unwrap();
    let complete_at = LogPosition::new(1, 55);
    writer.publish(crate::SnapshotEnd { complete_at, log_end: log.end() }, synced).unwrap();
    let (mut log, recovery) = reopen(&disk);
    let found = &recovery.partitions()[0];
    assert_eq!((found.last.seq, found.is_usable, found.damage.is_none()), (55, true, true));
    assert_eq!(replayed(&recovery, 1), [51, 52, 53, 54, 55]);
    // The image is damaged: nothing is left, and nobody takes the entries for something.
    append(&mut log, 56, 56).unwrap();
    let path = found.snapshot.as_ref().unwrap().path.clone();
    disk.flip(&path, 100, 0);
    let (_, recovery) = reopen(&disk);
    assert!(!recovery.partitions()[0].is_usable && recovery.partitions()[0].damage.is_some());
    assert!(replayed(&recovery, 1).is_empty());
}

#[test]
fn what_a_mark_covers_is_not_cut() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    let place = append(&mut log, 1, 2).unwrap();
    log.sync().unwrap();
    let covered = log.end().offset as usize;
    // A mark that names a place behind itself, as no log writes it, and then bytes that are no record.
    disk.edit(&segment(1), |bytes| {
        bytes.truncate(covered);
        let mark = Record::Durable { place: Place::new(1, 4_096) };
        mark.encode(segment_seed(STORAGE, 1), covered as u64, bytes);
        bytes.extend_from_slice(&[1; 20]);
    });
    let (_, recovery) = reopen(&disk);
    assert_eq!((recovery.remarks(), recovery.lost().len()), (&[][..], 1), "{place}");
    assert!(recovery.partitions()[0].damage.is_some());
}

#[test]
fn foreign_newer_and_unexpected_things_are_refused() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 6).unwrap();
    let error = open(&disk, STORAGE + 1, PLENTY).unwrap_err();
    assert!(matches!(error, WalError::Foreign { .. }), "{error}");
    let newer = disk.copy();
    newer.edit(&segment(1), |bytes| {
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..44]);
        bytes[44..48].copy_from_slice(&crc.to_le_bytes());
    });
    let error = open(&newer, STORAGE, PLENTY).unwrap_err();
    assert!(error.to_string().contains("format 2.0; this one knows format 1.0"), "{error}");
    for path in ["log/notes.txt", "snap/1-2.snap", "log/1.log"] {
        let other = disk.copy();
        other.create(path).unwrap();
        let error = open(&other, STORAGE, PLENTY).unwrap_err();
        assert!(matches!(&error, WalError::Unexpected { path: found, .. } if found == path));
    }
}

#[test]
fn a_kind_of_a_newer_version_is_refused() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    let place = append(&mut log, 1, 6).unwrap();
    log.sync().unwrap();
    let at = place.offset as usize;
    disk.edit(&segment(1), |bytes| {
        bytes[at + 6] = 9;
        let mut covered = STORAGE.to_le_bytes().to_vec();
        covered.extend_from_slice(&1_u64.to_le_bytes());
        covered.extend_from_slice(&place.offset.to_le_bytes());
        covered.extend_from_slice(&bytes[at..at + 12]);
        bytes[at + 12..at + 16].copy_from_slice(&crc32c::crc32c(&covered).to_le_bytes());
    });
    let error = open(&disk, STORAGE, PLENTY).unwrap_err();
    assert!(error.to_string().contains("kind 9") && error.to_string().contains("format 1.0"));
}

#[test]
fn a_folder_of_the_system_keeps_what_is_written_and_is_used_once() {
    let folder = tempfile::tempdir().unwrap();
    let disk = OsDisk::lock(folder.path()).unwrap();
    assert_eq!(OsDisk::lock(folder.path()).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert!(disk.free_bytes().unwrap().unwrap() > 0);
    let (mut log, _) = open(&disk, STORAGE, PLENTY).unwrap();
    let run = Record::Entries {
        partition: PartitionId(1),
        first: LogPosition::new(1, 1),
        last: LogPosition::new(1, 2),
        entries: b"ab",
    };
    log.append(&[run]).unwrap();
    log.sync().unwrap();
    drop((log, disk));
    let disk = OsDisk::lock(folder.path()).unwrap();
    let (_, recovery) = open(&disk, STORAGE, PLENTY).unwrap();
    let mut found = Vec::new();
    recovery.replay(|_| true, |_, run| found.extend_from_slice(run.entries)).unwrap();
    assert_eq!(found, b"ab");
}
