//! The types that openraft is configured with. Nothing outside this module's folder sees them.

use std::fmt;
use std::sync::Arc;

use isogrid_cluster::council::{Command, Outcome};
use isogrid_core::NodeId;
use serde::{Deserialize, Serialize};

openraft::declare_raft_types!(
    /// The council's raft. The leader's id holds the voter too: a term may have two leaders.
    pub(crate) Types:
        D = Proposal,
        R = Option<Outcome>,
        NodeId = u64,
        Node = VoterNode,
);

/// A proposed command. Cheap to clone: the log, the state machine and every follower's stream read the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal(pub(crate) Arc<Command>);

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:?}", self.0);
        f.write_str(text.split(['(', ' ', '{']).next().unwrap_or_default())
    }
}

/// What the membership knows of a voter. It never changes for a voter id: openraft would take a wiped log for the old one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VoterNode {
    /// The node that it runs on.
    pub(crate) node: String,
    /// The incarnation of its log, drawn at random with the log.
    pub(crate) log: u64,
}

impl VoterNode {
    /// The name of the node.
    pub(crate) fn node_id(&self) -> NodeId {
        NodeId::new(self.node.clone())
    }
}

/// The raft itself.
pub(crate) type Raft = openraft::Raft<Types, super::machine::Machine>;
/// The place of an entry, with the leader that wrote it.
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<Types>;
/// Who leads, or for whom this voter votes.
pub(crate) type Vote = openraft::type_config::alias::VoteOf<Types>;
/// An entry of the log.
pub(crate) type Entry = openraft::type_config::alias::EntryOf<Types>;
/// The voters and learners.
pub(crate) type Membership = openraft::Membership<u64, VoterNode>;
/// The voters and learners, and where the log says so.
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
/// What a snapshot covers.
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;
/// A snapshot: what it covers, and its bytes.
pub(crate) type Snapshot = openraft::type_config::alias::SnapshotOf<Types, Vec<u8>>;
