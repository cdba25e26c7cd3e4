//! What the processes of a world do with what they receive, and what the council's leader does.

use std::time::Duration;

use isogrid_cluster::gossip::Heard;
use isogrid_cluster::{Command, Directive, Millis, Outcome};
use isogrid_core::PartitionId;
use isogrid_replica::{Event as ReplicaEvent, Notice};

use super::packet::{Answer, Answered, Heartbeat, News, Packet, What};
use super::process::{Wishes, millis};
use super::world::{EPOCH, Event, World};
use super::{faults, paths};
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
                process.unwritten(&mut wishes);
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
                process.unwritten(&mut wishes);
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
    fn tell(&mut self, node: NodeIndex, to: NodeIndex, since: isogrid_core::TableVersion, at: SimTime) {
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

    /// Whether this node's process leads the council.
    pub(crate) fn leads(&self, node: NodeIndex) -> bool {
        let Some((leader, life)) = self.council.leader else { return false };
        leader == node && self.machines.get(&node).is_some_and(|machine| machine.life == life)
    }

    /// Whether the council's leader reaches a majority of the voters at this moment.
    pub(crate) fn is_led(&mut self) -> bool {
        let Some((leader, life)) = self.council.leader else { return false };
        self.can_lead(leader).is_some_and(|(present, _)| present == life)
    }

    /// In which life a voter could lead now, and its clock.
    fn can_lead(&mut self, voter: NodeIndex) -> Option<(u64, Millis)> {
        let at = self.queue.now();
        let machine = self.machines.get(&voter).filter(|machine| machine.is_running())?;
        let (life, clock) = (machine.life, millis(machine.now(at)));
        let voters = self.council.voters.clone();
        let mut reached = 0;
        for other in &voters {
            let lives = self.machines.get(other).is_some_and(|machine| machine.is_running());
            let is_near = lives
                && self.network.is_connected(voter, *other)
                && self.network.is_connected(*other, voter);
            reached += usize::from(is_near);
        }
        (reached * 2 > voters.len()).then_some((life, clock))
    }

    fn proposed(
        &mut self,
        from: NodeIndex,
        to: NodeIndex,
        ticket: u64,
        command: Command,
        at: SimTime,
    ) {
        if !self.leads(to) {
            let leader = self.machines.get(&to).and_then(|machine| machine.process.as_ref());
            let leader = leader.map_or((0, to), |process| process.leader);
            return self.send(to, from, Packet::Decided { ticket, outcome: None, leader }, at);
        }
        let wait = self.random.within(500..=4_000);
        let term = self.council.term;
        let event = Event::Commit { from, ticket, term, command };
        self.queue.push(at + Duration::from_micros(wait), event);
    }

    /// A command's time has come.
    pub(crate) fn commit(
        &mut self,
        (from, ticket): (NodeIndex, u64),
        term: u64,
        command: Command,
        at: SimTime,
    ) {
        let is_led = self.council.term == term && self.is_led();
        let Some(outcome) = self.council.commit(command, is_led) else { return };
        let Some((leader, _)) = self.council.leader else { return };
        self.read_ledger(at);
        let hint = self.council.leader_news();
        let decided = Packet::Decided { ticket, outcome: Some(outcome), leader: hint };
        self.send(leader, from, decided, at);
        self.spread(at);
    }

    /// The leader itself reads what was committed at once, and tells a few others.
    fn spread(&mut self, at: SimTime) {
        let Some((leader, _)) = self.council.leader else { return };
        let nodes: Vec<NodeIndex> = self.machines.keys().copied().collect();
        let mut told = self.random.sample(&nodes, 2);
        told.push(leader);
        for node in told {
            let known = self.machines.get(&node).and_then(|machine| machine.process.as_ref());
            let Some(since) = known.map(|process| process.table.version()) else { continue };
            let news = self.council.news_since(since);
            self.send(leader, node, Packet::News(news), at);
        }
    }

    fn decided(
        &mut self,
        node: NodeIndex,
        ticket: u64,
        outcome: Option<Outcome>,
        leader: (u64, NodeIndex),
        at: SimTime,
    ) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        let now = machine.now(at);
        let Some(process) = machine.process.as_mut() else { return };
        let known = process.leader;
        process.hear_leader(leader);
        let Some(outcome) = outcome else {
            if process.leader == known {
                // The one who was asked does not know better: ask any voter next time.
                process.detour = self.random.pick(&self.council.voters).copied();
            }
            return;
        };
        match outcome {
            Outcome::Registered(registered) => {
                process.report_due |= !registered.suspect.is_empty();
                let mut wishes = Wishes::default();
                process.registered(registered.table, now, &mut wishes);
                self.carry_out(node, wishes, at);
            }
            Outcome::SessionsOpened { first, .. } => {
                if let Some((client, attempt)) = self.waiting_opens.remove(&(node, ticket)) {
                    let what = Answered::Session(first);
                    let answer = Answer { attempt, what, table: None };
                    self.send(node, client, Packet::Answer(answer), at);
                }
            }
            Outcome::Applied | Outcome::Unchanged => process.taken(ticket),
            _ => {}
        }
    }

    fn heartbeat(&mut self, from: NodeIndex, to: NodeIndex, beat: &Heartbeat, at: SimTime) {
        if !self.leads(to) || !self.is_led() {
            let leader = self.machines.get(&to).and_then(|machine| machine.process.as_ref());
            let leader = leader.map_or((0, to), |process| process.leader);
            let decided = Packet::Decided { ticket: 0, outcome: None, leader };
            return self.send(to, from, decided, at);
        }
        let Some(machine) = self.machines.get(&to) else { return };
        let clock = machine.now(at);
        let serves = self.council.heartbeat(beat, millis(clock), clock.wall.0);
        let answer = Packet::HeartbeatAnswer {
            to: beat.from.incarnation,
            sent_at: beat.sent_at,
            serves,
        };
        self.send(to, from, answer, at);
    }

    fn asked(&mut self, from: NodeIndex, to: NodeIndex, ask: super::packet::Ask, at: SimTime) {
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
            let table = process.table.delta_since(isogrid_core::TableVersion(0));
            let what = Answered::Refused(isogrid_replica::Refusal::NotOwner);
            let answer = Answer { attempt: ask.attempt, what, table: Some(table) };
            return self.send(to, from, Packet::Answer(answer), at);
        }
        process.ask(from, ask, now, &mut wishes);
        process.unwritten(&mut wishes);
        self.carry_out(to, wishes, at);
    }

    /// A disk has written entries.
    pub(crate) fn written(
        &mut self,
        (node, life): (NodeIndex, u64),
        partition: PartitionId,
        entries: Vec<(isogrid_core::LogPosition, Vec<u8>)>,
        at: SimTime,
    ) {
        let Some(machine) = self.machines.get_mut(&node) else { return };
        if machine.life != life || machine.process.is_none() {
            return;
        }
        let Some((last, _)) = entries.last().cloned() else { return };
        if let Some(disk) = machine.disk_mut() {
            disk.write(partition, &entries);
        }
        let now = machine.now(at);
        let mut wishes = Wishes::default();
        let Some(process) = machine.process.as_mut() else { return };
        process.step(partition, ReplicaEvent::Persisted(last), now, &mut wishes);
        self.carry_out(node, wishes, at);
    }

    /// The council: an election if one is due, and the steward's next steps.
    pub(crate) fn tend_council(&mut self, at: SimTime) {
        self.queue.push(at + Duration::from_millis(50), Event::Council);
        let able: Vec<(NodeIndex, Option<(u64, Millis)>)> = self
            .council
            .voters
            .clone()
            .into_iter()
            .map(|voter| (voter, self.can_lead(voter)))
            .collect();
        let can_lead = |node| able.iter().find(|(voter, _)| *voter == node).and_then(|one| one.1);
        if self.council.elect(at, can_lead) {
            let (term, leader) = self.council.leader_news();
            self.trace.note(at, Some(leader), "elected", &format!("term {term}"));
            self.read_ledger(at);
            if let Some(machine) = self.machines.get_mut(&leader)
                && let Some(process) = machine.process.as_mut()
            {
                process.leader = (term, leader);
                process.cluster = self.council.council.cluster().map(|cluster| cluster.id);
            }
            if term > 1 {
                self.paths.reached(paths::COUNCIL_LEADER_LOST);
            }
        }
        let Some((leader, _)) = self.council.leader else { return };
        if !self.is_led() {
            return;
        }
        let Some(machine) = self.machines.get(&leader) else { return };
        let clock = millis(machine.now(at));
        let orders = self.council.step(clock);
        for command in orders.commands {
            self.trace.note(at, Some(leader), "steward", &format!("{command:?}"));
            self.tickets += 1;
            let ticket = self.tickets;
            self.proposed(leader, leader, ticket, command, at);
        }
        for directive in orders.directives {
            if let Some(to) = self.names.get(directive.primary()).copied() {
                self.send(leader, to, Packet::Directive(directive), at);
            }
        }
        self.settle_losses(at);
    }

    /// Losses that were declared change what the oracles expect.
    pub(crate) fn read_ledger(&mut self, at: SimTime) {
        let records = self.council.ledger_since(self.ledger_read).to_vec();
        for record in records {
            self.ledger_read = record.number;
            self.paths.reached(paths::DECLARED_LOSS);
            let from_seq = record.kept.map_or(1, |kept| kept.seq + 1);
            self.trace.note(at, None, "loss", &format!("{record:?}"));
            let id = self.history.declared_loss(record.partition, from_seq, at);
            self.losses.push((id, at, record.partition, record.epoch));
            self.lost_before.insert(record.partition, record.epoch);
            self.acked.remove(&record.partition);
        }
    }

    /// A loss is settled when no primary of an earlier epoch is left that could still acknowledge anything.
    fn settle_losses(&mut self, at: SimTime) {
        for (id, since, partition, epoch) in std::mem::take(&mut self.losses) {
            let is_left = self.machines.values().any(|machine| {
                let held = machine.process.as_ref().and_then(|one| one.replicas.get(&partition));
                held.is_some_and(|held| {
                    held.replica.role() == isogrid_replica::RoleName::Primary
                        && held.replica.promised() < epoch
                })
            });
            if is_left {
                self.losses.push((id, at, partition, epoch));
            } else if at.since(since) > Duration::from_secs(3) {
                self.history.settle_loss(id);
            } else {
                self.losses.push((id, since, partition, epoch));
            }
        }
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
        if let Notice::CopyStarted(_) = notice
            && let Some(disk) = self.machines.get_mut(&node).and_then(|machine| machine.disk_mut())
        {
            disk.forget(partition);
        }
        if let Notice::CopyFinished(_) = notice {
            faults::image_now(self, node, partition);
        }
    }

    /// The wall clock as it truly is, in milliseconds.
    pub(crate) fn true_wall_ms(&self) -> u64 {
        (EPOCH + self.queue.now().elapsed()).as_millis() as u64
    }
}

impl super::process::Process {
    /// Does what the steward asks of a primary.
    pub(crate) fn obey(&mut self, directive: &Directive, now: isogrid_replica::Now, wishes: &mut Wishes) {
        let partition = directive.partition();
        let event = match directive {
            Directive::HandOver { to, .. } => ReplicaEvent::HandOver { to },
            Directive::Retire { member, .. } => ReplicaEvent::Retire { replica: member },
            Directive::Vouch { member, .. } => ReplicaEvent::Vouch { replica: member },
        };
        self.step(partition, event, now, wishes);
    }
}
