//! What operators are shown of the cluster, as this node knows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use isogrid_core::NodeId;

use super::health::{Health, assess};
use super::news::Leader;
use super::shared::Control;
use super::view::View;

/// What this node knows of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct ClusterFacts {
    /// All that was committed.
    pub(crate) view: Arc<View>,
    /// How the cluster is.
    pub(crate) health: Health,
    /// Who leads the council.
    pub(crate) leader: Option<Leader>,
    /// Whether that leader is followed by a majority, as far as this node knows.
    pub(crate) has_quorum: bool,
    /// Who votes, where this node takes part in the council; empty elsewhere.
    pub(crate) voters: BTreeSet<NodeId>,
    /// The nodes that are heard of, this one included.
    pub(crate) live: BTreeSet<NodeId>,
}

impl Control {
    /// What this node knows of the cluster.
    pub(crate) fn facts(&self) -> ClusterFacts {
        let view = self.now_known();
        let has_quorum = self.has_leader();
        let health = assess(&view, &self.faces.engine.leads(), has_quorum);
        let mut live: BTreeSet<NodeId> = {
            let members = self.faces.gossip.members();
            let members = members.borrow();
            members.iter().filter(|(_, seen)| seen.is_live).map(|(node, _)| node.clone()).collect()
        };
        live.insert(self.node().clone());
        ClusterFacts {
            health,
            leader: view.leader.clone(),
            has_quorum,
            voters: self.faces.council.voters().into_values().collect(),
            live,
            view,
        }
    }
}
