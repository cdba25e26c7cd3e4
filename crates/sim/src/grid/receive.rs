//! What the processes of a world do with what they receive, and what the council's leader does.

mod council;
mod loss;

use isogrid_cluster::gossip::Heard;
use isogrid_cluster::{Command, Directive};
use isogrid_core::{PartitionId, TableVersion};
use isogrid_replica::{Event as ReplicaEvent, Notice, Now, Refusal};

use super::packet::{Answer, Answered, Ask, News, Packet, What};
use super::paths;
use super::process::{Process, Wishes};
use super::world::{EPOCH, World};
use crate::network::NodeIndex;
use crate::time::SimTime;

impl World {
    /// A running process receives a packet.
    pub(crate) fn receive(&mut self, from: NodeIndex, to: NodeIndex, packet: Packet, at: SimTime) {
        let Some(machine) = self.machines.get_mut(&to) else { return };
        let now = machine.now(at);
        let Some(process) = machine.process.as_mut() else { return };
        let mut wishes = Wishes::default();
        match packet {
            Packet::Replica { partition, from, to, message } => {
                let event = ReplicaEvent::Receive { from: &from, to, message };
                process.step(partition, event, now, &mut wishes);
            }
            Packet::Beat { from: life, to: meant, beat } => {
                let is_meant =
                    meant == process.me.incarnation || !process.settings.rules.check_incarnation;
                if is_meant {
                    let ack = process.vouch(&life, beat, now);
                    let (me, to) = (process.me.clone(), life.incarnation);
                    wishes.packets.push((from, Packet::BeatAck { from: me, to, ack }));
                }
            }
            Packet::BeatAck { from: life, to: meant, ack } => {
                if meant == process.me.incarnation {
                    process.vouched(&life, &ack, now, &mut wishes);
                }
            }
            Packet::Gossip { state, leader } => {
                if let Heard::Pull { since, .. } = process.hear(&state, leader, now) {
                    wishes.packets.push((from, Packet::Pull { since }));
                }
            }
            Packet::News(news) => {
                process.learn(news, now, &mut wishes);
            }
            Packet::Directive(directive) => process.obey(&directive, now, &mut wishes),
            other => return self.receive_rarely(from, to, other, at),
        }
        self.carry_out(to, wishes, at);
    }

    fn receive_rarely(&mut self, from: NodeIndex, to: NodeIndex, packet: Packet, at: SimTime) {
        match packet {
            Packet::Pull { since } => self.tell(to, from, since, at),
            Packet::Propose { ticket, command } => self.proposed(from, to, ticket, command, at),
            Packet::Decided { ticket, outcome, leader } => {
                self.decided(to, ticket, outcome, leader, at);
            }
            Packet::Heartbeat(beat) => self.heartbeat(from, to, &beat, at),
            Packet::HeartbeatAnswer { to: meant, sent_at, serves } => {
                let Some(machine) = self.machines.get_mut(&to) else { return };
                let now = machine.now(at);
                let Some(process) = machine.process.as_mut() else { return };
                if meant != process.me.incarnation {
                    return;
                }
                process.is_down = !serves;
                if serves {
                    let mut wishes = Wishes::default();
                    let partitions: Vec<PartitionId> = process.replicas.keys().copied().collect();
                    for partition in partitions {
                        let event = ReplicaEvent::CouncilAnswered { sent_at };
                        process.step(partition, event, now, &mut wishes);
                    }
                    self.carry_out(to, wishes, at);
                }
            }
            Packet::Ask(ask) => self.asked(from, to, ask, at),
            _ => {}
        }
    }

    /// Answers who wants changes of the table: with what this node has.
    fn tell(&mut self, node: NodeIndex, to: NodeIndex, since: TableVersion, at: SimTime) {
        let is_leader = self.leads(node);
        let Some(machine) = self.machines.get(&node) else { return };
        let Some(process) = machine.process.as_ref() else { return };
        let news = if is_leader {
            self.council.news_since(since)
        } else {
            News {
                delta: process.table.delta_since(since),
                watermark: process.sessions.0,
                ended: process.sessions.1.clone(),
                leader: process.leader,
            }
        };
        self.send(node, to, Packet::News(news), at);
    }

    fn asked(&mut self, from: NodeIndex, to: NodeIndex, ask: Ask, at: SimTime) {
        if let What::Open = ask.what {
            let ticket = self.propose(to, Command::OpenSessions { count: 1 }, at);
            self.waiting_opens.insert((to, ticket), (from, ask.attempt));
            return;
        }
        let Some(machine) = self.machines.get_mut(&to) else { return };
        let now = machine.now(at);
        let Some(process) = machine.process.as_mut() else { return };
        let mut wishes = Wishes::default();
        if !process.replicas.contains_key(&ask.partition) {
            let table = process.table.delta_since(TableVersion(0));
            let what = Answered::Refused(Refusal::NotOwner);
            let answer = Answer { attempt: ask.attempt, what, table: Some(table) };
            return self.send(to, from, Packet::Answer(answer), at);
        }
        let is_write = !matches!(ask.what, What::Get(..));
        if is_write && process.data.as_ref().is_some_and(|data| data.is_refusing()) {
            let answer = Answer { attempt: ask.attempt, what: Answered::DiskRefuses, table: None };
            return self.send(to, from, Packet::Answer(answer), at);
        }
        process.ask(from, ask, now, &mut wishes);
        self.carry_out(to, wishes, at);
    }

    /// What a replica noticed.
    pub(crate) fn notice(
        &mut self,
        node: NodeIndex,
        partition: PartitionId,
        notice: &Notice,
        at: SimTime,
    ) {
        let line = || format!("p{} {notice:?}", partition.0);
        self.trace.record(at, Some(node), "notice", &line(), line);
        paths::of_notice(self, node, partition, notice);
    }

    /// The wall clock as it truly is, in milliseconds.
    pub(crate) fn true_wall_ms(&self) -> u64 {
        (EPOCH + self.queue.now().elapsed()).as_millis() as u64
    }
}

impl Process {
    /// Does what the steward asks of a primary.
    pub(crate) fn obey(&mut self, directive: &Directive, now: Now, wishes: &mut Wishes) {
        let partition = directive.partition();
        let event = match directive {
            Directive::HandOver { to, .. } => ReplicaEvent::HandOver { to },
            Directive::Retire { member, .. } => ReplicaEvent::Retire { replica: member },
            Directive::Vouch { member, .. } => ReplicaEvent::Vouch { replica: member },
        };
        self.step(partition, event, now, wishes);
    }
}
