//! What a process wanted done is done: messages are sent, clients answered, disks written to, the council asked.

use std::time::Duration;

use isogrid_cluster::Command;
use isogrid_cluster::council::{Change, ChangeKind};
use isogrid_core::{MapId, PartitionId, Replica, TableVersion};
use isogrid_replica::{Message, Proposal, ProposedChange, Receipt, Ticket};

use super::{Event, World};
use crate::grid::packet::{Answer, Answered, Packet};
use crate::grid::process::{InFlight, Wishes};
use crate::grid::workload::LOOSE;
use crate::network::{Envelope, NodeIndex};
use crate::time::SimTime;

impl World {
    /// Sends what a step of a process asked for.
    pub(crate) fn carry_out(&mut self, node: NodeIndex, mut wishes: Wishes, at: SimTime) {
        if !self.persist(node, &mut wishes, at) {
            return;
        }
        for (to, packet) in wishes.packets {
            self.send(node, to, packet, at);
        }
        for (partition, hands) in wishes.hands {
            self.touched.insert((node, partition));
            for notice in &hands.notices {
                self.notice(node, partition, notice, at);
            }
            self.carry_messages(node, partition, hands.messages, at);
            for proposal in hands.proposals {
                self.propose_change(node, proposal, at);
            }
            for (ticket, answered, receipt) in hands.answers {
                if let Some(receipt) = receipt
                    && let Some(map) = self.map_of(node, ticket).filter(|map| *map != LOOSE)
                {
                    self.acknowledge(map, receipt);
                }
                self.answer(node, ticket, answered, at);
            }
        }
    }

    fn carry_messages(
        &mut self,
        node: NodeIndex,
        partition: PartitionId,
        messages: Vec<(Replica, Message)>,
        at: SimTime,
    ) {
        let me = self.machines.get(&node).and_then(|machine| machine.process.as_ref());
        let Some(from) = me.map(|process| process.me.clone()) else { return };
        for (to, message) in messages {
            let Some(index) = self.names.get(&to.node).copied() else { continue };
            let packet =
                Packet::Replica { partition, from: from.clone(), to: to.incarnation, message };
            self.send(node, index, packet, at);
        }
    }

    pub(crate) fn send(&mut self, from: NodeIndex, to: NodeIndex, payload: Packet, at: SimTime) {
        if from == to {
            self.queue
                .push(at, Event::Arrive(Envelope { from, to, sent_at: at, bytes: 0, payload }));
            return;
        }
        let slow = self.machines.get(&from).map_or(1, |machine| machine.slow);
        let sent_at = at + Duration::from_micros(100) * (slow - 1);
        let bytes = payload.bytes();
        let queue = &mut self.queue;
        let envelope = Envelope { from, to, sent_at, bytes, payload };
        self.network.send(envelope, &mut |arrival, envelope| {
            queue.push(arrival, Event::Arrive(envelope));
        });
    }

    /// The map that a request in flight is for.
    fn map_of(&self, node: NodeIndex, ticket: Ticket) -> Option<MapId> {
        let process = self.machines.get(&node).and_then(|machine| machine.process.as_ref());
        Some(process?.in_flight.get(&ticket)?.ask.map)
    }

    /// A write is acknowledged, of a map whose writes are acknowledged by all who are in sync.
    fn acknowledge(&mut self, map: MapId, receipt: Receipt) {
        let covered = self.lost_before.get(&receipt.partition);
        if covered.is_some_and(|epoch| receipt.position.epoch < *epoch) {
            return;
        }
        let is_synced = self.drawn.storage.synced_maps().get(map.0 as usize) == Some(&Some(true));
        for acked in [Some(&mut self.acked), is_synced.then_some(&mut self.acked_synced)] {
            let Some(acked) = acked else { continue };
            let newest = acked.entry(receipt.partition).or_insert(receipt.position);
            *newest = receipt.position.max(*newest);
        }
    }

    fn answer(&mut self, node: NodeIndex, ticket: Ticket, what: Answered, at: SimTime) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        let Some(process) = machine.process.as_mut() else { return };
        let Some(InFlight { client, ask }) = process.in_flight.remove(&ticket) else { return };
        let is_refused = matches!(what, Answered::Refused(_));
        let table = is_refused.then(|| process.table.delta_since(TableVersion(0)));
        let answer = Answer { attempt: ask.attempt, what, table };
        self.send(node, client, Packet::Answer(answer), at);
    }

    fn propose_change(&mut self, node: NodeIndex, proposal: Proposal, at: SimTime) {
        let kind = match proposal.change {
            ProposedChange::Add(replica) => ChangeKind::AddMember(replica),
            ProposedChange::Remove(replica) => ChangeKind::RemoveMember(replica),
            ProposedChange::HandOver(to) => ChangeKind::Handover { to },
        };
        let (partition, epoch, ver) = (proposal.partition, proposal.epoch, proposal.ver);
        let change = Change { partition, epoch, ver, kind };
        self.propose(node, Command::Changes(vec![change]), at);
    }

    /// Sends a command to whom this node believes to lead the council.
    pub(crate) fn propose(&mut self, node: NodeIndex, command: Command, at: SimTime) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        let process = self.machines.get_mut(&node).and_then(|machine| machine.process.as_mut());
        let Some(process) = process else { return ticket };
        let leader = process.detour.take().unwrap_or(process.leader.1);
        self.send(node, leader, Packet::Propose { ticket, command }, at);
        ticket
    }
}
