//! [`Needs`]: from which segment on each partition needs the log. The log keeps what one of them needs, and images of those that
//! need its oldest segment let it keep less.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::PartitionId;
use isogrid_wal::{Disk, NodeLog, SnapshotInfo};

/// Partitions, with the segment from which on each needs the log, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs(Vec<(PartitionId, u64)>);

impl Needs {
    /// What these partitions need, which have these snapshots.
    pub fn of<D: Disk>(
        partitions: impl IntoIterator<Item = PartitionId>,
        log: &NodeLog<D>,
        snapshots: &BTreeMap<PartitionId, SnapshotInfo>,
    ) -> Self {
        let needs = |partition: PartitionId| match snapshots.get(&partition) {
            Some(snapshot) => snapshot.replay_from.segment,
            None => log.replay_from(partition, 0).segment,
        };
        let mut all: Vec<_> = partitions.into_iter().map(|one| (one, needs(one))).collect();
        all.sort_by_key(|(partition, segment)| (*segment, *partition));
        Needs(all)
    }

    /// The first segment that must stay. `written` is the one that the log wrote to before the partitions were listed: one that
    /// is opened meanwhile needs what is written from then on.
    pub fn first_kept(&self, written: u64) -> u64 {
        self.0.first().map_or(written, |(_, oldest)| written.min(*oldest))
    }

    /// Those that need the oldest segment and are none of these: an image of each is tried once.
    pub fn of_oldest(&self, tried: &BTreeSet<PartitionId>) -> impl Iterator<Item = PartitionId> {
        let oldest = self.0.first().map_or(0, |(_, segment)| *segment);
        let of_oldest = self.0.iter().take_while(move |(_, segment)| *segment == oldest);
        of_oldest.map(|(partition, _)| *partition).filter(|one| !tried.contains(one))
    }
}

#[cfg(test)]
#[path = "needs_test.rs"]
mod tests;
