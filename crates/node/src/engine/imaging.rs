//! Images of partitions, page by page: a partition's lock is held for a page at a time. The walk stands beside its replica and
//! ends with it.

use isogrid_core::{LogPosition, PartitionId};
use isogrid_replica::Event;
use isogrid_replica::image::{ImageHead, ImageWalk, Standing};
use isogrid_wal::WalError;

use super::Engine;
use super::slot::{Place, Slot};
use crate::clock;

/// The core whose lanes carry what replicas say when the disk has news.
const CORE: usize = 0;

/// An image that is being taken.
#[derive(Debug)]
pub(super) struct Imaging {
    walk: ImageWalk,
    /// For which of the times that the disk became worthless it is taken.
    voided: u32,
}

/// An image was begun.
pub(crate) struct Begun {
    pub(crate) head: ImageHead,
    /// From where the log has what follows.
    pub(crate) replay_from: isogrid_wal::Place,
}

/// A page was taken.
pub(crate) struct Page {
    pub(crate) records: u32,
    pub(crate) is_last: bool,
}

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
    pub(crate) fn begin_image(&self, partition: PartitionId) -> Result<Option<Begun>, WalError> {
        let (Some(partitions), Some(storage)) = (self.partitions.get(), &self.storage) else {
            return Ok(None);
        };
        let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
        // What is known to be worth nothing is said to be so before.
        self.persist_one(CORE, partition, &mut slot);
        let Some(held) = &mut slot.held else { return Ok(None) };
        let voided = held.replica.disk_voided();
        let lacks = held.replica.lacks_image();
        if lacks && held.on_disk.void_for != voided {
            return Ok(None);
        }
        let Some((walk, head)) = held.replica.begin_image() else { return Ok(None) };
        let replay_from = if lacks {
            // Behind worthless data entries are written only for the image that is begun here.
            let place = storage.begin_image(partition, head.position)?;
            held.on_disk.written = head.position;
            held.on_disk.begun_for = Some(voided);
            place
        } else {
            storage.replay_from(partition, head.position.seq)
        };
        held.imaging = Some(Imaging { walk, voided });
        Ok(Some(Begun { head, replay_from }))
    }

    /// The next page of a partition's image, of about so many bytes; `None` when the image cannot become one any more.
    pub(crate) fn image_page(
        &self,
        partition: PartitionId,
        bytes_max: usize,
        records: &mut Vec<u8>,
    ) -> Option<Page> {
        self.with_imaging(partition, |imaging, replica, _| {
            let count = imaging.walk.page(replica, bytes_max, records)?;
            Some(Page { records: count, is_last: imaging.walk.is_done() })
        })
    }

    /// Where a partition's image ended, once all that it shows is committed and written; `None` until then.
    ///
    /// # Errors
    /// It never will be.
    pub(crate) fn image_end(&self, partition: PartitionId) -> Result<Option<LogPosition>, Void> {
        let end = self.with_imaging(partition, |imaging, replica, written| {
            let end = imaging.walk.end();
            match imaging.walk.standing(replica) {
                Standing::Settled if written.seq >= end.seq => Some(Some(end)),
                Standing::Settled | Standing::Waits => Some(None),
                Standing::Void => None,
            }
        });
        end.ok_or(Void)
    }

    /// A partition's image is on disk, up to where it ended. Says whether it is of use: if not, what it is of has become void.
    pub(crate) fn imaged(&self, partition: PartitionId) -> bool {
        let Some(partitions) = self.partitions.get() else { return false };
        let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
        let place = Place { engine: self, core: CORE, partition, now: clock::both() };
        let Some((held, imaging)) =
            slot.held.as_mut().and_then(|held| held.imaging.take().map(|imaging| (held, imaging)))
        else {
            return false;
        };
        if held.replica.disk_voided() != imaging.voided {
            return false;
        }
        if held.replica.lacks_image() {
            let position = imaging.walk.end();
            held.step(place, Event::Imaged { position, voided: imaging.voided }, None);
            held.on_disk.begun_for = None;
            // Entries behind it did not count before.
            let persisted = held.on_disk.persisted;
            if persisted.seq > position.seq {
                held.step(place, Event::Persisted(persisted), None);
            }
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
        if let Some(held) = &mut slot.held
            && held.imaging.take().is_some()
        {
            held.on_disk.begun_for = None;
        }
    }

    fn with_imaging<T>(
        &self,
        partition: PartitionId,
        look: impl FnOnce(&mut Imaging, &isogrid_replica::Replica, LogPosition) -> Option<T>,
    ) -> Option<T> {
        let partitions = self.partitions.get()?;
        let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
        let Slot { held: Some(held), .. } = &mut *slot else { return None };
        look(held.imaging.as_mut()?, &held.replica, held.on_disk.written)
    }
}

/// An image shows what is not so any more.
#[derive(Debug)]
pub(crate) struct Void;
