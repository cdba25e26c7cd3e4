//! How a cluster begins: who forms it, who joins it, and which nodes vote in its council.
//!
//! Empty nodes name the one that shall form the cluster: the first by name of those they see, once they see as many as
//! expected. The one that is named by as many, itself included, forms the cluster with itself as the only voter.
//! A node with data, or one that knows a cluster, never forms one: a new cluster beside an old one would be two owners.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::NodeId;

use crate::id::{ClusterId, VoterId};

/// What a node knows of itself and tells the others, as far as bootstrap needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub node: NodeId,
    /// The cluster that it belongs to or has heard of from a member.
    pub cluster: Option<ClusterId>,
    /// Whether it has never stored anything.
    pub is_empty: bool,
    /// How many nodes it waits for before a cluster is formed; zero: it never forms one.
    pub expect: u16,
    /// Whom it names to form the cluster.
    pub names: Option<NodeId>,
}

/// What a node does about its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// Wait for more nodes, or for others to decide.
    Wait {
        /// Whom to name from now on.
        names: Option<NodeId>,
        /// What is waited for.
        why: Waiting,
    },
    /// Draw a cluster id and form the cluster.
    FormCluster {
        /// The first voters.
        voters: BTreeSet<NodeId>,
        /// The nodes of the cluster to begin with.
        members: BTreeSet<NodeId>,
    },
    /// Join this cluster.
    JoinExisting(ClusterId),
}

/// What a node that has no cluster waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Fewer empty nodes are seen than are expected.
    MoreNodes,
    /// Another node is to form the cluster.
    ForAnother,
    /// Fewer nodes than are expected name this one.
    ToBeNamed,
    /// This node has data and does not know of which cluster.
    ForItsCluster,
    /// Two clusters are seen, or nodes that expect different numbers: an operator must look.
    Conflict,
}

/// What this node does about its cluster, given what it sees of the others.
pub fn decide(own: &Candidate, others: &[Candidate]) -> Bootstrap {
    if let Some(cluster) = own.cluster {
        return Bootstrap::JoinExisting(cluster);
    }
    let wait = |why| Bootstrap::Wait { names: None, why };
    let clusters: BTreeSet<ClusterId> = others.iter().filter_map(|other| other.cluster).collect();
    if clusters.len() > 1 {
        return wait(Waiting::Conflict);
    }
    if let Some(cluster) = clusters.first() {
        return if own.is_empty {
            Bootstrap::JoinExisting(*cluster)
        } else {
            wait(Waiting::ForItsCluster)
        };
    }
    if !own.is_empty {
        return wait(Waiting::ForItsCluster);
    }
    let mut empty: BTreeMap<&NodeId, &Candidate> = BTreeMap::new();
    let candidates = others.iter().chain([own]);
    empty.extend(candidates.filter(|c| c.is_empty && c.expect > 0).map(|c| (&c.node, c)));
    if empty.values().any(|candidate| candidate.expect != own.expect) && own.expect > 0 {
        return wait(Waiting::Conflict);
    }
    let Some(first) = empty.keys().next().filter(|_| empty.len() >= usize::from(own.expect.max(1)))
    else {
        return wait(Waiting::MoreNodes);
    };
    let named = |why| Bootstrap::Wait { names: Some((*first).clone()), why };
    if **first != own.node {
        return named(Waiting::ForAnother);
    }
    let naming = empty.values().filter(|c| c.names.as_ref() == Some(&own.node)).count();
    let own_counts = usize::from(own.names.as_ref() != Some(&own.node));
    if naming + own_counts < usize::from(own.expect) {
        return named(Waiting::ToBeNamed);
    }
    Bootstrap::FormCluster {
        voters: BTreeSet::from([own.node.clone()]),
        members: empty.keys().map(|node| (*node).clone()).collect(),
    }
}

/// A node that could vote in the council.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elector {
    /// Its name.
    pub node: NodeId,
    /// The voter that its council log belongs to.
    pub voter: VoterId,
    /// What fails together with it.
    pub zone: Option<String>,
    /// For how long it has been up and in contact; zero while it is not.
    pub stable_ms: u64,
}

/// For how long a node must be up before it votes.
pub const STABLE_MS_MIN: u64 = 5_000;

/// The voters that the council should have; `None` to leave them as they are.
///
/// One voter until three nodes are stable, then three; five at five. It shrinks only for those who `leave`, and not below
/// three. A voter whose node came back with another council log is replaced by the node's new voter, for the old one can
/// never come back.
pub fn next_voters(
    voters: &BTreeMap<VoterId, NodeId>,
    leave: &BTreeSet<VoterId>,
    electors: &[Elector],
) -> Option<BTreeMap<VoterId, NodeId>> {
    let stable: Vec<&Elector> = electors.iter().filter(|e| e.stable_ms >= STABLE_MS_MIN).collect();
    let is_wiped =
        |voter: VoterId, node: &NodeId| stable.iter().any(|e| e.node == *node && e.voter != voter);
    let mut next: BTreeMap<VoterId, NodeId> = voters
        .iter()
        .filter(|(voter, node)| !leave.contains(voter) && !is_wiped(**voter, node))
        .map(|(voter, node)| (*voter, node.clone()))
        .collect();
    let by_nodes = match stable.len() {
        0..3 => 1,
        3..5 => 3,
        _ => 5,
    };
    let least = if leave.is_empty() { voters.len() } else { voters.len().min(3) };
    let wanted = by_nodes.max(least);
    let zone_of =
        |node: &NodeId| electors.iter().find(|e| e.node == *node).and_then(|e| e.zone.as_deref());
    while next.len() < wanted {
        let free = stable.iter().filter(|e| !next.values().any(|node| *node == e.node));
        let in_zone = |zone: Option<&str>| next.values().filter(|n| zone_of(n) == zone).count();
        let Some(chosen) = free.min_by_key(|e| (in_zone(e.zone.as_deref()), &e.node)) else {
            break;
        };
        next.insert(chosen.voter, chosen.node.clone());
    }
    while next.len() > wanted {
        let in_zone = |node: &NodeId| next.values().filter(|n| zone_of(n) == zone_of(node)).count();
        let is_away = |node: &NodeId| !stable.iter().any(|e| e.node == *node);
        let spare =
            next.iter().max_by_key(|(_, node)| (is_away(node), in_zone(node), (*node).clone()));
        let Some(spare) = spare.map(|(voter, _)| *voter) else { break };
        next.remove(&spare);
    }
    // An even number tolerates no more than the odd one below it.
    let grows_by_half = next.len() < wanted && next.len() > voters.len();
    (next != *voters && !grows_by_half && next.len() >= least).then_some(next)
}

#[cfg(test)]
#[path = "bootstrap_test.rs"]
mod tests;
