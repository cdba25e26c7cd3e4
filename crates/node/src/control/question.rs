//! What the council's leader and other nodes are asked, and the answers, as they travel.

use std::collections::BTreeSet;

use bytes::Bytes;
use isogrid_cluster::council::{Cluster, MapRecord};
use isogrid_cluster::heartbeat::Heartbeat;
use isogrid_core::{Error, ErrorCode, NodeId, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::news::{Known, Leader};
use isogrid_council::packed;

/// What comes of a question that only the council's leader can answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LeaderAnswer<T> {
    /// The answer.
    Done(T),
    /// Not asked: another node leads, perhaps this one.
    NotLeader(Option<Leader>),
    /// It may have happened, or may yet.
    Unknown(String),
    /// It cannot be done, whoever is asked.
    Impossible(String),
}

/// A heartbeat with what the node knows already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Beat {
    pub(super) heartbeat: Heartbeat,
    #[serde(default)]
    pub(super) known: Known,
}

/// The leader's answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BeatAnswer {
    /// Whether the council counts this life among those that serve: then the answer gives a lease.
    pub(super) serves: bool,
    /// In which term it leads: a new one begins with no evidence.
    #[serde(default)]
    pub(super) term: u64,
    /// How much there is to know.
    #[serde(default)]
    pub(super) known: Known,
    /// The cluster as it is.
    #[serde(default)]
    pub(super) cluster: Option<Cluster>,
    /// Who votes in the council.
    #[serde(default)]
    pub(super) voters: BTreeSet<NodeId>,
    /// Those of them that live with the log that votes.
    #[serde(default)]
    pub(super) voters_present: BTreeSet<NodeId>,
}

/// A question about a map.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FindMap {
    pub(super) name: String,
}

/// The map as it is at the leader, confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FoundMap {
    pub(super) map: Option<MapRecord>,
    /// The version of the maps that says so.
    pub(super) maps: u64,
}

/// A question whether a node can be stopped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AskStop {
    pub(super) node: NodeId,
}

/// Packs a value for the way. Fields have names, so that versions may differ.
pub(crate) fn pack<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(packed::write(value).expect("what control says is plain data"))
}

/// Unpacks a value.
pub(crate) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    packed::read(bytes).map_err(|error| {
        let why = format!("a question or answer of another node: {error}");
        Error::new(ErrorCode::FrameMalformed, why)
    })
}
