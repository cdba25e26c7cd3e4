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
    /// Whether the loss of any one node would lose no data, and leave a council that can decide.
    pub(crate) is_safe: bool,
    /// Partitions that nobody ever held.
    pub(crate) unassigned: usize,
    /// Partitions that nobody leads, or whose primary is down.
    pub(crate) without_primary: usize,
    /// Partitions with fewer in-sync copies than wanted.
    pub(crate) under_replicated: usize,
    /// Nodes that are down and were not asked to go.
    pub(crate) down: usize,
    /// How the council is.
    pub(crate) council: CouncilHealth,
}

/// How the council is, in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CouncilHealth {
    /// Whether its leader answers this node, with a majority behind it.
    pub(crate) has_quorum: bool,
    /// How many vote.
    pub(crate) voters: usize,
    /// Those of them that are up and live with the log that votes.
    pub(crate) voters_up: usize,
    /// The nodes that are up.
    pub(crate) nodes_up: usize,
}

/// The fewest voters of which one may go, and the nodes that it takes to have them.
const VOTERS_SAFE_MIN: usize = 3;

impl CouncilHealth {
    /// Whether it could lose any one of its voters and still decide.
    pub(crate) fn is_safe(self) -> bool {
        self.voters_up > self.voters / 2 + 1
    }

    /// Whether it has as many voters as it should, and all of them are up. Two nodes have one, which no loss may hit.
    pub(crate) fn is_whole(self) -> bool {
        let is_spread = self.voters >= VOTERS_SAFE_MIN || self.nodes_up < VOTERS_SAFE_MIN;
        self.has_quorum && self.voters > 0 && self.voters_up == self.voters && is_spread
    }
}

impl Health {
    /// Whether the cluster is as well as it can be with what it has: safe, or nothing is missing where there are too few nodes or
    /// copies to be safe.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_safe || (self.word == Word::Healthy && self.council.is_whole())
    }

    /// What is missing, in words; nothing if the cluster is settled.
    pub(crate) fn missing(&self) -> Vec<String> {
        let partitions = |count: usize, what: &str| {
            (count > 0).then(|| match count {
                1 => format!("1 partition {what}"),
                count => format!("{count} partitions {what}"),
            })
        };
        let council = match self.council {
            council if self.is_safe || council.is_whole() => None,
            council if !council.has_quorum => Some("no leader of the council answers".to_owned()),
            council if council.voters_up == council.voters => {
                let (voters, nodes) = (council.voters, council.nodes_up);
                Some(format!("of {nodes} nodes {voters} votes in the council"))
            }
            council => {
                let (up, voters) = (council.voters_up, council.voters);
                Some(format!("{up} of the council's {voters} voters are up"))
            }
        };
        let down = || match self.down {
            1 => "1 node is down".to_owned(),
            down => format!("{down} nodes are down"),
        };
        let all = [
            partitions(self.unassigned, "nobody ever held"),
            partitions(self.without_primary, "nobody leads"),
            partitions(self.under_replicated, "with too few copies"),
            (self.down > 0).then(down),
            council,
        ];
        all.into_iter().flatten().collect()
    }
}

/// How the cluster is, by a node's view and by what the node itself leads: a backup whose copy is being mended counts for
/// nothing.
pub(crate) fn assess(view: &View, leads: &[Lead], council: CouncilHealth) -> Health {
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
    let is_whole = under_replicated == 0 && down == 0 && council.has_quorum;
    let word = match (is_served, is_whole) {
        (true, true) => Word::Healthy,
        (true, false) => Word::Degraded,
        (false, _) => Word::Unavailable,
    };
    let is_safe = is_served && fewest >= 2 && council.is_safe();
    Health { word, is_safe, unassigned, without_primary, under_replicated, down, council }
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
