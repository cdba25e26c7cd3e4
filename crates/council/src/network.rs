//! How this voter reaches the others, over whatever carries its messages.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use isogrid_core::NodeId;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use parking_lot::Mutex;

use crate::message::{Ask, Envelope, Piece, Reply};
use crate::record::{Place, decode, encode};
use crate::settings::{APPEND_TIMEOUT, INSTALL_TIMEOUT, PIECE_BYTES_MAX, PIECE_TIMEOUT};
use crate::types::{LogId, Snapshot, Types, Vote, VoterNode};

/// Carries messages between the council services of nodes.
pub trait RaftTransport: Send + Sync {
    /// Sends a message to a node and returns its answer.
    fn call<'a>(
        &'a self,
        to: &'a NodeId,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Bytes, CallFailed>>;
}

/// Why a call brought no answer. The message may have arrived all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFailed {
    /// The node cannot be reached.
    Unreachable(String),
    /// No answer came in time.
    TimedOut,
}

/// The pauses before an unreachable voter is tried again, in milliseconds. The last one is kept.
const BACKOFF_MS: [u64; 5] = [20, 50, 100, 200, 250];

/// Sends messages under this voter's id.
pub(super) struct Caller {
    pub(super) voter: u64,
    pub(super) transport: Arc<dyn RaftTransport>,
    /// What the others say of this voter's membership: the newest place in the log that left it out.
    pub(super) left_out: Mutex<Option<Place>>,
    pub(super) sendings: AtomicU64,
}

impl Caller {
    /// Asks the voter of a node.
    pub(super) async fn ask(
        &self,
        (to, node): (u64, &VoterNode),
        ask: Ask,
        timeout: Duration,
    ) -> Result<Reply, CallFailed> {
        let envelope = Envelope { from: self.voter, to, to_log: node.log, ask };
        let unusable = |error: std::io::Error| CallFailed::Unreachable(error.to_string());
        let body = Bytes::from(encode(&envelope).map_err(unusable)?);
        let node = node.node_id();
        let call = self.transport.call(&node, body, timeout);
        // The transport keeps the time as well, but the raft must not hang on one that does not.
        let Ok(answer) = tokio::time::timeout(timeout, call).await else {
            return Err(CallFailed::TimedOut);
        };
        let reply = decode(&answer?).map_err(unusable)?;
        if let Reply::NoMember { at } = reply {
            *self.left_out.lock() = Some(at);
        }
        Ok(reply)
    }
}

/// Makes a [`Line`] to each voter.
pub(super) struct Lines(pub(super) Arc<Caller>);

/// The way to one voter.
pub(crate) struct Line {
    caller: Arc<Caller>,
    to: u64,
    node: VoterNode,
}

impl RaftNetworkFactory<Types> for Lines {
    type Network = Line;

    async fn new_client(&mut self, to: u64, node: &VoterNode) -> Line {
        Line { caller: Arc::clone(&self.0), to, node: node.clone() }
    }
}

impl Line {
    async fn ask(&self, ask: Ask, timeout: Duration) -> Result<Reply, RPCError<Types>> {
        match self.caller.ask((self.to, &self.node), ask, timeout).await {
            Ok(reply) => Ok(reply),
            // A lost message is sent again at once; a voter that is away gets a pause.
            Err(CallFailed::TimedOut) => {
                Err(RPCError::Network(NetworkError::from_string("no answer came in time")))
            }
            Err(CallFailed::Unreachable(why)) => {
                Err(RPCError::Unreachable(Unreachable::from_string(why)))
            }
        }
    }

    /// An answer that is none to what was asked.
    fn unusable(&self, reply: &Reply) -> Unreachable<Types> {
        let node = &self.node.node;
        Unreachable::from_string(match reply {
            Reply::Stranger { .. } => format!("another voter, or a wiped one, runs on {node}"),
            Reply::Failed(why) => format!("{node}: {why}"),
            Reply::NoMember { .. } => "this voter was removed".to_owned(),
            _ => format!("{node} answers something else"),
        })
    }

    async fn candidacy(
        &self,
        ask: Ask,
        wait: Duration,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.ask(ask, wait).await? {
            Reply::Voted { vote, is_granted, last } => {
                let last = last.map(LogId::from);
                Ok(VoteResponse::new(Vote::from(vote), last, is_granted))
            }
            other => Err(self.unusable(&other).into()),
        }
    }

    async fn send_pieces(
        &self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let sending = self.caller.sendings.fetch_add(1, Ordering::Relaxed);
        let total = snapshot.snapshot.len();
        let mut at = 0;
        loop {
            let end = total.min(at + PIECE_BYTES_MAX);
            let piece = Piece {
                vote: (&vote).into(),
                cover: (&snapshot.meta).into(),
                sending,
                total: total as u64,
                at: at as u64,
                bytes: snapshot.snapshot[at..end].to_vec(),
            };
            let wait = if end == total { INSTALL_TIMEOUT } else { PIECE_TIMEOUT };
            match self.ask(Ask::Piece(piece), wait).await? {
                Reply::Next if end < total => at = end,
                Reply::Installed(known) => return Ok(SnapshotResponse::new(known.into())),
                other => return Err(self.unusable(&other).into()),
            }
        }
    }
}

impl RaftNetworkV2<Types> for Line {
    type SnapshotData = Vec<u8>;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        // openraft's time is that of a heartbeat: too short for a follower's disk.
        let wait = if request.entries.is_empty() { option.soft_ttl() } else { APPEND_TIMEOUT };
        match self.ask(Ask::from(&request), wait).await? {
            Reply::Appended(appended) => Ok(appended.into()),
            other => Err(self.unusable(&other).into()),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.candidacy(Ask::Vote((&request).into()), option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.candidacy(Ask::PreVote((&request).into()), option.hard_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        tokio::select! {
            sent = self.send_pieces(vote, snapshot) => sent,
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        match self.ask(Ask::from(&request), option.hard_ttl()).await? {
            Reply::Led(true) => Ok(Ok(())),
            other => Err(self.unusable(&other).into()),
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        let last = BACKOFF_MS[BACKOFF_MS.len() - 1];
        let pauses = BACKOFF_MS.into_iter().chain(std::iter::repeat(last));
        Some(Backoff::new(pauses.map(Duration::from_millis)))
    }
}
