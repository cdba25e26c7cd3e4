//! [`News`]: what the council decided, as it spreads from node to node. It brings a [`View`](super::view::View) up to date.

use std::collections::BTreeMap;

use isogrid_cluster::ClusterId;
use isogrid_cluster::council::{Cluster, Council, Intent, LossRecord, MapRecord};
use isogrid_core::{Member, NodeId, SessionId, TableDelta, TableVersion};
use serde::{Deserialize, Serialize};

/// What a node has of each part, so that it is told only what is new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Known {
    /// The version of its table.
    pub(crate) table: TableVersion,
    /// The version of what it knows of nodes.
    pub(crate) nodes: u64,
    /// The version of what it knows of maps.
    pub(crate) maps: u64,
    /// The last loss it knows of.
    pub(crate) losses: u64,
    /// The version of what it knows of ended sessions.
    pub(crate) sessions: u64,
}

impl Known {
    /// How much a council has.
    pub(crate) fn of(council: &Council) -> Known {
        let losses = council.ledger_since(0).last();
        Known {
            table: council.table().version(),
            nodes: council.nodes_version(),
            maps: council.maps_version(),
            losses: losses.map_or(0, |loss| loss.number),
            sessions: council.sessions().version(),
        }
    }

    /// Of each part the newer.
    #[must_use]
    pub(crate) fn or(self, other: Known) -> Known {
        Known {
            table: self.table.max(other.table),
            nodes: self.nodes.max(other.nodes),
            maps: self.maps.max(other.maps),
            losses: self.losses.max(other.losses),
            sessions: self.sessions.max(other.sessions),
        }
    }

    /// Whether nothing of the other is newer.
    pub(crate) fn covers(self, other: Known) -> bool {
        self.or(other) == self
    }
}

/// Who leads the council, in which term.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Leader {
    /// The term.
    pub(crate) term: u64,
    /// The node.
    pub(crate) node: NodeId,
}

/// A node as all others know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeNews {
    /// Its name, life, addresses, zone, weight and state.
    pub(crate) member: Member,
    /// What its operator wants of it.
    pub(crate) intent: Intent,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct News {
    /// The cluster; a node of another one does not listen.
    pub(crate) cluster: Cluster,
    /// Changes of the table.
    pub(crate) delta: TableDelta,
    /// All nodes, if something about them is new.
    pub(crate) nodes: Option<(u64, BTreeMap<NodeId, NodeNews>)>,
    /// All maps, if something about them is new.
    pub(crate) maps: Option<(u64, BTreeMap<String, MapRecord>)>,
    /// Losses that are new.
    pub(crate) losses: Vec<LossRecord>,
    /// The version of what is said of sessions.
    #[serde(default)]
    pub(crate) sessions: u64,
    /// All sessions below have ended.
    pub(crate) watermark: SessionId,
    /// And these.
    pub(crate) ended: Vec<SessionId>,
    /// Who leads the council.
    pub(crate) leader: Option<Leader>,
}

impl News {
    /// What a node lacks that has this much; `None` while there is no cluster.
    pub(crate) fn of(council: &Council, known: Known, leader: Option<Leader>) -> Option<News> {
        let cluster = council.cluster()?.clone();
        let node = |(name, record): (&NodeId, &isogrid_cluster::council::NodeRecord)| {
            (name.clone(), NodeNews { member: record.member.clone(), intent: record.intent })
        };
        let nodes = (known.nodes < council.nodes_version())
            .then(|| (council.nodes_version(), council.nodes().iter().map(node).collect()));
        let maps = (known.maps < council.maps_version())
            .then(|| (council.maps_version(), council.maps().clone()));
        Some(News {
            cluster,
            delta: council.delta_since(known.table),
            nodes,
            maps,
            losses: council.ledger_since(known.losses).to_vec(),
            sessions: council.sessions().version(),
            watermark: council.sessions().watermark(),
            ended: council.sessions().ended_above().collect(),
            leader,
        })
    }

    /// The cluster it is about.
    pub(crate) fn cluster_id(&self) -> ClusterId {
        self.cluster.id
    }
}
