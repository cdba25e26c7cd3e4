//! [`Snapshots`]: a thread that writes images of partitions: of those whose data on disk are worth nothing after a copy, at once;
//! of others when the log has grown too long, those first that keep its oldest part.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use isogrid_core::{PartitionId, Result};
use isogrid_replica::entry::Entries;
use isogrid_wal::{SnapshotEnd, SnapshotHead, SnapshotInfo, SnapshotWriter, WalError};
use parking_lot::{Condvar, Mutex};
use tracing::{info, warn};

use super::Storage;
use crate::engine::{Engine, Taken};
use crate::node::internal;

/// What nobody waits for is synced once in so many looks: a loss of power takes no more than about a second of it.
const LOOKS_PER_SYNC: u64 = 10;

/// How often it is looked whether there is something to write.
const LOOK: Duration = Duration::from_millis(100);

/// By so much the log may be longer than three quarters of the data: about a segment, for the one that is written to always
/// stays. Together with the snapshots, and what comes while they are written, that is about twice the data and a segment.
const LOG_BYTES_SPARE: u64 = 64 << 20;

/// How long it is waited until what an image shows is committed, and how often it is looked.
const COMMIT_MAX: Duration = Duration::from_millis(500);
const COMMIT_LOOK: Duration = Duration::from_millis(5);

/// How many images are taken before the first of them is written, and of how many bytes at the most: the log is synced once
/// for all of them.
const IMAGES_MAX: usize = 16;
const IMAGES_BYTES: usize = 64 << 20;

/// How many bytes of records go to a page of a snapshot.
const PAGE_BYTES: usize = 1 << 20;

/// The thread that writes images.
pub(crate) struct Snapshots {
    is_over: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// Starts the thread.
    pub(crate) fn start(storage: Arc<Storage>, engine: Arc<Engine>) -> Result<Self> {
        let is_over = Arc::new((Mutex::new(false), Condvar::new()));
        let ends = Arc::clone(&is_over);
        let thread = std::thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || {
                for look in 1_u64.. {
                    let mut is_over = ends.0.lock();
                    if !*is_over {
                        ends.1.wait_for(&mut is_over, LOOK);
                    }
                    if *is_over {
                        return;
                    }
                    drop(is_over);
                    storage.write_due_images(&engine);
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
    fn write_due_images(&self, engine: &Engine) {
        let partitions = engine.on_disk().into_iter();
        let lacking: Vec<PartitionId> =
            partitions.filter(|(_, lacks)| *lacks).map(|(partition, _)| partition).collect();
        let written = self.write_images(engine, &lacking).and_then(|_| self.shorten(engine));
        if let Err(error) = written {
            warn!(%error, "a snapshot could not be written, it is tried again");
        }
    }

    /// Writes images of these partitions, of those of which one can be had at the moment. Returns how many.
    fn write_images(&self, engine: &Engine, partitions: &[PartitionId]) -> Result<usize, WalError> {
        let mut written = 0;
        let mut left = partitions.iter();
        loop {
            let mut images = Vec::new();
            let mut bytes = 0;
            for taken in left.by_ref().filter_map(|partition| engine.image(*partition)) {
                bytes += taken.image.records.len();
                images.push(taken);
                if bytes >= IMAGES_BYTES || images.len() >= IMAGES_MAX {
                    break;
                }
            }
            if images.is_empty() {
                return Ok(written);
            }
            // Older snapshots go only when the log from where these begin is safe.
            self.sync()?;
            for taken in images.into_iter().filter(|taken| is_committed(engine, taken)) {
                let (partition, position) = (taken.partition, taken.image.position);
                let voided = taken.voided;
                let snapshot = self.publish(taken)?;
                self.snapshots.lock().insert(partition, snapshot);
                engine.imaged(partition, position, voided);
                written += 1;
            }
        }
    }

    fn publish(&self, taken: Taken) -> Result<SnapshotInfo, WalError> {
        let Taken { partition, image, lacked, .. } = taken;
        let (replay_from, synced) = {
            let log = self.log.lock();
            // Behind worthless data nothing is written before the image.
            let needed =
                if lacked { log.end() } else { log.replay_from(partition, image.position.seq) };
            (needed.min(log.synced()), log.synced())
        };
        let head = SnapshotHead {
            partition,
            position: image.position,
            replay_from,
            hlc: image.hlc,
            loss_generation: image.loss_generation,
            sessions: image.sessions,
        };
        let mut writer = SnapshotWriter::create(&self.disk, self.id, head)?;
        let written =
            pages(&image.records).try_for_each(|(page, records)| writer.block(page, records));
        if let Err(error) = written {
            writer.abandon();
            return Err(error);
        }
        // The image is of one position: of the log it needs what is behind it, no more.
        writer.publish(SnapshotEnd { complete_at: image.position, log_end: replay_from }, synced)
    }

    /// Writes images until the log is short again: of those partitions that need its oldest segment, then the next one.
    fn shorten(&self, engine: &Engine) -> Result<(), WalError> {
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
            let some: Vec<PartitionId> = untried.take(IMAGES_MAX).collect();
            if some.is_empty() {
                break;
            }
            written += self.write_images(engine, &some)?;
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
        self.log.lock().prune(oldest.min(now))?;
        Ok(held)
    }
}

/// Waits until what an image shows is committed, but not for long.
fn is_committed(engine: &Engine, taken: &Taken) -> bool {
    let begun = Instant::now();
    loop {
        match engine.has_committed(taken) {
            _ if taken.is_committed => return true,
            Some(true) => return true,
            Some(false) if begun.elapsed() < COMMIT_MAX => std::thread::sleep(COMMIT_LOOK),
            _ => return false,
        }
    }
}

/// The records in pages, each with how many it has.
fn pages(records: &[u8]) -> impl Iterator<Item = (&[u8], u32)> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let (mut bytes, mut count) = (0, 0);
        for record in Entries::new(rest).flatten() {
            bytes += record.bytes.len();
            count += 1;
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        let (page, left) = rest.split_at(bytes);
        rest = left;
        (count > 0).then_some((page, count))
    })
}

#[cfg(test)]
mod tests {
    use isogrid_core::{Effect, Hlc, LogPosition, MapId};
    use isogrid_replica::entry::{Answer, Entry};

    use super::*;

    #[test]
    fn pages_are_whole_records_and_together_all_of_them() {
        let mut records = Vec::new();
        let value = vec![7; PAGE_BYTES / 3];
        for seq in 1..=7 {
            let effect = Effect::Put { map: MapId(1), key: b"k", value: &value, expires_at: None };
            let position = LogPosition::new(1, seq);
            Entry { position, hlc: Hlc::default(), request: None, answer: Answer::None, effect }
                .encode(&mut records);
        }
        let counts: Vec<u32> = pages(&records).map(|(_, count)| count).collect();
        assert_eq!(counts, [3, 3, 1]);
        let together: Vec<u8> = pages(&records).flat_map(|(page, _)| page.to_vec()).collect();
        assert_eq!(together, records);
        assert_eq!(pages(&[]).count(), 0);
    }
}
