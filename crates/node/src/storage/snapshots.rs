//! [`Snapshots`]: a thread that writes images of partitions: of those whose data on disk are worth nothing after a copy, at once;
//! of others when the log has grown too long, those first that keep its oldest part.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use isogrid_core::{PartitionId, Result};
use isogrid_wal::WalError;
use parking_lot::{Condvar, Mutex};
use tracing::{info, warn};

use super::Storage;
use crate::engine::Engine;
use crate::node::internal;

/// What nobody waits for is synced once in so many looks: a loss of power takes no more than about a second of it.
const LOOKS_PER_SYNC: u64 = 10;

/// How often it is looked whether there is something to write.
const LOOK: Duration = Duration::from_millis(100);

/// By so much the log may be longer than three quarters of the data: about a segment, for the one that is written to always
/// stays. Together with the snapshots, and what comes while they are written, that is about twice the data and a segment.
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
        let thread = std::thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || {
                for look in 1_u64.. {
                    if ends.wait(LOOK) {
                        return;
                    }
                    storage.write_due_images(&engine, &ends);
                    if look.is_multiple_of(LOOKS_PER_SYNC) {
                        storage.sync_in_passing();
                    }
                }
            })
            .map_err(|error| internal(&error))?;
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
        let written =
            self.write_images(engine, &lacking, end).and_then(|_| self.shorten(engine, end));
        if let Err(error) = written {
            warn!(%error, "a snapshot could not be written, it is tried again");
        }
    }

    /// Writes images until the log is short again: of those partitions that need its oldest segment, then the next one.
    fn shorten(&self, engine: &Engine, end: &End) -> Result<(), WalError> {
        let bytes_max = engine.memory().data_bytes() * 3 / 4 + LOG_BYTES_SPARE;
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
            let ages = self.by_age(&held);
            let oldest = ages.first().map_or(0, |(_, segment)| *segment);
            let of_oldest = ages.iter().filter(|(_, segment)| *segment == oldest);
            let untried = of_oldest.map(|(one, _)| *one).filter(|one| !tried.contains(one));
            let some: Vec<PartitionId> = untried.take(PARTITIONS_MAX).collect();
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

    /// The partitions, with the segment from which each needs the log, the oldest first.
    fn by_age(&self, held: &[(PartitionId, bool)]) -> Vec<(PartitionId, u64)> {
        let (log, snapshots) = (self.log.lock(), self.snapshots.lock());
        let needs = |partition: PartitionId| match snapshots.get(&partition) {
            Some(snapshot) => snapshot.replay_from.segment,
            None => log.replay_from(partition, 0).segment,
        };
        let mut all: Vec<_> = held.iter().map(|(one, _)| (*one, needs(*one))).collect();
        all.sort_by_key(|(partition, segment)| (*segment, *partition));
        all
    }

    /// Drops what no partition needs, and says which there are. One that is opened meanwhile needs what is written from now on.
    fn prune(&self, engine: &Engine) -> Result<Vec<(PartitionId, bool)>, WalError> {
        let now = self.log.lock().end().segment;
        let held = engine.on_disk();
        let oldest = self.by_age(&held).first().map_or(now, |(_, segment)| *segment);
        let job = self.log.lock().begin_prune(oldest.min(now));
        if let Some(job) = job {
            let done = job.run();
            self.log.lock().finish_prune(done)?;
        }
        Ok(held)
    }
}
