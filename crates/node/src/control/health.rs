//! One word about the cluster, and whether it could lose a node: by what a node knows.

use std::collections::BTreeMap;

use isogrid_cluster::council::Intent;
use isogrid_cluster::heartbeat::Lead;
use isogrid_core::{MemberState, NodeId, PartitionEntry, PartitionId};

use super::view::View;

/// How the cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    /// Nothing is missing.
    Healthy,
    /// Every partition is served, and copies, a node or the council's majority are missing.
    Degraded,
    /// Some partition has no primary that is up.
    Unavailable,
}

impl Word {
    /// As people read it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Word::Healthy => "healthy",
            Word::Degraded => "degraded",
            Word::Unavailable => "unavailable",
        }
    }
}

/// How the cluster is, in figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// In a word.
    pub(crate) word: Word,
    /// Whether the loss of any one node would lose no data.
    pub(crate) is_safe: bool,
    /// Partitions that nobody ever held.
    pub(crate) unassigned: usize,
    /// Partitions that nobody leads, or whose primary is down.
    pub(crate) without_primary: usize,
    /// Partitions with fewer in-sync copies than wanted.
    pub(crate) under_replicated: usize,
    /// Nodes that are down and were not asked to go.
    pub(crate) down: usize,
}

/// How the cluster is, by a node's view and by what the node itself leads: a backup whose copy is being mended counts for
/// nothing. `has_quorum` says whether the council's leader answers this node.
pub(crate) fn assess(view: &View, leads: &[Lead], has_quorum: bool) -> Health {
    let copies = view.copies_possible();
    let leads: BTreeMap<PartitionId, &Lead> =
        leads.iter().map(|lead| (lead.partition, lead)).collect();
    let (mut unassigned, mut without_primary, mut under_replicated, mut fewest) =
        (0, 0, 0, usize::MAX);
    for (partition, entry) in view.table.iter() {
        let whole = whole_copies(view, entry, leads.get(&partition).copied());
        fewest = fewest.min(whole);
        if entry.in_sync.is_empty() {
            unassigned += 1;
            continue;
        }
        without_primary += usize::from(!is_led(view, entry));
        under_replicated += usize::from(whole < copies);
    }
    let is_missing = |news: &&super::news::NodeNews| {
        news.member.state == MemberState::Down
            && !matches!(news.intent, Intent::Leave | Intent::Restart)
    };
    let down = view.nodes.values().filter(is_missing).count();
    let is_served = view.cluster.is_some() && unassigned == 0 && without_primary == 0;
    let is_whole = under_replicated == 0 && down == 0 && has_quorum;
    let word = match (is_served, is_whole) {
        (true, true) => Word::Healthy,
        (true, false) => Word::Degraded,
        (false, _) => Word::Unavailable,
    };
    let is_safe = is_served && fewest >= 2;
    Health { word, is_safe, unassigned, without_primary, under_replicated, down }
}

fn is_up(view: &View, node: &NodeId) -> bool {
    view.nodes.get(node).is_some_and(|news| news.member.state.is_serving())
}

/// Whether somebody who is up leads the partition.
fn is_led(view: &View, entry: &PartitionEntry) -> bool {
    entry.primary.as_ref().is_some_and(|primary| is_up(view, primary))
}

/// How many in-sync copies there are on nodes that are up.
fn whole_copies(view: &View, entry: &PartitionEntry, lead: Option<&Lead>) -> usize {
    let is_mended = |node: &NodeId| {
        let followers = lead.map(|lead| lead.followers.as_slice()).unwrap_or_default();
        followers.iter().any(|(follower, how)| follower == node && !how.is_complete)
    };
    let is_whole =
        |member: &&isogrid_core::Replica| view.is_live(member) && !is_mended(&member.node);
    entry.in_sync.iter().filter(is_whole).count()
}

#[cfg(test)]
#[path = "health_test.rs"]
mod tests;
