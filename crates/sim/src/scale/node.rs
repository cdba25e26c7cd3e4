//! A node of the large cluster: its own table, and its replicas as `reconcile` opens and closes them.

use std::collections::BTreeMap;

use isogrid_cluster::gossip::{GossipState, Load};
use isogrid_cluster::reconcile::{Action, LocalReplica, Own, reconcile};
use isogrid_cluster::{ClusterId, Millis};
use isogrid_core::{NodeId, PartitionEntry, PartitionId, Replica, Table, Timestamp};

use super::traffic::{Watch, Work};

/// A node as it is.
pub(super) struct Node {
    pub(super) own: Own,
    pub(super) is_up: bool,
    /// The table as it knows it.
    pub(super) table: Table,
    pub(super) replicas: BTreeMap<PartitionId, LocalReplica>,
    /// When it gossips next.
    pub(super) gossips_at: Millis,
    /// The delta that it waits for: when it comes and from whom.
    pub(super) pull: Option<(Millis, usize)>,
}

impl Node {
    pub(super) fn id(&self) -> &NodeId {
        &self.own.node
    }

    pub(super) fn life(&self) -> Replica {
        Replica { node: self.own.node.clone(), incarnation: self.own.incarnation }
    }

    /// What it tells the others.
    pub(super) fn state(&self, cluster: ClusterId, now: Millis) -> GossipState {
        GossipState {
            node: self.own.node.clone(),
            incarnation: self.own.incarnation,
            cluster: Some(cluster),
            table: self.table.version(),
            table_hash: self.table.hash(),
            clock: Timestamp(now.0),
            load: Load::default(),
        }
    }

    /// Takes a newer table and does what it says; returns the partitions that it opened or whose entry changed.
    pub(super) fn take(
        &mut self,
        table: Table,
        now: Millis,
        watch: &mut dyn Watch,
    ) -> Vec<PartitionId> {
        self.table = table;
        watch.begin();
        let actions = reconcile(&self.table, &self.own, &self.replicas, now);
        watch.end(Work::Reconcile);
        let mut touched = Vec::new();
        for action in actions {
            match action {
                Action::Open { partition, entry, .. } | Action::Update { partition, entry, .. } => {
                    self.replicas.insert(partition, LocalReplica::Open(entry));
                    touched.push(partition);
                }
                Action::Close { partition } => {
                    self.replicas.insert(partition, LocalReplica::Closed { since: now });
                }
                Action::Delete { partition } => drop(self.replicas.remove(&partition)),
            }
        }
        touched
    }

    /// The entry by which it takes part in a partition.
    pub(super) fn open(&self, partition: PartitionId) -> Option<&PartitionEntry> {
        match self.replicas.get(&partition) {
            Some(LocalReplica::Open(entry)) if self.is_up => Some(entry),
            _ => None,
        }
    }

    /// The same, if it leads the partition by it.
    pub(super) fn leads(&self, partition: PartitionId) -> Option<&PartitionEntry> {
        self.open(partition).filter(|entry| entry.primary.as_ref() == Some(&self.own.node))
    }

    /// Whether it copies the partition by what it knows.
    pub(super) fn learns(&self, partition: PartitionId) -> bool {
        let is_own = |learner: &Replica| learner.node == self.own.node;
        self.open(partition).is_some_and(|entry| entry.learners.iter().any(is_own))
    }
}
