//! What voters say to each other. Every message names the voter and the log that it is meant for: a voter that was wiped
//! refuses what was meant for the old one, and never votes under its id.

use std::io;

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use crate::record::{Ballot, Cover, Place, Record};
use crate::types::{LogId, Types, Vote};

/// A message with its addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Envelope {
    /// The voter that sends it.
    pub(super) from: u64,
    /// The voter that it is for...
    pub(super) to: u64,
    /// ...and the incarnation of that voter's log.
    pub(super) to_log: u64,
    /// What is asked.
    pub(super) ask: Ask,
}

/// What a voter asks another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Ask {
    /// Which voter is there? The only message that needs no address.
    Who,
    /// Take these entries, or know that I lead.
    Append { vote: Ballot, previous: Option<Place>, entries: Vec<Record>, committed: Option<Place> },
    /// Would you vote for me?
    PreVote(Candidacy),
    /// Vote for me.
    Vote(Candidacy),
    /// A piece of a snapshot; with the last one it is installed.
    Piece(Piece),
    /// Lead from now on.
    Lead { from: Ballot, to: u64, last: Option<Place> },
}

/// What a candidate says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Candidacy {
    vote: Ballot,
    last: Option<Place>,
    #[serde(default)]
    is_transfer: bool,
}

/// A piece of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) vote: Ballot,
    pub(super) cover: Cover,
    /// Tells this sending apart from another of the same snapshot.
    pub(super) sending: u64,
    /// How long the whole is.
    pub(super) total: u64,
    /// Where the piece begins.
    pub(super) at: u64,
    #[serde(with = "bytes_of")]
    pub(super) bytes: Vec<u8>,
}

/// The answer of a voter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Reply {
    /// This voter, with this log.
    Me { voter: u64, log: u64 },
    /// Whether entries were taken.
    Appended(Appended),
    /// A vote.
    Voted { vote: Ballot, is_granted: bool, last: Option<Place> },
    /// More of the snapshot, please.
    Next,
    /// The snapshot is installed, or a newer vote is known.
    Installed(Ballot),
    /// Whether leading was taken over.
    Led(bool),
    /// Another voter, or another log, is here.
    Stranger { voter: u64, log: u64 },
    /// The sender votes no more, as was committed at this index.
    NoMember { at: Place },
    /// It could not be done.
    Failed(String),
}

/// Whether entries were taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Appended {
    All,
    UpTo(Option<Place>),
    Conflict,
    Higher(Ballot),
}

impl From<&AppendEntriesRequest<Types>> for Ask {
    fn from(request: &AppendEntriesRequest<Types>) -> Self {
        Ask::Append {
            vote: (&request.vote).into(),
            previous: request.prev_log_id.as_ref().map(Place::from),
            entries: request.entries.iter().map(Record::from).collect(),
            committed: request.leader_commit.as_ref().map(Place::from),
        }
    }
}

/// The request of openraft that [`Ask::Append`] is.
pub(super) fn append_request(
    vote: Ballot,
    previous: Option<Place>,
    entries: Vec<Record>,
    committed: Option<Place>,
) -> io::Result<AppendEntriesRequest<Types>> {
    Ok(AppendEntriesRequest {
        vote: vote.into(),
        prev_log_id: previous.map(LogId::from),
        entries: entries.into_iter().map(Record::into_entry).collect::<io::Result<_>>()?,
        leader_commit: committed.map(LogId::from),
    })
}

impl From<AppendEntriesResponse<Types>> for Appended {
    fn from(response: AppendEntriesResponse<Types>) -> Self {
        match response {
            AppendEntriesResponse::Success => Appended::All,
            AppendEntriesResponse::PartialSuccess(last) => {
                Appended::UpTo(last.as_ref().map(Place::from))
            }
            AppendEntriesResponse::Conflict => Appended::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Appended::Higher((&vote).into()),
        }
    }
}

impl From<Appended> for AppendEntriesResponse<Types> {
    fn from(appended: Appended) -> Self {
        match appended {
            Appended::All => AppendEntriesResponse::Success,
            Appended::UpTo(last) => AppendEntriesResponse::PartialSuccess(last.map(LogId::from)),
            Appended::Conflict => AppendEntriesResponse::Conflict,
            Appended::Higher(ballot) => AppendEntriesResponse::HigherVote(ballot.into()),
        }
    }
}

impl From<&VoteRequest<Types>> for Candidacy {
    fn from(request: &VoteRequest<Types>) -> Self {
        Candidacy {
            vote: (&request.vote).into(),
            last: request.last_log_id.as_ref().map(Place::from),
            is_transfer: request.leadership_transfer,
        }
    }
}

impl From<Candidacy> for VoteRequest<Types> {
    fn from(candidacy: Candidacy) -> Self {
        let last = candidacy.last.map(LogId::from);
        let mut request = VoteRequest::new(Vote::from(candidacy.vote), last);
        request.leadership_transfer = candidacy.is_transfer;
        request
    }
}

impl From<VoteResponse<Types>> for Reply {
    fn from(response: VoteResponse<Types>) -> Self {
        Reply::Voted {
            vote: (&response.vote).into(),
            is_granted: response.vote_granted,
            last: response.last_log_id.as_ref().map(Place::from),
        }
    }
}

impl From<&TransferLeaderRequest<Types>> for Ask {
    fn from(request: &TransferLeaderRequest<Types>) -> Self {
        Ask::Lead {
            from: request.from_leader().into(),
            to: *request.to_node_id(),
            last: request.last_log_id().map(Place::from),
        }
    }
}

/// Bytes as MessagePack's own bytes: a list of numbers would be twice as long.
mod bytes_of {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}
