//! The council's content and how it is read.

use std::collections::BTreeMap;

use isogrid_core::{
    Incarnation, Member, Members, NodeId, PartitionCount, PartitionEntry, PartitionId, Replica,
    Table, TableDelta, TableVersion,
};
use serde::{Deserialize, Serialize};

use super::ledger::LossRecord;
use super::map::MapRecord;
use super::node::NodeRecord;
use super::partition::PartitionFacts;
use super::rules::Rules;
use super::session::Sessions;
use super::snapshot;
use crate::id::ClusterId;

/// What the cluster has agreed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Council {
    pub(super) cluster: Option<Cluster>,
    pub(super) nodes: BTreeMap<NodeId, NodeRecord>,
    pub(super) nodes_version: u64,
    /// The last lives of nodes that were forgotten: a life that was told apart once is never another one.
    pub(super) forgotten: BTreeMap<NodeId, Incarnation>,
    #[serde(with = "snapshot")]
    pub(super) table: Table,
    pub(super) facts: BTreeMap<PartitionId, PartitionFacts>,
    pub(super) maps: BTreeMap<String, MapRecord>,
    pub(super) maps_opened: u32,
    pub(super) maps_version: u64,
    pub(super) ledger: Vec<LossRecord>,
    pub(super) sessions: Sessions,
    pub(super) applied: u64,
    #[serde(skip)]
    pub(super) rules: Rules,
}

/// What was agreed when the cluster was formed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// The format of what is stored.
    pub format: u32,
    /// The features in use.
    pub feature_level: u32,
    /// How many copies of each partition are wanted, as long as no map wants more.
    pub copies: u8,
    /// What happens when nobody who holds a partition comes back.
    pub loss_policy: LossPolicy,
}

/// What happens to a partition when nobody who holds it comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossPolicy {
    /// It waits.
    #[default]
    Block,
    /// It starts anew after the recovery wait, and the ledger says so.
    Reset,
    /// It goes on at once with the most complete copy there is, and the ledger says so.
    Available,
}

impl Default for Council {
    fn default() -> Self {
        Council::new()
    }
}

impl Council {
    /// The format of what is stored that this code writes.
    pub const FORMAT: u32 = 1;

    /// The council before there is a cluster.
    pub fn new() -> Self {
        Council {
            cluster: None,
            nodes: BTreeMap::new(),
            nodes_version: 0,
            forgotten: BTreeMap::new(),
            table: Table::unassigned(PartitionCount::new(1).expect("one is a power of two")),
            facts: BTreeMap::new(),
            maps: BTreeMap::new(),
            maps_opened: 0,
            maps_version: 0,
            ledger: Vec::new(),
            sessions: Sessions::default(),
            applied: 0,
            rules: Rules::default(),
        }
    }

    /// The council with some rules off. Only tests may call it.
    #[doc(hidden)]
    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Which rules are kept: all of them, except in tests.
    #[doc(hidden)]
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// The cluster; `None` before it is formed.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// The loss policy; `block` before there is a cluster.
    pub fn loss_policy(&self) -> LossPolicy {
        self.cluster.as_ref().map(|cluster| cluster.loss_policy).unwrap_or_default()
    }

    /// How many copies of each partition are wanted: as many as the cluster's default or the most demanding map says.
    pub fn copies(&self) -> usize {
        let of_cluster = self.copies_of_cluster();
        let of_maps = self.maps.values().map(|map| map.mode.copies(of_cluster));
        of_maps.max().unwrap_or(of_cluster)
    }

    /// How many copies of each partition are wanted when no map wants more.
    pub(super) fn copies_of_cluster(&self) -> usize {
        self.cluster.as_ref().map_or(1, |cluster| usize::from(cluster.copies))
    }

    /// Who owns which partition.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The entry of a partition.
    pub fn entry(&self, partition: PartitionId) -> Option<&PartitionEntry> {
        self.table.entry(partition)
    }

    /// What changed in the table since a version.
    pub fn delta_since(&self, version: TableVersion) -> TableDelta {
        self.table.delta_since(version)
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> &BTreeMap<NodeId, NodeRecord> {
        &self.nodes
    }

    /// A node.
    pub fn node(&self, node: &NodeId) -> Option<&NodeRecord> {
        self.nodes.get(node)
    }

    /// Grows whenever something about a node changes.
    pub fn nodes_version(&self) -> u64 {
        self.nodes_version
    }

    /// All nodes as members.
    pub fn members(&self) -> Members {
        self.nodes.values().map(|record| record.member.clone()).collect()
    }

    /// A node as a member.
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        self.nodes.get(node).map(|record| &record.member)
    }

    /// The present life of a node that serves; `None` when it is down, joining or unknown.
    pub fn serving(&self, node: &NodeId) -> Option<Replica> {
        let record = self.nodes.get(node).filter(|record| record.is_serving())?;
        Some(Replica { node: node.clone(), incarnation: record.incarnation() })
    }

    /// Whether this life of a node is the present one and serves.
    pub fn is_live(&self, replica: &Replica) -> bool {
        let live = |record: &NodeRecord| {
            record.is_serving() && record.incarnation() == replica.incarnation
        };
        self.nodes.get(&replica.node).is_some_and(live)
    }

    /// Whether a member of a partition may miss the end of its log.
    pub fn is_suspect(&self, partition: PartitionId, node: &NodeId) -> bool {
        self.facts.get(&partition).is_some_and(|facts| facts.suspects.contains(node))
    }

    /// Whether what a member of a partition had is gone for good: it was memory, and its node has a later life.
    pub fn is_gone(&self, partition: PartitionId, node: &NodeId) -> bool {
        let stranded = |facts: &PartitionFacts| facts.stranded.get(node).copied();
        let storage = self.facts.get(&partition).and_then(stranded);
        storage.is_some_and(|storage| storage.is_volatile)
    }

    /// What is known of a partition beyond its entry, if anything.
    pub fn facts(&self, partition: PartitionId) -> Option<&PartitionFacts> {
        self.facts.get(&partition)
    }

    /// The partitions of which more is known than their entries.
    pub fn all_facts(&self) -> impl Iterator<Item = (PartitionId, &PartitionFacts)> {
        self.facts.iter().map(|(partition, facts)| (*partition, facts))
    }

    /// The maps, by name.
    pub fn maps(&self) -> &BTreeMap<String, MapRecord> {
        &self.maps
    }

    /// Grows whenever something about a map changes.
    pub fn maps_version(&self) -> u64 {
        self.maps_version
    }

    /// How many replicas must be in sync for every map to be writable.
    pub fn min_in_sync(&self) -> usize {
        let of_maps = self.maps.values().map(|map| usize::from(map.mode.min_in_sync));
        of_maps.max().unwrap_or(1).max(1)
    }

    /// The losses declared after this number of the ledger, in order.
    pub fn ledger_since(&self, number: u64) -> &[LossRecord] {
        let passed = usize::try_from(number).unwrap_or(usize::MAX).min(self.ledger.len());
        &self.ledger[passed..]
    }

    /// The sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// How many commands were applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The present life of a node.
    pub(super) fn incarnation(&self, node: &NodeId) -> Option<Incarnation> {
        self.nodes.get(node).map(NodeRecord::incarnation)
    }
}
