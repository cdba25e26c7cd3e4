//! Looks at a folder without changing anything: [`inspect`] yields all that is there, [`verify`] says whether it is sound.

use isogrid_core::PartitionId;

use crate::disk::Disk;
use crate::error::{Damage, Result, WalError};
use crate::place::{Place, segment_path};
use crate::record::{Record, RecordHeader};
use crate::recovery;
use crate::segment::SegmentHeader;
use crate::snapshot::{SnapshotInfo, SnapshotReader};
use crate::survey::{Remark, folder, walk};
use crate::track::Recovered;
use crate::walk::Step;

/// Something in a folder.
#[derive(Debug)]
pub enum Item<'a> {
    /// A segment begins.
    Segment {
        /// Its number.
        number: u64,
        /// Its header; `None` if it is damaged.
        header: Option<SegmentHeader>,
        /// Bytes of its file.
        file_bytes: u64,
        /// Where its records should end.
        end: u64,
    },
    /// A record.
    Record {
        /// Where.
        place: Place,
        /// Its header.
        header: RecordHeader,
        /// What it says.
        record: Record<'a>,
    },
    /// A record that a newer version wrote.
    UnknownRecord {
        /// Its header.
        header: RecordHeader,
    },
    /// Bytes that are not what was written.
    Bad {
        /// Where.
        place: Place,
        /// Whose they are, if that is known.
        partition: Option<PartitionId>,
        /// What is wrong.
        why: &'static str,
    },
    /// A snapshot.
    Snapshot(&'a SnapshotInfo),
    /// A snapshot that cannot be used.
    BadSnapshot(&'a Damage),
    /// A file that a writer left behind.
    Temporary(&'a str),
}

/// Yields all that is in a folder: segments with their records, in order, then snapshots.
///
/// # Errors
/// The disk's; the folder is not a storage's.
pub fn inspect<D: Disk>(disk: &D, mut on: impl FnMut(Item<'_>)) -> Result<()> {
    let storage = storage_of(disk)?;
    for segment in folder::segments(disk, storage)?.0 {
        let number = segment.number;
        let (header, file_bytes, end) = (segment.header, segment.file_bytes, segment.end);
        on(Item::Segment { number, header, file_bytes, end });
        let mut walk = walk(disk, storage, &segment)?;
        let path = segment_path(number);
        let failed = |error| WalError::io(format!("reading {path}"), error);
        while let Some(step) = walk.next(&|_| true).map_err(failed)? {
            on(match step {
                Step::Record { offset, header, record, .. } => {
                    Item::Record { place: Place::new(number, offset), header, record }
                }
                Step::Unknown { header } => Item::UnknownRecord { header },
                Step::BadBody { offset, header, why } => {
                    let (place, partition) = (Place::new(number, offset), Some(header.partition));
                    Item::Bad { place, partition, why }
                }
                Step::Lost { offset, why, .. } => {
                    Item::Bad { place: Place::new(number, offset), partition: None, why }
                }
            });
        }
    }
    let snapshots = folder::snapshots(disk, storage)?;
    snapshots.good.values().flatten().for_each(|info| on(Item::Snapshot(info)));
    snapshots.bad.values().flatten().for_each(|(_, damage)| on(Item::BadSnapshot(damage)));
    snapshots.temporary.iter().for_each(|path| on(Item::Temporary(path)));
    Ok(())
}

/// What a folder holds and whether it is sound.
#[derive(Debug)]
pub struct Verified {
    /// Whose it is.
    pub storage: u128,
    /// How many segments.
    pub segments: usize,
    /// How many records.
    pub records: u64,
    /// What would be recovered.
    pub partitions: Vec<Recovered>,
    /// All that is damaged; empty when the folder is sound.
    pub damages: Vec<Damage>,
    /// What else is to be known.
    pub remarks: Vec<Remark>,
}

/// Verifies all of a folder, the packed bytes of snapshots included.
///
/// # Errors
/// The disk's; the folder is not a storage's.
pub fn verify<D: Disk>(disk: &D) -> Result<Verified> {
    let storage = storage_of(disk)?;
    let (found, _) = recovery::look(disk, storage)?;
    let mut damages = found.lost().to_vec();
    for partition in found.partitions() {
        damages.extend(partition.damage.clone());
        match found.snapshot(partition).and_then(read_all) {
            Ok(()) => {}
            Err(WalError::Damaged(damage)) => damages.push(damage),
            Err(error) => return Err(error),
        }
    }
    damages.extend(found.remarks().iter().filter_map(|remark| match remark {
        Remark::SnapshotSkipped { damage } => Some(damage.clone()),
        Remark::DamagedMark { place } => {
            let (file, why) = (segment_path(place.segment), "a durable mark is damaged".to_owned());
            Some(Damage { file, offset: place.offset, why })
        }
        Remark::TornTail { .. } | Remark::UnfinishedSegment { .. } => None,
    }));
    damages.sort_by(|a, b| (&a.file, a.offset).cmp(&(&b.file, b.offset)));
    damages.dedup();
    Ok(Verified {
        storage,
        segments: found.segments(),
        records: found.records(),
        partitions: found.partitions().to_vec(),
        damages,
        remarks: found.remarks().to_vec(),
    })
}

fn read_all<D: Disk>(reader: Option<SnapshotReader<D>>) -> Result<()> {
    if let Some(mut reader) = reader {
        while reader.next_block()?.is_some() {}
    }
    Ok(())
}

fn storage_of<D: Disk>(disk: &D) -> Result<u128> {
    folder::storage_of(disk).ok_or_else(|| WalError::Unexpected {
        path: "the folder".to_owned(),
        why: "it has neither a segment nor a snapshot that says whose it is".to_owned(),
    })
}

#[cfg(test)]
#[path = "inspect_test.rs"]
mod tests;
