//! What operators are shown of the cluster, as this node knows it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::heartbeat::Lead;
use isogrid_core::NodeId;

use super::health::{CouncilHealth, Health, assess};
use super::news::Leader;
use super::shared::Control;
use super::view::View;

/// What this node knows of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct ClusterFacts {
    /// All that was committed.
    pub(crate) view: Arc<View>,
    /// Who leads the council.
    pub(crate) leader: Option<Leader>,
    /// Whether that leader is followed by a majority, as far as this node knows.
    pub(crate) has_quorum: bool,
    /// Who votes, by this node's own word if it does, else by the leader's.
    pub(crate) voters: BTreeSet<NodeId>,
    /// Those of them that live with the log that votes.
    pub(crate) voters_present: BTreeSet<NodeId>,
    /// The nodes that are heard of, this one included.
    pub(crate) live: BTreeSet<NodeId>,
}

/// Nodes ping each other each 100 ms: after so long one that says nothing is not there.
const HEARD_LATELY: Duration = Duration::from_millis(1_000);

impl Control {
    /// What this node knows of the cluster.
    pub(crate) fn facts(&self) -> ClusterFacts {
        let view = self.now_known();
        let has_quorum = self.has_leader();
        let live = self.live();
        let (voters, voters_present) = self.voters();
        ClusterFacts { leader: view.leader.clone(), has_quorum, voters, voters_present, live, view }
    }

    /// Whether a node is heard of.
    pub(crate) fn hears(&self, node: &NodeId) -> bool {
        self.live().contains(node)
    }

    /// Who is heard of: over links, which is the quickest word of all, or by gossip where there is none.
    fn live(&self) -> BTreeSet<NodeId> {
        let heard = self.faces.peers.heard();
        let members = self.faces.gossip.members();
        let members = members.borrow();
        let nodes = members.keys().chain(heard.keys());
        let is_live = |node: &&NodeId| match heard.get(*node) {
            Some(heard) => !heard.is_refused && heard.last.elapsed() < HEARD_LATELY,
            None => members.get(*node).is_some_and(|seen| seen.is_live),
        };
        nodes.filter(is_live).chain([self.node()]).cloned().collect()
    }

    /// Who votes, and whose vote counts now: the own voter knows it, or else the leader has said it.
    fn voters(&self) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
        let own: BTreeSet<NodeId> = self.faces.council.voters().into_values().collect();
        let votes = own.contains(self.node()) || own.len() > 1;
        let told = self.own.lock();
        if votes || told.voters.is_empty() {
            (own, self.voters_present().into_values().collect())
        } else {
            (told.voters.clone(), told.voters_present.clone())
        }
    }
}

impl ClusterFacts {
    /// How the cluster is, given what primaries say of what they lead.
    pub(crate) fn health_with(&self, leads: &[Lead]) -> Health {
        assess(&self.view, leads, self.council())
    }

    /// The members that are worth asking.
    pub(crate) fn live_members(&self) -> Vec<NodeId> {
        self.view.nodes.keys().filter(|node| self.live.contains(*node)).cloned().collect()
    }

    fn council(&self) -> CouncilHealth {
        let serves = |node: &&NodeId| {
            self.view.nodes.get(*node).is_some_and(|news| news.member.state.is_serving())
        };
        CouncilHealth {
            has_quorum: self.has_quorum,
            voters: self.voters.len(),
            voters_up: self.voters_present.iter().filter(serves).count(),
            nodes_up: self.view.nodes.keys().filter(serves).count(),
        }
    }
}
