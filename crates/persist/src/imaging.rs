//! Images of partitions, page by page: when one may begin, what it is worth, and what counts when it is on disk. The walk stands
//! beside its replica and ends with it.

use isogrid_core::LogPosition;
use isogrid_replica::image::{ImageWalk, Standing};
use isogrid_replica::{Event, Replica};
use isogrid_wal::{Place, SnapshotHead};

use crate::on_disk::OnDisk;

/// An image that is being taken.
#[derive(Debug)]
pub struct Imaging {
    walk: ImageWalk,
    /// For which of the times that the disk became worthless it is taken.
    voided: u32,
}

/// From where the log is to be replayed behind an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayFrom {
    /// From behind a new record [`ImageBegun`](isogrid_wal::Record::ImageBegun) at this position, which is to be appended.
    NewRecord(LogPosition),
    /// From where the log has the entries after this number.
    EntriesAfter(u64),
}

/// A page was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many records it has.
    pub records: u32,
    /// Whether nothing comes after it.
    pub is_last: bool,
}

/// An image shows what is not so any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Void;

impl OnDisk {
    /// Begins an image; `None` when it cannot be had at the moment. The log says from where it is to be replayed.
    ///
    /// # Errors
    /// The log's: no image was begun.
    pub fn begin_image<E>(
        &mut self,
        replica: &Replica,
        replay_from: impl FnOnce(ReplayFrom) -> Result<Place, E>,
    ) -> Result<Option<SnapshotHead>, E> {
        let (voided, lacks) = (replica.disk_voided(), replica.lacks_image());
        if lacks && self.void_for != voided {
            // What is worth nothing is said to be so before.
            return Ok(None);
        }
        let Some((walk, head)) = replica.begin_image() else { return Ok(None) };
        let position = head.position;
        let replay_from = if lacks {
            // Behind worthless data entries are written only for the image that is begun here.
            let place = replay_from(ReplayFrom::NewRecord(position))?;
            self.written = position;
            self.begun_for = Some(voided);
            place
        } else {
            replay_from(ReplayFrom::EntriesAfter(position.seq))?
        };
        self.imaging = Some(Imaging { walk, voided });
        Ok(Some(SnapshotHead {
            partition: replica.store().id(),
            position,
            replay_from,
            hlc: head.hlc,
            loss_generation: head.loss_generation,
            sessions: head.sessions,
        }))
    }

    /// The next page of the image, of about so many bytes.
    ///
    /// # Errors
    /// The image cannot become one any more.
    pub fn image_page(
        &mut self,
        replica: &Replica,
        bytes_max: usize,
        records: &mut Vec<u8>,
    ) -> Result<Page, Void> {
        let walk = &mut self.imaging.as_mut().ok_or(Void)?.walk;
        let count = walk.page(replica, bytes_max, records).ok_or(Void)?;
        Ok(Page { records: count, is_last: walk.is_done() })
    }

    /// Where the image ended, once all that it shows is committed and written; `None` until then.
    ///
    /// # Errors
    /// It never will be.
    pub fn image_end(&self, replica: &Replica) -> Result<Option<LogPosition>, Void> {
        let walk = &self.imaging.as_ref().ok_or(Void)?.walk;
        let end = walk.end();
        match walk.standing(replica) {
            Standing::Settled if self.written.seq >= end.seq => Ok(Some(end)),
            Standing::Settled | Standing::Waits => Ok(None),
            Standing::Void => Err(Void),
        }
    }

    /// Takes the image away from its replica: nothing more is looked up for it.
    pub fn end_walk(&mut self) -> Option<Imaging> {
        self.imaging.take()
    }

    /// An image whose walk was ended is on disk, up to where it ended. Says what the replica is to hear, in this order.
    ///
    /// # Errors
    /// What it is of has become void.
    pub fn imaged(
        &mut self,
        replica: &Replica,
        imaging: Imaging,
    ) -> Result<Vec<Event<'static>>, Void> {
        let Imaging { walk, voided } = imaging;
        if replica.disk_voided() != voided {
            return Err(Void);
        }
        if !replica.lacks_image() {
            return Ok(Vec::new());
        }
        self.begun_for = None;
        let position = walk.end();
        // Entries behind it did not count before.
        let behind =
            (self.persisted.seq > position.seq).then_some(Event::Persisted(self.persisted));
        Ok([Event::Imaged { position, voided }].into_iter().chain(behind).collect())
    }

    /// The image will not be finished.
    pub fn drop_image(&mut self) {
        if self.imaging.take().is_some() {
            self.begun_for = None;
        }
    }
}

#[cfg(test)]
#[path = "imaging_test.rs"]
mod tests;
