//! Images of partitions, page by page: a partition's lock is held for a page at a time. What an image is worth is decided by
//! [`OnDisk`](isogrid_persist::OnDisk).

use isogrid_core::{LogPosition, PartitionId};
use isogrid_persist::{Page, ReplayFrom, Void};
use isogrid_wal::{SnapshotHead, WalError};

use super::Engine;
use super::slot::{Held, Place};
use crate::clock;

/// The core whose lanes carry what replicas say when the disk has news.
const CORE: usize = 0;

impl Engine {
    /// The partitions here, and whether what the disk has of them is worth nothing until an image is there.
    pub(crate) fn on_disk(&self) -> Vec<(PartitionId, bool)> {
        self.each(|partition, cell| {
            let slot = cell.0.lock();
            Some((partition, slot.held.as_ref()?.replica.lacks_image()))
        })
    }

    /// Begins an image of a partition; `None` when it cannot be had at the moment.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn begin_image(
        &self,
        partition: PartitionId,
    ) -> Result<Option<SnapshotHead>, WalError> {
        let (Some(partitions), Some(storage)) = (self.partitions.get(), &self.storage) else {
            return Ok(None);
        };
        let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
        // What is known to be worth nothing is said to be so before.
        self.persist_one(CORE, partition, &mut slot);
        let Some(held) = &mut slot.held else { return Ok(None) };
        held.on_disk.begin_image(&held.replica, |from| match from {
            ReplayFrom::NewRecord(position) => storage.begin_image(partition, position),
            ReplayFrom::EntriesAfter(seq) => Ok(storage.replay_from(partition, seq)),
        })
    }

    /// The next page of a partition's image, of about so many bytes.
    ///
    /// # Errors
    /// The image cannot become one any more.
    pub(crate) fn image_page(
        &self,
        partition: PartitionId,
        bytes_max: usize,
        records: &mut Vec<u8>,
    ) -> Result<Page, Void> {
        self.with_held(partition, |held| held.on_disk.image_page(&held.replica, bytes_max, records))
    }

    /// Where a partition's image ended, once all that it shows is committed and written; `None` until then.
    ///
    /// # Errors
    /// It never will be.
    pub(crate) fn image_end(&self, partition: PartitionId) -> Result<Option<LogPosition>, Void> {
        self.with_held(partition, |held| held.on_disk.image_end(&held.replica))
    }

    /// A partition's image is on disk, up to where it ended. Says whether it is of use: if not, what it is of has become void.
    pub(crate) fn imaged(&self, partition: PartitionId) -> bool {
        let Some(partitions) = self.partitions.get() else { return false };
        let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
        let place = Place { engine: self, core: CORE, partition, now: clock::both() };
        let Some(held) = &mut slot.held else { return false };
        let Some(imaging) = held.on_disk.end_walk() else { return false };
        let Ok(events) = held.on_disk.imaged(&held.replica, imaging) else { return false };
        for event in events {
            held.step(place, event, None);
        }
        self.persist_one(CORE, partition, &mut slot);
        self.count(partition, &mut slot);
        drop(slot);
        self.wire.flush(CORE);
        true
    }

    /// A partition's image will not be finished.
    pub(crate) fn drop_image(&self, partition: PartitionId) {
        let Some(partitions) = self.partitions.get() else { return };
        let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
        if let Some(held) = &mut slot.held {
            held.on_disk.drop_image();
        }
    }

    fn with_held<T>(
        &self,
        partition: PartitionId,
        look: impl FnOnce(&mut Held) -> Result<T, Void>,
    ) -> Result<T, Void> {
        let partitions = self.partitions.get().ok_or(Void)?;
        let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
        look(slot.held.as_mut().ok_or(Void)?)
    }
}
