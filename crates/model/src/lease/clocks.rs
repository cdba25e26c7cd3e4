//! Time in the lease model: local ticks, and what needs no clock.

use std::collections::BTreeSet;

use super::LeaseModel;
use super::mutant::Mutant;
use super::state::{State, Timed};
use crate::message::Message;
use crate::nodes::{NodeId, PerNode};

impl LeaseModel {
    /// A node that is in no configuration, and cannot come into one, needs no clock.
    pub(super) fn has_a_clock(&self, state: &State, node: NodeId) -> bool {
        let open = state.changes < self.bounds.changes || self.is(Mutant::ResetWithoutWaiting);
        let is_member = state.council.history().iter().any(|it| it.in_sync.contains(node));
        let leads = state.nodes[node].replica.leadership.is_some();
        let proposed = state.network.iter().any(|it| matches!(it.message, Message::Proposal(_)));
        let viewed = state.nodes.iter().any(|(other, its)| {
            let leadership = its.replica.leadership.as_ref();
            leadership
                .is_some_and(|it| it.in_sync.contains(node) || it.required(other).contains(node))
        });
        self.bounds.clocks && (open || is_member || leads || proposed || viewed)
    }

    /// A node's clock advances: what it times grows older. No clock runs ahead of another by more than a tick.
    pub(super) fn tick(&self, state: &mut State, node: NodeId) {
        let its = &mut state.nodes[node];
        its.wait = its.wait.saturating_sub(1);
        its.leases = PerNode::new(|other| its.leases[other].saturating_sub(1));
        let oldest = self.bounds.lease_ticks;
        let network = std::mem::take(&mut state.network);
        state.network = network
            .into_iter()
            .map(|it| if is_timed_by(&it, node) { older(it, oldest) } else { it })
            .collect();
        state.ahead[node] = true;
        let all = NodeId::ALL.iter().all(|it| state.ahead[*it] || !self.has_a_clock(state, *it));
        if all {
            state.ahead = PerNode::default();
        }
    }

    /// While nothing is timed, it means nothing whose clock is ahead.
    pub(super) fn forget_skew(&self, state: &mut State) {
        let idle =
            state.nodes.iter().all(|(_, its)| its.wait == 0 && its.leases == PerNode::default());
        let young = |it: &Timed| match it.message {
            Message::Proposal(_) => false,
            _ => it.age < self.bounds.lease_ticks,
        };
        if idle && !state.network.iter().any(young) {
            state.ahead = PerNode::default();
        }
    }
}

/// The age of a round is counted by the primary that began it.
fn is_timed_by(timed: &Timed, node: NodeId) -> bool {
    match &timed.message {
        Message::Append(append) => append.from == node,
        Message::Acknowledgement(answer) => answer.to == node,
        Message::Proposal(_) => false,
    }
}

/// Beyond a lease, older is all the same.
fn older(timed: Timed, oldest: u8) -> Timed {
    Timed { age: (timed.age + 1).min(oldest), ..timed }
}

/// A fresh mark means something only while a read waits for its round.
pub(super) fn normalised(timed: Timed, awaited: bool) -> Timed {
    Timed { fresh: timed.fresh && awaited, ..timed }
}

/// The messages of a set, each marked anew.
pub(super) fn renew(network: &mut BTreeSet<Timed>, renewed: impl Fn(Timed) -> Option<Timed>) {
    *network = std::mem::take(network).into_iter().filter_map(renewed).collect();
}
