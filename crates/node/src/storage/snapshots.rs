//! [`Snapshots`]: a thread that writes images of partitions: of those whose data on disk are worth nothing after a copy, at once;
//! of others when the log has grown too long, those first that keep its oldest part.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use isogrid_core::{PartitionId, Result};
use isogrid_replica::entry::Entries;
use isogrid_replica::image::Image;
use isogrid_wal::{SnapshotEnd, SnapshotHead, SnapshotInfo, SnapshotWriter, WalError};
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
        let partitions = engine.on_disk();
        let lacking: Vec<PartitionId> = partitions
            .iter()
            .filter(|(_, lacks)| *lacks)
            .map(|(partition, _)| *partition)
            .collect();
        let written =
            self.write_images(engine, &lacking).and_then(|_| self.shorten(engine, &partitions));
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
            for partition in left.by_ref() {
                let Some((image, voided)) = engine.image(*partition) else { continue };
                bytes += image.records.len();
                images.push((*partition, image, voided));
                if bytes >= IMAGES_BYTES || images.len() >= IMAGES_MAX {
                    break;
                }
            }
            if images.is_empty() {
                return Ok(written);
            }
            // Older snapshots go only when the log from where these begin is safe.
            self.sync()?;
            for (partition, image, voided) in images {
                let position = image.position;
                let snapshot = self.publish(partition, image)?;
                self.snapshots.lock().insert(partition, snapshot);
                engine.imaged(partition, position, voided);
                written += 1;
            }
        }
    }

    fn publish(&self, partition: PartitionId, image: Image) -> Result<SnapshotInfo, WalError> {
        let (replay_from, synced) = {
            let log = self.log.lock();
            (log.replay_from(partition, image.position.seq).min(log.synced()), log.synced())
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
    fn shorten(&self, engine: &Engine, held: &[(PartitionId, bool)]) -> Result<(), WalError> {
        let bytes_max = engine.memory().data_bytes() * 3 / 4 + LOG_BYTES_SPARE;
        let before = self.log.lock().disk_bytes();
        if before <= bytes_max.max(self.long_for_now.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let (mut written, mut tried) = (0, BTreeSet::new());
        loop {
            self.prune(held)?;
            if self.log.lock().disk_bytes() <= bytes_max / 2 {
                break;
            }
            let ages = self.by_age(held);
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

    fn prune(&self, held: &[(PartitionId, bool)]) -> Result<(), WalError> {
        let oldest = self.by_age(held).first().map_or(0, |(_, segment)| *segment);
        self.log.lock().prune(oldest).map(|_| ())
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
