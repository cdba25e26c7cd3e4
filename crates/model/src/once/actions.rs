//! What can happen next in the exactly-once model.

use super::OnceModel;
use super::state::{Action, RequestCopy, State};
use crate::nodes::NodeId;

impl OnceModel {
    pub(super) fn offer(&self, state: &State, actions: &mut Vec<Action>) {
        offer_client(state, actions);
        for node in NodeId::ALL {
            self.offer_leading(state, node, actions);
            self.offer_learning(state, node, actions);
        }
        actions.extend(state.network.iter().cloned().map(Action::Deliver));
    }

    /// What a primary does.
    fn offer_leading(&self, state: &State, node: NodeId, actions: &mut Vec<Action>) {
        let Some(leadership) = &state.nodes[node].replica.leadership else { return };
        actions.extend(state.copies.iter().map(|copy| Action::Request(node, *copy)));
        if self.bounds.session_ends && !state.ended && leadership.is_past_barrier() {
            actions.push(Action::EndSession(node));
        }
        let may_change = state.changes < self.bounds.changes;
        if state.network.len() < usize::from(self.bounds.messages) {
            let required = leadership.required(node);
            let targets = node.others().filter(|it| required.contains(*it) || may_change);
            actions.extend(targets.map(|to| Action::Send(node, to)));
        }
        if may_change {
            let proposable = leadership.proposable(node, true);
            actions.extend(proposable.into_iter().map(|it| Action::Propose(node, it)));
        }
    }

    /// What the council does, what nodes learn of it, and restarts.
    fn offer_learning(&self, state: &State, node: NodeId, actions: &mut Vec<Action>) {
        let replica = &state.nodes[node].replica;
        let lessons = replica.lessons(node, state.council.history());
        actions.extend(lessons.into_iter().map(|it| Action::Learn(node, it)));
        if state.crashes < self.bounds.crashes {
            actions.push(Action::Crash(node));
        }
        if state.council.registered[node] != replica.incarnation {
            actions.push(Action::Register(node));
        }
        let below = state.council.current().epoch < self.bounds.epochs;
        if below && state.council.may_promote(node) {
            actions.push(Action::Promote(node));
        }
    }
}

/// The client sends and sends again what it has no answer to, until its session ends.
fn offer_client(state: &State, actions: &mut Vec<Action>) {
    let first_incomplete = state.first_incomplete();
    for (request, (complete, answer)) in (0..).zip(state.complete.iter().zip(&state.answers)) {
        if *complete {
            continue;
        }
        let copy = RequestCopy { request, first_incomplete };
        if !state.ended && !state.copies.contains(&copy) {
            actions.push(Action::Issue(request));
        }
        if answer.is_some() {
            actions.push(Action::Complete(request));
        }
    }
}
