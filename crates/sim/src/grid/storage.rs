//! [`DataOnDisk`]: the data of a process on disk, as a real node keeps them: one log for all partitions, a sync for all who wait
//! for it, images in the background. What takes time there (a sync, an image) takes virtual time here.
//!
//! | module | what it holds |
//! |---|---|
//! | `images` | writes images of partitions, and drops what the log need not keep any more |
//! | `recover` | replicas from what the disk has |
//!
//! The rules themselves are those of the node: `isogrid_persist`.

pub(super) mod images;
pub(super) mod recover;

use std::collections::BTreeMap;

use isogrid_core::{LogPosition, PartitionId};
use isogrid_persist::Unwritten;
use isogrid_replica::{Now, Ticks};
use isogrid_wal::faulty_disk::{FaultyDisk, FaultyFile};
use isogrid_wal::snapshot::writer::remove_snapshots;
use isogrid_wal::{NodeLog, Record, Recovery, SnapshotInfo, SyncJob, WalError};

use images::Images;

use super::disk::Folder;

/// A disk that has refused is asked again after so long.
const AGAIN_MS: u64 = 50;

/// A sync that is being done, and who waits for it.
type Running = (Option<SyncJob<FaultyFile>>, BTreeMap<PartitionId, LogPosition>);

/// The data of a process on disk.
pub(crate) struct DataOnDisk {
    disk: FaultyDisk,
    id: u128,
    log: NodeLog<FaultyDisk>,
    log_bytes_max: u64,
    /// The newest snapshot of each partition.
    snapshots: BTreeMap<PartitionId, SnapshotInfo>,
    /// When the disk took nothing, the last time it was asked.
    refused_at: Option<Ticks>,
    /// Nothing can be written any more: the process must end.
    has_failed: bool,
    /// The last entry of each partition that waits for a sync: it answers for those before it.
    waiting: BTreeMap<PartitionId, LogPosition>,
    running: Option<Running>,
    images: Images,
    /// What happened that is worth counting.
    pub(crate) paths: Vec<&'static str>,
}

impl DataOnDisk {
    /// Opens the data in a folder, and says what is there.
    pub(crate) fn open(folder: &Folder) -> Result<(Self, Recovery<FaultyDisk>), WalError> {
        let (disk, id) = (folder.disk(), folder.id.0);
        let (log, recovery) = isogrid_wal::open(&disk, id, folder.log)?;
        let snapshots = recovery.partitions().iter();
        let snapshots = snapshots.filter_map(|one| Some((one.partition, one.snapshot.clone()?)));
        let data = DataOnDisk {
            disk,
            id,
            log,
            log_bytes_max: 3 * folder.log.segment_bytes_max,
            snapshots: snapshots.collect(),
            refused_at: None,
            has_failed: false,
            waiting: BTreeMap::new(),
            running: None,
            images: Images::default(),
            paths: Vec::new(),
        };
        Ok((data, recovery))
    }

    /// Writes what a window of steps left, with one write. Says whether it is in the log.
    pub(crate) fn append(&mut self, unwritten: &Unwritten, now: Now) -> bool {
        let written = self.log.append(&unwritten.records());
        self.refused_at = written.is_err().then_some(now.ticks);
        if let Err(why) = &written {
            self.look_whether_over(why);
            let is_full = matches!(why, WalError::NoSpace { .. });
            let path = if is_full { super::paths::DISK_FULL } else { super::paths::DISK_ERRORS };
            self.paths.push(path);
        }
        written.is_ok()
    }

    /// Whether the disk may be asked now: after it has refused, only so often.
    pub(crate) fn may_try(&self, now: Now) -> bool {
        self.refused_at.is_none_or(|at| now.ticks.ms_since(at) >= AGAIN_MS)
    }

    /// Whether the disk takes nothing at the moment: what is to be written is refused.
    pub(crate) fn is_refusing(&self) -> bool {
        self.refused_at.is_some()
    }

    /// Whether nothing can be written any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Nothing on disk of a partition says anything any more.
    pub(crate) fn forget(&mut self, partition: PartitionId) {
        let reset = self.log.append(&[Record::Reset { partition }]);
        self.snapshots.remove(&partition);
        // A replica that is not in the table is not asked for: what stays is lost space, nothing else.
        let _ = reset.and_then(|_| remove_snapshots(&self.disk, partition, None));
    }

    /// Entries that are written are to be synced too; their partition hears of it.
    pub(crate) fn sync_later(&mut self, partition: PartitionId, position: LogPosition) {
        self.waiting.insert(partition, position);
    }

    /// Begins a sync for all who wait, unless one is under way. Says whether it did.
    pub(crate) fn begin_sync(&mut self) -> bool {
        if self.running.is_some() || self.waiting.is_empty() {
            return false;
        }
        match self.log.begin_sync() {
            Ok(job) => {
                self.running = Some((job, std::mem::take(&mut self.waiting)));
                true
            }
            Err(why) => {
                self.look_whether_over(&why);
                false
            }
        }
    }

    /// The sync is done. Says up to where each partition is synced.
    pub(crate) fn end_sync(&mut self) -> BTreeMap<PartitionId, LogPosition> {
        let Some((job, requests)) = self.running.take() else { return BTreeMap::new() };
        if self.finish(job) { requests } else { BTreeMap::new() }
    }

    /// Runs a sync. Says whether it went well.
    fn finish(&mut self, job: Option<SyncJob<FaultyFile>>) -> bool {
        let Some(job) = job else { return true };
        let done = self.log.finish_sync(job.run());
        if let Err(why) = &done {
            self.look_whether_over(why);
        }
        done.is_ok()
    }

    /// After some errors nothing can be written any more.
    fn look_whether_over(&mut self, why: &WalError) {
        self.has_failed |= matches!(why, WalError::Failed { .. });
    }
}
