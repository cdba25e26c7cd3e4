//! How faults of a schedule begin and end in a world.

use std::time::Duration;

use isogrid_cluster::Command;
use isogrid_cluster::council::Intent;
use isogrid_store::WalkCursor;

use super::disk::Folder;
use super::machine::Lie;
use super::packet::Packet;
use super::workload::LOOSE;
use super::world::{EPOCH, World};
use crate::faults::{DiskFate, Fault, Forgery};
use crate::network::NodeIndex;
use crate::random::Rate;
use crate::schedule::{Edge, Moment};
use crate::time::SimTime;

/// How long a lie is told.
const LIE: Duration = Duration::from_secs(3);

impl World {
    /// A fault begins or ends.
    pub(crate) fn fault(&mut self, moment: &Moment, at: SimTime) {
        let begins = moment.edge == Edge::Begin;
        let word = if begins { "begins" } else { "ends" };
        self.trace.note(at, None, "fault", &format!("{word}: {}", moment.fault));
        match &moment.fault {
            Fault::Network(disturbance) => {
                if begins {
                    let id = self.network.disturb(disturbance.clone());
                    self.disturbances.insert(moment.id, id);
                } else if let Some(id) = self.disturbances.remove(&moment.id) {
                    let queue = &mut self.queue;
                    self.network.calm(id, at, &mut |arrival, envelope| {
                        queue.push(arrival, super::world::Event::Arrive(envelope));
                    });
                }
            }
            Fault::Crash { node, disk } => self.crash_or_start(*node, *disk, begins),
            Fault::CrashAll { disk } => {
                if begins {
                    self.went_down.extend(self.council.council.table().iter().map(|(one, _)| one));
                }
                for node in self.machines.keys().copied().collect::<Vec<_>>() {
                    self.crash_or_start(node, *disk, begins);
                }
            }
            Fault::CrashCouncilLeader { disk } => {
                let leader = self.council.leader.map(|(leader, _)| leader);
                if begins && let Some(leader) = leader {
                    self.crash_somewhere(leader, *disk);
                } else {
                    self.start_all();
                }
            }
            Fault::Restart { node } => self.start(*node),
            Fault::Pause { node } => self.pause(*node, begins),
            Fault::Freeze { node } => {
                if let Some(machine) = self.machines.get_mut(node) {
                    if begins { machine.clock.freeze(at) } else { machine.clock.thaw(at) }
                }
                self.pause(*node, begins);
            }
            other => self.fault_of_clock(other, begins, at),
        }
    }

    fn fault_of_clock(&mut self, fault: &Fault, begins: bool, at: SimTime) {
        match fault {
            Fault::JumpClock { node, by } => {
                let Some(machine) = self.machines.get_mut(node) else { return };
                if begins {
                    machine.clock.jump_wall(*by, at);
                } else {
                    machine.clock.set_wall(EPOCH + at.elapsed(), at);
                }
            }
            Fault::DriftClock { node, ppm } => {
                if let Some(machine) = self.machines.get_mut(node) {
                    machine.clock.set_drift(if begins { *ppm } else { 0 }, at);
                }
            }
            Fault::SlowNode { node, factor } => {
                if let Some(machine) = self.machines.get_mut(node) {
                    machine.slow = if begins { *factor } else { 1 };
                }
            }
            Fault::SlowDisk { node, factor } => {
                if let Some(machine) = self.machines.get_mut(node) {
                    machine.slow_disk = if begins { *factor } else { 1 };
                }
            }
            Fault::FailDisk { node } => {
                if let Some(folder) = self.folder_mut(*node) {
                    folder.set_failing(begins);
                }
            }
            Fault::FillDisk { node } => {
                let Some(machine) = self.machines.get_mut(node) else { return };
                if let Some(folder) = &mut machine.folder {
                    folder.set_full(begins, &mut machine.random);
                }
            }
            Fault::FailSync { node } => {
                if let Some(folder) = self.folder_mut(*node) {
                    folder.fail_sync();
                }
            }
            Fault::FlipBit { node } => {
                let Some(machine) = self.machines.get_mut(node) else { return };
                let folder = machine.folder.as_mut();
                if let Some(place) = folder.and_then(|folder| folder.flip(&mut machine.random)) {
                    self.flips += 1;
                    self.trace.note(at, Some(*node), "flip", &place);
                }
            }
            other => self.fault_of_membership(other, begins, at),
        }
    }

    fn folder_mut(&mut self, node: NodeIndex) -> Option<&mut Folder> {
        self.machines.get_mut(&node)?.folder.as_mut()
    }

    fn fault_of_membership(&mut self, fault: &Fault, begins: bool, at: SimTime) {
        match fault {
            Fault::Join { node } => {
                let (storage, random) = (self.drawn.storage, self.random.fork("join"));
                let machine = super::machine::Machine::new(*node, storage, &random, at);
                self.names.insert(machine.name.clone(), *node);
                self.machines.insert(*node, machine);
                self.start(*node);
            }
            Fault::Leave { node } => self.want(*node, Intent::Leave, at),
            Fault::Drain { node } => {
                self.want(*node, if begins { Intent::Drain } else { Intent::Stay }, at);
            }
            Fault::ForgeGossip { about, forgery } => self.forge(*about, *forgery, at),
            Fault::CorruptRecord { node } => self.corrupt(*node, at),
            Fault::MemoryPressure { node, share } if begins => self.evict(*node, *share, at),
            _ => {}
        }
    }

    fn crash_or_start(&mut self, node: NodeIndex, disk: DiskFate, begins: bool) {
        if begins { self.crash_somewhere(node, disk) } else { self.start(node) }
    }

    pub(super) fn crash(&mut self, node: NodeIndex, disk: DiskFate) {
        if let Some(machine) = self.machines.get_mut(&node) {
            machine.crash(disk);
        }
        self.network.forget(node);
    }

    fn start_all(&mut self) {
        for node in self.machines.keys().copied().collect::<Vec<_>>() {
            self.start(node);
        }
    }

    fn pause(&mut self, node: NodeIndex, begins: bool) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        if begins {
            machine.pauses += 1;
        } else {
            machine.pauses = machine.pauses.saturating_sub(1);
            self.empty_inbox(node);
        }
    }

    /// A process that goes on reads what waited for it.
    fn empty_inbox(&mut self, node: NodeIndex) {
        let now = self.queue.now();
        let Some(machine) = self.machines.get_mut(&node).filter(|machine| machine.pauses == 0)
        else {
            return;
        };
        for (from, payload) in std::mem::take(&mut machine.inbox) {
            let envelope =
                crate::network::Envelope { from, to: node, sent_at: now, bytes: 0, payload };
            self.queue.push(now, super::world::Event::Arrive(envelope));
        }
    }

    /// An operator wants something of a node, and says it to any node that runs.
    pub(super) fn want(&mut self, node: NodeIndex, intent: Intent, at: SimTime) {
        let Some(name) = self.machines.get(&node).map(|machine| machine.name.clone()) else {
            return;
        };
        let command = Command::SetIntent { node: name, intent };
        let running = self.machines.values().filter(|machine| machine.is_running());
        let running: Vec<NodeIndex> = running.map(|machine| machine.index).collect();
        if let Some(through) = self.random.pick(&running).copied() {
            self.propose(through, command, at);
        }
    }

    /// Somebody says by gossip what is not true.
    fn forge(&mut self, about: NodeIndex, forgery: Forgery, at: SimTime) {
        if matches!(forgery, Forgery::DeadIsAlive | Forgery::AliveIsDead) {
            return self.slander(about, forgery == Forgery::DeadIsAlive, at);
        }
        let Some(machine) = self.machines.get(&about) else { return };
        let now = machine.now(at);
        let Some(process) = machine.process.as_ref() else { return };
        let mut state = process.gossip(now);
        match forgery {
            Forgery::OldIncarnation => state.incarnation.0 = state.incarnation.0.saturating_sub(1),
            Forgery::UnknownIncarnation => state.incarnation.0 += 100,
            Forgery::TableFromTheFuture => state.table.0 += 1_000,
            Forgery::DeadIsAlive | Forgery::AliveIsDead => return,
            Forgery::WrongOwner => state.table_hash ^= 1,
        }
        let leader = process.leader;
        for to in self.machines.keys().copied().collect::<Vec<_>>() {
            if to != about {
                let packet = Packet::Gossip { state: state.clone(), leader };
                self.send(about, to, packet, at);
            }
        }
    }

    /// One node tells the council's leader for a while that another, whatever it is, has just been heard, or not for long.
    fn slander(&mut self, about: NodeIndex, is_alive: bool, at: SimTime) {
        let others = self.machines.values().filter(|one| one.index != about && one.is_running());
        let others: Vec<NodeIndex> = others.map(|machine| machine.index).collect();
        let Some(name) = self.machines.get(&about).map(|machine| machine.name.clone()) else {
            return;
        };
        let Some(liar) = self.random.pick(&others).copied() else { return };
        if let Some(machine) = self.machines.get_mut(&liar) {
            machine.lie = Some(Lie { about: name, is_alive, until: at + LIE });
        }
    }

    /// A node has only this share of its memory: of the records that may go, its primaries evict the rest.
    fn evict(&mut self, node: NodeIndex, share: Rate, at: SimTime) {
        let Some(machine) = self.machines.get_mut(&node).filter(|machine| machine.is_running())
        else {
            return;
        };
        let now = machine.now(at);
        let Some(process) = machine.process.as_mut() else { return };
        let mut wishes = super::process::Wishes::default();
        for partition in process.replicas.keys().copied().collect::<Vec<_>>() {
            for map in [super::workload::EXPIRING, LOOSE] {
                let store = process.replicas[&partition].replica.store();
                let walked = store.walk(WalkCursor::default(), usize::MAX);
                let records = walked.records.iter().filter(|record| record.map == map);
                let evicted = records.filter(|_| !self.random.chance(share)).count();
                for _ in 0..evicted {
                    let event = isogrid_replica::Event::Evict { map };
                    process.step(partition, event, now, &mut wishes);
                }
            }
        }
        self.carry_out(node, wishes, at);
    }

    /// A backup loses a record of the map that nobody checks: until it is noticed, reads there are wrong, and whoever leads by
    /// then says what is right.
    fn corrupt(&mut self, node: NodeIndex, at: SimTime) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        let Some(process) = machine.process.as_mut() else { return };
        for (partition, held) in &mut process.replicas {
            let records = held.replica.store().walk(WalkCursor::default(), usize::MAX).records;
            let loose = records.iter().find(|record| record.map == LOOSE);
            let Some(key) = loose.map(|record| record.key.to_vec()) else { continue };
            let is_free = !self.corrupted.contains_key(partition);
            if is_free && held.replica.corrupt(LOOSE, &key) {
                self.corrupted.insert(*partition, node);
                self.trace.note(at, Some(node), "corrupt", &format!("p{}", partition.0));
                return;
            }
        }
    }

    /// All faults are over: what is still wrong is set right.
    pub(crate) fn heal(&mut self) {
        let now = self.queue.now();
        let queue = &mut self.queue;
        self.network.calm_all(now, &mut |arrival, envelope| {
            queue.push(arrival, super::world::Event::Arrive(envelope));
        });
        self.disturbances.clear();
        for machine in self.machines.values_mut() {
            machine.pauses = 0;
            machine.slow = 1;
            machine.slow_disk = 1;
            if let Some(folder) = &mut machine.folder {
                folder.heal();
            }
            machine.clock.thaw(now);
            machine.clock.set_drift(0, now);
            machine.clock.set_wall(EPOCH + now.elapsed(), now);
        }
        self.start_all();
        for node in self.machines.keys().copied().collect::<Vec<_>>() {
            self.empty_inbox(node);
            let name = self.machines[&node].name.clone();
            let is_draining = self.council.council.nodes().get(&name);
            if is_draining.is_some_and(|record| record.intent == Intent::Drain) {
                self.want(node, Intent::Stay, now);
            }
        }
        self.trace.note(now, None, "fault", "all are over");
    }
}
