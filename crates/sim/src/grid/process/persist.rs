//! From the logs of the replicas to the disk: what a step appended is written with one write, and then the replicas hear that
//! it counts (rule R8), at once or when it is synced. The rules are the node's: [`OnDisk`].

use isogrid_core::PartitionId;
use isogrid_persist::{Counts, OnDisk, Part, Restored, Unwritten};
use isogrid_replica::{Event, Now};

use super::{Held, Process, Wishes};
use crate::grid::hands::Hands;
use crate::grid::storage::DataOnDisk;

impl Process {
    /// Takes in what the disk had, before anything is learned. Nothing of it takes part until a table says so.
    pub(crate) fn restore(&mut self, data: DataOnDisk, replicas: Vec<Restored>, now: Now) {
        self.data = Some(data);
        for Restored { partition, replica, is_damaged } in replicas {
            let mut held = Held::new(replica);
            held.closed_since = Some(super::millis(now));
            held.on_disk = OnDisk::of_recovered(&held.replica);
            if is_damaged {
                // What the disk has stays until an image takes its place.
                held.replica.step(Event::Damaged, now, &mut Hands::default());
                held.on_disk.keep_void(&held.replica);
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
            for (slot, held) in self.replicas.values_mut().enumerate() {
                let Held { replica, on_disk, .. } = held;
                if on_disk.unwritten(replica, slot, &self.synced_maps, &mut unwritten).is_err() {
                    replica.step(Event::DiskVoided, now, &mut Hands::default());
                }
            }
            if unwritten.is_empty() {
                return;
            }
            let is_written = data.append(&unwritten, now);
            for part in &unwritten.parts {
                let Some(held) = self.replicas.get_mut(&part.partition) else { continue };
                if is_written {
                    self.was_written(part, now, wishes);
                } else {
                    held.on_disk.was_not_written(part);
                }
            }
        }
    }

    fn was_written(&mut self, part: &Part, now: Now, wishes: &mut Wishes) {
        let partition = part.partition;
        let Some(held) = self.replicas.get_mut(&partition) else { return };
        match held.on_disk.was_written(part) {
            Some(Counts::Now(last)) => self.step(partition, Event::Persisted(last), now, wishes),
            Some(Counts::WhenSynced(last)) => {
                if let Some(data) = &mut self.data {
                    data.sync_later(partition, last);
                }
            }
            None => {}
        }
    }

    /// A sync is done: whoever waited for it hears of it.
    pub(crate) fn synced(&mut self, now: Now, wishes: &mut Wishes) {
        let Some(data) = &mut self.data else { return };
        for (partition, position) in data.end_sync() {
            if let Some(held) = self.replicas.get_mut(&partition) {
                held.on_disk.synced(position);
            }
            self.step(partition, Event::Persisted(position), now, wishes);
        }
    }

    /// Nothing on disk of a partition says anything any more.
    pub(super) fn forget(&mut self, partition: PartitionId) {
        self.replicas.remove(&partition);
        if let Some(data) = &mut self.data {
            data.forget(partition);
        }
    }
}
