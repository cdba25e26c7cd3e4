//! [`Topology`]: what this client knows of its cluster: the members, the table, and where each member can be reached. Pure:
//! updates go in, and what changed comes out.

use std::collections::BTreeMap;

use isogrid_core::table::DeltaRefused;
use isogrid_core::{
    Incarnation, NodeId, PartitionCount, PartitionEntry, PartitionId, Table, TableDelta,
    TableVersion,
};
use isogrid_proto::pb;

/// A member, as clients need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) incarnation: Incarnation,
    pub(crate) address: String,
    pub(crate) zone: String,
    /// Declared down: nothing that was sent there and not answered will be.
    pub(crate) is_down: bool,
}

/// What an update changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) table: bool,
    pub(crate) peers: bool,
}

impl Changed {
    pub(crate) fn any(self) -> bool {
        self.table || self.peers
    }
}

/// The cluster, as this client knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topology {
    pub(crate) cluster: String,
    table: Option<Table>,
    peers: BTreeMap<NodeId, Peer>,
    peers_version: u64,
}

impl Topology {
    /// The version of the table; zero before the first.
    pub(crate) fn table_version(&self) -> TableVersion {
        self.table.as_ref().map_or(TableVersion(0), Table::version)
    }

    /// The version of the members; zero before the first.
    pub(crate) fn peers_version(&self) -> u64 {
        self.peers_version
    }

    pub(crate) fn partitions(&self) -> Option<PartitionCount> {
        self.table.as_ref().map(Table::partitions)
    }

    pub(crate) fn peers(&self) -> &BTreeMap<NodeId, Peer> {
        &self.peers
    }

    pub(crate) fn peer(&self, node: &NodeId) -> Option<&Peer> {
        self.peers.get(node)
    }

    pub(crate) fn entry(&self, partition: PartitionId) -> Option<&PartitionEntry> {
        self.table.as_ref()?.entry(partition)
    }

    /// Whether the table lists this node for anything.
    pub(crate) fn holds_anything(&self, node: &NodeId) -> bool {
        let listed = |entry: &PartitionEntry| entry.holders().any(|holder| holder.node == *node);
        self.table.as_ref().is_some_and(|table| table.iter().any(|(_, entry)| listed(entry)))
    }

    /// Takes in an update of the stream. One of another cluster changes nothing: who gets it decides whether to begin anew.
    pub(crate) fn update(&mut self, update: &pb::TopologyUpdate) -> Changed {
        if self.cluster.is_empty() {
            self.cluster.clone_from(&update.cluster_id);
        }
        let table = self.apply(&update.table);
        let peers = update.members_version > self.peers_version && !update.members.is_empty();
        if peers {
            self.peers_version = update.members_version;
            self.peers = update.members.iter().map(peer_from_pb).collect();
        }
        Changed { table, peers }
    }

    /// Takes in a packed delta of the table; returns whether the table is newer now.
    pub(crate) fn apply(&mut self, delta: &[u8]) -> bool {
        if delta.is_empty() {
            return false;
        }
        let delta: TableDelta = match rmp_serde::from_slice(delta) {
            Ok(delta) => delta,
            Err(error) => {
                tracing::error!(%error, "a node sent a table that cannot be read");
                return false;
            }
        };
        let base = match &self.table {
            Some(table) => table.clone(),
            None => match PartitionCount::new(delta.partitions) {
                Some(partitions) => Table::unassigned(partitions),
                None => return false,
            },
        };
        match base.apply(&delta) {
            Ok(table) => {
                self.table = Some(table);
                true
            }
            Err(DeltaRefused::Stale) => false,
            Err(error) => {
                tracing::warn!(%error, "a change of the table was left out");
                false
            }
        }
    }
}

fn peer_from_pb(member: &pb::TopologyMember) -> (NodeId, Peer) {
    let peer = Peer {
        incarnation: Incarnation(member.incarnation),
        address: member.grpc_addr.clone(),
        zone: member.zone.clone(),
        is_down: member.state == "down",
    };
    (NodeId::new(&member.node_id), peer)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use isogrid_core::{Epoch, Replica};

    /// An entry with this primary and in-sync set.
    pub(crate) fn entry(epoch: u64, in_sync: &[&str]) -> PartitionEntry {
        let replica =
            |name: &&str| Replica { node: NodeId::new(name), incarnation: Incarnation(1) };
        PartitionEntry {
            epoch: Epoch(epoch),
            ver: epoch as u32,
            loss_generation: 0,
            primary: in_sync.first().map(NodeId::new),
            in_sync: in_sync.iter().map(replica).collect(),
            learners: Vec::new(),
        }
    }

    /// A packed delta of a cluster with four partitions.
    pub(crate) fn delta(since: u64, version: u64, entries: &[(u16, PartitionEntry)]) -> Vec<u8> {
        let entries = entries.iter().map(|(p, entry)| (PartitionId(*p), entry.clone())).collect();
        let (since, version) = (TableVersion(since), TableVersion(version));
        let delta = TableDelta { since, version, partitions: 4, entries };
        rmp_serde::to_vec_named(&delta).expect("plain data")
    }

    pub(crate) fn member(name: &str, zone: &str, state: &str) -> pb::TopologyMember {
        pb::TopologyMember {
            node_id: name.into(),
            incarnation: 1,
            grpc_addr: format!("{name}:7700"),
            zone: zone.into(),
            state: state.into(),
        }
    }

    #[test]
    fn updates_and_deltas_of_refusals_lead_to_one_table_in_any_order() {
        let mut topology = Topology::default();
        let whole: Vec<(u16, PartitionEntry)> =
            (0..4).map(|p| (p, entry(1, &["a", "b"]))).collect();
        let first = pb::TopologyUpdate {
            cluster_id: "c".into(),
            members_version: 7,
            members: vec![member("a", "z", "active"), member("b", "", "down")],
            table: delta(0, 5, &whole).into(),
            ..pb::TopologyUpdate::default()
        };
        assert_eq!(topology.update(&first), Changed { table: true, peers: true });
        assert_eq!(topology.table_version(), TableVersion(5));
        assert!(topology.peer(&NodeId::new("b")).is_some_and(|peer| peer.is_down));
        assert_eq!(topology.update(&first), Changed::default(), "nothing new");

        let moved = delta(5, 6, &[(2, entry(2, &["b", "a"]))]);
        assert!(topology.apply(&moved));
        assert!(!topology.apply(&moved), "it came twice");
        assert!(!topology.apply(&delta(9, 10, &[])), "there is a gap: the stream will fill it");
        assert!(!topology.apply(b"garbage"));
        let owner = |p| topology.entry(PartitionId(p)).and_then(|entry| entry.primary.clone());
        assert_eq!((owner(2), owner(1)), (Some(NodeId::new("b")), Some(NodeId::new("a"))));
        assert!(topology.holds_anything(&NodeId::new("a")));
        assert!(!topology.holds_anything(&NodeId::new("x")));
    }
}
