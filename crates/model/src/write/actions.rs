//! What can happen next in the write model.

use super::WriteModel;
use super::mutant::Mutant;
use super::state::{Action, State};
use crate::council::Amendment;
use crate::nodes::NodeId;

impl WriteModel {
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
        let Some(leadership) = &state.nodes[node].leadership else { return };
        if state.writes < self.bounds.writes {
            actions.push(Action::Write(node));
        }
        let may_change = state.changes < self.bounds.changes;
        if state.network.len() < usize::from(self.bounds.messages) {
            let required = leadership.required(node);
            // A learner is of interest only while it can still be added.
            let targets = node.others().filter(|it| required.contains(*it) || may_change);
            actions.extend(targets.map(|to| Action::Send(node, to)));
        }
        if may_change {
            let proposable = leadership.proposable(node, true);
            actions.extend(proposable.into_iter().map(|it| Action::Propose(node, it)));
        }
        if self.is(Mutant::ForgetAddition)
            && matches!(leadership.proposal, Some(Amendment::Add(..)))
        {
            actions.push(Action::Forget(node));
        }
    }

    /// What the council does, and what nodes learn of it.
    fn offer_learning(&self, state: &State, node: NodeId, actions: &mut Vec<Action>) {
        let replica = &state.nodes[node];
        let lessons = replica.lessons(node, state.council.history());
        actions.extend(lessons.into_iter().map(|it| Action::Learn(node, it)));
        if state.council.registered[node] != replica.incarnation {
            actions.push(Action::Register(node));
        }
        if state.council.current().epoch < self.bounds.epochs && self.may_promote(state, node) {
            actions.push(Action::Promote(node));
        }
    }

    fn may_promote(&self, state: &State, node: NodeId) -> bool {
        match self.mutant {
            Mutant::PromoteAny => state.council.current().primary != node,
            _ => state.council.may_promote(node),
        }
    }

    fn offer_failing(&self, state: &State, node: NodeId, actions: &mut Vec<Action>) {
        if state.crashes < self.bounds.crashes {
            actions.push(Action::Crash(node));
        }
        let replica = &state.nodes[node];
        if self.is(Mutant::GossipElects)
            && replica.leadership.is_none()
            && replica.promised < self.bounds.epochs
        {
            actions.push(Action::Elect(node));
        }
    }
}
