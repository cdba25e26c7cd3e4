//! The next step of one partition from its entry to the desired one.

use isogrid_core::{NodeId, PartitionEntry, PartitionId, Replica};

use crate::council::{Council, Intent};

/// What a plan looks at.
pub(super) struct View<'a> {
    pub(super) council: &'a Council,
    pub(super) partition: PartitionId,
    pub(super) entry: &'a PartitionEntry,
    /// Who should hold the partition, the primary first.
    pub(super) desired: &'a [NodeId],
    /// Whether a node's clock is good enough to lead.
    pub(super) clock_is_good: &'a dyn Fn(&NodeId) -> bool,
    /// Whether a node may take copies.
    pub(super) is_ready: &'a dyn Fn(&NodeId) -> bool,
    /// Whether a learner makes no progress.
    pub(super) is_stalled: &'a dyn Fn(&Replica) -> bool,
}

/// The next step of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is as it should be.
    Settled,
    /// Something else must happen first.
    Wait,
    /// Nobody leads it.
    Recover,
    /// A suspect's log is to be compared.
    Vouch(Replica),
    /// A learner is of no use.
    Drop(Replica),
    /// A copy is to be made.
    Copy {
        /// By whom.
        to: Replica,
        /// How many whole copies are missing.
        missing: usize,
    },
    /// Another member is to lead.
    HandOver(NodeId),
    /// A member is not needed any more.
    Retire(Replica),
}

impl View<'_> {
    /// The next step.
    pub(super) fn next(&self) -> Next {
        let entry = self.entry;
        let leads = |member: &&Replica| {
            entry.primary.as_ref() == Some(&member.node) && self.is_sound(member)
        };
        let Some(primary) = entry.in_sync.iter().find(leads) else { return Next::Recover };
        if let Some(suspect) = entry.in_sync.iter().find(|m| self.is_live_suspect(m)) {
            return Next::Vouch(suspect.clone());
        }
        if let Some(learner) = entry.learners.iter().find(|learner| !self.is_useful(learner)) {
            return Next::Drop(learner.clone());
        }
        let missing = self.missing();
        if let Some(to) = self.copy_to(missing) {
            return Next::Copy { to, missing };
        }
        if let Some(to) = self.better_leader(&primary.node) {
            return Next::HandOver(to);
        }
        let surplus = entry
            .in_sync
            .iter()
            .find(|member| member.node != primary.node && !self.desired.contains(&member.node));
        let is_full = self.desired.iter().all(|node| self.holds(node));
        match surplus {
            Some(member) if is_full && !self.desired.is_empty() => Next::Retire(member.clone()),
            None if is_full && entry.learners.is_empty() && self.leader_is_right(primary) => {
                Next::Settled
            }
            _ => Next::Wait,
        }
    }

    fn is_suspect(&self, node: &NodeId) -> bool {
        self.council.is_suspect(self.partition, node)
    }

    fn is_live_suspect(&self, member: &Replica) -> bool {
        self.is_suspect(&member.node) && self.council.is_live(member)
    }

    /// Whether a member has everything and is up.
    fn is_sound(&self, member: &Replica) -> bool {
        self.council.is_live(member) && !self.is_suspect(&member.node)
    }

    /// Whether a node is a sound member.
    fn holds(&self, node: &NodeId) -> bool {
        self.entry.in_sync.iter().any(|member| member.node == *node && self.is_sound(member))
    }

    fn is_useful(&self, learner: &Replica) -> bool {
        self.council.is_live(learner)
            && self.desired.contains(&learner.node)
            && !(self.is_stalled)(learner)
    }

    /// How many whole copies are missing.
    fn missing(&self) -> usize {
        let whole = self.entry.in_sync.iter().filter(|member| self.is_sound(member)).count();
        self.desired.len().saturating_sub(whole)
    }

    /// Who makes the next copy: as many at once as are missing, and one where copies only move.
    fn copy_to(&self, missing: usize) -> Option<Replica> {
        if self.entry.learners.len() >= missing.max(1) {
            return None;
        }
        let is_holder = |node: &NodeId| self.entry.holders().any(|holder| holder.node == *node);
        let may = |node: &&NodeId| !is_holder(node) && self.stays(node) && (self.is_ready)(node);
        self.desired.iter().filter(may).find_map(|node| self.council.serving(node))
    }

    /// Whether a node is not about to go.
    fn stays(&self, node: &NodeId) -> bool {
        self.council.node(node).is_some_and(|record| record.intent == Intent::Stay)
    }

    /// Whether a node should lead where it is preferred.
    fn is_willing(&self, node: &NodeId) -> bool {
        self.stays(node) && self.council.serving(node).is_some() && (self.clock_is_good)(node)
    }

    /// Who should lead in place of the primary, and can: the preferred one, or anybody when the primary must not go on.
    fn better_leader(&self, primary: &NodeId) -> Option<NodeId> {
        let intent = self.council.node(primary).map(|record| record.intent);
        let must_go = intent == Some(Intent::Restart) || !(self.clock_is_good)(primary);
        let willing = |node: &&NodeId| self.is_willing(node);
        let preferred = self.desired.iter().find(willing);
        match preferred {
            Some(node) if node == primary => None,
            // A copy under way would go on from another source, which may be busy.
            Some(_) if !self.entry.learners.is_empty() && !must_go => None,
            Some(node) if self.holds(node) => Some(node.clone()),
            _ if must_go => {
                let in_order =
                    self.desired.iter().chain(self.entry.in_sync.iter().map(|m| &m.node));
                let mut fit =
                    in_order.filter(|node| willing(node) || self.goes_later(node, primary));
                fit.find(|node| *node != primary && self.holds(node)).cloned()
            }
            _ => None,
        }
    }

    /// Whether two nodes restart and this one is the second to go: they go in the order of their names.
    fn goes_later(&self, node: &NodeId, than: &NodeId) -> bool {
        let restarts = |node| self.council.node(node).map(|r| r.intent) == Some(Intent::Restart);
        restarts(node) && restarts(than) && node > than && (self.clock_is_good)(node)
    }

    fn leader_is_right(&self, primary: &Replica) -> bool {
        self.desired.first() == Some(&primary.node)
    }
}
