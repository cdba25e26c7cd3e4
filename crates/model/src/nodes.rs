//! The few nodes of a model: [`NodeId`], something [`PerNode`], and [`Members`], a set of `(node, incarnation)` (R4).

use std::fmt;
use std::ops::{Index, IndexMut};

/// How many nodes a model has: enough for a primary, a backup and a learner, or for an in-sync set of three.
pub const NODES: usize = 3;

/// The number of a configuration's reign: every change of primary opens a new one.
pub type Epoch = u8;

/// Which start of a node this is, from one. A restart is a new incarnation (R4).
pub type Incarnation = u8;

/// One of the nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u8);

impl NodeId {
    /// Every node.
    pub const ALL: [NodeId; NODES] = [NodeId(0), NodeId(1), NodeId(2)];

    /// The node that is the primary at the beginning.
    pub const FIRST: NodeId = NodeId(0);

    /// The other nodes.
    pub fn others(self) -> impl Iterator<Item = NodeId> {
        NodeId::ALL.into_iter().filter(move |other| *other != self)
    }

    /// Its place in an array.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One value for each node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerNode<T>(pub [T; NODES]);

impl<T> PerNode<T> {
    /// Makes each node's value.
    pub fn new(make: impl FnMut(NodeId) -> T) -> Self {
        PerNode(NodeId::ALL.map(make))
    }

    /// Each node with its value.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &T)> {
        NodeId::ALL.into_iter().zip(&self.0)
    }
}

impl<T> Index<NodeId> for PerNode<T> {
    type Output = T;

    fn index(&self, node: NodeId) -> &T {
        &self.0[node.index()]
    }
}

impl<T> IndexMut<NodeId> for PerNode<T> {
    fn index_mut(&mut self, node: NodeId) -> &mut T {
        &mut self.0[node.index()]
    }
}

/// A set of nodes, each in one incarnation.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Members(PerNode<Option<Incarnation>>);

impl Members {
    /// The first `count` nodes, in their first incarnation.
    pub fn first(count: u8) -> Self {
        Members(PerNode::new(|node| (node.0 < count).then_some(1)))
    }

    /// The incarnation in which a node is a member.
    pub fn incarnation(&self, node: NodeId) -> Option<Incarnation> {
        self.0[node]
    }

    /// Whether the node is a member, in whatever incarnation.
    pub fn contains(&self, node: NodeId) -> bool {
        self.0[node].is_some()
    }

    /// Whether exactly this incarnation is a member.
    pub fn has(&self, node: NodeId, incarnation: Incarnation) -> bool {
        self.0[node] == Some(incarnation)
    }

    /// Whether nobody but this node is a member.
    pub fn nobody_but(&self, node: NodeId) -> bool {
        node.others().all(|other| !self.contains(other))
    }

    /// Makes this incarnation the member.
    pub fn insert(&mut self, node: NodeId, incarnation: Incarnation) {
        self.0[node] = Some(incarnation);
    }

    /// Takes the node out.
    pub fn remove(&mut self, node: NodeId) {
        self.0[node] = None;
    }

    /// The same without one node.
    #[must_use]
    pub fn without(mut self, node: NodeId) -> Self {
        self.remove(node);
        self
    }

    /// The members, in order.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, Incarnation)> {
        self.0.iter().filter_map(|(node, incarnation)| incarnation.map(|it| (node, it)))
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> =
            self.iter().map(|(node, incarnation)| format!("{}#{incarnation}", node.0)).collect();
        write!(f, "{{{}}}", names.join(" "))
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
