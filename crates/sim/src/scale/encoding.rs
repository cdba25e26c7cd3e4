//! How many bytes things take on the wire. The simulation does not encode: whoever runs it says how, by [`Encoding`].

use isogrid_cluster::gossip::GossipState;
use isogrid_cluster::{ClusterId, Command};
use isogrid_core::{
    Incarnation, LogPosition, NodeId, PartitionId, Replica, SessionId, TableDelta, TableVersion,
    Timestamp,
};
use serde::Serialize;

/// How many bytes things take when they are encoded.
#[derive(Clone, Copy, Debug)]
pub struct Encoding {
    /// A command, as an entry of the council's log.
    pub command: fn(&Command) -> usize,
    /// A delta of the table.
    pub delta: fn(&TableDelta) -> usize,
}

/// The fields of a [`GossipState`], in its order, to encode.
#[derive(Clone, Debug, Serialize)]
pub struct GossipShape {
    node: NodeId,
    incarnation: Incarnation,
    cluster: Option<ClusterId>,
    table: TableVersion,
    table_hash: u64,
    clock: Timestamp,
    load: (u8, u8),
}

impl From<&GossipState> for GossipShape {
    fn from(state: &GossipState) -> Self {
        GossipShape {
            node: state.node.clone(),
            incarnation: state.incarnation,
            cluster: state.cluster,
            table: state.table,
            table_hash: state.table_hash,
            clock: state.clock,
            load: (state.load.memory, state.load.processor),
        }
    }
}

/// What a node tells the council's leader each time, as the simulated grid has it.
#[derive(Clone, Debug, Serialize)]
pub struct HeartbeatShape {
    /// Who.
    pub from: Replica,
    /// Its monotonic clock.
    pub sent_at: u64,
    /// Its wall clock.
    pub wall: Timestamp,
    /// How long ago it heard of each other node, in milliseconds.
    pub heard: Vec<(NodeId, u64)>,
    /// What it leads: its size, the commit position, and how far each follower is.
    pub leads: Vec<Led>,
    /// Sessions that clients kept alive through it.
    pub sessions: Vec<SessionId>,
}

/// A partition that a node leads: its size, the commit position, and how far each follower is.
pub type Led = (PartitionId, u64, LogPosition, Vec<(NodeId, LogPosition, bool)>);

/// The most bytes that one datagram carries.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// The digest with which an exchange of gossip begins, in chitchat's layout: a count of two bytes; and per node its name,
/// led by its length as two bytes, its generation, its address (one byte of kind, four of IPv4, two of port), its
/// heartbeat, its last collected version and its newest version, eight bytes each.
pub fn digest_bytes<'a>(names: impl Iterator<Item = &'a NodeId>) -> usize {
    2 + names.map(|name| 2 + name.as_str().len() + 8 + 7 + 8 + 8 + 8).sum::<usize>()
}
