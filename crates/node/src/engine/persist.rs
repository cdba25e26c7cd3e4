//! From the logs of the replicas to the disk: what a window of steps appended is written with one write, and then the replicas
//! hear that it counts (rule R8), at once or when it is synced. What is written and when it counts is decided by
//! [`OnDisk`](isogrid_persist::OnDisk); here are the locks and the steps.

use std::collections::BTreeMap;
use std::ops::DerefMut;
use std::sync::Arc;

use isogrid_core::{LogPosition, PartitionId};
use isogrid_persist::{Counts, Part, Unwritten};
use isogrid_replica::{Event, Now};
use parking_lot::RwLock;

use super::Engine;
use super::hands::Replies;
use super::slot::{Held, Place, Slot};
use crate::clock;
use crate::storage::Storage;

/// The core whose lanes carry what replicas say when the disk has news.
const CORE: usize = 0;

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
                    held.on_disk.was_not_written(part);
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
                held.on_disk.synced(position);
                held.step(place, Event::Persisted(position), None);
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
        if self.on_disk.unwritten(&self.replica, slot, synced_maps, out).is_err() {
            self.step(place, Event::DiskVoided, None);
        }
    }

    fn was_written(
        &mut self,
        (place, storage): (Place<'_>, &Storage),
        part: &Part,
        present: Option<&mut dyn Replies>,
    ) {
        match self.on_disk.was_written(part) {
            Some(Counts::Now(last)) => self.step(place, Event::Persisted(last), present),
            Some(Counts::WhenSynced(last)) => storage.sync_later(part.partition, last),
            None => {}
        }
    }
}
