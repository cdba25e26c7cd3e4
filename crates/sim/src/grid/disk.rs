//! [`Disk`]: what a simulated node keeps when its process ends: an image of each partition and the log's entries after it,
//! and which lives used it. Writes take time; the power may fail before they are synced.

use std::collections::BTreeMap;

use isogrid_cluster::StorageId;
use isogrid_core::{Incarnation, LogPosition, PartitionId};
use isogrid_replica::image::Image;

/// One partition on disk.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The data at one position.
    pub image: Image,
    /// The entries after it.
    entries: Vec<(LogPosition, Vec<u8>)>,
    /// How many of the entries are synced.
    synced: usize,
}

impl Saved {
    /// The entries' bytes.
    pub fn log(&self) -> Vec<u8> {
        self.entries.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }

    /// The last position on disk.
    pub fn last(&self) -> LogPosition {
        self.entries.last().map_or(self.image.position, |(position, _)| *position)
    }

    /// Writes entries; what stood there from the first one's number on is gone.
    fn write(&mut self, entries: &[(LogPosition, Vec<u8>)], is_synced: bool) {
        let Some((first, _)) = entries.first() else { return };
        let base = self.image.position.seq;
        let entries = entries.iter().filter(|(position, _)| position.seq > base);
        if first.seq <= self.last().seq {
            let keep = first.seq.saturating_sub(base + 1) as usize;
            self.entries.truncate(keep);
            self.synced = self.synced.min(keep);
        }
        for entry in entries {
            if entry.0.seq == self.last().seq + 1 {
                self.entries.push(entry.clone());
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
        let drop = (covered as usize).min(self.entries.len());
        self.entries.drain(..drop);
        self.synced = self.synced.saturating_sub(drop);
        self.image = image;
    }
}

/// What a node keeps when its process ends.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The storage.
    pub id: StorageId,
    /// Which lives used it.
    pub incarnations: Vec<Incarnation>,
    /// The partitions.
    pub partitions: BTreeMap<PartitionId, Saved>,
    /// Whether writes are synced before they count.
    pub syncs: bool,
}

impl Disk {
    /// An empty disk.
    pub fn new(id: StorageId, syncs: bool) -> Self {
        Disk { id, incarnations: Vec::new(), partitions: BTreeMap::new(), syncs }
    }

    /// Writes entries of a partition.
    pub fn write(&mut self, partition: PartitionId, entries: &[(LogPosition, Vec<u8>)]) {
        let syncs = self.syncs;
        self.partitions.entry(partition).or_default().write(entries, syncs);
    }

    /// Puts an image of a partition; a snapshot is synced before it counts.
    pub fn put_image(&mut self, partition: PartitionId, image: Image) {
        self.partitions.entry(partition).or_default().put_image(image);
    }

    /// What is on disk of this partition says nothing any more.
    pub fn forget(&mut self, partition: PartitionId) {
        self.partitions.remove(&partition);
    }

    /// The power fails: what is not synced is gone, all of it or a part.
    pub fn lose_unsynced(&mut self, mut keep: impl FnMut(usize) -> usize) {
        for saved in self.partitions.values_mut() {
            let unsynced = saved.entries.len() - saved.synced;
            let kept = keep(unsynced).min(unsynced);
            saved.entries.truncate(saved.synced + kept);
        }
    }
}
