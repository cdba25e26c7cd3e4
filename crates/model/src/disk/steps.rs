//! What each action of the disk model does, recovery apart. `None` means that nothing happens.

use super::DiskModel;
use super::mutant::Mutant;
use super::state::{Action, Message, Node, State};
use crate::council::Configuration;
use crate::log::{Accepted, Change, Chunk};
use crate::message::{Acknowledgement, Append};
use crate::nodes::NodeId;
use crate::replica::{is_answer_useful, is_append_useful};

impl DiskModel {
    pub(super) fn step(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Write(node) => {
                state.nodes[node].replica.append(Change::Write(state.spent.writes));
                state.spent.writes += 1;
                self.acknowledge_held(state, node);
            }
            Action::Persist(node) => {
                state.nodes[node].durable = state.nodes[node].replica.log.length();
                self.acknowledge_held(state, node);
            }
            Action::Send(from, to, start, end) => {
                let registered = state.council.registered[to];
                let replica = &state.nodes[from].replica;
                let append = replica.message_to((from, to), registered, (start, end))?;
                return state.network.insert(Message::Append(append)).then_some(());
            }
            Action::Deliver(message) => {
                state.network.remove(&message);
                // A message that is refused is gone all the same.
                match message {
                    Message::Append(append) => self.receive_entries(state, &append),
                    Message::Acknowledgement(answer) => self.receive_answer(state, &answer),
                    Message::Proposal(proposal) => {
                        let next = state.council.amended(&proposal);
                        next.map(|next| state.council.commit(next))
                    }
                };
            }
            Action::Promote(node) => self.promote(state, node),
            Action::PromoteSuspect(node) => self.promote_suspect(state, node),
            Action::Learn(node, configuration) => self.learn(state, node, configuration),
            Action::Propose(node, amendment) => {
                state.spent.changes += 1;
                let proposal = state.nodes[node].replica.propose(amendment)?;
                state.network.insert(Message::Proposal(proposal));
            }
            Action::Crash(node) => self.crash(state, node),
            Action::LoseDisk(node) => self.lose_disk(state, node),
            Action::LosePower(node, length) => self.lose_power(state, node, length),
            Action::Register(node) => self.register(state, node),
        }
        Some(())
    }

    /// Commits and acknowledges what every required member holds; the primary's own copy counts once it is persisted (R8).
    fn acknowledge_held(&self, state: &mut State, node: NodeId) {
        let Node { replica, durable, .. } = &mut state.nodes[node];
        let Some(leadership) = &mut replica.leadership else { return };
        let length = replica.log.length();
        let own = if self.is(Mutant::SelfUnpersisted) { length } else { *durable };
        let held = leadership.held_by_all(&leadership.required(node), length).min(own);
        if held < leadership.barrier && !self.is(Mutant::AckBeforeBarrier) {
            return;
        }
        let from = leadership.commit;
        leadership.commit = from.max(held);
        if replica.promised < state.loss_epoch {
            return;
        }
        for index in from..held {
            if let Some(Change::Write(number)) = replica.log.content(index) {
                state.acknowledged.insert((number, index));
            }
        }
    }

    fn receive_entries(&self, state: &mut State, append: &Append<Change>) -> Option<()> {
        let node = &mut state.nodes[append.to];
        if !node.replica.admits(append) {
            return None;
        }
        node.replica.promise(append.epoch);
        let accepted = self.accept(node, &append.chunk)?;
        self.hear(node, append.epoch);
        let length = node.replica.log.length();
        // R8: persisted, then acknowledged.
        node.durable = if self.is(Mutant::AckUnpersisted) {
            node.durable.min(accepted.first_conflict.unwrap_or(length))
        } else {
            length
        };
        let matched = if self.is(Mutant::AckLength) { length } else { accepted.matched };
        let answer = node.replica.acknowledgement(append, matched);
        state.network.insert(Message::Acknowledgement(answer));
        Some(())
    }

    /// R7, or what a mutant makes of it.
    fn accept(&self, node: &mut Node, chunk: &Chunk<Change>) -> Option<Accepted> {
        let log = &mut node.replica.log;
        match self.mutant {
            Mutant::TrustSeqOnly => log.accept_by_seq(chunk),
            Mutant::TrustContiguous => log.accept_contiguous(chunk),
            Mutant::TruncateAfterChunk => {
                let accepted = log.accept(chunk)?;
                log.truncate(accepted.matched);
                Some(accepted)
            }
            _ => log.accept(chunk),
        }
    }

    fn hear(&self, node: &mut Node, epoch: u8) {
        if self.is(Mutant::PickByHeardEpoch) {
            node.heard_epoch = epoch;
        }
    }

    fn receive_answer(&self, state: &mut State, answer: &Acknowledgement) -> Option<()> {
        let taken = state.nodes[answer.to].replica.take_acknowledgement(answer);
        self.acknowledge_held(state, answer.to);
        taken.then_some(())
    }

    fn learn(&self, state: &mut State, node: NodeId, mut configuration: Configuration) {
        let replica = &mut state.nodes[node].replica;
        if self.is(Mutant::SuspectNotRequired) {
            let suspects = configuration.suspects.iter().filter(|(_, suspect)| **suspect);
            let suspects = suspects.map(|(member, _)| member).filter(|member| *member != node);
            suspects.for_each(|member| configuration.in_sync.remove(member));
        }
        if replica.learn(node, &configuration) {
            // Unsound members do not lead: the council promotes one as suspect first, which clears the mark.
            if configuration.suspects[node] {
                replica.demote();
            } else {
                replica.append_barrier();
                self.hear(&mut state.nodes[node], configuration.epoch);
            }
        }
        self.acknowledge_held(state, node);
    }

    /// Drops the messages that can do nothing any more, and the configurations that nobody can learn.
    pub(super) fn drop_useless(&self, state: &mut State) {
        let State { council, nodes, network, .. } = state;
        let replica = |node: NodeId| &nodes[node].replica;
        if !self.is(Mutant::SameIncarnation) {
            network.retain(|message| match message {
                Message::Append(it) => is_append_useful(it, replica(it.from), replica(it.to)),
                Message::Acknowledgement(it) => is_answer_useful(it, replica(it.to)),
                Message::Proposal(it) => council.amended(it).is_some(),
            });
        }
        council
            .forget(|it| NodeId::ALL.into_iter().any(|node| replica(node).could_learn(node, it)));
    }
}
