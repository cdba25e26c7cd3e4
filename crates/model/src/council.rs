//! The council, as one atomic service: the ordered configurations of the partition, and who may change them.

use std::fmt;

use crate::nodes::{Epoch, Incarnation, Members, NodeId, PerNode};

/// Who owns the partition: one committed state of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Configuration {
    /// Changes with the primary.
    pub epoch: Epoch,
    /// Changes with the in-sync set, within the epoch.
    pub version: u8,
    /// Who takes writes.
    pub primary: NodeId,
    /// Who must hold a write before it is acknowledged.
    pub in_sync: Members,
    /// Members whose log may miss its tail (section 12): required, and not promoted while a sound member is recorded.
    pub suspects: PerNode<bool>,
}

impl Configuration {
    /// Whether this incarnation of the node is the primary.
    pub fn is_led_by(&self, node: NodeId, incarnation: Incarnation) -> bool {
        self.primary == node && self.in_sync.has(node, incarnation)
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}.{}: {} of {}", self.epoch, self.version, self.primary, self.in_sync)?;
        for (node, _) in self.in_sync.iter().filter(|(node, _)| self.suspects[*node]) {
            write!(f, ", {node} suspect")?;
        }
        Ok(())
    }
}

/// What a primary may ask of the council.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Amendment {
    /// Take a learner into the in-sync set, in this incarnation (R5).
    Add(NodeId, Incarnation),
    /// Take a member out of it (R3).
    Remove(NodeId),
    /// Make this member the primary (section 8).
    HandOver(NodeId, Incarnation),
}

impl fmt::Display for Amendment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amendment::Add(node, incarnation) => write!(f, "to add {node}#{incarnation}"),
            Amendment::Remove(node) => write!(f, "to remove {node}"),
            Amendment::HandOver(node, incarnation) => {
                write!(f, "to hand over to {node}#{incarnation}")
            }
        }
    }
}

/// A compare-and-set: the amendment holds if the council is still at this epoch and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proposal {
    /// The proposer's epoch.
    pub epoch: Epoch,
    /// The version it read last.
    pub version: u8,
    /// What it asks for.
    pub amendment: Amendment,
}

/// The council's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Council {
    /// The committed configurations, oldest first, the current one last: nodes may learn of old ones late. Those that no
    /// node can learn any more are dropped.
    history: Vec<Configuration>,
    /// The incarnation that each node registered last.
    pub registered: PerNode<Incarnation>,
}

impl Council {
    /// The first node leads, the first `in_sync` nodes are members.
    pub fn new(in_sync: u8) -> Self {
        let first = Configuration {
            epoch: 1,
            version: 0,
            primary: NodeId::FIRST,
            in_sync: Members::first(in_sync),
            suspects: PerNode::default(),
        };
        Council { history: vec![first], registered: PerNode([1; 3]) }
    }

    /// The configuration in force.
    pub fn current(&self) -> &Configuration {
        self.history.last().expect("the current configuration is never dropped")
    }

    /// The configurations that a node may still learn of, oldest first.
    pub fn history(&self) -> &[Configuration] {
        &self.history
    }

    /// Commits a configuration.
    pub fn commit(&mut self, configuration: Configuration) {
        self.history.push(configuration);
    }

    /// Drops what nobody can learn any more.
    pub fn forget(&mut self, learnable: impl Fn(&Configuration) -> bool) {
        let current = *self.current();
        self.history.retain(|it| *it == current || learnable(it));
    }

    /// The members that are alive in the incarnation that the set records.
    pub fn is_current_member(&self, node: NodeId) -> bool {
        self.current().in_sync.has(node, self.registered[node])
    }

    /// R2: only a sound, current incarnation from the committed in-sync set.
    pub fn may_promote(&self, node: NodeId) -> bool {
        let current = self.current();
        current.primary != node && self.is_current_member(node) && !current.suspects[node]
    }

    /// R2: changes epoch and primary, and keeps the old primary in the set.
    pub fn promote(&mut self, node: NodeId) {
        let current = *self.current();
        self.commit(Configuration {
            epoch: current.epoch + 1,
            version: 0,
            primary: node,
            ..current
        });
    }

    /// What the amendment makes of the current configuration; nothing if the compare-and-set fails, or if the incarnation it
    /// names is not the current one (R5).
    pub fn amended(&self, proposal: &Proposal) -> Option<Configuration> {
        let mut next = *self.current();
        if (proposal.epoch, proposal.version) != (next.epoch, next.version) {
            return None;
        }
        next.version += 1;
        match proposal.amendment {
            Amendment::Add(node, incarnation) => {
                next.in_sync.insert(node, incarnation);
                next.suspects[node] = false;
                (self.registered[node] == incarnation).then_some(next)
            }
            Amendment::Remove(node) => {
                let recorded = next.in_sync.contains(node);
                next.in_sync.remove(node);
                next.suspects[node] = false;
                recorded.then_some(next)
            }
            Amendment::HandOver(node, incarnation) => {
                next = Configuration { epoch: next.epoch + 1, version: 0, primary: node, ..next };
                let current =
                    self.registered[node] == incarnation && next.in_sync.has(node, incarnation);
                current.then_some(next)
            }
        }
    }

    /// R4, for a node that proved its storage: the entry is rebound to the new incarnation, and a new epoch is opened if the
    /// node was the primary.
    pub fn rebound(&self, node: NodeId, incarnation: Incarnation) -> Configuration {
        let mut next = *self.current();
        next.in_sync.insert(node, incarnation);
        if next.primary == node {
            (next.epoch, next.version) = (next.epoch + 1, 0);
        } else {
            next.version += 1;
        }
        next
    }

    /// R4, for a node that lost what it held: its entry is removed. The last one stays recorded (R10): then there is no next
    /// configuration, everything is lost.
    pub fn expelled(&self, node: NodeId) -> Option<Configuration> {
        let mut next = *self.current();
        next.in_sync.remove(node);
        next.suspects[node] = false;
        next.version += 1;
        (!self.current().in_sync.nobody_but(node)).then_some(next)
    }
}
