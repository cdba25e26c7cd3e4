//! From the table to the replicas of one node: which to open, update, close and delete. Called again with the same
//! arguments it gives the same answer, and once the actions are done, none.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::{
    Incarnation, LogPosition, NodeId, PartitionEntry, PartitionId, Table, TableVersion,
};

use crate::id::Millis;

/// For how long a node keeps the data of a partition after it read that it holds it no more.
pub const KEEP_MS: u64 = 60_000;

/// What a node is to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes the writes.
    Primary,
    /// It is in sync.
    Backup,
    /// It is catching up.
    Learner,
}

/// A replica as the node has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalReplica {
    /// It takes part, by this entry.
    Open(PartitionEntry),
    /// It takes no part; its data are kept.
    Closed {
        /// Since when. What is found on disk at the start is closed since then.
        since: Millis,
    },
}

/// Who the node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its name.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// The version of the table that its registration returned; `None` before it: then it takes part in nothing (R4).
    pub registered: Option<TableVersion>,
}

/// What a node does about one of its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take part in this partition, with whatever data there are.
    Open {
        /// The partition.
        partition: PartitionId,
        /// As what.
        role: Role,
        /// Its entry.
        entry: PartitionEntry,
    },
    /// The entry has changed.
    Update {
        /// The partition.
        partition: PartitionId,
        /// As what from now on.
        role: Role,
        /// Its entry.
        entry: PartitionEntry,
    },
    /// Take no part any more, and keep the data.
    Close {
        /// The partition.
        partition: PartitionId,
    },
    /// Delete the data.
    Delete {
        /// The partition.
        partition: PartitionId,
    },
}

/// What a life of a node is to a partition by its entry; `None` when it is nothing.
pub fn role_of(entry: &PartitionEntry, own: &Own) -> Option<Role> {
    let is_own = |replica: &isogrid_core::Replica| {
        replica.node == own.node && replica.incarnation == own.incarnation
    };
    if entry.in_sync.iter().any(is_own) {
        let leads = entry.primary.as_ref() == Some(&own.node);
        Some(if leads { Role::Primary } else { Role::Backup })
    } else {
        entry.learners.iter().any(is_own).then_some(Role::Learner)
    }
}

/// What the node does about its replicas, in the order of the partitions.
pub fn reconcile(
    table: &Table,
    own: &Own,
    replicas: &BTreeMap<PartitionId, LocalReplica>,
    now: Millis,
) -> Vec<Action> {
    // Before its registration, and by a table from before it, a node is nobody.
    if own.registered.is_none_or(|registered| table.version() < registered) {
        return Vec::new();
    }
    let mut actions = Vec::new();
    for (partition, entry) in table.iter() {
        let role = role_of(entry, own);
        match (replicas.get(&partition), role) {
            (Some(LocalReplica::Open(known)), Some(role)) => {
                if known.ver < entry.ver {
                    actions.push(Action::Update { partition, role, entry: entry.clone() });
                }
            }
            (Some(LocalReplica::Closed { .. }) | None, Some(role)) => {
                actions.push(Action::Open { partition, role, entry: entry.clone() });
            }
            (Some(LocalReplica::Open(_)), None) => actions.push(Action::Close { partition }),
            (Some(LocalReplica::Closed { since }), None) => {
                // Listed with another life, it may be the last one that has the data.
                let is_listed = entry.holders().any(|holder| holder.node == own.node);
                let is_assigned = !entry.in_sync.is_empty();
                if is_assigned && !is_listed && now.since(*since) >= KEEP_MS {
                    actions.push(Action::Delete { partition });
                }
            }
            (None, None) => {}
        }
    }
    actions
}

/// What a suspect tells the council of how far its logs reach: of a partition of which nothing could be read, that it has
/// nothing. Untold, the council would wait for that for ever.
pub fn positions_to_report(
    held: Vec<(PartitionId, LogPosition)>,
    suspect: &BTreeSet<PartitionId>,
) -> Vec<(PartitionId, LogPosition)> {
    let nothing = suspect.iter().map(|partition| (*partition, LogPosition::START));
    let all: BTreeMap<PartitionId, LogPosition> = nothing.chain(held).collect();
    all.into_iter().collect()
}

#[cfg(test)]
#[path = "reconcile_test.rs"]
mod tests;
