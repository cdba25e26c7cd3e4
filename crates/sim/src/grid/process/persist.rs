//! From the logs of the replicas to the disk: what a step appended is written with one write, and then the replicas hear that
//! it counts (rule R8), at once or when it is synced.

use isogrid_core::{Effect, LogPosition, MapId, PartitionId};
use isogrid_replica::entry::Entries;
use isogrid_replica::{Event, Now};

use super::{Held, Process, Wishes};
use crate::grid::hands::Hands;
use crate::grid::storage::DataOnDisk;
use crate::grid::storage::recover::Restored;
use crate::grid::storage::unwritten::{Part, Unwritten, What};

/// The most bytes of entries in one record of the log.
const RUN_BYTES_MAX: usize = 4 << 20;

/// What is on disk of a replica, as far as was written.
#[derive(Debug, Default)]
pub(crate) struct OnDisk {
    /// Up to where the log was written.
    pub(crate) written: LogPosition,
    /// For which of the times that the disk became worthless this is in the log.
    pub(crate) void_for: u32,
    /// For which of these times an image was begun, for which entries are written.
    pub(crate) begun_for: Option<u32>,
    /// Up to where the replica was told that the log is on disk.
    pub(crate) persisted: LogPosition,
    /// Up to where a sync is waited for.
    awaits_sync: Option<LogPosition>,
}

impl Process {
    /// Takes in what the disk had, before anything is learned. Nothing of it takes part until a table says so.
    pub(crate) fn restore(&mut self, data: DataOnDisk, replicas: Vec<Restored>, now: Now) {
        self.data = Some(data);
        for Restored { replica, is_damaged } in replicas {
            let partition = replica.store().id();
            let mut held = Held::new(replica);
            held.closed_since = Some(super::millis(now));
            held.on_disk.written = held.replica.log().last();
            if is_damaged {
                // What the disk has stays until an image takes its place.
                held.replica.step(Event::Damaged, now, &mut Hands::default());
                held.on_disk.void_for = held.replica.disk_voided();
            }
            self.replicas.insert(partition, held);
        }
    }

    /// Writes what the replicas have appended, and tells them.
    pub(crate) fn persist(&mut self, now: Now, wishes: &mut Wishes) {
        // What a replica hears may let it append more.
        loop {
            let Some(data) = self.data.as_mut().filter(|data| data.may_try(now)) else { return };
            let mut unwritten = Unwritten::default();
            for (partition, held) in &mut self.replicas {
                held.unwritten(*partition, &self.synced_maps, now, &mut unwritten);
            }
            if unwritten.parts.is_empty() {
                return;
            }
            let is_written = data.append(&unwritten, now);
            for part in &unwritten.parts {
                match part.what {
                    _ if !is_written => self.was_not_written(part),
                    What::Entries { last, must_sync: true, .. } => self.sync_later(part, last),
                    What::Entries { last, .. } => {
                        self.persisted(part.partition, last, now, wishes);
                    }
                    What::Reset { .. } => {}
                }
            }
        }
    }

    fn was_not_written(&mut self, part: &Part) {
        let Some(held) = self.replicas.get_mut(&part.partition) else { return };
        match part.what {
            What::Reset { before } => held.on_disk.void_for = before,
            What::Entries { .. } => held.on_disk.written = part.before,
        }
    }

    fn sync_later(&mut self, part: &Part, last: LogPosition) {
        let (Some(held), Some(data)) = (self.replicas.get_mut(&part.partition), &mut self.data)
        else {
            return;
        };
        held.on_disk.awaits_sync = Some(last);
        data.sync_later(part.partition, last);
    }

    /// A sync is done: whoever waited for it hears of it.
    pub(crate) fn synced(&mut self, now: Now, wishes: &mut Wishes) {
        let Some(data) = &mut self.data else { return };
        for (partition, position) in data.end_sync() {
            if let Some(held) = self.replicas.get_mut(&partition)
                && held.on_disk.awaits_sync == Some(position)
            {
                held.on_disk.awaits_sync = None;
            }
            self.persisted(partition, position, now, wishes);
        }
    }

    fn persisted(
        &mut self,
        partition: PartitionId,
        position: LogPosition,
        now: Now,
        wishes: &mut Wishes,
    ) {
        if let Some(held) = self.replicas.get_mut(&partition) {
            held.on_disk.persisted = position;
        }
        self.step(partition, Event::Persisted(position), now, wishes);
    }

    /// Nothing on disk of a partition says anything any more.
    pub(super) fn forget(&mut self, partition: PartitionId) {
        self.replicas.remove(&partition);
        if let Some(data) = &mut self.data {
            data.forget(partition);
        }
    }
}

impl Held {
    /// Adds what is not on its way to the disk yet.
    fn unwritten(
        &mut self,
        partition: PartitionId,
        synced_maps: &[Option<bool>],
        now: Now,
        out: &mut Unwritten,
    ) {
        let part = |what| Part { partition, before: LogPosition::START, what };
        let voided = self.replica.disk_voided();
        if self.replica.lacks_image() && self.on_disk.begun_for != Some(voided) {
            let before = std::mem::replace(&mut self.on_disk.void_for, voided);
            if before != voided {
                out.parts.push(part(What::Reset { before }));
            }
            return;
        }
        let (log, written) = (self.replica.log(), self.on_disk.written);
        let last = log.last();
        if last == written {
            return;
        }
        let is_same = log.position_of(written.seq) == Some(written);
        // What was cut off has other entries in its place; those that stand are written again, which does no harm.
        let after = if is_same { written.seq } else { log.base().seq };
        if after > written.seq {
            // The window waits for the disk, so this cannot be; if it were, nothing could follow there.
            return self.replica.step(Event::DiskVoided, now, &mut Hands::default());
        }
        let begin = out.bytes.len();
        let first = log.position_of(after + 1);
        let taken = log.read_batch(after, RUN_BYTES_MAX, &mut out.bytes);
        let last = taken.and_then(|taken| log.position_of(taken)).unwrap_or(last);
        self.on_disk.written = last;
        // Without one the log is now shorter than what was written: what comes next replaces that.
        let Some(first) = first else { return };
        let end = out.bytes.len();
        let must_sync =
            self.on_disk.awaits_sync.is_some() || must_sync(&out.bytes[begin..end], synced_maps);
        let what = What::Entries { first, last, begin, end, must_sync };
        out.parts.push(Part { before: written, ..part(what) });
    }
}

/// Whether one of these entries counts only when it is synced.
fn must_sync(entries: &[u8], synced_maps: &[Option<bool>]) -> bool {
    let is_synced = |map: MapId| synced_maps.get(map.0 as usize).copied().flatten().unwrap_or(true);
    Entries::new(entries).flatten().any(|encoded| match encoded.entry.effect {
        Effect::Put { map, .. }
        | Effect::Remove { map, .. }
        | Effect::Rename { map, .. }
        | Effect::Clear { map } => is_synced(map),
        // An answer without a change may be of any map.
        Effect::Nothing | Effect::EndSessions(_) => synced_maps.contains(&Some(true)),
    })
}
