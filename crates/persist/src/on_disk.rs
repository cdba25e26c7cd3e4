//! [`OnDisk`]: from the log of a replica to the disk. What it appended is written once, and then it hears that this counts (rule
//! R8), at once or when it is synced.

use isogrid_core::LogPosition;
use isogrid_replica::Replica;

use crate::imaging::Imaging;
use crate::synced_maps::must_sync;
use crate::unwritten::{Part, Unwritten, What};

/// The most bytes of entries in one record of the log.
const RUN_BYTES_MAX: usize = 4 << 20;

/// What is on disk of a replica, as far as was written.
#[derive(Debug, Default)]
pub struct OnDisk {
    /// Up to where the log was written.
    pub(crate) written: LogPosition,
    /// For which of the times that the disk became worthless this is in the log.
    pub(crate) void_for: u32,
    /// For which of these times an image is being taken, so that entries are written for it.
    pub(crate) begun_for: Option<u32>,
    /// Up to where the replica last heard that it counts.
    pub(crate) persisted: LogPosition,
    /// Up to where a sync is waited for.
    awaits_sync: Option<LogPosition>,
    /// An image that is being taken. It ends with its replica.
    pub(crate) imaging: Option<Imaging>,
}

/// When what was written counts: the replica hears of it then, as [`Event::Persisted`](isogrid_replica::Event::Persisted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Counts {
    /// At once, up to here.
    Now(LogPosition),
    /// When the log is synced up to here: [`OnDisk::synced`].
    WhenSynced(LogPosition),
}

/// Nothing can follow what the disk has of a replica, which is to hear [`Event::DiskVoided`](isogrid_replica::Event::DiskVoided).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingFollows;

impl OnDisk {
    /// What is on disk of a replica that was made of that.
    pub fn of_recovered(replica: &Replica) -> Self {
        OnDisk { written: replica.log().last(), ..OnDisk::default() }
    }

    /// The replica has heard that what the disk has of it is worth nothing, yet that stays until an image takes its place.
    pub fn keep_void(&mut self, replica: &Replica) {
        self.void_for = replica.disk_voided();
    }

    /// Adds what is not on its way to the disk yet. What became of that is told by [`OnDisk::was_written`] or
    /// [`OnDisk::was_not_written`] before the next call.
    ///
    /// # Errors
    /// Nothing was added, and nothing can follow what the disk has.
    #[inline]
    pub fn unwritten(
        &mut self,
        replica: &Replica,
        slot: usize,
        synced_maps: &[Option<bool>],
        out: &mut Unwritten,
    ) -> Result<(), NothingFollows> {
        let part = |before, what| Part { partition: replica.store().id(), slot, before, what };
        let voided = replica.disk_voided();
        if replica.lacks_image() && self.begun_for != Some(voided) {
            let before = std::mem::replace(&mut self.void_for, voided);
            if before != voided {
                out.parts.push(part(LogPosition::START, What::Reset { before }));
            }
            return Ok(());
        }
        let (log, written) = (replica.log(), self.written);
        let last = log.last();
        if last == written {
            return Ok(());
        }
        let is_same = log.position_of(written.seq) == Some(written);
        // What was cut off has other entries in its place; those that stand are written again, which does no harm.
        let after = if is_same { written.seq } else { log.base().seq };
        if after > written.seq {
            // The window waits for the disk, so this cannot be; if it were, nothing could follow there.
            return Err(NothingFollows);
        }
        let begin = out.bytes.len();
        let first = log.position_of(after + 1);
        let taken = log.read_batch(after, RUN_BYTES_MAX, &mut out.bytes);
        let last = taken.and_then(|taken| log.position_of(taken)).unwrap_or(last);
        self.written = last;
        // Without one the log is now shorter than what was written: what comes next replaces that.
        let Some(first) = first else { return Ok(()) };
        let end = out.bytes.len();
        let must_sync =
            self.awaits_sync.is_some() || must_sync(&out.bytes[begin..end], synced_maps);
        out.parts.push(part(written, What::Entries { first, last, begin, end, must_sync }));
        Ok(())
    }

    /// A part is in the log. Says when what it has counts; nothing does of one that has no entries.
    #[inline]
    pub fn was_written(&mut self, part: &Part) -> Option<Counts> {
        let What::Entries { last, must_sync, .. } = part.what else { return None };
        if must_sync {
            self.awaits_sync = Some(last);
            return Some(Counts::WhenSynced(last));
        }
        self.persisted = last;
        Some(Counts::Now(last))
    }

    /// The disk did not take a part: it is to be written again.
    pub fn was_not_written(&mut self, part: &Part) {
        match part.what {
            What::Reset { before } => self.void_for = before,
            What::Entries { .. } => self.written = part.before,
        }
    }

    /// What waited for a sync is synced up to here, and counts. Until nothing waits, later entries wait too.
    pub fn synced(&mut self, position: LogPosition) {
        if self.awaits_sync == Some(position) {
            self.awaits_sync = None;
        }
        self.persisted = position;
    }
}

#[cfg(test)]
#[path = "on_disk_test.rs"]
mod tests;
