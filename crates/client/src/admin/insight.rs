//! What stands out in a cluster, as plain values: slow operations, keys that are asked for most, records that are large.

use std::time::Duration;

use bytes::Bytes;
use isogrid_proto::pb;

/// The slow operations of all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowLog {
    /// Each node's own.
    pub nodes: Vec<NodeSlowLog>,
    /// Members that did not answer.
    pub missing: Vec<String>,
}

/// The slow operations of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeSlowLog {
    /// The node.
    pub node_id: String,
    /// Which of its lives: numbers begin anew with each.
    pub incarnation: u64,
    /// How long an operation takes that is slow there; zero: none is.
    pub threshold: Duration,
    /// How many were slow since the node started.
    pub total: u64,
    /// The newest, in their order.
    pub operations: Vec<SlowOperation>,
}

/// An operation that took long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowOperation {
    /// Counted since the node started.
    pub number: u64,
    /// When it was answered, in milliseconds since the epoch.
    pub at_ms: u64,
    /// What it did.
    pub operation: String,
    /// On which map; empty if that is gone.
    pub map: String,
    /// The beginning of its key; empty for an operation on a partition, or if the node keeps none.
    pub key: Bytes,
    /// How long the key is.
    pub key_bytes: u32,
    /// In which partition.
    pub partition: u32,
    /// How long it took.
    pub took: Duration,
    /// How many other operations were executed together with it.
    pub beside: u32,
    /// Who asked; empty if it is not known.
    pub client: String,
    /// A statement of SQL, with `?` for the values in it; empty for all else. Map, key and partition are of those.
    pub statement: String,
    /// Rows that the statement gave, or wrote.
    pub rows: u64,
    /// Entries that it walked over at the node that was asked.
    pub entries_scanned: u64,
    /// Partitions that it walked over there.
    pub partitions_scanned: u64,
}

/// The keys that are asked for most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HotKeys {
    /// The maps of which there are samples, in the order of their names.
    pub maps: Vec<HotMap>,
    /// One operation of so many is looked at.
    pub sampled_one_of: u64,
    /// Members that did not answer.
    pub missing: Vec<String>,
}

/// The keys of one map that are asked for most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HotMap {
    /// The map.
    pub map: String,
    /// How many samples of its last operations there are.
    pub samples: u64,
    /// The hottest first.
    pub keys: Vec<HotKey>,
}

/// A key that is asked for often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HotKey {
    /// The key, or the beginning of a long one.
    pub key: Bytes,
    /// How long it is.
    pub key_bytes: u32,
    /// How many of the map's samples certainly were of this key.
    pub samples: u64,
    /// Which node saw it most.
    pub node_id: String,
}

/// The largest records of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BigKeys {
    /// The largest first.
    pub keys: Vec<BigKey>,
    /// How many records were looked at.
    pub entries_looked_at: u64,
    /// Of how many.
    pub entries_total: u64,
    /// Members that did not answer.
    pub missing: Vec<String>,
}

/// A large record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BigKey {
    /// The key, or the beginning of a long one.
    pub key: Bytes,
    /// How long it is.
    pub key_bytes: u32,
    /// How large its value is.
    pub value_bytes: u64,
    /// Its partition.
    pub partition: u32,
    /// Who leads that.
    pub node_id: String,
}

impl From<pb::SlowLogReply> for SlowLog {
    fn from(reply: pb::SlowLogReply) -> Self {
        let node = |node: pb::NodeSlowLog| NodeSlowLog {
            node_id: node.node_id,
            incarnation: node.incarnation,
            threshold: Duration::from_millis(node.threshold_ms),
            total: node.total,
            operations: node.operations.into_iter().map(SlowOperation::from).collect(),
        };
        SlowLog { nodes: reply.nodes.into_iter().map(node).collect(), missing: reply.missing }
    }
}

impl From<pb::SlowOperation> for SlowOperation {
    fn from(slow: pb::SlowOperation) -> Self {
        SlowOperation {
            number: slow.number,
            at_ms: slow.at_ms,
            operation: slow.operation,
            map: slow.map,
            key: slow.key,
            key_bytes: slow.key_bytes,
            partition: slow.partition,
            took: Duration::from_micros(slow.took_us),
            beside: slow.beside,
            client: slow.client,
            statement: slow.statement,
            rows: slow.rows,
            entries_scanned: slow.entries_scanned,
            partitions_scanned: slow.partitions_scanned,
        }
    }
}

impl From<pb::HotKeysReply> for HotKeys {
    fn from(reply: pb::HotKeysReply) -> Self {
        let key = |key: pb::HotKey| HotKey {
            key: key.key,
            key_bytes: key.key_bytes,
            samples: key.samples,
            node_id: key.node_id,
        };
        let map = |map: pb::HotMap| HotMap {
            map: map.map,
            samples: map.samples,
            keys: map.keys.into_iter().map(key).collect(),
        };
        HotKeys {
            maps: reply.maps.into_iter().map(map).collect(),
            sampled_one_of: reply.sampled_one_of,
            missing: reply.missing,
        }
    }
}

impl From<pb::BigKeysReply> for BigKeys {
    fn from(reply: pb::BigKeysReply) -> Self {
        let key = |key: pb::BigKey| BigKey {
            key: key.key,
            key_bytes: key.key_bytes,
            value_bytes: key.value_bytes,
            partition: key.partition,
            node_id: key.node_id,
        };
        BigKeys {
            keys: reply.keys.into_iter().map(key).collect(),
            entries_looked_at: reply.entries_looked_at,
            entries_total: reply.entries_total,
            missing: reply.missing,
        }
    }
}
