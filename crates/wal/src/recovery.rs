//! [`open`]: a folder's log, ready to be written to, and [`Recovery`]: what the folder has of each partition.
//!
//! 1. The folder is listed; what does not belong there, another storage's and a newer version's are refused.
//! 2. Snapshots are verified, and the log is gone through once: where it ends, what is damaged, what each partition has.
//! 3. What is not known to be synced is written again and synced, so that what recovery tells is on disk.
//! 4. The caller reads the snapshots and replays the log, several partitions at a time if it likes.

use std::collections::BTreeMap;

use isogrid_core::{LogPosition, PartitionId};

use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, Result, WalError};
use crate::log::{LogSettings, LogState, NodeLog};
use crate::place::{LOG_FOLDER, Place, SNAPSHOT_FOLDER, segment_path};
use crate::record::{Record, RecordHeader};
use crate::segment::known_format;
use crate::snapshot::SnapshotReader;
use crate::survey::folder::{self, Segment, Snapshots};
use crate::survey::{Remark, Survey, choice, walk};
use crate::track::{Recovered, Track};
use crate::walk::Step;

/// How much is written again in one go.
const COPY_BYTES: usize = 1 << 20;

/// Some entries of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// Where the first entry stands. What came before from this number on is void: the log was cut here.
    pub first: LogPosition,
    /// Where the last entry stands.
    pub last: LogPosition,
    /// The entries, encoded. Those up to the snapshot's position are in the snapshot already: skip them.
    pub entries: &'a [u8],
}

/// What a folder has of each partition. It can be shared by threads that each take some partitions.
#[derive(Debug)]
pub struct Recovery<D: Disk> {
    disk: D,
    storage: u128,
    segments: Vec<Segment>,
    end: Place,
    partitions: Vec<Recovered>,
    tracks: BTreeMap<PartitionId, Track>,
    lost: Vec<Damage>,
    remarks: Vec<Remark>,
    /// How many records the log has.
    records: u64,
    snapshots: Snapshots,
    durable: Place,
    unfinished: Option<u64>,
}

/// Opens a folder, which may be empty: its log, and what it has of each partition.
///
/// # Errors
/// The disk's; the folder is another storage's, of a newer version, or has something in it that does not belong there.
pub fn open<D: Disk>(
    disk: &D,
    storage: u128,
    settings: LogSettings,
) -> Result<(NodeLog<D>, Recovery<D>)> {
    for name in [LOG_FOLDER, SNAPSHOT_FOLDER] {
        disk.make_folder(name).map_err(|error| WalError::io(format!("making {name}"), error))?;
    }
    let (recovery, survey) = look(disk, storage)?;
    recovery.write_again()?;
    recovery.clean()?;
    let replayed_from = recovery.snapshots.good.values().flatten().map(|s| s.replay_from.segment);
    let last = recovery.segments.last();
    // A snapshot of a time that the log lost must not take new records for old ones.
    let newest = replayed_from.chain(last.map(|segment| segment.number)).max().unwrap_or(0);
    let state = LogState {
        next_number: newest + 1,
        previous_end: recovery.end.offset,
        closed: recovery.segments.iter().map(|s| (s.number, s.file_bytes)).collect(),
        end: recovery.end,
        index: survey.index,
    };
    Ok((NodeLog::resume(disk.clone(), storage, settings, state)?, recovery))
}

/// What a folder has, without changing anything.
pub(crate) fn look<D: Disk>(disk: &D, storage: u128) -> Result<(Recovery<D>, Survey)> {
    let (segments, unfinished) = folder::segments(disk, storage)?;
    let snapshots = folder::snapshots(disk, storage)?;
    let mut survey = choice::survey(disk, storage, &segments, &snapshots)?;
    let partitions = choice::recovered(&mut survey, &snapshots);
    let mut remarks = std::mem::take(&mut survey.remarks);
    // An empty one was made beforehand: nothing is unfinished there.
    let begun = unfinished.filter(|(_, bytes)| *bytes > 0);
    remarks.extend(begun.map(|(number, _)| Remark::UnfinishedSegment { number }));
    let unfinished = unfinished.map(|(number, _)| number);
    let recovery = Recovery {
        disk: disk.clone(),
        storage,
        segments,
        end: survey.end,
        partitions,
        tracks: std::mem::take(&mut survey.tracks),
        lost: survey.lost.iter().map(|(_, damage)| damage.clone()).collect(),
        remarks,
        records: survey.records,
        snapshots,
        durable: survey.durable,
        unfinished,
    };
    Ok((recovery, survey))
}

impl<D: Disk> Recovery<D> {
    /// Each partition of which something is there, in order.
    pub fn partitions(&self) -> &[Recovered] {
        &self.partitions
    }

    /// Damages that any partition may have had records in. Those that are listed and needed these bytes say so themselves, but
    /// for bytes behind the end of the log; one that is not listed may have been there.
    pub fn lost(&self) -> &[Damage] {
        &self.lost
    }

    /// What else is to be known.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// How many records the log has.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many segments the log has.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Where the log ended.
    pub fn end(&self) -> Place {
        self.end
    }

    /// Reads the snapshot that a partition begins with.
    ///
    /// # Errors
    /// The disk's; or the snapshot is not what it was when the folder was opened.
    pub fn snapshot(&self, partition: &Recovered) -> Result<Option<SnapshotReader<D>>> {
        let Some(info) = &partition.snapshot else {
            return Ok(None);
        };
        SnapshotReader::open(&self.disk, self.storage, &info.path).map(Some)
    }

    /// Goes through the log once and gives the runs of the partitions that are wanted, each one's in order, after its
    /// snapshot and before its first damage.
    ///
    /// # Errors
    /// The disk's; or the log is not what it was when the folder was opened.
    pub fn replay(
        &self,
        wants: impl Fn(PartitionId) -> bool,
        mut on: impl FnMut(PartitionId, Run<'_>),
    ) -> Result<()> {
        let mut tracks: BTreeMap<PartitionId, (Track, Place)> = BTreeMap::new();
        for Recovered { partition, .. } in &self.partitions {
            let track = &self.tracks[partition];
            let stop = track.damage.as_ref().map_or(self.end, |(place, _)| *place);
            if wants(*partition) && track.start < stop {
                let fresh = Track { start: track.start, ..Track::new(track.snapshot.clone()) };
                tracks.insert(*partition, (fresh, stop));
            }
        }
        let oldest = tracks.values().map(|(track, _)| track.start.segment).min();
        let needed = |segment: &&Segment| oldest.is_some_and(|oldest| segment.number >= oldest);
        for segment in self.segments.iter().filter(needed) {
            self.replay_segment(segment, &mut tracks, &mut on)?;
        }
        Ok(())
    }

    fn replay_segment(
        &self,
        segment: &Segment,
        tracks: &mut BTreeMap<PartitionId, (Track, Place)>,
        on: &mut impl FnMut(PartitionId, Run<'_>),
    ) -> Result<()> {
        let path = segment_path(segment.number);
        let mut walk = walk(&self.disk, self.storage, segment)?;
        let wanted: Vec<PartitionId> = tracks.keys().copied().collect();
        let wants = |header: &RecordHeader| {
            !header.is_mark() && wanted.binary_search(&header.partition).is_ok()
        };
        let failed = |error| WalError::io(format!("reading {path}"), error);
        while let Some(step) = walk.next(&wants).map_err(failed)? {
            match step {
                Step::Record {
                    offset,
                    record: Record::Entries { partition, first, last, entries },
                    ..
                } => {
                    let at = Place::new(segment.number, offset);
                    let Some((track, stop)) = tracks.get_mut(&partition) else { continue };
                    if at < *stop && track.take_run(at, &path, (first, last)) {
                        on(partition, Run { first, last, entries });
                    }
                }
                Step::Record { offset, record: Record::ImageBegun { partition, .. }, .. } => {
                    if let Some((track, _)) = tracks.get_mut(&partition) {
                        track.detach(Place::new(segment.number, offset));
                    }
                }
                Step::Unknown { header } => {
                    return Err(WalError::FormatNewer {
                        file: path.clone(),
                        found: format!("a record of kind {}, flags {}", header.kind, header.flags),
                        known: known_format(),
                    });
                }
                Step::BadBody { offset, header, why } => {
                    let at = Place::new(segment.number, offset);
                    let before_stop = |(track, stop): &(Track, Place)| {
                        at >= track.start && at < *stop && !track.is_detached
                    };
                    if tracks.get(&header.partition).is_some_and(before_stop) {
                        let (file, why) = (path.clone(), why.to_owned());
                        return Err(WalError::Damaged(Damage { file, offset, why }));
                    }
                }
                // Told by the survey already; a reset before a partition's start is not its business any more.
                Step::Lost { .. } | Step::Record { .. } => {}
            }
        }
        Ok(())
    }

    /// Writes what is not known to be synced once more, and syncs it: after a failed sync the system may have it in memory only
    /// and not know that it is not on disk.
    fn write_again(&self) -> Result<()> {
        let unsynced = self.segments.iter().filter(|s| s.number >= self.durable.segment);
        for segment in unsynced {
            let path = segment_path(segment.number);
            let from = if segment.number == self.durable.segment { self.durable.offset } else { 0 };
            let to = if segment.number == self.end.segment { self.end.offset } else { segment.end };
            let to = to.min(segment.file_bytes);
            let written = self.disk.open_to_write(&path).and_then(|mut file| {
                let mut buffer = vec![0; COPY_BYTES];
                let mut at = from;
                while at < to {
                    let wanted = buffer.len().min((to - at) as usize);
                    let read = file.read_at(at, &mut buffer[..wanted])?;
                    file.write_at(at, &buffer[..read])?;
                    at += read.max(1) as u64;
                }
                file.sync()
            });
            written.map_err(|error| WalError::io(format!("syncing {path}"), error))?;
        }
        let synced = self.disk.sync_folder(LOG_FOLDER);
        synced.map_err(|error| WalError::io("syncing the log's folder", error))
    }

    /// Removes what nobody can use: what writers left behind, and snapshots of partitions that were reset since.
    fn clean(&self) -> Result<()> {
        let void = self.snapshots.good.iter().filter(|(partition, _)| {
            self.partitions.binary_search_by_key(*partition, |p| p.partition).is_err()
        });
        let void = void.flat_map(|(_, snapshots)| snapshots).map(|snapshot| &snapshot.path);
        let failed = |error| WalError::io("removing files that nobody needs", error);
        for path in self.snapshots.temporary.iter().chain(void) {
            self.disk.remove(path).map_err(failed)?;
        }
        if let Some(number) = self.unfinished {
            self.disk.remove(&segment_path(number)).map_err(failed)?;
        }
        self.disk.sync_folder(SNAPSHOT_FOLDER).map_err(failed)
    }
}

#[cfg(test)]
#[path = "recovery_test.rs"]
mod tests;
