//! What a process wanted done is done: messages are sent, clients answered, disks written to, the council asked.

use std::time::Duration;

use isogrid_cluster::Command;
use isogrid_cluster::council::{Change, ChangeKind};
use isogrid_core::{PartitionId, Replica, TableVersion};
use isogrid_replica::{Message, Proposal, ProposedChange, Receipt, Ticket};

use super::{Event, World};
use crate::grid::options::Storage;
use crate::grid::packet::{Answer, Answered, Packet};
use crate::grid::process::{InFlight, Wishes};
use crate::grid::workload::LOOSE;
use crate::network::{Envelope, NodeIndex};
use crate::time::SimTime;

impl World {
    /// Sends what a step of a process asked for.
    pub(crate) fn carry_out(&mut self, node: NodeIndex, wishes: Wishes, at: SimTime) {
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
                    && !self.is_loose(node, ticket)
                {
                    self.acknowledge(receipt);
                }
                self.answer(node, ticket, answered, at);
            }
        }
        let Some(machine) = self.machines.get_mut(&node) else { return };
        let life = machine.life;
        for partition in wishes.forgotten {
            if let Some(disk) = machine.disk_mut() {
                disk.forget(partition);
            }
        }
        for (partition, entries) in wishes.writes {
            let base = if self.drawn.storage == Storage::Synced { 800 } else { 50 };
            let micros = machine.random.within(base..=base * 3) * u64::from(machine.slow_disk);
            // A disk writes in order.
            let done = (at + Duration::from_micros(micros)).max(machine.disk_busy_until);
            machine.disk_busy_until = done;
            self.queue.push(done, Event::Written(node, life, partition, entries));
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

    /// Whether a request is for the map whose writes the primary alone acknowledges: they promise nothing.
    fn is_loose(&self, node: NodeIndex, ticket: Ticket) -> bool {
        let process = self.machines.get(&node).and_then(|machine| machine.process.as_ref());
        let in_flight = process.and_then(|process| process.in_flight.get(&ticket));
        in_flight.is_none_or(|request| request.ask.map == LOOSE)
    }

    fn acknowledge(&mut self, receipt: Receipt) {
        let covered = self.lost_before.get(&receipt.partition);
        if covered.is_some_and(|epoch| receipt.position.epoch < *epoch) {
            return;
        }
        let newest = self.acked.entry(receipt.partition).or_insert(receipt.position);
        *newest = receipt.position.max(*newest);
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
