//! How votes, places in the log and entries are written, to disk and in messages: our own records, so that a new openraft
//! cannot change what lies on disk. All are MessagePack with names: unknown fields are skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use isogrid_cluster::council::Command;
use openraft::EntryPayload;
use openraft::impls::leader_id_adv::LeaderId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::packed;
use crate::types::{
    Entry, LogId, Membership, Proposal, SnapshotMeta, StoredMembership, Vote, VoterNode,
};

/// A place in the log: the leader's term and voter, and the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    term: u64,
    voter: u64,
    pub(crate) index: u64,
}

impl From<&LogId> for Place {
    fn from(id: &LogId) -> Self {
        let leader = id.committed_leader_id();
        Place { term: leader.term, voter: leader.node_id, index: id.index() }
    }
}

impl From<Place> for LogId {
    fn from(place: Place) -> Self {
        LogId::new(LeaderId { term: place.term, node_id: place.voter }, place.index)
    }
}

/// A vote: for whom in which term, and whether a quorum gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ballot {
    term: u64,
    voter: u64,
    committed: bool,
}

impl From<&Vote> for Ballot {
    fn from(vote: &Vote) -> Self {
        let leader = vote.leader_id();
        Ballot { term: leader.term, voter: leader.node_id, committed: vote.is_committed() }
    }
}

impl From<Ballot> for Vote {
    fn from(ballot: Ballot) -> Self {
        if ballot.committed {
            Vote::new_committed(ballot.term, ballot.voter)
        } else {
            Vote::new(ballot.term, ballot.voter)
        }
    }
}

/// The voters, in two sets while they change, and the nodes of voters and learners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Voters {
    sets: Vec<BTreeSet<u64>>,
    nodes: BTreeMap<u64, VoterNode>,
}

impl From<&Membership> for Voters {
    fn from(membership: &Membership) -> Self {
        Voters {
            sets: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(voter, node)| (*voter, node.clone())).collect(),
        }
    }
}

impl TryFrom<Voters> for Membership {
    type Error = std::io::Error;

    fn try_from(voters: Voters) -> Result<Self, Self::Error> {
        // Before a council is formed there are no voters, which a membership made by hand may not say.
        if voters.sets.iter().all(BTreeSet::is_empty) && voters.nodes.is_empty() {
            return Ok(Membership::default());
        }
        Membership::new(voters.sets, voters.nodes).map_err(std::io::Error::other)
    }
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Content {
    /// Nothing: a new leader's first entry.
    Blank,
    /// A command of the council.
    Command(Arc<Command>),
    /// Other voters.
    Voters(Voters),
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) place: Place,
    content: Content,
}

impl From<&Entry> for Record {
    fn from(entry: &Entry) -> Self {
        let content = match &entry.payload {
            EntryPayload::Blank => Content::Blank,
            EntryPayload::Normal(proposal) => Content::Command(Arc::clone(&proposal.0)),
            EntryPayload::Membership(membership) => Content::Voters(membership.into()),
        };
        Record { place: (&entry.log_id).into(), content }
    }
}

impl Record {
    /// The entry as openraft has it.
    pub(crate) fn into_entry(self) -> std::io::Result<Entry> {
        let payload = match self.content {
            Content::Blank => EntryPayload::Blank,
            Content::Command(command) => EntryPayload::Normal(Proposal(command)),
            Content::Voters(voters) => EntryPayload::Membership(voters.try_into()?),
        };
        Ok(Entry { log_id: self.place.into(), payload })
    }
}

/// What a snapshot covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cover {
    pub(crate) last: Option<Place>,
    voters_at: Option<Place>,
    voters: Voters,
}

impl From<&SnapshotMeta> for Cover {
    fn from(meta: &SnapshotMeta) -> Self {
        Cover {
            last: meta.last_log_id.as_ref().map(Place::from),
            voters_at: meta.last_membership.log_id().as_ref().map(Place::from),
            voters: meta.last_membership.membership().into(),
        }
    }
}

impl TryFrom<Cover> for SnapshotMeta {
    type Error = std::io::Error;

    fn try_from(cover: Cover) -> Result<Self, Self::Error> {
        let voters_at = cover.voters_at.map(LogId::from);
        Ok(SnapshotMeta {
            last_log_id: cover.last.map(LogId::from),
            last_membership: StoredMembership::new(voters_at, cover.voters.try_into()?),
        })
    }
}

/// A value as MessagePack with names.
pub(crate) fn encode<T: Serialize>(value: &T) -> std::io::Result<Vec<u8>> {
    packed::write(value).map_err(std::io::Error::other)
}

/// The value that these bytes are.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> std::io::Result<T> {
    packed::read(bytes).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}
