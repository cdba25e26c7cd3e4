//! Asks for the memory of a window ahead, one step of the way for all operations, then the next: see
//! [`Replica::prefetch_parts`](isogrid_replica::Replica::prefetch_parts).

use isogrid_replica::Replica;
use isogrid_store::prefetch_all;
use parking_lot::MutexGuard;

use super::Partitions;
use super::batch::{Batch, Routed};
use super::execute::{WINDOW, index_of};
use super::slot::Slot;

/// Asks for the slots of a window.
#[inline]
pub(super) fn slots(partitions: &Partitions, batch: &Batch<'_>, window: &[u32]) {
    let mut last = None;
    for &key in window {
        let partition = batch.ops[index_of(key)].partition;
        if last != Some(partition) {
            prefetch_all(&partitions.cells[usize::from(partition)]);
            last = Some(partition);
        }
    }
}

/// Asks for everything from the slots, which are near by now, to the records.
pub(super) fn records(
    batch: &Batch<'_>,
    window: &[u32],
    slot_of: &[u8; WINDOW],
    guards: &[MutexGuard<'_, Slot>],
) {
    let each = |step: &dyn Fn(&Replica, &Routed<'_>)| {
        for (&key, &slot) in window.iter().zip(slot_of) {
            if let Some(held) = &guards[usize::from(slot)].held {
                step(&held.replica, &batch.ops[index_of(key)]);
            }
        }
    };
    each(&|replica, op| replica.prefetch_parts(op.map));
    each(&|replica, op| replica.prefetch_ends(op.map));
    each(&|replica, op| replica.store().prefetch_directory(op.map, op.hash));
    each(&|replica, op| replica.store().prefetch_segment(op.map, op.hash));
    each(&|replica, op| replica.store().prefetch_bucket(op.map, op.hash));
    each(&|replica, op| replica.store().prefetch_record(op.map, op.hash));
}
