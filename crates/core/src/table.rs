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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(partitions: u16) -> PartitionCount {
        PartitionCount::new(partitions).expect("a power of two")
    }

    fn replica(node: &str) -> Replica {
        Replica { node: NodeId::new(node), incarnation: Incarnation(1) }
    }

    fn entry(epoch: u64, ver: u32, primary: &str, in_sync: &[&str]) -> PartitionEntry {
        PartitionEntry {
            epoch: Epoch(epoch),
            ver,
            primary: (!primary.is_empty()).then(|| NodeId::new(primary)),
            in_sync: in_sync.iter().map(|node| replica(node)).collect(),
            ..PartitionEntry::default()
        }
    }

    fn changed(table: &Table, partition: u16, entry: PartitionEntry) -> Table {
        table.apply(&table.change(vec![(PartitionId(partition), entry)])).expect("a good change")
    }

    fn why_refused(table: &Table, entry: PartitionEntry) -> &'static str {
        match table.apply(&table.change(vec![(PartitionId(0), entry)])) {
            Err(DeltaRefused::Broken { partition: Some(PartitionId(0)), why }) => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_single_node_owns_everything() {
        let member = Member::new("a");
        let table = Table::single_node(&member, count(256));
        assert_eq!(table.version(), TableVersion(1));
        assert_eq!(table.owned_by(&member.id).count(), 256);
        assert_eq!(table.owner(PartitionId(255)), Some(&member.id));
        assert_eq!(table.owner(PartitionId(256)), None, "there is no such partition");
        assert_eq!(Table::unassigned(count(256)).owner(PartitionId(0)), None);
    }

    #[test]
    fn a_change_makes_a_new_version_and_leaves_the_old_one_alone() {
        let first = Table::single_node(&Member::new("a"), count(4));
        let second = changed(&first, 2, entry(1, 2, "a", &["a", "b"]));
        let third = changed(&second, 2, entry(2, 3, "b", &["a", "b"]));
        assert_eq!(third.version(), TableVersion(3));
        assert_eq!(third.owner(PartitionId(2)), Some(&NodeId::new("b")));
        assert_eq!(third.owned_by(&NodeId::new("a")).count(), 3);
        assert_eq!(first.owner(PartitionId(2)), Some(&NodeId::new("a")));
        assert!(Arc::ptr_eq(&first.places[1].entry, &third.places[1].entry), "shared");
    }

    #[test]
    fn broken_entries_are_refused() {
        let unassigned = Table::unassigned(count(1));
        assert!(why_refused(&unassigned, entry(1, 1, "b", &["a"])).contains("not in sync"));
        let table = changed(&unassigned, 0, entry(5, 5, "a", &["a", "b"]));
        assert!(why_refused(&table, entry(5, 6, "", &[])).contains("became empty"));
        assert!(why_refused(&table, entry(5, 6, "a", &["a", "a"])).contains("twice"));
        assert!(why_refused(&table, entry(4, 6, "a", &["a"])).contains("epoch went back"));
        assert!(why_refused(&table, entry(5, 5, "a", &["a"])).contains("ver did not grow"));
        assert!(why_refused(&table, entry(5, 4, "a", &["a", "b"])).contains("ver did not grow"));
        assert!(why_refused(&table, entry(5, 6, "b", &["a", "b"])).contains("epoch did not grow"));
        let both = PartitionEntry { learners: vec![replica("a")], ..entry(5, 6, "a", &["a"]) };
        assert!(why_refused(&table, both).contains("twice"));
        let lost = PartitionEntry { loss_generation: 1, ..entry(6, 6, "b", &["b"]) };
        let after_loss = changed(&table, 0, lost);
        assert!(why_refused(&after_loss, entry(7, 7, "b", &["b"])).contains("loss generation"));
    }

    #[test]
    fn a_partition_may_lose_its_primary_but_not_its_last_in_sync_member() {
        let table = Table::single_node(&Member::new("a"), count(1));
        let headless = changed(&table, 0, entry(2, 2, "", &["a"]));
        assert_eq!(headless.owner(PartitionId(0)), None);
        assert_eq!(headless.entry(PartitionId(0)).map(|entry| entry.in_sync.len()), Some(1));
    }

    #[test]
    fn stale_gapped_and_foreign_deltas_are_refused() {
        let first = Table::single_node(&Member::new("a"), count(4));
        let second = changed(&first, 0, entry(1, 2, "a", &["a", "b"]));
        let third = changed(&second, 0, entry(2, 3, "b", &["a", "b"]));
        assert_eq!(third.apply(&second.delta_since(TableVersion(0))), Err(DeltaRefused::Stale));
        assert_eq!(
            first.apply(&third.delta_since(TableVersion(2))),
            Err(DeltaRefused::Gap { have: TableVersion(1) })
        );
        let other = Table::unassigned(count(8)).apply(&third.delta_since(TableVersion(0)));
        assert!(matches!(other, Err(DeltaRefused::Broken { partition: None, .. })));
        let outside = first.change(vec![(PartitionId(4), PartitionEntry::default())]);
        assert!(matches!(
            first.apply(&outside),
            Err(DeltaRefused::Broken { partition: Some(PartitionId(4)), .. })
        ));
    }

    #[test]
    fn a_delta_carries_only_what_changed() {
        let first = Table::single_node(&Member::new("a"), count(4));
        let second = changed(&first, 2, entry(1, 2, "a", &["a", "b"]));
        let third = changed(&second, 3, entry(1, 2, "a", &["a", "c"]));
        let carried = |since: &Table| -> Vec<u16> {
            let delta = third.delta_since(since.version());
            delta.entries.iter().map(|(partition, _)| partition.0).collect()
        };
        assert_eq!(carried(&first), [2, 3]);
        assert_eq!(carried(&second), [3]);
        assert!(carried(&third).is_empty());
        assert_eq!(carried(&Table::unassigned(count(4))), [0, 1, 2, 3]);
    }

    #[test]
    fn a_delta_read_from_bytes_shares_its_names() {
        let table = Table::single_node(&Member::new("a"), count(256));
        let text = serde_json::to_string(&table.delta_since(TableVersion(0))).expect("serialises");
        let delta: TableDelta = serde_json::from_str(&text).expect("and reads back");
        let copy = Table::unassigned(count(256)).apply(&delta).expect("a whole table applies");
        assert_eq!(copy, table);
        let names = (0..256).filter_map(|partition| copy.owner(PartitionId(partition)));
        let addresses: BTreeSet<*const u8> = names.map(|name| name.as_str().as_ptr()).collect();
        assert_eq!(addresses.len(), 1);
    }

    #[test]
    fn the_hash_is_frozen_and_sees_every_field() {
        let table = Table::single_node(&Member::new("a"), count(2));
        let frozen = 12_095_704_425_502_035_636;
        assert_eq!(table.hash(), frozen, "nodes of different builds compare this");
        let base = entry(3, 3, "a", &["a", "b"]);
        let variants = [
            base.clone(),
            PartitionEntry { epoch: Epoch(4), ..base.clone() },
            PartitionEntry { ver: 4, ..base.clone() },
            PartitionEntry { loss_generation: 1, ..base.clone() },
            PartitionEntry { primary: Some(NodeId::new("b")), ..base.clone() },
            PartitionEntry { in_sync: vec![replica("a")], ..base.clone() },
            PartitionEntry { in_sync: vec![replica("b"), replica("a")], ..base.clone() },
            PartitionEntry { learners: vec![replica("c")], ..base.clone() },
            PartitionEntry { primary: None, ..base },
        ];
        let hashes: BTreeSet<u64> = variants.iter().map(PartitionEntry::hash).collect();
        assert_eq!(hashes.len(), variants.len());
    }

    proptest! {
        /// Whatever the history, any earlier version plus the delta since it is the present, and so is a copy that
        /// took a different road through the versions.
        #[test]
        fn any_version_and_the_delta_since_it_make_the_present(
            changes in proptest::collection::vec((0u16..8, 0usize..3), 1..24),
            middle in 0usize..24,
        ) {
            let nodes = ["a", "b", "c"];
            let mut history = vec![Table::single_node(&Member::new("a"), count(8))];
            for (partition, primary) in changes {
                let table = history.last().expect("never empty");
                let old = table.entry(PartitionId(partition)).expect("in range");
                let next = entry(old.epoch.0 + 1, old.ver + 1, nodes[primary], &nodes);
                history.push(changed(table, partition, next));
            }
            let present = history.last().expect("never empty");
            let middle = &history[middle % history.len()];
            for earlier in &history[..history.len() - 1] {
                let direct = earlier.apply(&present.delta_since(earlier.version()));
                prop_assert_eq!(direct.as_ref().map(Table::hash), Ok(present.hash()));
                prop_assert_eq!(direct.as_ref(), Ok(present));
                if earlier.version() < middle.version() && middle.version() < present.version() {
                    let halfway = earlier.apply(&middle.delta_since(earlier.version()));
                    let halfway = halfway.expect("a good delta");
                    let detour = halfway.apply(&present.delta_since(halfway.version()));
                    prop_assert_eq!(detour.as_ref(), Ok(present));
                    // What a copy tells others is at least what changed.
                    let told = halfway.delta_since(history[0].version()).entries.len();
                    prop_assert!(told >= middle.delta_since(history[0].version()).entries.len());
                }
            }
        }
    }
}
