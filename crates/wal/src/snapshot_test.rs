//! Snapshots: their frozen bytes, flips, and when they are published.

use std::io::ErrorKind;

use isogrid_core::{LogPosition, PartitionId};

use crate::disk::{Disk, DiskFile};
use crate::faulty_disk::{Fault, FaultyDisk, Operation};
use crate::os_disk::{OsDisk, OsFile};
use crate::place::Place;
use crate::record::tests::{from_hex, to_hex};
use crate::snapshot::reader::check;
use crate::snapshot::writer::{publish_all, remove_temporary};
use crate::testing::{STORAGE, append, append_to, head, reopen, snapshot};
use crate::{NodeLog, SnapshotEnd, SnapshotHead, SnapshotReader, SnapshotWriter, WalError};

const PATH: &str = "snap/1-1-9.snap";

fn golden() -> Vec<u8> {
    from_hex(include_str!("golden/snapshot-1.hex"))
}

fn write(disk: &FaultyDisk) -> Result<(), WalError> {
    let mut writer = SnapshotWriter::create(disk, STORAGE, head(Place::new(3, 480), 9))?;
    writer.block(b"", 0)?;
    writer.block(&[b'r'; 60], 3)?;
    let log_end = Place::new(4, 100);
    writer.publish(SnapshotEnd { complete_at: LogPosition::new(1, 12), log_end }, log_end)?;
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Vec<u8>, WalError> {
    let disk = FaultyDisk::default();
    disk.create(PATH).unwrap().write_at(0, bytes).unwrap();
    check(&disk, STORAGE, PATH)?;
    let mut reader = SnapshotReader::open(&disk, STORAGE, PATH)?;
    let mut all = reader.head().sessions.clone();
    while let Some(block) = reader.next_block()? {
        all.extend_from_slice(block.bytes);
    }
    Ok(all)
}

#[test]
fn the_bytes_of_a_snapshot_are_frozen() {
    let disk = FaultyDisk::default();
    write(&disk).unwrap();
    let written = disk.content(PATH).unwrap();
    // Another compressor may pack in another way: header and length of the blocks alone are compared.
    assert_eq!(to_hex(&written[..104]), to_hex(&golden()[..104]));
    let all = [&b"sessions"[..], &[b'r'; 60]].concat();
    assert_eq!(read(&golden()).unwrap(), all);
    assert_eq!(read(&written).unwrap(), all);
    disk.create(PATH).unwrap().write_at(0, &golden()).unwrap();
    let info = check(&disk, STORAGE, PATH).unwrap();
    assert_eq!((info.blocks, info.records, info.bytes), (2, 3, 60));
    assert_eq!((info.replay_from, info.complete_at), (Place::new(3, 480), LogPosition::new(1, 12)));
}

#[test]
fn no_flipped_bit_and_no_cut_passes() {
    let golden = golden();
    for bit in 0..golden.len() * 8 {
        let mut flipped = golden.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&flipped).is_err(), "bit {bit}");
    }
    for length in 0..golden.len() {
        assert!(read(&golden[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_snapshot_is_there_whole_or_not_at_all() {
    let failing = [
        Operation::Create,
        Operation::Write,
        Operation::Sync,
        Operation::Rename,
        Operation::SyncFolder,
    ];
    for operation in failing {
        for kept in [0, usize::MAX] {
            let mut disk = FaultyDisk::default();
            let (mut log, _) = reopen(&disk);
            append(&mut log, 1, 4).unwrap();
            let before = snapshot(&disk, &mut log, (4, 4)).unwrap();
            append(&mut log, 5, 6).unwrap();
            log.sync().unwrap();
            disk.set_decider(Some(Box::new(move |call| {
                match call.operation == operation && call.path.starts_with("snap") {
                    true => Fault::Fails(ErrorKind::Other),
                    false => Fault::None,
                }
            })));
            assert!(snapshot(&disk, &mut log, (6, 6)).is_err());
            disk.set_decider(None);
            disk.crash(|_| kept);
            let (_, recovery) = reopen(&disk);
            let partition = &recovery.partitions()[0];
            let found = partition.snapshot.as_ref().unwrap();
            assert!(found.position.seq == 6 || *found == before, "{operation:?}");
            assert_eq!((partition.last.seq, partition.damage.is_none()), (6, true));
            assert!(disk.paths().iter().all(|path| !path.ends_with(".tmp")));
        }
    }
}

#[test]
fn a_snapshot_that_is_given_up_leaves_nothing_or_is_removed_later() {
    let disk = FaultyDisk::default();
    let (log, _) = reopen(&disk);
    let begin = || SnapshotWriter::create(&disk, STORAGE, head(log.end(), 4)).unwrap();
    let left = || disk.paths().iter().filter(|path| path.ends_with(".tmp")).count();
    let writer = begin();
    assert_eq!(left(), 1);
    drop(writer);
    assert_eq!((left(), remove_temporary(&disk).unwrap()), (0, 0));
    let writer = begin();
    disk.set_decider(Some(Box::new(|call| match call.operation {
        Operation::Remove => Fault::Fails(ErrorKind::Other),
        _ => Fault::None,
    })));
    drop(writer);
    assert!(remove_temporary(&disk).is_err());
    disk.set_decider(None);
    assert_eq!((left(), remove_temporary(&disk).unwrap(), left()), (1, 1, 0));
}

#[test]
fn a_snapshot_waits_for_the_log() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 4).unwrap();
    let writer = SnapshotWriter::create(&disk, STORAGE, head(log.end(), 4)).unwrap();
    let end = SnapshotEnd { complete_at: LogPosition::new(1, 4), log_end: log.end() };
    let refused = writer.publish(end, log.synced()).unwrap_err();
    assert!(matches!(refused, WalError::Refused { .. }), "{refused}");
}

/// Publishes snapshots of partitions 1 to 3 at the log's end, all with one call.
fn publish_three(
    disk: &FaultyDisk,
    log: &NodeLog<FaultyDisk>,
    seq: u64,
) -> Result<usize, WalError> {
    let end = SnapshotEnd { complete_at: LogPosition::new(1, seq), log_end: log.end() };
    let writers = (1..=3).map(|partition| {
        let head = SnapshotHead { partition: PartitionId(partition), ..head(log.end(), seq) };
        SnapshotWriter::create(disk, STORAGE, head).map(|writer| (writer, end))
    });
    let writers = writers.collect::<Result<Vec<_>, _>>()?;
    publish_all(disk, writers, log.synced()).map(|published| published.len())
}

#[test]
fn several_are_published_with_one_sync_of_their_names_and_replace_older_ones() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    for partition in 1..=4 {
        append_to(&mut log, partition, 1, 4).unwrap();
    }
    log.sync().unwrap();
    assert_eq!(publish_three(&disk, &log, 3).unwrap(), 3);
    // It is published for itself, and the others leave it alone.
    let end = SnapshotEnd { complete_at: LogPosition::new(1, 4), log_end: log.end() };
    let fourth = SnapshotHead { partition: PartitionId(4), ..head(log.end(), 4) };
    SnapshotWriter::create(&disk, STORAGE, fourth).unwrap().publish(end, log.synced()).unwrap();
    let before = disk.syncs();
    assert_eq!(publish_three(&disk, &log, 4).unwrap(), 3);
    assert_eq!(disk.syncs() - before, 4, "three files and their folder");
    let mut names = disk.list("snap").unwrap();
    names.sort();
    assert_eq!(names, ["1-1-4.snap", "2-1-4.snap", "3-1-4.snap", "4-1-4.snap"]);
}

#[test]
fn of_several_each_is_there_whole_or_as_it_was() {
    for operation in [Operation::Sync, Operation::Rename, Operation::SyncFolder] {
        for (failing, kept) in [(0, 0), (1, 0), (2, usize::MAX), (1, usize::MAX)] {
            let mut disk = FaultyDisk::default();
            let (mut log, _) = reopen(&disk);
            for partition in 1..=3 {
                append_to(&mut log, partition, 1, 3).unwrap();
            }
            log.sync().unwrap();
            publish_three(&disk, &log, 3).unwrap();
            for partition in 1..=3 {
                append_to(&mut log, partition, 4, 4).unwrap();
            }
            log.sync().unwrap();
            let mut calls = 0;
            disk.set_decider(Some(Box::new(move |call| {
                let is_meant = call.operation == operation && call.path.starts_with("snap");
                calls += usize::from(is_meant);
                let is_failing =
                    is_meant && (calls == failing + 1 || operation == Operation::SyncFolder);
                if is_failing { Fault::Fails(ErrorKind::Other) } else { Fault::None }
            })));
            assert!(publish_three(&disk, &log, 4).is_err(), "{operation:?} {failing}");
            disk.set_decider(None);
            disk.crash(|_| kept);
            let (_, recovery) = reopen(&disk);
            assert_eq!(recovery.partitions().len(), 3);
            for partition in recovery.partitions() {
                let found = partition.snapshot.as_ref().unwrap().position.seq;
                assert!(found == 3 || found == 4, "{operation:?} {failing}");
                assert_eq!((partition.last.seq, partition.damage.is_none()), (4, true));
            }
            assert!(disk.paths().iter().all(|path| !path.ends_with(".tmp")));
        }
    }
}

#[test]
fn a_folder_syncs_several_files_and_tells_of_one_that_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let disk = OsDisk::lock(folder.path()).unwrap();
    disk.make_folder("snap").unwrap();
    let mut files: Vec<_> = (0..5).map(|n| disk.create(&format!("snap/{n}")).unwrap()).collect();
    for file in &mut files {
        file.write_at(0, b"bytes").unwrap();
    }
    disk.sync_files(&mut files.iter_mut().collect::<Vec<_>>()).unwrap();
    disk.sync_files(&mut []).unwrap();
    for failing in 0..3 {
        // A pipe cannot be synced.
        let (_reader, writer) = std::io::pipe().unwrap();
        let pipe = OsFile::of(std::os::fd::OwnedFd::from(writer).into());
        let mut some = files.iter_mut().take(2).collect::<Vec<_>>();
        let mut pipe = pipe;
        some.insert(failing, &mut pipe);
        assert!(disk.sync_files(&mut some).is_err(), "{failing}");
    }
}
