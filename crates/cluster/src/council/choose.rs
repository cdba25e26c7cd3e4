//! Who can lead a partition, and who of them does.

use std::collections::BTreeMap;

use isogrid_core::{NodeId, PartitionEntry, PartitionId, Replica, Table};

use super::draft::Draft;
use super::node::{Intent, NodeRecord};
use super::partition::PartitionFacts;
use super::state::Council;

impl Council {
    /// Whether a member of the partition can lead it: the present life of a node that serves, and sound (R2).
    pub fn can_lead(&self, partition: PartitionId, member: &Replica) -> bool {
        self.can_lead_given(self.facts(partition), member)
    }

    fn can_lead_given(&self, facts: Option<&PartitionFacts>, member: &Replica) -> bool {
        let Some(record) = self.nodes.get(&member.node) else { return false };
        let is_current = record.incarnation() == member.incarnation;
        let is_suspect = facts.is_some_and(|facts| facts.suspects.contains(&member.node));
        record.is_serving() && (is_current || !self.rules.promote_only_current) && !is_suspect
    }

    /// The members of the partition that can lead it.
    pub fn leaders(&self, partition: PartitionId) -> impl Iterator<Item = &Replica> {
        let members = self.entry(partition).map(|entry| entry.in_sync.as_slice());
        members.unwrap_or_default().iter().filter(move |m| self.can_lead(partition, m))
    }
}

impl Draft<'_> {
    /// Whether a member can lead the partition as the draft has it.
    pub(super) fn can_lead(&self, partition: PartitionId, member: &Replica) -> bool {
        self.council().can_lead_given(self.facts(partition), member)
    }

    /// Who of those that can lead the partition is chosen to, `but` excepted.
    pub(super) fn leader_but(
        &self,
        partition: PartitionId,
        but: &NodeId,
        loads: &Loads,
    ) -> Option<Replica> {
        let entry = self.entry(partition)?;
        let candidates = self.candidates(entry);
        let fit = candidates
            .into_iter()
            .filter(|replica| replica.node != *but && self.can_lead(partition, replica));
        fit.min_by_key(|replica| self.preference(&replica.node, loads))
    }

    /// Those among whom a leader is chosen: the in-sync set (R2).
    fn candidates(&self, entry: &PartitionEntry) -> Vec<Replica> {
        if self.council().rules.promote_only_in_sync {
            return entry.in_sync.clone();
        }
        let learners: Vec<Replica> = entry.learners.clone();
        if !learners.is_empty() {
            return learners;
        }
        self.council().nodes.keys().filter_map(|node| self.council().serving(node)).collect()
    }

    /// The smaller, the better: nodes that stay before those that go, then the one with the fewest primaries for its
    /// weight, then the first by name.
    fn preference(&self, node: &NodeId, loads: &Loads) -> (bool, u64, NodeId) {
        let record = self.council().nodes.get(node);
        let stays = |record: &NodeRecord| record.intent == Intent::Stay;
        let weight = record.map_or(1, |record| u64::from(record.member.weight.max(1)));
        let load = loads.of(node) * 1_000_000 / weight;
        (!record.is_some_and(stays), load, node.clone())
    }
}

/// How many partitions each node leads.
#[derive(Default)]
pub(super) struct Loads(BTreeMap<NodeId, u64>);

impl Loads {
    /// As the table has it.
    pub(super) fn of_table(table: &Table) -> Self {
        let mut loads = Loads::default();
        for (_, entry) in table.iter() {
            if let Some(primary) = &entry.primary {
                loads.add(primary);
            }
        }
        loads
    }

    /// The node leads one more.
    pub(super) fn add(&mut self, node: &NodeId) {
        match self.0.get_mut(node) {
            Some(count) => *count += 1,
            None => drop(self.0.insert(node.clone(), 1)),
        }
    }

    fn of(&self, node: &NodeId) -> u64 {
        self.0.get(node).copied().unwrap_or_default()
    }
}
