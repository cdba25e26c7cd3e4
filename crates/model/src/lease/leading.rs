//! What a primary may do, and when, in the lease model.

use super::LeaseModel;
use super::mutant::Mutant;
use super::state::{Node, Read, State};
use crate::council::Amendment;
use crate::log::Change;
use crate::nodes::{Members, NodeId};

impl LeaseModel {
    /// Whether the node may take writes and answer reads, as far as handover (section 8) and barrier (R9) go.
    pub(super) fn may_serve(&self, node: &Node) -> bool {
        let past_barrier = node.replica.leadership.as_ref().is_some_and(|it| it.is_past_barrier());
        past_barrier && !node.yielded
    }

    /// Who must have given a lease: every member, and R6's additions and removals.
    fn required_for_lease(&self, node: NodeId, its: &Node) -> Members {
        let Some(leadership) = &its.replica.leadership else { return Members::default() };
        let required = leadership.required(node);
        match leadership.proposal {
            Some(Amendment::Remove(member)) if self.is(Mutant::RemovalNotLeased) => {
                required.without(member)
            }
            Some(Amendment::Add(learner, _))
                if self.is(Mutant::AdditionNotLeased) && !leadership.in_sync.contains(learner) =>
            {
                required.without(learner)
            }
            _ => required,
        }
    }

    /// Section 5: whether the read may reply now, by the lease or by its own round.
    pub(super) fn is_covered(&self, state: &State, read: &Read) -> bool {
        let its = &state.nodes[read.node];
        let Some(leadership) = &its.replica.leadership else { return false };
        let required = self.required_for_lease(read.node, its);
        if self.bounds.confirmed_reads {
            return required.iter().all(|(node, it)| read.confirmed[node] == Some(it));
        }
        let gave = |(node, incarnation)| {
            let matched = leadership.matched[node];
            matched.is_some_and(|it| it.incarnation == incarnation) && its.leases[node] > 0
        };
        if self.is(Mutant::LeaseFromSome) {
            return required.iter().next().is_none() || required.iter().any(gave);
        }
        required.iter().all(gave)
    }

    /// Commits what every required member holds, and acknowledges the writes among it that this primary took.
    pub(super) fn acknowledge_held(&self, state: &mut State, node: NodeId) {
        let replica = &mut state.nodes[node].replica;
        let Some(leadership) = &mut replica.leadership else { return };
        let held = leadership.held_by_all(&leadership.required(node), replica.log.length());
        if held < leadership.barrier {
            return;
        }
        for index in leadership.commit..held {
            let own = replica.log.epoch_at(index + 1) == replica.promised;
            if let (true, Some(Change::Write(number))) = (own, replica.log.content(index)) {
                state.visible.insert((number, index));
            }
        }
        leadership.commit = leadership.commit.max(held);
    }
}
