//! The key figures of nodes as they were, as plain values.

use isogrid_proto::pb;

/// The key figures of all nodes.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// What the figures are, in their order.
    pub names: Vec<String>,
    /// Each node's own.
    pub nodes: Vec<NodeHistory>,
    /// Members that did not answer.
    pub missing: Vec<String>,
}

/// The key figures of one node.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct NodeHistory {
    /// The node.
    pub node_id: String,
    /// In the order of their time.
    pub points: Vec<HistoryPoint>,
}

/// The key figures of a moment.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HistoryPoint {
    /// In seconds since the epoch.
    pub at_s: u64,
    /// In the order of their names.
    pub figures: Vec<f32>,
}

impl From<pb::HistoryReply> for History {
    fn from(reply: pb::HistoryReply) -> Self {
        let point =
            |point: pb::HistoryPoint| HistoryPoint { at_s: point.at_s, figures: point.figures };
        let node = |node: pb::NodeHistory| NodeHistory {
            node_id: node.node_id,
            points: node.points.into_iter().map(point).collect(),
        };
        History {
            names: reply.names,
            nodes: reply.nodes.into_iter().map(node).collect(),
            missing: reply.missing,
        }
    }
}
