//! What each action of the write model does. `None` means that nothing happens.

use super::WriteModel;
use super::mutant::Mutant;
use super::state::{Action, Message, State};
use crate::council::{Amendment, Configuration, Proposal};
use crate::log::Change;
use crate::message::{Acknowledgement, Append};
use crate::nodes::NodeId;
use crate::replica::{Leadership, is_answer_useful, is_append_useful};

impl WriteModel {
    pub(super) fn step(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Write(node) => {
                state.nodes[node].append(Change::Write(state.writes));
                state.writes += 1;
                self.acknowledge_held(state, node);
            }
            Action::Send(from, to) => return self.send(state, from, to),
            Action::Deliver(message) => {
                state.network.remove(&message);
                // A message that is refused is gone all the same.
                match message {
                    Message::Append(append) => self.receive_entries(state, &append),
                    Message::Acknowledgement(answer) => self.receive_answer(state, &answer),
                    Message::Proposal(proposal) => self.decide(state, &proposal),
                };
            }
            Action::Promote(node) => self.promote(state, node),
            Action::Learn(node, configuration) => self.learn(state, node, &configuration),
            Action::Propose(node, amendment) => {
                state.changes += 1;
                let proposal = state.nodes[node].propose(amendment)?;
                state.network.insert(Message::Proposal(proposal));
                self.acknowledge_held(state, node);
            }
            Action::Forget(node) => {
                state.nodes[node].leadership.as_mut()?.proposal = None;
                self.acknowledge_held(state, node);
            }
            Action::Elect(node) => elect(state, node),
            Action::Crash(node) => self.crash(state, node),
            Action::Register(node) => register(state, node),
        }
        Some(())
    }

    /// The heart: commits and acknowledges what every required member holds (R3, R6), in order, past the barrier (R9).
    fn acknowledge_held(&self, state: &mut State, node: NodeId) {
        let replica = &mut state.nodes[node];
        let Some(leadership) = &mut replica.leadership else { return };
        let mut required = leadership.required(node);
        match leadership.proposal {
            Some(Amendment::Remove(member)) if self.is(Mutant::ShrinkEarly) => {
                required.remove(member);
            }
            Some(Amendment::Add(learner, _)) if self.is(Mutant::AdditionNotCounted) => {
                required.remove(learner);
            }
            _ => {}
        }
        let held = leadership.held_by_all(&required, replica.log.length());
        if held < leadership.barrier {
            return;
        }
        for index in leadership.commit..held {
            if let Some(Change::Write(number)) = replica.log.content(index) {
                state.acknowledged.insert((number, index));
            }
        }
        leadership.commit = leadership.commit.max(held);
    }

    fn send(&self, state: &mut State, from: NodeId, to: NodeId) -> Option<()> {
        let replica = &state.nodes[from];
        let whole = (0, replica.log.length());
        let mut append = replica.message_to((from, to), state.council.registered[to], whole)?;
        if self.is(Mutant::TruncateToCommit) {
            append.commit = replica.leadership.as_ref()?.commit;
        }
        state.network.insert(Message::Append(append)).then_some(())
    }

    fn receive_entries(&self, state: &mut State, append: &Append<Change>) -> Option<()> {
        let replica = &mut state.nodes[append.to];
        let unfenced = self.is(Mutant::NoFence) && replica.is_meant_by(append);
        if !replica.admits(append) && !unfenced {
            return None;
        }
        if unfenced {
            replica.demote();
        }
        self.promise(state, append.to, append.epoch);
        let replica = &mut state.nodes[append.to];
        let accepted = if self.is(Mutant::TrustSeqOnly) {
            replica.log.accept_by_seq(&append.chunk)?
        } else {
            replica.log.accept(&append.chunk)?
        };
        replica.told_commit = replica.told_commit.max(append.commit);
        let answer = replica.acknowledgement(append, accepted.matched);
        state.network.insert(Message::Acknowledgement(answer));
        Some(())
    }

    fn receive_answer(&self, state: &mut State, answer: &Acknowledgement) -> Option<()> {
        let taken = state.nodes[answer.to].take_acknowledgement(answer);
        self.acknowledge_held(state, answer.to);
        taken.then_some(())
    }

    fn decide(&self, state: &mut State, proposal: &Proposal) -> Option<()> {
        let proposal = match proposal.amendment {
            // The council takes in whoever is there now.
            Amendment::Add(node, _) if self.is(Mutant::AddWithoutIncarnationCheck) => {
                let amendment = Amendment::Add(node, state.council.registered[node]);
                Proposal { amendment, ..*proposal }
            }
            _ => *proposal,
        };
        let next = state.council.amended(&proposal)?;
        state.council.commit(next);
        Some(())
    }

    fn promote(&self, state: &mut State, node: NodeId) {
        state.council.promote(node);
        if self.is(Mutant::PromoteAny) {
            let mut next = *state.council.current();
            next.in_sync.insert(node, state.council.registered[node]);
            state.council.commit(next);
        }
    }

    fn learn(&self, state: &mut State, node: NodeId, configuration: &Configuration) {
        self.cut_to_told_commit(state, node, configuration.epoch);
        if state.nodes[node].learn(node, configuration) {
            state.nodes[node].append_barrier();
        }
        self.acknowledge_held(state, node);
    }

    fn promise(&self, state: &mut State, node: NodeId, epoch: u8) {
        self.cut_to_told_commit(state, node, epoch);
        state.nodes[node].promise(epoch);
    }

    /// The mutant of R7: "what is not known to be committed has no place in the new epoch".
    fn cut_to_told_commit(&self, state: &mut State, node: NodeId, epoch: u8) {
        let replica = &mut state.nodes[node];
        if self.is(Mutant::TruncateToCommit) && epoch > replica.promised {
            let own = replica.leadership.as_ref().map_or(0, |it| it.commit);
            let commit = replica.told_commit.max(own);
            replica.log.truncate(commit);
        }
    }

    /// Memory is gone. R4: what starts is another incarnation.
    fn crash(&self, state: &mut State, node: NodeId) {
        state.crashes += 1;
        let before = state.nodes[node].incarnation;
        state.nodes[node].restart_empty();
        if self.is(Mutant::NoIncarnation) {
            state.nodes[node].incarnation = before;
        }
    }

    /// Drops the messages that can do nothing any more, and the configurations that nobody can learn.
    pub(super) fn drop_useless(&self, state: &mut State) {
        let State { council, nodes, network, .. } = state;
        if !self.is(Mutant::NoFence) && !self.is(Mutant::NoIncarnation) {
            network.retain(|message| match message {
                Message::Append(it) => is_append_useful(it, &nodes[it.from], &nodes[it.to]),
                Message::Acknowledgement(it) => is_answer_useful(it, &nodes[it.to]),
                Message::Proposal(it) => {
                    self.is(Mutant::AddWithoutIncarnationCheck) || council.amended(it).is_some()
                }
            });
        }
        council.forget(|it| nodes.iter().any(|(node, replica)| replica.could_learn(node, it)));
    }
}

/// Registration without storage to show: a member's entry goes (R4), but the last one's stays (R10), and all is lost.
fn register(state: &mut State, node: NodeId) {
    state.council.registered[node] = state.nodes[node].incarnation;
    if state.council.current().in_sync.contains(node) {
        match state.council.expelled(node) {
            Some(next) => state.council.commit(next),
            None => state.lost = true,
        }
    }
}

/// The mutant of section 1: the node takes the next epoch and itself for the whole in-sync set.
fn elect(state: &mut State, node: NodeId) {
    let replica = &mut state.nodes[node];
    let mut alone = *state.council.current();
    alone.epoch = replica.promised + 1;
    alone.primary = node;
    node.others().for_each(|other| alone.in_sync.remove(other));
    alone.in_sync.insert(node, replica.incarnation);
    replica.promise(alone.epoch);
    replica.leadership = Some(Leadership::of(&alone));
    replica.append_barrier();
}
