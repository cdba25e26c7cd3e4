//! From the logs of the replicas to the disk: what a window of steps appended is written with one write, and then the replicas
//! hear that it counts (rule R8), at once or when it is synced.

use std::collections::BTreeMap;
use std::ops::DerefMut;
use std::sync::Arc;

use isogrid_core::{Effect, LogPosition, MapId, PartitionId};
use isogrid_replica::entry::Entries;
use isogrid_replica::{Event, Now};
use parking_lot::RwLock;

use super::Engine;
use super::hands::Replies;
use super::slot::{Held, Place, Slot};
use crate::clock;
use crate::storage::Storage;
use crate::storage::unwritten::{Part, Unwritten, What};

/// The core whose lanes carry what replicas say when the disk has news.
const CORE: usize = 0;

/// The most bytes of entries in one record of the log.
const RUN_BYTES_MAX: usize = 4 << 20;

/// Of which maps writes count only when they are synced, by their numbers; `None` for a number without a map.
#[derive(Default)]
pub(super) struct SyncedMaps(RwLock<Arc<[Option<bool>]>>);

impl SyncedMaps {
    pub(super) fn set(&self, maps: Vec<Option<bool>>) {
        *self.0.write() = maps.into();
    }

    fn get(&self) -> Arc<[Option<bool>]> {
        Arc::clone(&self.0.read())
    }
}

/// What is on disk of a replica, as far as was written.
#[derive(Debug, Default)]
pub(super) struct OnDisk {
    /// Up to where the log was written.
    pub(super) written: LogPosition,
    /// For which of the times that the disk became worthless this is in the log.
    pub(super) void_for: u32,
    /// For which of these times an image is being taken, so that entries are written for it.
    pub(super) begun_for: Option<u32>,
    /// Up to where the replica last heard that it counts.
    pub(super) persisted: LogPosition,
    /// Up to where a sync is waited for.
    awaits_sync: Option<LogPosition>,
}

impl Engine {
    /// Writes what the replicas of these slots have appended, and tells them.
    pub(super) fn persist<S: DerefMut<Target = Slot>>(
        &self,
        (core, now): (usize, Now),
        slots: &mut [S],
        partition_of: &[PartitionId],
        mut present: Option<&mut dyn Replies>,
    ) {
        let Some(storage) = self.storage.as_ref().filter(|storage| storage.may_try(now)) else {
            return;
        };
        let synced_maps = self.synced_maps.get();
        // What a replica hears may let it append more.
        loop {
            let mut unwritten = Unwritten::default();
            for (index, (slot, partition)) in slots.iter_mut().zip(partition_of).enumerate() {
                let place = Place { engine: self, core, partition: *partition, now };
                if let Some(held) = &mut slot.held {
                    held.unwritten((place, index), &synced_maps, &mut unwritten);
                }
            }
            if unwritten.is_empty() {
                return;
            }
            let is_written = storage.append(&unwritten, now).is_ok();
            for part in &unwritten.parts {
                let Some(held) = &mut slots[part.slot].held else { continue };
                if is_written {
                    let place = Place { engine: self, core, partition: part.partition, now };
                    let present =
                        present.as_mut().map(|replies| &mut **replies as &mut dyn Replies);
                    held.was_written((place, storage), part, present);
                } else {
                    held.was_not_written(part);
                }
            }
            if !is_written {
                return;
            }
        }
    }

    /// The same for one slot, outside of a batch.
    pub(super) fn persist_one(&self, core: usize, partition: PartitionId, slot: &mut Slot) {
        if self.storage.is_some() {
            self.persist((core, clock::both()), &mut [slot], &[partition], None);
        }
    }

    /// Entries are synced.
    pub(crate) fn synced(&self, up_to: &BTreeMap<PartitionId, LogPosition>) {
        let Some(partitions) = self.partitions.get() else { return };
        for (&partition, &position) in up_to {
            let mut slot = partitions.cells[usize::from(partition.0)].0.lock();
            let place = Place { engine: self, core: CORE, partition, now: clock::both() };
            if let Some(held) = &mut slot.held {
                if held.on_disk.awaits_sync == Some(position) {
                    held.on_disk.awaits_sync = None;
                }
                held.persisted(place, position, None);
            }
            self.persist_one(CORE, partition, &mut slot);
            self.count(partition, &mut slot);
        }
        self.wire.flush(CORE);
    }
}

impl Held {
    /// Adds what is not on its way to the disk yet.
    #[inline]
    fn unwritten(
        &mut self,
        (place, slot): (Place<'_>, usize),
        synced_maps: &[Option<bool>],
        out: &mut Unwritten,
    ) {
        let part =
            |what| Part { partition: place.partition, slot, before: LogPosition::START, what };
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
            return self.step(place, Event::DiskVoided, None);
        }
        let begin = out.bytes.len();
        let first = log.position_of(after + 1);
        let taken = log.read_batch(after, RUN_BYTES_MAX, &mut out.bytes);
        let last = taken.and_then(|taken| log.position_of(taken)).unwrap_or(last);
        let Some(first) = first else {
            // The log is now shorter than what was written: what comes next replaces that.
            self.on_disk.written = last;
            return;
        };
        let end = out.bytes.len();
        let must_sync =
            self.on_disk.awaits_sync.is_some() || must_sync(&out.bytes[begin..end], synced_maps);
        let what = What::Entries { first, last, begin, end, must_sync };
        out.parts.push(Part { before: written, ..part(what) });
        self.on_disk.written = last;
    }

    fn was_written(
        &mut self,
        (place, storage): (Place<'_>, &Storage),
        part: &Part,
        present: Option<&mut dyn Replies>,
    ) {
        let What::Entries { last, must_sync, .. } = part.what else { return };
        if must_sync {
            self.on_disk.awaits_sync = Some(last);
            storage.sync_later(part.partition, last);
        } else {
            self.persisted(place, last, present);
        }
    }

    fn persisted(
        &mut self,
        place: Place<'_>,
        position: LogPosition,
        present: Option<&mut dyn Replies>,
    ) {
        self.on_disk.persisted = position;
        self.step(place, Event::Persisted(position), present);
    }

    fn was_not_written(&mut self, part: &Part) {
        match part.what {
            What::Reset { before } => self.on_disk.void_for = before,
            What::Entries { .. } => self.on_disk.written = part.before,
        }
    }
}

/// Whether one of these entries counts only when it is synced. Of a map that is not known here yet it does.
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

#[cfg(test)]
mod tests {
    use isogrid_core::Hlc;
    use isogrid_replica::entry::{Answer, Entry};

    use super::*;

    fn entry(effect: Effect<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (position, hlc) = (LogPosition::new(1, 1), Hlc::default());
        Entry { position, hlc, request: None, answer: Answer::None, effect }.encode(&mut bytes);
        bytes
    }

    #[test]
    fn what_may_be_of_a_synced_map_is_synced() {
        let put =
            |map| entry(Effect::Put { map: MapId(map), key: b"k", value: b"v", expires_at: None });
        let maps = [Some(false), Some(true), None];
        assert!(!must_sync(&put(0), &maps));
        assert!(must_sync(&put(1), &maps));
        assert!(must_sync(&put(2), &maps), "a map that is not known yet");
        assert!(must_sync(&put(9), &maps), "nor this one");
        let rename = |map| {
            let (map, from, to, value) = (MapId(map), b"a", b"b", b"v");
            entry(Effect::Rename { map, from, to, value, expires_at: None })
        };
        assert!(!must_sync(&rename(0), &maps) && must_sync(&rename(1), &maps));
        let both = [put(0), put(1)].concat();
        assert!(must_sync(&both, &maps));
        let nothing = entry(Effect::Nothing);
        assert!(must_sync(&nothing, &maps));
        assert!(!must_sync(&nothing, &[Some(false)]));
    }
}
