//! What the council's leader does, and what comes back from it.

use std::time::Duration;

use isogrid_cluster::heartbeat::Heartbeat;
use isogrid_cluster::steward::CanStop;
use isogrid_cluster::{Command, Millis, Outcome};
use isogrid_core::NodeId;
use isogrid_replica::Ticks;

use crate::grid::packet::{Answer, Answered, Packet};
use crate::grid::paths;
use crate::grid::process::{Wishes, millis};
use crate::grid::world::{Event, World};
use crate::network::NodeIndex;
use crate::random::Rate;
use crate::time::SimTime;

impl World {
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

    pub(super) fn proposed(
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

    pub(super) fn decided(
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
                process.suspect.extend(&registered.suspect);
                let mut wishes = Wishes::default();
                process.registered(registered.table, now, &mut wishes);
                if let Some(folder) = &mut machine.folder {
                    folder.is_known = true;
                }
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

    pub(super) fn heartbeat(
        &mut self,
        from: NodeIndex,
        to: NodeIndex,
        beat: &Heartbeat,
        at: SimTime,
    ) {
        if !self.leads(to) || !self.is_led() {
            let leader = self.machines.get(&to).and_then(|machine| machine.process.as_ref());
            let leader = leader.map_or((0, to), |process| process.leader);
            let decided = Packet::Decided { ticket: 0, outcome: None, leader };
            return self.send(to, from, decided, at);
        }
        let Some(machine) = self.machines.get(&to) else { return };
        let clock = machine.now(at);
        let serves = self.council.heartbeat(beat, millis(clock), clock.wall);
        let answer = Packet::HeartbeatAnswer {
            to: beat.from.incarnation,
            sent_at: Ticks(beat.sent_at_us),
            serves,
        };
        self.send(to, from, answer, at);
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
        self.ask_to_stop();
        self.settle_losses(at);
    }

    /// Now and then somebody asks whether a node can be stopped.
    fn ask_to_stop(&mut self) {
        if !self.random.chance(Rate::percent(20)) {
            return;
        }
        let nodes: Vec<NodeId> = self.council.council.nodes().keys().cloned().collect();
        let Some(node) = self.random.pick(&nodes).cloned() else { return };
        let answer = self.council.can_stop(&node);
        let says_yes = matches!(answer, CanStop::Yes { .. });
        self.paths.reached(if says_yes { paths::STOP_YES } else { paths::STOP_NO });
        self.asked_to_stop = Some((node, answer));
    }
}
