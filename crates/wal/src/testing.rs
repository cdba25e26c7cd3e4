//! Small things that tests share.

use isogrid_core::{LogPosition, PartitionId};

use crate::faulty_disk::FaultyDisk;
use crate::place::Place;
use crate::{
    LogSettings, NodeLog, Record, Recovery, Result, SnapshotEnd, SnapshotHead, SnapshotInfo,
    SnapshotWriter, open,
};

pub(crate) const STORAGE: u128 = 0x1507;
pub(crate) const PLENTY: LogSettings = LogSettings { segment_bytes_max: 1 << 20 };

/// A run of partition 1 of epoch 1; each entry is one byte, its number.
pub(crate) fn append(log: &mut NodeLog<FaultyDisk>, first: u64, last: u64) -> Result<Place> {
    append_to(log, 1, first, last)
}

pub(crate) fn append_to(
    log: &mut NodeLog<FaultyDisk>,
    partition: u16,
    first: u64,
    last: u64,
) -> Result<Place> {
    let entries: Vec<u8> = (first..=last).map(|seq| seq as u8).collect();
    let written = log.append(&[Record::Entries {
        partition: PartitionId(partition),
        first: LogPosition::new(1, first),
        last: LogPosition::new(1, last),
        entries: &entries,
    }])?;
    Ok(written.start)
}

pub(crate) fn reopen(disk: &FaultyDisk) -> (NodeLog<FaultyDisk>, Recovery<FaultyDisk>) {
    open(disk, STORAGE, PLENTY).unwrap()
}

/// The numbers of a partition's entries that are replayed.
pub(crate) fn replayed(recovery: &Recovery<FaultyDisk>, partition: u16) -> Vec<u8> {
    let mut all: Vec<u8> = Vec::new();
    let wants = |id| id == PartitionId(partition);
    let replayed = recovery.replay(wants, |_, run| {
        all.retain(|seq| u64::from(*seq) < run.first.seq);
        all.extend(run.entries);
    });
    replayed.unwrap();
    all
}

/// A snapshot of partition 1 at an entry, the log being at `complete_at`.
pub(crate) fn snapshot(
    disk: &FaultyDisk,
    log: &mut NodeLog<FaultyDisk>,
    (seq, complete_at): (u64, u64),
) -> Result<SnapshotInfo> {
    let head = head(log.replay_from(PartitionId(1), seq), seq);
    let mut writer = SnapshotWriter::create(disk, STORAGE, head)?;
    let records: Vec<u8> = (1..=complete_at).map(|seq| seq as u8).collect();
    writer.block(&records, records.len() as u32)?;
    let synced = log.sync()?;
    let complete_at = LogPosition::new(1, complete_at);
    writer.publish(SnapshotEnd { complete_at, log_end: log.end() }, synced)
}

pub(crate) fn head(replay_from: Place, seq: u64) -> SnapshotHead {
    SnapshotHead {
        partition: PartitionId(1),
        position: LogPosition::new(1, seq),
        replay_from,
        hlc: isogrid_core::Hlc(77),
        loss_generation: 2,
        sessions: b"sessions".to_vec(),
    }
}
