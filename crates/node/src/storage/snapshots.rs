//! [`Snapshots`]: a thread that writes images of partitions: of those whose data on disk are worth nothing after a copy, at once;
//! of others when the log has grown too long, those first that keep its oldest part, and when their snapshots lack entries for
//! too long.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use isogrid_core::{PartitionId, Result};
use isogrid_persist::Needs;
use isogrid_wal::WalError;
use isogrid_wal::snapshot::writer::remove_temporary;
use parking_lot::{Condvar, Mutex};
use tracing::{info, warn};

use super::Storage;
use crate::engine::Engine;

/// What nobody waits for is synced once in so many looks: a loss of power takes no more than about a second of it.
const LOOKS_PER_SYNC: u64 = 10;

/// How often it is looked whether there is something to write.
const LOOK: Duration = Duration::from_millis(100);

/// What does not count: about a segment, for the one that is written to always stays.
const LOG_BYTES_SPARE: u64 = 64 << 20;

/// So many partitions are looked at before it is seen whether the log is short enough.
const PARTITIONS_MAX: usize = 16;

/// Whether the thread is to end.
#[derive(Default)]
pub(super) struct End(Mutex<bool>, Condvar);

impl End {
    /// Waits a little, and says whether the thread is to end.
    fn wait(&self, time: Duration) -> bool {
        let mut is_over = self.0.lock();
        if !*is_over {
            self.1.wait_for(&mut is_over, time);
        }
        *is_over
    }

    /// Whether the thread is to end.
    pub(super) fn is_over(&self) -> bool {
        *self.0.lock()
    }
}

/// The thread that writes images.
pub(crate) struct Snapshots {
    is_over: Arc<End>,
    thread: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// Starts the thread.
    pub(crate) fn start(storage: Arc<Storage>, engine: Arc<Engine>) -> Result<Self> {
        let is_over = Arc::new(End::default());
        let ends = Arc::clone(&is_over);
        let of_thread = Arc::clone(&storage);
        let thread = super::keep(&storage, "snapshots", move || {
            for look in 1_u64.. {
                if ends.wait(LOOK) {
                    return;
                }
                of_thread.write_due_images(&engine, &ends);
                if look.is_multiple_of(LOOKS_PER_SYNC) {
                    of_thread.write_old_images(&engine, &ends);
                    of_thread.sync_in_passing();
                    of_thread.remove_leftovers();
                }
            }
        })?;
        Ok(Snapshots { is_over, thread: Some(thread) })
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        *self.is_over.0.lock() = true;
        self.is_over.1.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Storage {
    fn write_due_images(&self, engine: &Engine, end: &End) {
        let partitions = engine.on_disk().into_iter();
        let lacking: Vec<PartitionId> =
            partitions.filter(|(_, lacks)| *lacks).map(|(partition, _)| partition).collect();
        let written = self
            .write_images(engine, &lacking, end)
            .and_then(|_| self.shorten(engine, end))
            .and_then(|()| self.keep_within_budget(engine, end));
        if let Err(error) = written {
            warn!(%error, "a snapshot could not be written, it is tried again");
        }
    }

    /// Writes images of some of those partitions whose snapshots lack entries for too long: not of all at once.
    fn write_old_images(&self, engine: &Engine, end: &End) {
        let ends: Vec<_> = {
            let snapshots = self.snapshots.lock();
            let position = |one: &PartitionId| snapshots.get(one).map(|found| found.position);
            let ends = engine.positions().into_iter();
            ends.map(|(one, last)| (one, last, position(&one))).collect()
        };
        let mut due = self.ages.lock().due(ends, Instant::now());
        due.truncate(PARTITIONS_MAX);
        match self.write_images(engine, &due, end) {
            Ok(0) => {}
            Ok(written) => info!(snapshots = written, "snapshots that lacked entries for long"),
            Err(error) => warn!(%error, "a snapshot could not be written, it is tried again"),
        }
    }

    /// Removes what an image left behind that was not finished and could not be removed then. No image is being written now.
    fn remove_leftovers(&self) {
        match remove_temporary(&self.disk) {
            Ok(0) => {}
            Ok(files) => info!(files, "what unfinished snapshots left behind was removed"),
            Err(error) => warn!(%error, "what an unfinished snapshot left behind stays for now"),
        }
    }

    /// Writes images until the log is short again: of those partitions that need its oldest segment, then the next one.
    fn shorten(&self, engine: &Engine, end: &End) -> Result<(), WalError> {
        let snapshots = self.report().snapshot_bytes;
        let bytes_max = log_bytes_max(engine.memory().data_bytes(), snapshots);
        let bytes_max = self.budget.log_bytes_max(bytes_max, snapshots, LOG_BYTES_SPARE);
        let before = self.log.lock().disk_bytes();
        if before <= bytes_max.max(self.long_for_now.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let (mut written, mut tried) = (0, BTreeSet::new());
        loop {
            let held = self.prune(engine)?;
            if self.log.lock().disk_bytes() <= bytes_max / 2 {
                break;
            }
            let needs = self.needs(&held);
            let some: Vec<PartitionId> = needs.of_oldest(&tried).take(PARTITIONS_MAX).collect();
            if some.is_empty() || end.is_over() {
                break;
            }
            written += self.write_images(engine, &some, end)?;
            tried.extend(some);
        }
        let after = self.log.lock().disk_bytes();
        // Where that was in vain, it is tried again when there is more.
        let long_for_now = if after > bytes_max { after + LOG_BYTES_SPARE } else { 0 };
        self.long_for_now.store(long_for_now, Ordering::Relaxed);
        info!(snapshots = written, before, after, "the log was shortened");
        Ok(())
    }

    /// What the partitions need of the log.
    fn needs(&self, held: &[(PartitionId, bool)]) -> Needs {
        let (log, snapshots) = (self.log.lock(), self.snapshots.lock());
        Needs::of(held.iter().map(|(one, _)| *one), &log, &snapshots)
    }

    /// Drops what no partition needs, and says which there are. One that is opened meanwhile needs what is written from now on.
    pub(super) fn prune(&self, engine: &Engine) -> Result<Vec<(PartitionId, bool)>, WalError> {
        let now = self.log.lock().end().segment;
        let held = engine.on_disk();
        let first_kept = self.needs(&held).first_kept(now);
        let job = self.log.lock().begin_prune(first_kept);
        if let Some(job) = job {
            let done = job.run();
            self.log.lock().finish_prune(done)?;
        }
        Ok(held)
    }
}

/// How long the log may be before images are written. With images of everything, which it stays beside until they are written,
/// it has one and a half times the data then, and a segment; what comes meanwhile, and an image beside the one that it
/// replaces, have as much as is left to twice the data. Of data that became fewer the snapshots are large for a while.
fn log_bytes_max(data: u64, snapshots: u64) -> u64 {
    let both = data + data / 2;
    both.saturating_sub(snapshots.max(data)).max(data / 4) + LOG_BYTES_SPARE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_and_snapshots_together_have_room_left_to_twice_the_data() {
        const GIB: u64 = 1 << 30;
        for snapshots in [0, GIB / 3, GIB, GIB * 5 / 4] {
            let together = log_bytes_max(GIB, snapshots) + snapshots.max(GIB);
            assert!(together <= GIB * 3 / 2 + LOG_BYTES_SPARE, "{snapshots}");
        }
        assert_eq!(
            log_bytes_max(GIB, 9 * GIB),
            GIB / 4 + LOG_BYTES_SPARE,
            "it has some room always"
        );
    }
}
