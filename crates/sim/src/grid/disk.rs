//! [`Disk`]: what a simulated node keeps when its process ends: an image of each partition and the log's entries after it,
//! and which lives used it. Writes take time; the power may fail before they are synced.

use std::collections::BTreeMap;

use isogrid_cluster::StorageId;
use isogrid_core::{Incarnation, LogPosition, PartitionId};
use isogrid_replica::image::Image;

/// Entries of a log on their way to a disk.
pub(crate) type Entries = Vec<(LogPosition, Vec<u8>)>;

/// One partition on disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Saved {
    /// The data at one position.
    pub(crate) image: Image,
    /// The entries after it.
    entries: Vec<(LogPosition, Vec<u8>)>,
    /// How many of the entries are synced.
    synced: usize,
}

impl Saved {
    /// The entries' bytes.
    pub(crate) fn log(&self) -> Vec<u8> {
        self.entries.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }

    /// Writes entries; from the first one on that differs, what stood there is gone.
    fn write(&mut self, entries: &[(LogPosition, Vec<u8>)], is_synced: bool) {
        let base = self.image.position.seq;
        for (position, bytes) in entries.iter().filter(|(position, _)| position.seq > base) {
            let index = (position.seq - base - 1) as usize;
            if self.entries.get(index).is_some_and(|(there, _)| there == position) {
                continue;
            }
            self.entries.truncate(index);
            self.synced = self.synced.min(index);
            // Until a copy is whole its entries have nothing to follow; then they are written with its image.
            if self.entries.len() == index {
                self.entries.push((*position, bytes.clone()));
            }
        }
        if is_synced {
            self.synced = self.entries.len();
        }
    }

    /// Puts a newer image; entries up to it are not needed any more.
    fn put_image(&mut self, image: Image) {
        if image.position.seq < self.image.position.seq {
            return;
        }
        let covered = image.position.seq - self.image.position.seq;
        let is_other_history = self
            .entries
            .get((covered as usize).wrapping_sub(1))
            .is_some_and(|(position, _)| *position != image.position);
        if is_other_history {
            self.entries.clear();
        }
        let drop = (covered as usize).min(self.entries.len());
        self.entries.drain(..drop);
        self.synced = self.synced.saturating_sub(drop);
        self.image = image;
    }
}

/// What a node keeps when its process ends.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// The storage.
    pub(crate) id: StorageId,
    /// Which lives used it.
    pub(crate) incarnations: Vec<Incarnation>,
    /// The partitions.
    pub(crate) partitions: BTreeMap<PartitionId, Saved>,
    /// Whether writes are synced before they count.
    pub(crate) syncs: bool,
}

impl Disk {
    /// An empty disk.
    pub(crate) fn new(id: StorageId, syncs: bool) -> Self {
        Disk { id, incarnations: Vec::new(), partitions: BTreeMap::new(), syncs }
    }

    /// Writes entries of a partition.
    pub(crate) fn write(&mut self, partition: PartitionId, entries: &[(LogPosition, Vec<u8>)]) {
        let syncs = self.syncs;
        self.partitions.entry(partition).or_default().write(entries, syncs);
    }

    /// Puts an image of a partition; a snapshot is synced before it counts.
    pub(crate) fn put_image(&mut self, partition: PartitionId, image: Image) {
        self.partitions.entry(partition).or_default().put_image(image);
    }

    /// What is on disk of this partition says nothing any more.
    pub(crate) fn forget(&mut self, partition: PartitionId) {
        self.partitions.remove(&partition);
    }

    /// The power fails: what is not synced is gone, all of it or a part.
    pub(crate) fn lose_unsynced(&mut self, mut keep: impl FnMut(usize) -> usize) {
        for saved in self.partitions.values_mut() {
            let unsynced = saved.entries.len() - saved.synced;
            let kept = keep(unsynced).min(unsynced);
            saved.entries.truncate(saved.synced + kept);
        }
    }
}
