//! Snapshots: their frozen bytes, flips, and when they are published.

use std::io::ErrorKind;

use isogrid_core::LogPosition;

use crate::disk::{Disk, DiskFile};
use crate::faulty_disk::{Fault, FaultyDisk, Operation};
use crate::place::Place;
use crate::record::tests::{from_hex, to_hex};
use crate::snapshot::reader::check;
use crate::snapshot::writer::remove_temporary;
use crate::testing::{STORAGE, append, head, reopen, snapshot};
use crate::{SnapshotEnd, SnapshotReader, SnapshotWriter, WalError};

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
