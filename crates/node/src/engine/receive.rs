//! Messages of another node reach their replicas, in windows like requests (see `execute`): all slots of a window are locked
//! in ascending order, what the window will touch is asked for, and then the messages are taken one by one. The order of
//! messages holds within a partition.

use isogrid_core::{PartitionId, Replica as Name};
use isogrid_replica::Event;
use parking_lot::MutexGuard;

use super::execute::WINDOW;
use super::slot::{Place, Slot};
use super::{Engine, Partitions, ahead};
use crate::clock;
use crate::peers::message::LinkMessage;

/// A message by its partition and its place in its batch: sorts as they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Addressed {
    pub(super) partition: PartitionId,
    pub(super) index: u32,
}

impl Engine {
    /// Messages of another node's life, in their order.
    pub(crate) fn receive(&self, core: usize, from: &Name, mut batch: Vec<LinkMessage>) {
        let Some(partitions) = self.partitions.get() else { return };
        self.received[core].note(&batch);
        for message in &batch {
            match message {
                LinkMessage::Beat { to, beat } => self.vouch(core, from, *to, beat.clone()),
                LinkMessage::BeatAck { to, ack } => self.vouched(core, from, *to, ack),
                LinkMessage::Directive(directive) => self.direct(core, directive),
                // For replicas, which are next, or not for the engine.
                LinkMessage::Replica { .. }
                | LinkMessage::Traced { .. }
                | LinkMessage::News(_)
                | LinkMessage::Ping => {}
            }
        }
        let order = by_partition(&batch, partitions.cells.len());
        let mut guards = Vec::with_capacity(WINDOW);
        for window in order.chunks(WINDOW) {
            self.receive_window(core, from, (partitions, &mut batch, window), &mut guards);
        }
        self.wire.flush(core);
    }

    fn receive_window<'e>(
        &'e self,
        core: usize,
        from: &Name,
        (partitions, batch, window): (&'e Partitions, &mut [LinkMessage], &[Addressed]),
        guards: &mut Vec<MutexGuard<'e, Slot>>,
    ) {
        let mut slot_of = [0u8; WINDOW];
        let mut last = None;
        ahead::slots(partitions, window.iter().map(|message| message.partition));
        for (slot, message) in slot_of.iter_mut().zip(window) {
            if last != Some(message.partition) {
                guards.push(partitions.cells[usize::from(message.partition.0)].0.lock());
                last = Some(message.partition);
            }
            *slot = guards.len() as u8 - 1;
        }
        if window.len() > 1 {
            ahead::unapplied(batch, window, &slot_of, guards);
        }
        let now = clock::both();
        for (slot, &Addressed { partition, index }) in slot_of.iter().zip(window) {
            let message = std::mem::replace(&mut batch[index as usize], LinkMessage::Ping);
            let Some(held) = &mut guards[usize::from(*slot)].held else { continue };
            match message {
                LinkMessage::Replica { to, message, .. } => {
                    let traced = (!held.marks.is_empty()).then(clock::unix_ns);
                    let place = Place { engine: self, core, partition, now };
                    held.step(place, Event::Receive { from, to, message }, None);
                    if let Some(began_ns) = traced {
                        self.trace_entries(partition, held, began_ns);
                    }
                }
                LinkMessage::Traced { to, mark, .. }
                    if to == self.own.incarnation && self.tracer.is_on() =>
                {
                    held.marks.expect(mark);
                }
                _ => {}
            }
        }
        let mut partition_of = [PartitionId(0); WINDOW];
        for (slot, message) in slot_of.iter().zip(window) {
            partition_of[usize::from(*slot)] = message.partition;
        }
        self.persist((core, now), guards, &partition_of, None);
        for (mut slot, partition) in guards.drain(..).zip(partition_of) {
            self.count(partition, &mut slot);
        }
    }
}

/// The messages for replicas, as they are taken: partition by partition, those of one in the order in which they were sent. A
/// partition that does not exist gets none.
fn by_partition(batch: &[LinkMessage], partitions: usize) -> Vec<Addressed> {
    let addressed = |(index, message): (usize, &LinkMessage)| match message {
        LinkMessage::Replica { partition, .. } | LinkMessage::Traced { partition, .. }
            if usize::from(partition.0) < partitions =>
        {
            Some(Addressed { partition: *partition, index: index as u32 })
        }
        _ => None,
    };
    let mut order: Vec<Addressed> = batch.iter().enumerate().filter_map(addressed).collect();
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use isogrid_core::{Epoch, Incarnation};
    use isogrid_replica::Message;

    fn message(partition: u16) -> LinkMessage {
        LinkMessage::Replica {
            partition: PartitionId(partition),
            to: Incarnation(1),
            message: Message::Refused { promised: Epoch(1) },
        }
    }

    #[test]
    fn messages_of_one_partition_keep_their_order() {
        let batch = [message(2), message(1), LinkMessage::Ping, message(2), message(9), message(1)];
        let order: Vec<(u16, u32)> =
            by_partition(&batch, 4).iter().map(|one| (one.partition.0, one.index)).collect();
        assert_eq!(order, [(1, 1), (1, 5), (2, 0), (2, 3)], "and there is no partition 9");
    }
}
