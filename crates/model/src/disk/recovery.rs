//! Restart, registration and promotion in the disk model: R2, R4 and section 12.

use super::DiskModel;
use super::mutant::Mutant;
use super::state::{Node, State};
use crate::council::Configuration;
use crate::nodes::{Members, NodeId, PerNode};

impl DiskModel {
    /// R2; the mutant also takes a node that was a member once and still has its first disk.
    pub(super) fn may_promote(&self, state: &State, node: NodeId) -> bool {
        let was_member = Members::first(self.bounds.in_sync).contains(node);
        let came_back = state.nodes[node].replica.incarnation > 1
            && state.council.registered[node] == state.nodes[node].replica.incarnation;
        let any_disk = self.is(Mutant::AnyDisk)
            && was_member
            && came_back
            && state.nodes[node].storage == 1
            && !state.council.current().in_sync.contains(node);
        any_disk || state.council.may_promote(node)
    }

    pub(super) fn promote(&self, state: &mut State, node: NodeId) {
        state.council.promote(node);
        if self.is(Mutant::AnyDisk) {
            let mut next = *state.council.current();
            next.in_sync.insert(node, state.council.registered[node]);
            state.council.commit(next);
        }
    }

    /// Section 12: every recorded member is suspect and has reported, and this one has the highest position.
    pub(super) fn may_promote_suspect(&self, state: &State, node: NodeId) -> bool {
        let current = state.council.current();
        let has_reported = |member: NodeId| {
            current.in_sync.has(member, state.nodes[member].replica.incarnation)
                && state.council.is_current_member(member)
        };
        let candidate = current.suspects[node] && has_reported(node);
        let ready = current.in_sync.iter().all(|(member, _)| {
            let reported = has_reported(member) || self.is(Mutant::PickWithoutWaiting);
            current.suspects[member] && reported
        });
        let highest = current
            .in_sync
            .iter()
            .all(|(member, _)| self.rank(&state.nodes[member]) <= self.rank(&state.nodes[node]));
        let picks_any = self.is(Mutant::PickAny) || self.is(Mutant::PickWithoutWaiting);
        candidate && ready && (highest || picks_any)
    }

    /// By what suspects are compared: `(epoch of the last entry, seq)`.
    fn rank(&self, node: &Node) -> (u8, u8) {
        match self.mutant {
            Mutant::PickByHeardEpoch => (node.heard_epoch, node.replica.log.length()),
            _ => node.replica.log.position(),
        }
    }

    /// What the chosen log lacks is lost, and declared. Was there a better choice?
    pub(super) fn promote_suspect(&self, state: &mut State, node: NodeId) {
        let current = *state.council.current();
        let better = current.in_sync.iter().any(|(member, _)| state.holds_all(member));
        state.avoidable = better && !state.holds_all(node);
        let kept: Vec<(u8, u8)> =
            state.acknowledged.iter().copied().filter(|write| state.holds(node, *write)).collect();
        state.acknowledged = kept.into_iter().collect();
        let mut alone = Members::default();
        alone.insert(node, state.council.registered[node]);
        state.loss_epoch = current.epoch + 1;
        state.council.commit(Configuration {
            epoch: state.loss_epoch,
            version: 0,
            primary: node,
            in_sync: alone,
            suspects: PerNode::default(),
        });
    }

    /// What was persisted is kept. A promise is not persisted (R1).
    pub(super) fn crash(&self, state: &mut State, node: NodeId) {
        state.spent.crashes += 1;
        let Node { replica, durable, .. } = &mut state.nodes[node];
        let before = replica.incarnation;
        replica.restart();
        replica.promised = 0;
        replica.log.truncate(*durable);
        if self.is(Mutant::SameIncarnation) {
            replica.incarnation = before;
        }
    }

    pub(super) fn lose_disk(&self, state: &mut State, node: NodeId) {
        state.spent.disk_losses += 1;
        let node = &mut state.nodes[node];
        node.replica.restart_empty();
        (node.durable, node.heard_epoch) = (0, 0);
        node.storage += 1;
    }

    pub(super) fn lose_power(&self, state: &mut State, node: NodeId, length: u8) {
        state.spent.power_losses += 1;
        let node = &mut state.nodes[node];
        node.replica.restart();
        node.replica.promised = 0;
        node.replica.log.truncate(length);
        node.durable = length;
        node.suspect = !self.is(Mutant::RebindSuspectAsSound);
    }

    /// R4: a member that proves the same storage is rebound, another one is removed.
    pub(super) fn register(&self, state: &mut State, node: NodeId) {
        let incarnation = state.nodes[node].replica.incarnation;
        let suspect = std::mem::take(&mut state.nodes[node].suspect);
        let storage = state.nodes[node].storage;
        let same_storage = std::mem::replace(&mut state.storage[node], storage) == storage;
        state.council.registered[node] = incarnation;
        let current = *state.council.current();
        if !current.in_sync.contains(node) {
            return;
        }
        let is_last = current.in_sync.nobody_but(node);
        let proven = match self.mutant {
            Mutant::RebindLost => true,
            Mutant::ExpelRestarted => same_storage && is_last,
            _ => same_storage,
        };
        if proven {
            let mut next = state.council.rebound(node, incarnation);
            next.suspects[node] |= suspect;
            if self.is(Mutant::ResumeSameEpoch) {
                (next.epoch, next.version) = (current.epoch, current.version + 1);
            }
            state.council.commit(next);
        } else if let Some(next) = state.council.expelled(node) {
            state.council.commit(next);
        } else {
            state.lost = true;
            let held = NodeId::ALL.into_iter().any(|it| state.holds_all(it));
            state.avoidable = held && !state.acknowledged.is_empty();
        }
    }
}
