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
use isogrid_wal::snapshot::writer::remove_temporary;
use isogrid_wal::{SnapshotInfo, WalError};
use parking_lot::{Condvar, Mutex};
use tracing::{info, warn};

use super::Storage;
use super::rest::Rest;
use crate::engine::Engine;

/// What nobody waits for is synced once in so many looks: a loss of power takes no more than about a second of it.
const LOOKS_PER_SYNC: u64 = 10;

/// How often it is looked whether there is something to write.
const LOOK: Duration = Duration::from_millis(100);

/// What does not count: about a segment, for the one that is written to always stays.
const LOG_BYTES_SPARE: u64 = 64 << 20;

/// So many partitions whose snapshots lack entries for too long have their turn at once.
const OLD_MAX: usize = 4;

/// So many partitions are looked at before it is seen whether the log is short enough.
const PARTITIONS_MAX: usize = 16;

/// Whether the thread is to end.
#[derive(Default)]
pub(super) struct End(Mutex<bool>, Condvar);

impl End {
    /// Waits a little, and says whether the thread is to end.
    pub(super) fn wait(&self, time: Duration) -> bool {
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
        let written = self
            .write_lacking(engine, &engine.on_disk(), end)
            .and_then(|_| self.shorten(engine, end))
            .and_then(|()| self.keep_within_budget(engine, end));
        if let Err(error) = written {
            warn!(%error, "a snapshot could not be written, it is tried again");
        }
    }

    /// Writes images of those of these partitions whose data on disk are worth nothing: until they have one, others wait for them.
    fn write_lacking(
        &self,
        engine: &Engine,
        held: &[(PartitionId, bool)],
        end: &End,
    ) -> Result<usize, WalError> {
        let lacking = held.iter().filter(|(_, lacks)| *lacks).map(|(partition, _)| *partition);
        self.write_images(engine, &lacking.collect::<Vec<_>>(), (end, Rest::none()))
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
        due.truncate(OLD_MAX);
        match self.write_images(engine, &due, (end, Rest::long())) {
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
        let images = Images::of(self.snapshots.lock().values());
        let data = engine.memory().data_bytes();
        let bytes_max = log_bytes_max(data, images, self.expected_growth());
        let bytes_max = self.budget.log_bytes_max(bytes_max, images.on_disk, LOG_BYTES_SPARE);
        let (before, oldest) = self.log_extent();
        if before <= bytes_max.max(self.long_for_now.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let (mut written, mut tried) = (0, BTreeSet::new());
        let (begun, log_before) = (Instant::now(), self.counts.log_bytes());
        self.growth.lock().begin();
        loop {
            let held = self.prune(engine)?;
            if self.log.lock().disk_bytes() <= bytes_max / 2 {
                break;
            }
            written += self.write_lacking(engine, &held, end)?;
            let needs = self.needs(&held);
            let some: Vec<PartitionId> = needs.of_oldest(&tried).take(PARTITIONS_MAX).collect();
            if some.is_empty() || end.is_over() {
                break;
            }
            let over = self.log.lock().disk_bytes().saturating_sub(bytes_max);
            // Half of what is left to twice the data.
            let rest = Rest::ahead((over, data / 4), (tried.len() + some.len(), held.len()));
            written += self.write_images(engine, &some, (end, rest))?;
            tried.extend(some);
        }
        if written > 0 {
            let grew = self.counts.log_bytes() - log_before;
            self.growth.lock().end(begun.elapsed(), grew);
        }
        let (after, oldest_after) = self.log_extent();
        // Where that was in vain, it is tried again when there is more.
        let is_in_vain = after > bytes_max && oldest_after == oldest;
        let long_for_now = if is_in_vain { after + LOG_BYTES_SPARE } else { 0 };
        self.long_for_now.store(long_for_now, Ordering::Relaxed);
        info!(snapshots = written, before, after, "the log was shortened");
        Ok(())
    }

    /// By how much the log will grow while images of all are written.
    fn expected_growth(&self) -> u64 {
        let mut growth = self.growth.lock();
        growth.look(Instant::now(), self.counts.log_bytes());
        growth.expected()
    }

    /// The bytes of the log, and its oldest segment.
    fn log_extent(&self) -> (u64, Option<u64>) {
        let log = self.log.lock();
        (log.disk_bytes(), log.oldest_segment())
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

/// What all snapshots have together.
#[derive(Clone, Copy, Debug)]
struct Images {
    /// Bytes of their files.
    on_disk: u64,
    /// Bytes of the records in them.
    records: u64,
}

impl Images {
    fn of<'a>(snapshots: impl Iterator<Item = &'a SnapshotInfo>) -> Self {
        let none = Images { on_disk: 0, records: 0 };
        snapshots.fold(none, |sum, one| Images {
            on_disk: sum.on_disk + one.file_bytes,
            records: sum.records + one.bytes,
        })
    }
}

/// How long the log may be before images are written. With images of everything, which it stays beside until they are written,
/// it has one and a half times the data then, and a segment; what comes meanwhile, and an image beside the one that it
/// replaces, have as much as is left to twice the data. Where more is expected to come meanwhile, as much as that.
/// Images are taken to become as large as they were, and those of data that have none as large as the data. Of data that
/// became fewer they are large for a while.
fn log_bytes_max(data: u64, images: Images, growth: u64) -> u64 {
    let expected = images.on_disk + data.saturating_sub(images.records);
    let meanwhile = growth.max(data / 2);
    (data * 2).saturating_sub(expected + meanwhile).max(data / 4) + LOG_BYTES_SPARE
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn log_max(on_disk: u64, records: u64) -> u64 {
        log_bytes_max(GIB, Images { on_disk, records }, GIB / 9)
    }

    #[test]
    fn log_and_snapshots_together_have_room_left_to_twice_the_data() {
        let half = GIB / 2;
        // None yet, some, all, all and compressed.
        for (on_disk, records) in [(0, 0), (GIB / 3, GIB / 3), (GIB, GIB), (GIB / 8, GIB)] {
            let together = log_max(on_disk, records) + on_disk + (GIB - records);
            assert_eq!(together, GIB + half + LOG_BYTES_SPARE, "{on_disk} {records}");
        }
        assert_eq!(log_max(9 * GIB, 9 * GIB), GIB / 4 + LOG_BYTES_SPARE, "it has some always");
    }

    #[test]
    fn snapshots_that_compression_makes_small_leave_room_to_the_log() {
        assert_eq!(log_max(GIB, GIB), GIB / 2 + LOG_BYTES_SPARE);
        assert_eq!(log_max(GIB / 10, GIB), GIB + GIB / 2 - GIB / 10 + LOG_BYTES_SPARE);
        assert_eq!(log_max(0, 0), GIB / 2 + LOG_BYTES_SPARE, "nobody knows how small they become");
    }

    #[test]
    fn what_is_expected_to_come_while_images_are_written_has_room() {
        let small = Images { on_disk: GIB / 10, records: GIB };
        let log_max = |growth| log_bytes_max(GIB, small, growth) - LOG_BYTES_SPARE;
        assert_eq!(log_max(GIB / 3), log_max(0), "as much is expected anyway");
        assert_eq!(log_max(GIB), 2 * GIB - GIB / 10 - GIB);
        assert_eq!(log_max(3 * GIB), GIB / 4, "it has some always");
    }
}
