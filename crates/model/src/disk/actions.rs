//! What can happen next in the disk model.

use std::collections::BTreeSet;

use super::DiskModel;
use super::mutant::Mutant;
use super::state::{Action, State};
use crate::nodes::NodeId;
use crate::replica::Leadership;

impl DiskModel {
    pub(super) fn offer(&self, state: &State, actions: &mut Vec<Action>) {
        for node in NodeId::ALL {
            self.offer_leading(state, node, actions);
            self.offer_learning(state, node, actions);
            self.offer_failing(state, node, actions);
        }
        actions.extend(state.network.iter().cloned().map(Action::Deliver));
    }

    /// What a primary does.
    fn offer_leading(&self, state: &State, node: NodeId, actions: &mut Vec<Action>) {
        let Some(leadership) = &state.nodes[node].replica.leadership else { return };
        if state.spent.writes < self.bounds.writes {
            actions.push(Action::Write(node));
        }
        let may_change = state.spent.changes < self.bounds.changes;
        if state.network.len() < usize::from(self.bounds.messages) {
            let required = leadership.required(node);
            for to in node.others().filter(|it| required.contains(*it) || may_change) {
                let pieces = self.pieces(state, leadership, node, to);
                actions.extend(
                    pieces.into_iter().map(|(start, end)| Action::Send(node, to, start, end)),
                );
            }
        }
        if may_change {
            let proposable = leadership.proposable(node, !self.is(Mutant::AddBeforeBarrier));
            actions.extend(proposable.into_iter().map(|it| Action::Propose(node, it)));
        }
    }

    /// The pieces worth sending: from the beginning or from what is known to be held, one entry or all.
    fn pieces(
        &self,
        state: &State,
        leadership: &Leadership,
        node: NodeId,
        to: NodeId,
    ) -> BTreeSet<(u8, u8)> {
        let length = state.nodes[node].replica.log.length();
        if self.is(Mutant::TrustSeqOnly) || self.is(Mutant::TrustContiguous) {
            // The replica offers the length of its log, and the primary believes that they agree so far.
            let offered = state.nodes[to].replica.log.length().min(length);
            return BTreeSet::from([(offered, length)]);
        }
        let required = leadership.required(node).incarnation(to);
        let incarnation = required.unwrap_or(state.council.registered[to]);
        let held = leadership.held_by(to, incarnation);
        let mut pieces = BTreeSet::new();
        for start in [0, held] {
            for end in [start + 1, length] {
                if start < end && held < end && end <= length {
                    pieces.insert((start, end));
                }
            }
        }
        if length == 0 && leadership.is_news(to, incarnation, 0) {
            pieces.insert((0, 0));
        }
        pieces
    }

    /// What the council does, and what nodes learn of it.
    fn offer_learning(&self, state: &State, node: NodeId, actions: &mut Vec<Action>) {
        let replica = &state.nodes[node].replica;
        let lessons = replica.lessons(node, state.council.history());
        actions.extend(lessons.into_iter().map(|it| Action::Learn(node, it)));
        if state.council.registered[node] != replica.incarnation {
            actions.push(Action::Register(node));
        }
        let epoch = state.council.current().epoch;
        if epoch < self.bounds.epochs && self.may_promote(state, node) {
            actions.push(Action::Promote(node));
        }
        if epoch <= self.bounds.epochs && self.may_promote_suspect(state, node) {
            actions.push(Action::PromoteSuspect(node));
        }
    }

    fn offer_failing(&self, state: &State, node: NodeId, actions: &mut Vec<Action>) {
        if state.nodes[node].durable < state.nodes[node].replica.log.length() {
            actions.push(Action::Persist(node));
        }
        if state.spent.crashes < self.bounds.crashes {
            actions.push(Action::Crash(node));
        }
        if state.spent.disk_losses < self.bounds.disk_losses {
            actions.push(Action::LoseDisk(node));
        }
        if state.spent.power_losses < self.bounds.power_losses {
            let lengths = 0..=state.nodes[node].durable;
            actions.extend(lengths.map(|length| Action::LosePower(node, length)));
        }
    }
}
