//! What happens by the clock: ticks of replicas, gossip and heartbeats, clients that wake.

use std::time::Duration;

use isogrid_cluster::Command;
use isogrid_cluster::heartbeat::Contact;

use super::{EPOCH, Event, World};
use crate::grid::packet::Packet;
use crate::grid::process::{Wishes, millis};
use crate::network::NodeIndex;
use crate::time::SimTime;

/// So long ago a node was heard that is said to be dead.
const LONG_MS: u64 = 60_000;

impl World {
    pub(super) fn tick(&mut self, node: NodeIndex, life: u64, at: SimTime) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        if machine.life != life || machine.process.is_none() {
            return;
        }
        let slow = u64::from(machine.slow);
        self.queue.push(at + Duration::from_millis(20 * slow.min(8)), Event::Tick(node, life));
        if machine.pauses > 0 {
            return;
        }
        let now = machine.now(at);
        let mut wishes = Wishes::default();
        let Some(process) = machine.process.as_mut() else { return };
        process.tick(now, &mut wishes);
        process.reconcile(now, &mut wishes);
        let must_register = process.own.registered.is_none() || process.is_down;
        let is_due = must_register && millis(now) >= process.register_at;
        if is_due {
            process.register_at = millis(now).plus(200);
        }
        let report = process.positions(now);
        let me = process.me.clone();
        self.carry_out(node, wishes, at);
        if is_due && let Some(machine) = self.machines.get_mut(&node) {
            let (member, storage) = machine.proof();
            self.propose(node, Command::Register { member, storage }, at);
        }
        if let Some(positions) = report {
            let (node_id, incarnation) = (me.node, me.incarnation);
            let command = Command::ReportPositions { node: node_id, incarnation, positions };
            let ticket = self.propose(node, command, at);
            let machine = self.machines.get_mut(&node);
            if let Some(process) = machine.and_then(|machine| machine.process.as_mut()) {
                process.reports.push(ticket);
            }
        }
    }

    pub(super) fn gossip(&mut self, node: NodeIndex, life: u64, at: SimTime) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        if machine.life != life || machine.process.is_none() {
            return;
        }
        self.queue.push(at + Duration::from_millis(200), Event::Gossip(node, life));
        if machine.pauses > 0 {
            return;
        }
        let now = machine.now(at);
        // Real gossip reaches everybody within a few rounds; here it does so at once.
        let to: Vec<NodeIndex> =
            self.names.values().copied().filter(|other| *other != node).collect();
        let Some(process) = machine.process.as_mut() else { return };
        let mut wishes = Wishes::default();
        let (state, leader) = (process.gossip(now), process.leader);
        for other in to {
            let packet = Packet::Gossip { state: state.clone(), leader };
            wishes.packets.push((other, packet));
        }
        process.beats(&self.names, now, &mut wishes);
        let mut heartbeat = process.heartbeat(now);
        if let Some(lie) = machine.lie.as_ref().filter(|lie| lie.until > at) {
            heartbeat.heard.retain(|(other, _)| *other != lie.about);
            let contact = Contact::heard(if lie.is_alive { 0 } else { LONG_MS });
            heartbeat.heard.push((lie.about.clone(), contact));
        }
        wishes.packets.push((process.leader.1, Packet::Heartbeat(heartbeat)));
        self.carry_out(node, wishes, at);
    }

    pub(super) fn wake_client(&mut self, number: usize, at: SimTime) {
        let wait = self.random.within(5..=30);
        self.queue.push(at + Duration::from_millis(wait), Event::Client(number));
        let client = &mut self.clients[number];
        let from = client.index;
        let sent = client.wake(at, &mut self.history, (&self.names, EPOCH));
        for (to, ask) in sent {
            self.send(from, to, Packet::Ask(ask), at);
        }
    }
}
