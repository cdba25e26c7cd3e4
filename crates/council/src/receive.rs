//! What this voter answers to the others.

use std::collections::BTreeMap;

use openraft::errors::RaftError;
use parking_lot::Mutex;

use crate::message::{Appended, Ask, Envelope, Piece, Reply, append_request};
use crate::record::{Cover, Place};
use crate::settings::SNAPSHOT_BYTES_MAX;
use crate::snapshot;
use crate::store::Identity;
use crate::types::{LogId, Raft, Snapshot, Types, Vote};
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{TransferLeaderRequest, VoteResponse};

/// The receiving side of a voter.
pub(super) struct Receiver {
    pub(super) raft: Raft,
    pub(super) identity: Identity,
    /// The snapshot that is coming in. One at a time: another one takes its place.
    pub(super) incoming: Mutex<Option<Incoming>>,
}

/// The first part of a snapshot.
pub(super) struct Incoming {
    from: u64,
    sending: u64,
    cover: Cover,
    bytes: Vec<u8>,
}

impl Receiver {
    /// Answers a message.
    pub(super) async fn answer(&self, envelope: Envelope) -> Reply {
        let Identity { voter, log } = self.identity;
        if envelope.ask == Ask::Who {
            return Reply::Me { voter, log };
        }
        if (envelope.to, envelope.to_log) != (voter, log) {
            return Reply::Stranger { voter, log };
        }
        let from = envelope.from;
        match envelope.ask {
            Ask::Who => Reply::Me { voter, log },
            Ask::Append { vote, previous, entries, committed } => {
                let request = match append_request(vote, previous, entries, committed) {
                    Ok(request) => request,
                    Err(error) => return Reply::Failed(error.to_string()),
                };
                match self.raft.append_entries(request).await {
                    Ok(response) => Reply::Appended(Appended::from(response)),
                    Err(error) => failed(&error),
                }
            }
            Ask::PreVote(candidacy) => match self.raft.pre_vote(candidacy.into()).await {
                Ok(response) => self.vote_or_farewell(from, response),
                Err(error) => failed(&error),
            },
            Ask::Vote(candidacy) => match self.raft.vote(candidacy.into()).await {
                Ok(response) => self.vote_or_farewell(from, response),
                Err(error) => failed(&error),
            },
            Ask::Piece(piece) => self.take_piece(from, piece).await,
            Ask::Lead { from, to, last } => {
                let last = last.map(LogId::from);
                let request = TransferLeaderRequest::new(from.into(), to, last);
                match self.raft.handle_transfer_leader(request).await {
                    Ok(taken) => Reply::Led(taken.is_ok()),
                    Err(error) => Reply::Failed(error.to_string()),
                }
            }
        }
    }

    /// A vote that is refused to somebody who is no member says so: nobody else tells a voter that it was removed. One
    /// that is granted is granted: this voter may be the one that lags behind.
    fn vote_or_farewell(&self, from: u64, response: VoteResponse<Types>) -> Reply {
        if response.vote_granted {
            return response.into();
        }
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let known = |voters: &crate::types::StoredMembership| voters.get_node(&from).is_some();
        let committed = &metrics.committed_membership_config;
        if known(committed) || known(&metrics.membership_config) {
            return response.into();
        }
        match committed.log_id() {
            Some(at) => Reply::NoMember { at: Place::from(at) },
            None => response.into(),
        }
    }

    async fn take_piece(&self, from: u64, piece: Piece) -> Reply {
        let vote = Vote::from(piece.vote);
        let whole = match self.collect(from, piece) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Reply::Next,
            Err(why) => return Reply::Failed(why),
        };
        let install = || -> std::io::Result<Snapshot> {
            // A snapshot that this build cannot read must not end this node.
            snapshot::unpack(&whole.bytes)?;
            Ok(Snapshot { meta: whole.cover.try_into()?, snapshot: whole.bytes })
        };
        let snapshot = match install() {
            Ok(snapshot) => snapshot,
            Err(error) => return Reply::Failed(error.to_string()),
        };
        match self.raft.install_full_snapshot(vote, snapshot).await {
            Ok(response) => Reply::Installed((&response.vote).into()),
            Err(error) => Reply::Failed(error.to_string()),
        }
    }

    /// Puts a piece behind the others; returns the whole with the last one.
    fn collect(&self, from: u64, piece: Piece) -> Result<Option<Incoming>, String> {
        if piece.total > SNAPSHOT_BYTES_MAX {
            return Err(format!("a snapshot of {} bytes is too large", piece.total));
        }
        let mut slot = self.incoming.lock();
        if piece.at == 0 {
            let Piece { sending, cover, .. } = piece;
            *slot = Some(Incoming { from, sending, cover, bytes: Vec::new() });
        }
        let Some(incoming) = slot.as_mut() else {
            return Err("the snapshot does not begin at its beginning".to_owned());
        };
        let follows = (incoming.from, incoming.sending, incoming.bytes.len() as u64)
            == (from, piece.sending, piece.at);
        if !follows || piece.at + piece.bytes.len() as u64 > piece.total {
            return Err("a piece of the snapshot is missing".to_owned());
        }
        incoming.bytes.extend_from_slice(&piece.bytes);
        let is_whole = incoming.bytes.len() as u64 == piece.total;
        Ok(if is_whole { slot.take() } else { None })
    }
}

fn failed(error: &RaftError<Types>) -> Reply {
    Reply::Failed(error.to_string())
}

/// The voters of a membership and the nodes that they run on.
pub(super) fn voters_of(
    membership: &crate::types::StoredMembership,
) -> BTreeMap<u64, crate::types::VoterNode> {
    let node = |voter| (voter, membership.get_node(&voter).cloned().unwrap_or_default());
    membership.voter_ids().map(node).collect()
}
