//! What the folder has: segments and snapshots. What the log did not put there is refused.

use std::collections::BTreeMap;

use isogrid_core::{LogPosition, PartitionId};

use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, Result, WalError};
use crate::place::{
    LOG_FOLDER, SNAPSHOT_FOLDER, TEMPORARY_SUFFIX, segment_number, segment_path, snapshot_name,
};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, is_known_format, known_format};
use crate::snapshot::SnapshotInfo;
use crate::snapshot::reader;
use crate::walk::first_bytes;

/// Segments, and the number and the bytes of one that is not one yet.
pub(crate) type Segments = (Vec<Segment>, Option<(u64, u64)>);

/// A segment of the log.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    /// Its header; `None` if it is damaged.
    pub(crate) header: Option<SegmentHeader>,
    /// Bytes of its file.
    pub(crate) file_bytes: u64,
    /// Where its records should end.
    pub(crate) end: u64,
}

/// The segments in order, and the number and the bytes of one that was being made when the process ended.
pub(crate) fn segments<D: Disk>(disk: &D, storage: u128) -> Result<Segments> {
    let mut segments: Vec<Segment> = Vec::new();
    for name in list(disk, LOG_FOLDER)? {
        let Some(number) = segment_number(&name) else {
            let why = "a log has segments only, named like 00000000000000000001.log".to_owned();
            return Err(WalError::Unexpected { path: format!("{LOG_FOLDER}/{name}"), why });
        };
        segments.push(segment(disk, storage, number)?);
    }
    let mut unfinished = None;
    // Records are only written behind the header.
    let is_unfinished = |last: &mut Segment| {
        last.header.is_none() && last.file_bytes <= SEGMENT_HEADER_BYTES as u64
    };
    if let Some(last) = segments.pop_if(is_unfinished) {
        unfinished = Some((last.number, last.file_bytes));
    }
    for at in 1..segments.len() {
        let (number, header) = (segments[at].number, segments[at].header);
        let before = &mut segments[at - 1];
        if let Some(header) = header.filter(|_| number == before.number + 1) {
            before.end = header.previous_end;
        }
    }
    Ok((segments, unfinished))
}

fn segment<D: Disk>(disk: &D, storage: u128, number: u64) -> Result<Segment> {
    let path = segment_path(number);
    let failed = |error| WalError::io(format!("reading {path}"), error);
    let file = disk.open(&path).map_err(failed)?;
    let file_bytes = file.length().map_err(failed)?;
    let bytes = first_bytes(&file, SEGMENT_HEADER_BYTES).map_err(failed)?;
    let header = SegmentHeader::decode(&bytes);
    if let Some(header) = &header {
        if !is_known_format(header.format, header.minor) {
            return Err(WalError::FormatNewer {
                file: path,
                found: format!("format {}.{}", header.format, header.minor),
                known: known_format(),
            });
        }
        if header.storage != storage {
            let found = header.storage;
            return Err(WalError::Foreign { file: path, found, expected: storage });
        }
    }
    let header = header.filter(|header| header.number == number);
    Ok(Segment { number, header, file_bytes, end: file_bytes })
}

/// The snapshots of a folder.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// Those that can be used, the newest first.
    pub(crate) good: BTreeMap<PartitionId, Vec<SnapshotInfo>>,
    /// Those that cannot.
    pub(crate) bad: BTreeMap<PartitionId, Vec<(LogPosition, Damage)>>,
    /// Files that a writer left behind.
    pub(crate) temporary: Vec<String>,
}

/// Reads and verifies all snapshots.
pub(crate) fn snapshots<D: Disk>(disk: &D, storage: u128) -> Result<Snapshots> {
    let mut snapshots = Snapshots::default();
    for name in list(disk, SNAPSHOT_FOLDER)? {
        let path = format!("{SNAPSHOT_FOLDER}/{name}");
        let finished = name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or(&name);
        let Some((partition, position)) = snapshot_name(finished) else {
            let why = "snapshots are named like 12-3-456.snap".to_owned();
            return Err(WalError::Unexpected { path, why });
        };
        if finished != name {
            snapshots.temporary.push(path);
            continue;
        }
        match reader::check(disk, storage, &path) {
            Ok(info) => snapshots.good.entry(partition).or_default().push(info),
            Err(WalError::Damaged(damage)) => {
                snapshots.bad.entry(partition).or_default().push((position, damage));
            }
            Err(error) => return Err(error),
        }
    }
    for good in snapshots.good.values_mut() {
        good.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.replay_from));
    }
    Ok(snapshots)
}

/// Whose folder it is, as far as it says so.
pub(crate) fn storage_of<D: Disk>(disk: &D) -> Option<u128> {
    let names = disk.list(LOG_FOLDER).ok()?;
    let of_log = names.iter().find_map(|name| {
        let file = disk.open(&segment_path(segment_number(name)?)).ok()?;
        let bytes = first_bytes(&file, SEGMENT_HEADER_BYTES).ok()?;
        SegmentHeader::decode(&bytes).map(|header| header.storage)
    });
    of_log.or_else(|| reader::storage_of(disk))
}

fn list<D: Disk>(disk: &D, folder: &str) -> Result<Vec<String>> {
    disk.list(folder).map_err(|error| WalError::io(format!("listing {folder}"), error))
}
