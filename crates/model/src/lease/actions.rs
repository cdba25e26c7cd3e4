//! What can happen next in the lease model.

use super::LeaseModel;
use super::mutant::Mutant;
use super::state::{Action, State};
use crate::council::Amendment;
use crate::nodes::NodeId;
use crate::replica::Leadership;

impl LeaseModel {
    pub(super) fn offer(&self, state: &State, actions: &mut Vec<Action>) {
        for node in NodeId::ALL {
            if let Some(leadership) = &state.nodes[node].replica.leadership {
                self.offer_leading(state, node, leadership, actions);
                self.offer_changes(state, node, leadership, actions);
            }
            self.offer_learning(state, node, actions);
            if !state.ahead[node] && self.has_a_clock(state, node) {
                actions.push(Action::Tick(node));
            }
        }
        if state.read.is_some() {
            actions.extend([Action::EndRead, Action::AbortRead]);
        }
        actions.extend(state.network.iter().cloned().map(Action::Deliver));
    }

    /// What a primary does.
    fn offer_leading(
        &self,
        state: &State,
        node: NodeId,
        leadership: &Leadership,
        actions: &mut Vec<Action>,
    ) {
        if state.writes < self.bounds.writes && self.may_serve(&state.nodes[node]) {
            actions.push(Action::Write(node));
        }
        if state.network.len() < usize::from(self.bounds.messages) {
            let required = leadership.required(node);
            let learners = state.changes < self.bounds.changes && !state.nodes[node].yielded;
            let targets = node.others().filter(|it| required.contains(*it) || learners);
            for to in targets {
                actions.push(Action::Send(node, to));
                if self.bounds.heartbeats && required.contains(to) {
                    actions.push(Action::Heartbeat(node, to));
                }
            }
        }
        if state.read.is_none() {
            actions.push(Action::BeginRead(node));
        }
    }

    /// What a primary proposes: removals only after the wait of R3, handovers only of what is drained (section 8).
    fn offer_changes(
        &self,
        state: &State,
        node: NodeId,
        leadership: &Leadership,
        actions: &mut Vec<Action>,
    ) {
        let its = &state.nodes[node];
        if its.yielded && self.is(Mutant::HandoverResumes) {
            actions.push(Action::Resume(node));
        }
        if self.is(Mutant::ForgetAddition)
            && matches!(leadership.proposal, Some(Amendment::Add(..)))
        {
            actions.push(Action::Forget(node));
        }
        if state.changes >= self.bounds.changes || its.yielded {
            return;
        }
        let waited = its.wait == 0 || self.is(Mutant::RemovalWithoutWaiting);
        let drained = leadership.commit == its.replica.log.length() && self.may_serve(its);
        for amendment in leadership.proposable(node, true) {
            match amendment {
                Amendment::Remove(member) => {
                    if waited {
                        actions.push(Action::Propose(node, amendment));
                    }
                    if let (true, Some(it)) = (drained, leadership.in_sync.incarnation(member)) {
                        actions.push(Action::Propose(node, Amendment::HandOver(member, it)));
                    }
                }
                _ => actions.push(Action::Propose(node, amendment)),
            }
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
        let current = state.council.current();
        if current.epoch >= self.bounds.epochs || current.primary == node {
            return;
        }
        if state.council.may_promote(node) {
            actions.push(Action::Promote(node));
        } else if self.is(Mutant::ResetWithoutWaiting)
            && state.council.registered[node] == replica.incarnation
            && current.in_sync.nobody_but(current.primary)
        {
            actions.push(Action::Reset(node));
        }
    }
}
