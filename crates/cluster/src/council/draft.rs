//! The changes that one command makes to the table, collected and then made at once or not at all.

use std::collections::BTreeMap;

use isogrid_core::{Epoch, NodeId, PartitionEntry, PartitionId, Replica, Table};

use super::ledger::LossRecord;
use super::outcome::Refusal;
use super::partition::PartitionFacts;
use super::state::Council;

/// The table as a command makes it.
pub(super) struct Draft<'a> {
    council: &'a Council,
    entries: BTreeMap<PartitionId, PartitionEntry>,
    facts: BTreeMap<PartitionId, PartitionFacts>,
    losses: Vec<LossRecord>,
}

/// A finished draft.
pub(super) struct Drafted {
    table: Option<Table>,
    facts: BTreeMap<PartitionId, PartitionFacts>,
    losses: Vec<LossRecord>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(council: &'a Council) -> Self {
        Draft { council, entries: BTreeMap::new(), facts: BTreeMap::new(), losses: Vec::new() }
    }

    /// The council before the command. Its nodes are up to date.
    pub(super) fn council(&self) -> &'a Council {
        self.council
    }

    /// The entry as it stands.
    pub(super) fn entry(&self, partition: PartitionId) -> Option<&PartitionEntry> {
        self.entries.get(&partition).or_else(|| self.council.table.entry(partition))
    }

    /// The entry to change: its ver grows. The partition must be one of the table's.
    pub(super) fn edit(&mut self, partition: PartitionId) -> &mut PartitionEntry {
        let council = self.council;
        let entry = self.entries.entry(partition).or_insert_with(|| {
            council
                .table
                .entry(partition)
                .cloned()
                .expect("only partitions of the table are edited")
        });
        // At the end of numbers the table refuses the change.
        entry.ver = entry.ver.saturating_add(1);
        entry
    }

    /// What is known of a partition beyond its entry.
    pub(super) fn facts(&self, partition: PartitionId) -> Option<&PartitionFacts> {
        self.facts.get(&partition).or_else(|| self.council.facts.get(&partition))
    }

    /// The facts of a partition to change.
    pub(super) fn edit_facts(&mut self, partition: PartitionId) -> &mut PartitionFacts {
        let council = self.council;
        self.facts
            .entry(partition)
            .or_insert_with(|| council.facts.get(&partition).cloned().unwrap_or_default())
    }

    /// Whether the log of a member may miss its end, as the rules see it.
    pub(super) fn is_suspect(&self, partition: PartitionId, node: &NodeId) -> bool {
        self.facts(partition).is_some_and(|facts| facts.suspects.contains(node))
    }

    /// Forgets what is known of a member, if anything.
    pub(super) fn forget(&mut self, partition: PartitionId, node: &NodeId) {
        if self.facts(partition).is_some() {
            self.edit_facts(partition).forget(node);
        }
    }

    /// Records a loss; its number is given when the draft is made true.
    pub(super) fn lose(&mut self, loss: LossRecord) {
        self.losses.push(loss);
    }

    /// Makes a member lead in a new epoch. The old primary stays in the set (R2).
    pub(super) fn lead(&mut self, partition: PartitionId, leader: &Replica) {
        let keep_old = self.council.rules.keep_old_primary;
        let present = self.council.incarnation(&leader.node).unwrap_or(leader.incarnation);
        let entry = self.edit(partition);
        let old = entry.primary.replace(leader.node.clone());
        entry.epoch = next(entry.epoch);
        // Only with a rule off is the leader not a member already.
        if !entry.in_sync.iter().any(|member| member.node == leader.node) {
            entry.learners.retain(|learner| learner.node != leader.node);
            entry.in_sync.push(leader.clone());
        }
        // Nor is then its recorded life another one than the present one.
        let leads = entry.in_sync.iter_mut().filter(|member| member.node == leader.node);
        leads.for_each(|member| member.incarnation = present);
        if !keep_old {
            entry
                .in_sync
                .retain(|member| member.node == leader.node || Some(&member.node) != old.as_ref());
        }
    }

    /// Leaves the partition without a primary, in a new epoch.
    pub(super) fn behead(&mut self, partition: PartitionId) {
        let entry = self.edit(partition);
        entry.primary = None;
        entry.epoch = next(entry.epoch);
    }

    /// Opens a new epoch with the same primary.
    pub(super) fn renew(&mut self, partition: PartitionId) {
        let entry = self.edit(partition);
        entry.epoch = next(entry.epoch);
    }

    /// The table of the draft, unless it breaks a rule of tables.
    pub(super) fn finish(self) -> Result<Drafted, Refusal> {
        let entries: Vec<_> = self.entries.into_iter().collect();
        let table = if entries.is_empty() {
            None
        } else {
            let table = &self.council.table;
            Some(table.apply(&table.change(entries)).map_err(|_| Refusal::BreaksTable)?)
        };
        Ok(Drafted { table, facts: self.facts, losses: self.losses })
    }
}

/// The epoch after this one.
pub(super) fn next(epoch: Epoch) -> Epoch {
    Epoch(epoch.0.saturating_add(1))
}

impl Council {
    /// Makes a draft true.
    pub(super) fn accept(&mut self, drafted: Drafted) {
        if let Some(table) = drafted.table {
            self.table = table;
        }
        for (partition, facts) in drafted.facts {
            if facts.is_empty() {
                self.facts.remove(&partition);
            } else {
                self.facts.insert(partition, facts);
            }
        }
        for mut loss in drafted.losses {
            loss.number = self.ledger.len() as u64 + 1;
            self.ledger.push(loss);
        }
    }
}
