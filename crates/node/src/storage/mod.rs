//! The data on disk: the node's log, snapshots of partitions, and what comes back from them after a restart.
//!
//! ```text
//!   engine ── append ──► log ── sync ──► syncer ──► Event::Persisted
//!          ◄── images ── snapshots ──► prune
//!   start  ◄── recover
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `syncer` | syncs for all who wait, one after the other |
//! | `snapshots` | when images of partitions are written, and what the log need not keep any more |
//! | `images` | writes images of partitions |
//! | `rest` | how gently |
//! | `growth` | how much longer the log becomes meanwhile |
//! | `ages` | which snapshots lack entries for too long |
//! | `budget` | how much it may be |
//! | `counts` | what was done, in figures |
//! | `recover` | replicas from what the disk has |
//!
//! The rules themselves are those of `isogrid_persist`, which the simulator runs too.

mod ages;
mod budget;
mod counts;
mod growth;
mod images;
mod recover;
mod rest;
mod snapshots;
mod syncer;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use isogrid_core::{Error, ErrorCode, LogPosition, PartitionId, Result};
use isogrid_persist::Unwritten;
use isogrid_replica::{Now, Ticks};
use isogrid_wal::snapshot::writer::remove_snapshots;
use isogrid_wal::{Disk, LogSettings, NodeLog, OsDisk, Place, Record, SnapshotInfo, WalError};
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::config::DiskConfig;
use crate::engine::Engine;
use crate::node::internal;
use crate::recovering::Progress;
use crate::report::DiskReport;

use ages::Ages;
use budget::Budget;
use counts::Counts;
pub(crate) use counts::DiskFigures;
use growth::Growth;
pub(crate) use recover::recover;
use snapshots::Snapshots;
use syncer::Syncer;

/// The folder of the data within the node's.
pub(crate) const FOLDER: &str = "data";

/// A disk that has refused is asked again after so long.
const AGAIN_MS: u64 = 50;

/// The data of this node on disk.
pub(crate) struct Storage {
    disk: OsDisk,
    id: u128,
    log: Mutex<NodeLog<OsDisk>>,
    /// The newest snapshot of each partition.
    snapshots: Mutex<BTreeMap<PartitionId, SnapshotInfo>>,
    /// The disk took nothing the last time it was asked.
    is_refusing: AtomicBool,
    /// When that was.
    refused_at: AtomicU64,
    /// How long the log may be, because it could not be made shorter.
    long_for_now: AtomicU64,
    growth: Mutex<Growth>,
    syncs: syncer::Queue,
    budget: Budget,
    ages: Mutex<Ages>,
    counts: Counts,
    /// How long the data took to come back, in milliseconds.
    recovered_ms: AtomicU64,
    /// Why nothing can be written any more.
    failed: watch::Sender<Option<String>>,
}

impl Storage {
    /// Opens the data in a node's folder, and says what is there.
    pub(crate) fn open(
        folder: &Path,
        id: u128,
        (progress, settings): (&Progress, &DiskConfig),
    ) -> Result<(Arc<Self>, isogrid_wal::Recovery<OsDisk>)> {
        let folder = folder.join(FOLDER);
        let unusable = |why: &dyn std::fmt::Display| {
            Error::new(ErrorCode::DataDirUnusable, format!("{}: {why}", folder.display()))
        };
        let disk = OsDisk::lock(&folder).map_err(|error| unusable(&error))?;
        let disk = disk.counting_reads(progress.bytes_read());
        let (log, recovery) = isogrid_wal::open(&disk, id, LogSettings::default())
            .map_err(|error| unusable(&error))?;
        let snapshots = recovery.partitions().iter();
        let snapshots = snapshots.filter_map(|one| Some((one.partition, one.snapshot.clone()?)));
        let storage = Storage {
            disk,
            id,
            log: Mutex::new(log),
            snapshots: Mutex::new(snapshots.collect()),
            is_refusing: AtomicBool::new(false),
            refused_at: AtomicU64::new(0),
            long_for_now: AtomicU64::new(0),
            growth: Mutex::default(),
            syncs: syncer::Queue::default(),
            budget: Budget::new(settings.budget),
            ages: Mutex::new(Ages::new(Duration::from_millis(settings.snapshot_age_ms))),
            counts: Counts::default(),
            recovered_ms: AtomicU64::new(0),
            failed: watch::channel(None).0,
        };
        storage.measure();
        Ok((Arc::new(storage), recovery))
    }

    /// Writes what a window of steps left, with one write. Says where the log ends then.
    pub(crate) fn append(&self, unwritten: &Unwritten, now: Now) -> Result<Place, WalError> {
        let records = unwritten.records();
        let mut log = self.log.lock();
        let written = log.append(&records);
        let is_next_due = log.is_next_due();
        drop(log);
        if is_next_due {
            self.make_next_later();
        }
        match &written {
            Ok(written) => {
                let bytes = written.end.offset - written.start.offset;
                self.counts.wrote_log(bytes);
                self.budget.wrote(bytes);
                self.accepts();
            }
            Err(error) => {
                self.refused_at.store(now.ticks.0, Ordering::Relaxed);
                self.refuses(error);
            }
        }
        written.map(|written| written.end)
    }

    /// What is written of a partition from now on is for an image that begins at this position. Says from where that is.
    pub(crate) fn begin_image(
        &self,
        partition: PartitionId,
        position: LogPosition,
    ) -> Result<Place, WalError> {
        let begun = self.log.lock().append(&[Record::ImageBegun { partition, position }]);
        if let Err(error) = &begun {
            self.refuses(error);
        }
        begun.map(|written| written.end)
    }

    /// From where the log has a partition's entries after this one.
    pub(crate) fn replay_from(&self, partition: PartitionId, seq: u64) -> Place {
        self.log.lock().replay_from(partition, seq)
    }

    /// Whether the disk may be asked now: after it has refused, only so often.
    #[inline]
    pub(crate) fn may_try(&self, now: Now) -> bool {
        !self.is_refusing()
            || now.ticks.ms_since(Ticks(self.refused_at.load(Ordering::Relaxed))) >= AGAIN_MS
    }

    /// Nothing on disk of a partition says anything any more.
    pub(crate) fn forget(&self, partition: PartitionId) {
        let reset = self.log.lock().append(&[Record::Reset { partition }]);
        self.snapshots.lock().remove(&partition);
        let forgotten = reset.and_then(|_| remove_snapshots(&self.disk, partition, None));
        if let Err(error) = forgotten {
            // A replica that is not in the table is not asked for: the space is lost, nothing else.
            warn!(partition = partition.0, %error, "what is on disk of a partition stays");
        }
    }

    /// Whether the disk takes nothing at the moment: what is to be written is refused.
    #[inline]
    pub(crate) fn is_refusing(&self) -> bool {
        self.is_refusing.load(Ordering::Relaxed)
    }

    /// What operators want to know.
    pub(crate) fn report(&self) -> DiskReport {
        let snapshots = self.snapshots.lock().values().map(|snapshot| snapshot.file_bytes).sum();
        DiskReport {
            is_refusing: self.is_refusing(),
            is_over_budget: self.budget.is_over(),
            budget: self.budget.bytes(),
            log_bytes: self.log.lock().disk_bytes(),
            snapshot_bytes: snapshots,
        }
    }

    /// All figures of the disk.
    pub(crate) fn figures(&self) -> DiskFigures<'_> {
        DiskFigures {
            report: self.report(),
            counts: &self.counts,
            free_bytes: self.disk.free_bytes().ok().flatten(),
            recovered_ms: self.recovered_ms.load(Ordering::Relaxed),
        }
    }

    /// Syncs everything: the node stops.
    pub(crate) fn close(&self) {
        if let Err(error) = self.log.lock().sync() {
            error!(%error, "the log could not be synced at the end");
        }
    }

    fn accepts(&self) {
        if self.is_refusing.swap(false, Ordering::Relaxed) {
            info!("the disk takes writes again");
        }
    }

    fn refuses(&self, why: &WalError) {
        self.counts.failed();
        self.look_whether_over(why);
        if !self.is_refusing.swap(true, Ordering::Relaxed) {
            error!(%why, "the disk takes nothing: writes are refused, reads go on");
        }
    }

    /// After some errors nothing can be written any more.
    fn look_whether_over(&self, why: &WalError) {
        if let WalError::Failed { .. } = why {
            self.fail(why.to_string());
        }
    }

    /// The node must end.
    pub(crate) fn fail(&self, why: String) {
        self.failed.send_if_modified(|failed| {
            let is_first = failed.is_none();
            failed.get_or_insert(why);
            is_first
        });
    }
}

/// The threads that keep the data on disk. Dropped they end, and everything is synced.
pub(crate) struct Keepers {
    storage: Arc<Storage>,
    threads: Option<(Snapshots, Syncer)>,
}

impl Keepers {
    /// Starts them, now that the data came back in so many milliseconds.
    pub(crate) fn start(
        storage: Arc<Storage>,
        engine: &Arc<Engine>,
        recovered_ms: u64,
    ) -> Result<Self> {
        storage.recovered_ms.store(recovered_ms, Ordering::Relaxed);
        let snapshots = Snapshots::start(Arc::clone(&storage), Arc::clone(engine))?;
        let syncer = Syncer::start(Arc::clone(&storage), Arc::clone(engine))?;
        Ok(Keepers { storage, threads: Some((snapshots, syncer)) })
    }

    /// Speaks when nothing can be written any more: the node must end.
    pub(crate) fn failed(&self) -> watch::Receiver<Option<String>> {
        self.storage.failed.subscribe()
    }
}

/// Starts a thread that keeps the data on disk. When it ends by a fault of the program, the node must not go on without it.
fn keep(
    storage: &Arc<Storage>,
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>> {
    let storage = Arc::clone(storage);
    let watched = move || {
        if std::panic::catch_unwind(AssertUnwindSafe(work)).is_err() {
            error!(thread = name, "a thread that keeps the data on disk has panicked");
            storage.fail(format!(
                "its thread {name:?}, which keeps the data on disk, has panicked: the log above has more, please report it. What was acknowledged is on disk, so start the node again"
            ));
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(watched);
    thread.map_err(|error| internal(&error))
}

impl Drop for Keepers {
    fn drop(&mut self) {
        self.threads = None;
        self.storage.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_ends_the_node_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (storage, _) =
            Storage::open(folder.path(), 7, (&Progress::begin(None), &DiskConfig::default()))
                .unwrap();
        let fine = keep(&storage, "fine", || {}).unwrap();
        fine.join().unwrap();
        assert_eq!(*storage.failed.borrow(), None);
        let broken = keep(&storage, "broken", || panic!("a fault of the program")).unwrap();
        broken.join().unwrap();
        let why = storage.failed.borrow().clone().unwrap();
        assert!(why.contains("broken") && why.contains("panicked"), "{why}");
    }
}
