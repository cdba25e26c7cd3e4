//! What the council knows of a partition beyond its entry in the table.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::{Incarnation, LogPosition, NodeId};
use serde::{Deserialize, Serialize};

use super::node::StorageRecord;

/// What the council knows of a partition beyond its entry. Nothing, for almost all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionFacts {
    /// In-sync members whose log may miss its end: required for every acknowledgement, and not promoted while a sound
    /// member is recorded.
    pub suspects: BTreeSet<NodeId>,
    /// How far the logs of suspects reach.
    pub reports: BTreeMap<NodeId, Report>,
    /// Last members whose node came back without the storage. Only that storage, or a declared loss, opens the partition.
    pub stranded: BTreeMap<NodeId, StorageRecord>,
}

impl PartitionFacts {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.suspects.is_empty() && self.reports.is_empty() && self.stranded.is_empty()
    }

    /// Forgets what is known of a member.
    pub(crate) fn forget(&mut self, node: &NodeId) {
        self.suspects.remove(node);
        self.reports.remove(node);
        self.stranded.remove(node);
    }
}

/// How far a suspect's log reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The life that reported.
    pub incarnation: Incarnation,
    /// Its last entry.
    pub position: LogPosition,
}
