//! Asks for memory ahead: one step of the way for all operations or messages of a window, then the next. See
//! [`Replica::prefetch_parts`].

use isogrid_core::{MapId, PartitionId};
use isogrid_replica::Replica;
use isogrid_store::{KeyHash, Step, prefetch_all};
use parking_lot::MutexGuard;

use super::Partitions;
use super::batch::{Batch, Routed};
use super::execute::{WINDOW, index_of};
use super::receive::Addressed;
use super::slot::Slot;
use crate::peers::message::LinkMessage;

/// How many records of a window of messages are asked for.
const RECORDS_MAX: usize = 2 * WINDOW;

/// Asks for the slots of a window, which comes in the order of its partitions.
#[inline]
pub(super) fn slots(partitions: &Partitions, window: impl Iterator<Item = PartitionId>) {
    let mut last = None;
    for partition in window {
        if last != Some(partition) {
            prefetch_all(&partitions.cells[usize::from(partition.0)]);
            last = Some(partition);
        }
    }
}

/// Asks for everything that operations will touch, from the slots, which are near by now, to the records.
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
    if batch.may_change {
        each(&|replica, _| replica.prefetch_parts());
        each(&|replica, _| replica.prefetch_ends());
    }
    for next in Step::ALL {
        each(&|replica, op| replica.store().prefetch(next, op.map, op.hash));
    }
}

/// Asks for everything that messages will touch, from the slots, which are near by now, to the records that they let backups
/// write.
pub(super) fn unapplied(
    batch: &[LinkMessage],
    window: &[Addressed],
    slot_of: &[u8; WINDOW],
    guards: &[MutexGuard<'_, Slot>],
) {
    let each = |step: &mut dyn FnMut(&Replica, &LinkMessage)| {
        for (message, &slot) in window.iter().zip(slot_of) {
            if let Some(held) = &guards[usize::from(slot)].held {
                step(&held.replica, &batch[message.index as usize]);
            }
        }
    };
    each(&mut |replica, _| replica.prefetch_parts());
    each(&mut |replica, _| replica.prefetch_ends());
    let mut records: [Option<(&Replica, MapId, KeyHash)>; RECORDS_MAX] = [None; RECORDS_MAX];
    let mut found = 0;
    let mut seen = (PartitionId(0), 0);
    for (addressed, &slot) in window.iter().zip(slot_of) {
        let LinkMessage::Replica { message, .. } = &batch[addressed.index as usize] else {
            continue;
        };
        let Some(held) = &guards[usize::from(slot)].held else { continue };
        if seen.0 != addressed.partition {
            seen = (addressed.partition, 0);
        }
        seen.1 = held.replica.upcoming(message, seen.1, |map, hash| {
            if let Some(record) = records.get_mut(found) {
                *record = Some((&held.replica, map, hash));
                found += 1;
            }
        });
    }
    for next in Step::ALL {
        for &(replica, map, hash) in records[..found].iter().flatten() {
            replica.store().prefetch(next, map, hash);
        }
    }
}
