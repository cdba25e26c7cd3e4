//! How large maps and their indexes are in what this node leads.

use isogrid_core::{MapId, PartitionId};

use super::Engine;
use super::slot::SlotCell;
use crate::report::IndexReport;

impl Engine {
    /// The entries and bytes of a map, counted partition by partition, of the partitions that this node leads.
    pub(crate) fn map_size(&self, map: MapId) -> (u64, u64) {
        let Some(partitions) = self.partitions.get() else { return (0, 0) };
        let size = |(_, cell): (PartitionId, &SlotCell)| {
            let slot = cell.0.lock();
            let held = slot.held.as_ref().filter(|held| held.replica.is_open());
            held.map_or((0, 0), |held| {
                let store = held.replica.store();
                (store.entries(map) as u64, store.bytes(map) as u64)
            })
        };
        partitions.iter().map(size).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// How the indexes of a map stand in the partitions that this node leads.
    pub(crate) fn index_states(&self, map: MapId) -> Vec<IndexReport> {
        let mut sums: Vec<IndexReport> = Vec::new();
        let states = self.each(|_, cell| {
            let slot = cell.0.lock();
            let held = slot.held.as_ref().filter(|held| held.replica.is_open())?;
            Some(held.replica.store().index_states(map))
        });
        for state in states.into_iter().flatten() {
            let place = sums.iter().position(|sum| sum.name == state.name).unwrap_or_else(|| {
                sums.push(IndexReport { name: state.name.clone(), ..IndexReport::default() });
                sums.len() - 1
            });
            let sum = &mut sums[place];
            sum.entries += state.entries;
            sum.bytes += state.bytes;
            sum.built += state.built;
            sum.records += state.records;
        }
        sums
    }
}
