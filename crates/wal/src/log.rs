//! [`NodeLog`]: the log of a node, for all its partitions: appends, syncs, and removes what nobody needs.
//!
//! After a failed sync the log refuses everything until it is opened again. Syncing once more would not help: the system may
//! report success and have dropped the bytes. Opening writes all that was not known to be synced once more, and syncs that.

use std::collections::BTreeMap;

use isogrid_core::PartitionId;

use crate::disk::{Disk, DiskFile};
use crate::error::{Result, WalError};
use crate::index::SegmentIndex;
use crate::next::{NextDone, NextJob};
use crate::place::{LOG_FOLDER, Place, segment_path};
use crate::prune::{PruneDone, PruneJob};
use crate::record::{Record, segment_seed};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::sync::{SyncDone, SyncJob};

/// Settings of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// A segment that would grow beyond this is followed by a new one.
    pub segment_bytes_max: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { segment_bytes_max: 64 << 20 }
    }
}

/// Where a batch stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it begins.
    pub start: Place,
    /// Where it ends: synced when [`NodeLog::synced`] is not before.
    pub end: Place,
}

/// The segment that is written to.
#[derive(Debug)]
struct Current<F> {
    number: u64,
    file: F,
    bytes: u64,
    seed: u32,
}

/// The log of a node.
#[derive(Debug)]
pub struct NodeLog<D: Disk> {
    disk: D,
    storage: u128,
    settings: LogSettings,
    /// `None` after opening, after an error that made the segment unfit, and until space for the next one was found.
    current: Option<Current<D::File>>,
    /// Segments with bytes that are not known to be synced.
    unsynced: Vec<(u64, D::File)>,
    /// The next segment, and where the one before ends.
    next_number: u64,
    previous_end: u64,
    next: Next<D::File>,
    /// Bytes of each segment but the current one.
    closed: BTreeMap<u64, u64>,
    /// Where the log ends; marks behind the last record of a caller do not count.
    end: Place,
    synced: Place,
    is_mark_due: bool,
    failed: Option<String>,
    index: SegmentIndex,
    buffer: Vec<u8>,
}

/// What is to be true of a header before records follow it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    Written,
    Synced,
}

/// What there is of the next segment.
#[derive(Debug)]
enum Next<F> {
    Nothing,
    /// Its file is being made elsewhere: until that is over nobody else may make it.
    Begun,
    /// Its file, on disk and empty.
    Made(F),
}

/// What a log goes on from.
#[derive(Debug)]
pub(crate) struct LogState {
    pub(crate) next_number: u64,
    pub(crate) previous_end: u64,
    pub(crate) closed: BTreeMap<u64, u64>,
    pub(crate) end: Place,
    pub(crate) index: SegmentIndex,
}

impl<D: Disk> NodeLog<D> {
    /// A log that goes on from where all is synced.
    pub(crate) fn resume(
        disk: D,
        storage: u128,
        settings: LogSettings,
        state: LogState,
    ) -> Result<Self> {
        let is_empty = state.closed.is_empty();
        let mut log = NodeLog {
            disk,
            storage,
            settings,
            current: None,
            unsynced: Vec::new(),
            next_number: state.next_number,
            previous_end: state.previous_end,
            next: Next::Nothing,
            closed: state.closed,
            end: state.end,
            synced: state.end,
            is_mark_due: !is_empty,
            failed: None,
            index: state.index,
            buffer: Vec::new(),
        };
        if is_empty {
            // So that every place of the log is one in a segment.
            log.roll(Header::Synced)?;
            log.end = Place::new(log.next_number - 1, SEGMENT_HEADER_BYTES as u64);
            log.synced = log.end;
        }
        Ok(log)
    }

    /// Writes records, all of them or none, with one write.
    ///
    /// # Errors
    /// The records are not in the log then; [`WalError::Failed`] is for good, all others may pass. If the disk refuses the
    /// write, and to take it back, and a new segment, and the process ends before a later append succeeds, recovery may find
    /// the first of the records.
    pub fn append(&mut self, records: &[Record<'_>]) -> Result<Written> {
        self.check_failed()?;
        for record in records {
            if matches!(record, Record::Durable { .. }) {
                return Err(WalError::refused("the log writes durable marks by itself"));
            }
            if let Some(fault) = record.fault() {
                return Err(WalError::refused(fault));
            }
        }
        let bytes: usize = records.iter().map(Record::encoded_bytes).sum();
        let is_next_begun = matches!(self.next, Next::Begun);
        let has_room = |current: &Current<_>| {
            current.bytes + bytes as u64 <= self.settings.segment_bytes_max
                || current.bytes == SEGMENT_HEADER_BYTES as u64
                || is_next_begun
        };
        if !self.current.as_ref().is_some_and(has_room) {
            self.roll(Header::Written)?;
        }
        let written = self.write(records)?;
        self.end = written.end;
        Ok(written)
    }

    /// Syncs all that was written, and notes that in the log.
    ///
    /// # Errors
    /// [`WalError::Failed`] when the sync failed.
    pub fn sync(&mut self) -> Result<Place> {
        match self.begin_sync()? {
            Some(job) => self.finish_sync(job.run()),
            None => Ok(self.synced),
        }
    }

    /// A sync to run elsewhere while the log is appended to; `None` when all is synced.
    ///
    /// # Errors
    /// The disk's; nothing was synced then, and nothing failed.
    pub fn begin_sync(&mut self) -> Result<Option<SyncJob<D::File>>> {
        self.check_failed()?;
        if self.synced >= self.end {
            return Ok(None);
        }
        let files = self.unsynced.iter().map(|(_, file)| file);
        let files = files.chain(self.current.as_ref().map(|current| &current.file));
        let files: std::io::Result<Vec<_>> = files.map(DiskFile::another).collect();
        let files = files.map_err(|error| WalError::io("beginning a sync", error))?;
        Ok(Some(SyncJob { files, end: self.end }))
    }

    /// Takes the outcome of a sync, and says up to where the log is synced.
    ///
    /// # Errors
    /// [`WalError::Failed`] when the sync failed.
    pub fn finish_sync(&mut self, done: SyncDone) -> Result<Place> {
        self.check_failed()?;
        if let Err(error) = done.outcome {
            return Err(self.fail(error.to_string()));
        }
        if done.end > self.synced {
            self.synced = done.end;
            self.unsynced.retain(|(number, _)| *number >= done.end.segment);
            self.is_mark_due = true;
            if self.current.is_some() {
                // The sync was good whatever becomes of its mark; the next append brings a mark that is still due.
                let _ = self.write(&[]);
            }
        }
        Ok(self.synced)
    }

    /// From where the log must be kept for a snapshot at this entry: all later ones of the partition stand there or behind.
    pub fn replay_from(&self, partition: PartitionId, seq: u64) -> Place {
        self.index.holds_from(partition, seq + 1).unwrap_or(self.end)
    }

    /// The file of the next segment, to be made elsewhere while the log is appended to; `None` when it is not to be made now.
    /// Until the job's outcome is here, no segment ends.
    pub fn begin_next(&mut self) -> Option<NextJob<D>> {
        let is_due = self.is_next_due();
        is_due.then(|| {
            self.next = Next::Begun;
            NextJob { disk: self.disk.clone(), number: self.next_number }
        })
    }

    /// Whether the file of the next segment is to be made.
    pub fn is_next_due(&self) -> bool {
        let half = self.settings.segment_bytes_max / 2;
        let is_half_full = self.current.as_ref().is_some_and(|current| current.bytes >= half);
        is_half_full && matches!(self.next, Next::Nothing) && self.failed.is_none()
    }

    /// Takes the outcome of making the next segment's file. If there is none it is made when it is needed.
    pub fn finish_next(&mut self, done: NextDone<D::File>) {
        self.next = done.file.map_or(Next::Nothing, Next::Made);
    }

    /// Removes the segments before this one; the last segment always stays. Returns how many were removed. No snapshot may
    /// have to be replayed from one of them, and no partition may be without a snapshot but for new ones.
    ///
    /// # Errors
    /// The disk's: what was not removed can be removed later.
    pub fn prune(&mut self, before: u64) -> Result<usize> {
        match self.begin_prune(before) {
            Some(job) => self.finish_prune(job.run()),
            None => Ok(0),
        }
    }

    /// The same to run elsewhere while the log is appended to; `None` when there is nothing to remove.
    pub fn begin_prune(&mut self, before: u64) -> Option<PruneJob<D>> {
        let current = self.current.as_ref().map(|current| current.number);
        let last = current.or(self.closed.keys().last().copied()).unwrap_or(0);
        let before = before.min(last);
        let gone: Vec<u64> = self.closed.range(..before).map(|(number, _)| *number).collect();
        self.index.prune(before);
        self.unsynced.retain(|(number, _)| *number >= before);
        (!gone.is_empty()).then(|| PruneJob { disk: self.disk.clone(), gone })
    }

    /// Takes the outcome of removing segments, and says how many are gone.
    ///
    /// # Errors
    /// The disk's: what was not removed can be removed later.
    pub fn finish_prune(&mut self, done: PruneDone) -> Result<usize> {
        for number in &done.removed {
            self.closed.remove(number);
        }
        let failed = |error| WalError::io("removing old segments", error);
        done.outcome.map(|()| done.removed.len()).map_err(failed)
    }

    /// Where the log ends.
    pub fn end(&self) -> Place {
        self.end
    }

    /// Up to where the log is synced.
    pub fn synced(&self) -> Place {
        self.synced
    }

    /// The oldest segment, if there is one.
    pub fn oldest_segment(&self) -> Option<u64> {
        let current = self.current.as_ref().map(|current| current.number);
        self.closed.keys().next().copied().or(current)
    }

    /// Bytes of all segments.
    pub fn disk_bytes(&self) -> u64 {
        let current = self.current.as_ref().map_or(0, |current| current.bytes);
        self.closed.values().sum::<u64>() + current
    }

    /// Whether a sync failed.
    pub fn is_failed(&self) -> bool {
        self.failed.is_some()
    }

    fn check_failed(&self) -> Result<()> {
        match &self.failed {
            Some(why) => Err(WalError::Failed { synced: self.synced, why: why.clone() }),
            None => Ok(()),
        }
    }

    fn fail(&mut self, why: String) -> WalError {
        self.failed = Some(why.clone());
        WalError::Failed { synced: self.synced, why }
    }

    /// Writes a mark if one is due, and records, at the end of the current segment.
    fn write(&mut self, records: &[Record<'_>]) -> Result<Written> {
        let Some(current) = self.current.as_mut() else {
            return Err(WalError::refused("there is no segment to write to"));
        };
        self.buffer.clear();
        let start = current.bytes;
        let mark = self.is_mark_due.then_some(Record::Durable { place: self.synced });
        for record in mark.iter().chain(records) {
            record.encode(current.seed, start + self.buffer.len() as u64, &mut self.buffer);
        }
        if let Err(error) = current.file.write_at(start, &self.buffer) {
            return Err(self.take_back(error));
        }
        current.bytes += self.buffer.len() as u64;
        self.is_mark_due = false;
        let number = current.number;
        let mut at = start;
        for record in mark.iter().chain(records) {
            self.index.note(Place::new(number, at), record);
            at += record.encoded_bytes() as u64;
        }
        Ok(Written { start: Place::new(number, start), end: Place::new(number, at) })
    }

    /// Removes what a failed write may have left, for good: a later loss of power must not bring it back. If that cannot be
    /// done, the next segment says where this one ends.
    fn take_back(&mut self, error: std::io::Error) -> WalError {
        let Some(current) = self.current.as_mut() else {
            return WalError::io("writing to the log", error);
        };
        if current.file.set_len(current.bytes).is_err() {
            let _ = self.roll(Header::Synced);
        } else if let Err(error) = current.file.sync() {
            return self.fail(error.to_string());
        }
        WalError::io("writing to the log", error)
    }

    /// Closes the current segment and begins the next one. With a file that was made before, the header is synced with the first
    /// records behind it; but at once where it says that the segment before ends earlier than its file.
    fn roll(&mut self, wanted: Header) -> Result<()> {
        if let Some(Current { number, file, bytes, .. }) = self.current.take() {
            self.previous_end = bytes;
            self.closed.insert(number, bytes);
            self.unsynced.push((number, file));
        }
        let number = self.next_number;
        let path = segment_path(number);
        let header = SegmentHeader::new(self.storage, number, self.previous_end).encode();
        let made = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Nothing => self.disk.create(&path).and_then(|mut file| {
                file.write_at(0, &header)?;
                file.sync()?;
                self.disk.sync_folder(LOG_FOLDER)?;
                Ok(file)
            }),
            Next::Made(mut file) => file.write_at(0, &header).and_then(|()| {
                if wanted == Header::Synced {
                    file.sync()?;
                }
                Ok(file)
            }),
            Next::Begun => {
                self.next = Next::Begun;
                return Err(WalError::refused("the next segment is being made"));
            }
        };
        let file = made.map_err(|error| {
            // Left there it does no harm: the next attempt makes it again.
            let _ = self.disk.remove(&path);
            WalError::io(format!("beginning segment {number} of the log"), error)
        })?;
        let seed = segment_seed(self.storage, number);
        self.current = Some(Current { number, file, bytes: header.len() as u64, seed });
        self.next_number = number + 1;
        Ok(())
    }
}

#[cfg(test)]
#[path = "log_test.rs"]
mod tests;
