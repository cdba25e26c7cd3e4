//! What each action of the lease model does. `None` means that nothing happens.

use super::LeaseModel;
use super::clocks::{normalised, renew};
use super::mutant::Mutant;
use super::state::{Action, Node, State, Timed};
use crate::council::{Amendment, Configuration, Proposal};
use crate::log::Change;
use crate::message::{Acknowledgement, Append, Message};
use crate::nodes::{Members, NodeId, PerNode};
use crate::replica::is_append_useful;

impl LeaseModel {
    pub(super) fn step(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Write(node) => {
                state.nodes[node].replica.append(Change::Write(state.writes));
                state.writes += 1;
                self.acknowledge_held(state, node);
            }
            Action::Send(from, to) => {
                let length = state.nodes[from].replica.log.length();
                return self.send(state, (from, to), length);
            }
            Action::Heartbeat(from, to) => return self.send(state, (from, to), 0),
            Action::Deliver(timed) => return self.deliver(state, timed),
            Action::Promote(node) => state.council.promote(node),
            Action::Reset(node) => reset(state, node),
            Action::Learn(node, configuration) => self.learn(state, node, &configuration),
            Action::Propose(node, amendment) => return self.propose(state, node, amendment),
            Action::Resume(node) => state.nodes[node].yielded = false,
            Action::Forget(node) => {
                state.nodes[node].replica.leadership.as_mut()?.proposal = None;
                self.acknowledge_held(state, node);
            }
            Action::Tick(node) => self.tick(state, node),
            Action::Crash(node) => self.crash(state, node),
            Action::Register(node) => self.register(state, node),
            Action::BeginRead(node) => return self.begin_read(state, node),
            Action::EndRead => return self.end_read(state),
            Action::AbortRead => state.read = None,
        }
        Some(())
    }

    /// The first `length` entries; a heartbeat is none.
    fn send(&self, state: &mut State, (from, to): (NodeId, NodeId), length: u8) -> Option<()> {
        let replica = &state.nodes[from].replica;
        let append = replica.message_to((from, to), state.council.registered[to], (0, length))?;
        let fresh = self.is_fresh(state, from);
        let timed = Timed { message: Message::Append(append), age: 0, fresh };
        state.network.insert(timed).then_some(())
    }

    fn deliver(&self, state: &mut State, timed: Timed) -> Option<()> {
        state.network.remove(&timed);
        let Timed { message, age, fresh } = timed;
        match message {
            Message::Append(append) => {
                let answer = self.receive_entries(state, &append)?;
                let message = Message::Acknowledgement(answer);
                state.network.insert(Timed { message, age, fresh });
            }
            Message::Acknowledgement(answer) => self.receive_answer(state, &answer, age, fresh)?,
            Message::Proposal(proposal) => self.decide(state, &proposal)?,
        }
        Some(())
    }

    fn receive_entries(
        &self,
        state: &mut State,
        append: &Append<Change>,
    ) -> Option<Acknowledgement> {
        let is_member = state.council.current().in_sync;
        let Node { replica, leases, wait, yielded } = &mut state.nodes[append.to];
        if !replica.is_meant_by(append) {
            return None;
        }
        if append.epoch < replica.promised {
            // The pair's heartbeat is answered, and does not name the partition as promised to another.
            return self.is(Mutant::PairLease).then(|| replica.acknowledgement(append, 0));
        }
        if append.epoch > replica.promised {
            (*leases, *yielded) = (PerNode::default(), false);
        }
        replica.promise(append.epoch);
        let accepted = replica.log.accept(&append.chunk)?;
        // Every acknowledgement counts for the wait of R3, also one given as a learner.
        let learner = !is_member.has(append.to, replica.incarnation);
        if !(learner && self.is(Mutant::LearnerNotStamped)) {
            *wait = self.wait_ticks();
        }
        Some(replica.acknowledgement(append, accepted.matched))
    }

    fn receive_answer(
        &self,
        state: &mut State,
        answer: &Acknowledgement,
        age: u8,
        fresh: bool,
    ) -> Option<()> {
        let lease = self.lease_left(age);
        let Node { replica, leases, .. } = &mut state.nodes[answer.to];
        let leadership = replica.leadership.as_ref()?;
        let known = leadership.matched[answer.from].map(|it| it.incarnation);
        if known != Some(answer.incarnation) && !self.is(Mutant::LeaseOutlivesIncarnation) {
            leases[answer.from] = 0;
        }
        if !replica.take_acknowledgement(answer) {
            return None;
        }
        leases[answer.from] = leases[answer.from].max(lease);
        if let Some(read) = &mut state.read
            && fresh
            && (read.node, read.epoch) == (answer.to, answer.epoch)
        {
            read.confirmed[answer.from] = Some(answer.incarnation);
        }
        self.acknowledge_held(state, answer.to);
        Some(())
    }

    /// A lease counts from the sending of the message that was answered.
    fn lease_left(&self, age: u8) -> u8 {
        let spent = if self.is(Mutant::ReceiveTime) { 0 } else { age };
        self.bounds.lease_ticks - spent
    }

    fn decide(&self, state: &mut State, proposal: &Proposal) -> Option<()> {
        let mut next = state.council.amended(proposal)?;
        if matches!(proposal.amendment, Amendment::HandOver(..)) {
            if next.epoch > self.bounds.epochs {
                return None;
            }
            if self.is(Mutant::HandoverUnguarded) || self.is(Mutant::HandoverResumes) {
                next.in_sync.remove(state.council.current().primary);
            }
        }
        state.council.commit(next);
        Some(())
    }

    fn learn(&self, state: &mut State, node: NodeId, configuration: &Configuration) {
        let Node { replica, leases, yielded, .. } = &mut state.nodes[node];
        let newer = configuration.epoch > replica.promised;
        let became_primary = replica.learn(node, configuration);
        if newer || replica.leadership.is_none() {
            (*leases, *yielded) = (PerNode::default(), false);
        }
        if became_primary && !self.is(Mutant::NoBarrier) {
            replica.append_barrier();
        }
        self.acknowledge_held(state, node);
    }

    fn propose(&self, state: &mut State, node: NodeId, amendment: Amendment) -> Option<()> {
        state.changes += 1;
        let its = &mut state.nodes[node];
        let goes_on =
            self.is(Mutant::HandoverUnguarded) || self.is(Mutant::HandoverWithoutYielding);
        its.yielded = matches!(amendment, Amendment::HandOver(..)) && !goes_on;
        let message = Message::Proposal(its.replica.propose(amendment)?);
        state.network.insert(Timed { message, age: 0, fresh: false });
        Some(())
    }

    /// A process start counts as an acknowledgement: the former process may have given one just before.
    fn crash(&self, state: &mut State, node: NodeId) {
        state.crashes += 1;
        if state.read.as_ref().is_some_and(|read| read.node == node) {
            state.read = None;
        }
        let its = &mut state.nodes[node];
        if self.bounds.keeps_log {
            its.replica.restart();
        } else {
            its.replica.restart_empty();
        }
        (its.leases, its.yielded) = (PerNode::default(), false);
        its.wait = if self.is(Mutant::RestartWithoutWaiting) { 0 } else { self.wait_ticks() };
    }

    /// R4: rebound if the log was kept, else removed; the last one stays recorded (R10), and all is lost.
    fn register(&self, state: &mut State, node: NodeId) {
        let incarnation = state.nodes[node].replica.incarnation;
        state.council.registered[node] = incarnation;
        if !state.council.current().in_sync.contains(node) {
            return;
        }
        let next = if self.bounds.keeps_log {
            Some(state.council.rebound(node, incarnation))
        } else {
            state.council.expelled(node)
        };
        match next {
            Some(next) => state.council.commit(next),
            None => state.lost = true,
        }
    }

    /// Drops what can do nothing any more: messages, configurations, and whose clock is ahead when nothing is timed.
    pub(super) fn drop_useless(&self, state: &mut State) {
        let awaited = self.awaits_round(state);
        let mut network = std::mem::take(&mut state.network);
        renew(&mut network, |timed| {
            let timed = self.aged_out(state, normalised(timed, awaited));
            self.is_useful(state, &timed).then_some(timed)
        });
        state.network = network;
        let State { council, nodes, .. } = state;
        council.forget(|it| nodes.iter().any(|(node, its)| its.replica.could_learn(node, it)));
        self.forget_skew(state);
    }

    /// The age of a deposed primary's message means nothing.
    fn aged_out(&self, state: &State, timed: Timed) -> Timed {
        match &timed.message {
            Message::Append(it) if !state.nodes[it.from].replica.leads(it.epoch) => {
                Timed { age: self.bounds.lease_ticks, ..timed }
            }
            _ => timed,
        }
    }

    fn is_useful(&self, state: &State, timed: &Timed) -> bool {
        let replica = |node: NodeId| &state.nodes[node].replica;
        match &timed.message {
            Message::Append(it) => {
                let (from, to) = (replica(it.from), replica(it.to));
                let answer = to.acknowledgement(it, it.chunk.end());
                let heartbeat = self.is(Mutant::PairLease)
                    && it.epoch < to.promised
                    && to.is_meant_by(it)
                    && self.is_answer_useful(state, &answer, timed);
                let answered = self.is_answer_useful(state, &answer, timed);
                heartbeat || is_append_useful(it, from, to) || (to.admits(it) && answered)
            }
            Message::Acknowledgement(it) => self.is_answer_useful(state, it, timed),
            Message::Proposal(it) => state.council.amended(it).is_some(),
        }
    }

    /// An answer is of use for what it says of the log, for the lease, or for a confirmed read.
    fn is_answer_useful(&self, state: &State, answer: &Acknowledgement, timed: &Timed) -> bool {
        let its = &state.nodes[answer.to];
        let leadership = match &its.replica.leadership {
            Some(leadership) if its.replica.promised == answer.epoch => leadership,
            _ => return false,
        };
        let length = answer.length.min(its.replica.log.length());
        let leases = self.lease_left(timed.age) > its.leases[answer.from];
        let unconfirmed = self.is(Mutant::JoinRound)
            || state
                .read
                .as_ref()
                .is_some_and(|read| read.confirmed[answer.from] != Some(answer.incarnation));
        leases
            || leadership.is_news(answer.from, answer.incarnation, length)
            || (timed.fresh && unconfirmed)
    }
}

/// The mutant of section 5: the council declares the data lost and starts afresh, while the old primary still serves.
fn reset(state: &mut State, node: NodeId) {
    let mut next = *state.council.current();
    let mut alone = Members::default();
    alone.insert(node, state.council.registered[node]);
    (next.epoch, next.version) = (next.epoch + 1, 0);
    (next.primary, next.in_sync) = (node, alone);
    state.visible.clear();
    state.council.commit(next);
}
