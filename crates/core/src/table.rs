//! Who owns which partition: [`Table`], a value with a version that is never changed in place. A change is a
//! [`TableDelta`], and [`Table::apply`] makes the next table of it, sharing every entry that stayed the same.
//!
//! Whoever holds a table can trust it: a primary is in its in-sync set, a partition once assigned never loses its last
//! in-sync member, and neither the table's version nor the numbers of an entry ever go back.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::id::{Epoch, Incarnation, NodeId, PartitionId, TableVersion};
use crate::members::Member;
use crate::slot::PartitionCount;

/// One life of a node as the holder of a partition's copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Replica {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
}

/// Who holds one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionEntry {
    /// The fencing number: grows with every change of the primary.
    pub epoch: Epoch,
    /// Grows with every change of the entry.
    pub ver: u32,
    /// Grows when data may have been lost, so that readers of the log know that it has a gap.
    pub loss_generation: u32,
    /// Who takes the writes. It is one of the in-sync set.
    pub primary: Option<NodeId>,
    /// Who must hold a write before it is acknowledged. Empty only before the partition is first assigned.
    pub in_sync: Vec<Replica>,
    /// Who is catching up.
    pub learners: Vec<Replica>,
}

impl PartitionEntry {
    /// Every node that holds a copy, whole or partial.
    pub fn holders(&self) -> impl Iterator<Item = &Replica> {
        self.in_sync.iter().chain(&self.learners)
    }

    /// What is wrong with this entry as the successor of `old`, if anything. `old` may be many changes back.
    fn fault_after(&self, old: &PartitionEntry) -> Option<&'static str> {
        let in_sync = |node: &NodeId| self.in_sync.iter().any(|replica| replica.node == *node);
        let mut seen = BTreeSet::new();
        if self.primary.as_ref().is_some_and(|primary| !in_sync(primary)) {
            Some("the primary is not in sync")
        } else if self.in_sync.is_empty() && !old.in_sync.is_empty() {
            Some("the in-sync set became empty")
        } else if !self.holders().all(|replica| seen.insert(&replica.node)) {
            Some("a node is listed twice")
        } else if self.epoch < old.epoch {
            Some("the epoch went back")
        } else if self.loss_generation < old.loss_generation {
            Some("the loss generation went back")
        } else if self.ver < old.ver || (self.ver == old.ver && self != old) {
            Some("the entry changed and its ver did not grow")
        } else if self.primary != old.primary && self.epoch == old.epoch {
            Some("the primary changed and the epoch did not grow")
        } else {
            None
        }
    }

    /// A hash of the entry's canonical bytes: numbers little-endian, texts and lists led by their length as four bytes.
    fn hash(&self) -> u64 {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(self.epoch.0.to_le_bytes());
        bytes.extend(self.ver.to_le_bytes());
        bytes.extend(self.loss_generation.to_le_bytes());
        bytes.push(u8::from(self.primary.is_some()));
        if let Some(primary) = &self.primary {
            put_text(&mut bytes, primary.as_str());
        }
        for replicas in [&self.in_sync, &self.learners] {
            bytes.extend((replicas.len() as u32).to_le_bytes());
            for replica in replicas {
                put_text(&mut bytes, replica.node.as_str());
                bytes.extend(replica.incarnation.0.to_le_bytes());
            }
        }
        xxh3_64(&bytes)
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// What changed between two versions of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDelta {
    /// It can be applied to tables of this version and later.
    pub since: TableVersion,
    /// The version of the table it leads to.
    pub version: TableVersion,
    /// The number of partitions of the cluster.
    pub partitions: u16,
    /// The entries that changed, whole.
    pub entries: Vec<(PartitionId, PartitionEntry)>,
}

/// Why a delta was not applied, by what the holder of the table does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeltaRefused {
    /// It leads to nothing newer than this table: drop it.
    Stale,
    /// Changes between this table and the delta are missing: ask for those since this version.
    Gap {
        /// The version of this table.
        have: TableVersion,
    },
    /// It breaks a rule of tables: drop it, and report a defect of its sender.
    Broken {
        /// The partition whose entry breaks the rule; `None` for the delta as a whole.
        partition: Option<PartitionId>,
        /// The rule.
        why: &'static str,
    },
}

impl fmt::Display for DeltaRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeltaRefused::Stale => f.write_str("the delta is not newer than the table"),
            DeltaRefused::Gap { have } => write!(f, "changes since version {} are missing", have.0),
            DeltaRefused::Broken { partition: Some(partition), why } => {
                write!(f, "partition {}: {why}", partition.0)
            }
            DeltaRefused::Broken { partition: None, why } => f.write_str(why),
        }
    }
}

impl std::error::Error for DeltaRefused {}

/// An entry in its table.
#[derive(Clone, Debug)]
struct Place {
    entry: Arc<PartitionEntry>,
    hash: u64,
    /// The version of the table at which it is known to have been as it is now.
    changed: TableVersion,
}

/// Who owns which partition. Cheap to clone: entries are shared between versions, names between entries.
#[derive(Clone, Debug)]
pub struct Table {
    version: TableVersion,
    partitions: PartitionCount,
    places: Vec<Place>,
    hash: u64,
}

impl Table {
    /// The table before the first assignment: version zero, nobody owns anything.
    pub fn unassigned(partitions: PartitionCount) -> Self {
        let entry = Arc::new(PartitionEntry::default());
        let place = Place { hash: entry.hash(), entry, changed: TableVersion(0) };
        Self::new(TableVersion(0), partitions, vec![place; usize::from(partitions.get())])
    }

    /// The table of a cluster of one: the member owns every partition alone, at version and epoch one.
    pub fn single_node(member: &Member, partitions: PartitionCount) -> Self {
        let own = Replica { node: member.id.clone(), incarnation: member.incarnation };
        let entry = Arc::new(PartitionEntry {
            epoch: Epoch(1),
            ver: 1,
            loss_generation: 0,
            primary: Some(member.id.clone()),
            in_sync: vec![own],
            learners: Vec::new(),
        });
        let place = Place { hash: entry.hash(), entry, changed: TableVersion(1) };
        Self::new(TableVersion(1), partitions, vec![place; usize::from(partitions.get())])
    }

    fn new(version: TableVersion, partitions: PartitionCount, places: Vec<Place>) -> Self {
        assert_eq!(places.len(), usize::from(partitions.get()), "one entry per partition");
        let mut bytes = Vec::with_capacity(10 + 8 * places.len());
        bytes.extend(version.0.to_le_bytes());
        bytes.extend(partitions.get().to_le_bytes());
        for place in &places {
            bytes.extend(place.hash.to_le_bytes());
        }
        Self { version, partitions, hash: xxh3_64(&bytes), places }
    }

    /// The version.
    pub fn version(&self) -> TableVersion {
        self.version
    }

    /// The number of partitions.
    pub fn partitions(&self) -> PartitionCount {
        self.partitions
    }

    /// A hash of the whole content, frozen across builds and versions: two nodes that gossip the same version with
    /// different hashes have found a defect.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The entry of a partition; `None` when there is no such partition.
    pub fn entry(&self, partition: PartitionId) -> Option<&PartitionEntry> {
        self.places.get(usize::from(partition.0)).map(|place| &*place.entry)
    }

    /// The primary of a partition; `None` when it has none, or there is no such partition.
    pub fn owner(&self, partition: PartitionId) -> Option<&NodeId> {
        self.entry(partition)?.primary.as_ref()
    }

    /// All partitions with their entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (PartitionId, &PartitionEntry)> {
        self.partitions.iter().zip(self.places.iter().map(|place| &*place.entry))
    }

    /// The partitions whose primary is this node, in order.
    pub fn owned_by(&self, node: &NodeId) -> impl Iterator<Item = PartitionId> {
        self.iter().filter(|(_, entry)| entry.primary.as_ref() == Some(node)).map(|(id, _)| id)
    }

    /// The delta that changes these entries and leads to the next version.
    pub fn change(&self, entries: Vec<(PartitionId, PartitionEntry)>) -> TableDelta {
        TableDelta {
            since: self.version,
            version: TableVersion(self.version.0 + 1),
            partitions: self.partitions.get(),
            entries,
        }
    }

    /// What changed since a version. Since version zero it is the whole table.
    pub fn delta_since(&self, since: TableVersion) -> TableDelta {
        let changed = |place: &Place| place.changed > since;
        TableDelta {
            since,
            version: self.version,
            partitions: self.partitions.get(),
            entries: self
                .partitions
                .iter()
                .zip(&self.places)
                .filter(|(_, place)| changed(place))
                .map(|(partition, place)| (partition, PartitionEntry::clone(&place.entry)))
                .collect(),
        }
    }

    /// The table that a delta leads to, or why it does not: a delta may come from the network, so a broken one is an
    /// answer and not a panic.
    pub fn apply(&self, delta: &TableDelta) -> Result<Table, DeltaRefused> {
        if delta.version <= self.version {
            return Err(DeltaRefused::Stale);
        }
        if delta.since > self.version {
            return Err(DeltaRefused::Gap { have: self.version });
        }
        let broken = |partition, why| Err(DeltaRefused::Broken { partition, why });
        if delta.partitions != self.partitions.get() {
            return broken(None, "the number of partitions differs");
        }
        let mut names = BTreeSet::new();
        let mut places = self.places.clone();
        for (partition, entry) in &delta.entries {
            let Some(place) = places.get_mut(usize::from(partition.0)) else {
                return broken(Some(*partition), "there is no such partition");
            };
            if let Some(why) = entry.fault_after(&place.entry) {
                return broken(Some(*partition), why);
            }
            names.extend(place.entry.holders().map(|replica| replica.node.clone()));
            let entry = Arc::new(with_shared_names(entry.clone(), &mut names));
            *place = Place { hash: entry.hash(), entry, changed: delta.version };
        }
        let next = Self::new(delta.version, self.partitions, places);
        assert!(next.version > self.version, "tables never go backwards");
        Ok(next)
    }
}

impl PartialEq for Table {
    /// Equal in content; how the tables came to it does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
            && self.partitions == other.partitions
            && self.iter().zip(other.iter()).all(|(own, others)| own == others)
    }
}

impl Eq for Table {}

/// The same entry with every name taken from `names`, so that a decoded delta does not bring one copy of a node's name
/// per partition.
fn with_shared_names(mut entry: PartitionEntry, names: &mut BTreeSet<NodeId>) -> PartitionEntry {
    let mut share = |name: &mut NodeId| match names.get(name) {
        Some(shared) => *name = shared.clone(),
        None => drop(names.insert(name.clone())),
    };
    entry.primary.iter_mut().for_each(&mut share);
    let replicas = entry.in_sync.iter_mut().chain(&mut entry.learners);
    replicas.map(|replica| &mut replica.node).for_each(share);
    entry
}

#[cfg(test)]
#[path = "table_test.rs"]
mod tests;
