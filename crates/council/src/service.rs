//! [`CouncilService`]: the council as the rest of the node sees it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use isogrid_cluster::council::{Command, CreateCluster, Outcome};
use isogrid_cluster::{Council, VoterId};
use isogrid_core::{Error, ErrorCode, NodeId, Result};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{
    ClientWriteError, ForwardReason, ForwardToLeader, InitializeError, LinearizableReadError,
    RaftError,
};
use openraft::{Instant as _, RaftMetrics, ReadPolicy, ServerState};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::follow::{self, CouncilLeader};
use crate::log::Log;
use crate::machine::Machine;
use crate::message::Envelope;
use crate::network::{Caller, Lines, RaftTransport};
use crate::receive::{Receiver, voters_of};
use crate::record::{decode, encode};
use crate::settings::{
    COMMAND_BYTES_MAX, CONFIRM_TIMEOUT, CouncilSettings, FORM_TIMEOUT, PAUSE, PROPOSE_TIMEOUT,
    QUORUM_HEARD,
};
use crate::store::{self, Identity, Loaded, Store};
use crate::types::{Proposal, Raft, Types, VoterNode};
use crate::writer::Writer;
use isogrid_core::Histogram;

/// Why a proposal has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposeFailed {
    /// This node does not lead, or has no quorum: certainly nothing happened. Who leads, if known.
    NotLeader(Option<NodeId>),
    /// It may have happened, or may yet happen. Commands can be proposed again: they are idempotent or compare-and-set.
    Unknown(String),
    /// The command has this many bytes, which is too many: certainly nothing happened.
    TooLarge(usize),
}

/// A voter in figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CouncilFigures {
    /// Whether this node leads.
    pub is_leader: bool,
    /// The term of the voters.
    pub term: u64,
    /// How far the log was applied.
    pub applied: u64,
}

/// The council's service of one node: its voter, whether it votes already or not.
pub struct CouncilService {
    pub(super) raft: Raft,
    pub(super) identity: Identity,
    pub(super) node: NodeId,
    pub(super) caller: Arc<Caller>,
    /// One change of voters at a time.
    pub(super) changing: tokio::sync::Mutex<()>,
    receiver: Receiver,
    state: watch::Receiver<Arc<Council>>,
    leader: watch::Receiver<Option<CouncilLeader>>,
    failed: watch::Receiver<Option<String>>,
    writer: Writer,
    follower: JoinHandle<()>,
}

impl CouncilService {
    /// Opens the voter's file, or makes one, and takes part in whatever council it belongs to.
    pub(crate) async fn open(
        settings: CouncilSettings,
        transport: Arc<dyn RaftTransport>,
    ) -> Result<Arc<CouncilService>> {
        let folder = settings.folder.clone();
        let path = store::path(folder.as_deref());
        let opening = tokio::task::spawn_blocking(move || Store::open(folder.as_deref()));
        // A damaged file can make the storage engine panic: that is an error of the file.
        let opened = opening.await.map_err(|error| store::unusable(&path, &error))?;
        CouncilService::run(settings, transport, opened?, &path).await
    }

    /// Takes part with an opened file.
    pub(super) async fn run(
        settings: CouncilSettings,
        transport: Arc<dyn RaftTransport>,
        (store, loaded): (Store, Loaded),
        path: &Path,
    ) -> Result<Arc<CouncilService>> {
        let unusable = |error: io::Error| store::unusable(path, &error);
        let identity = loaded.identity;
        let is_known = !loaded.entries.is_empty() || loaded.has_snapshot;
        let writer = Writer::start(store).map_err(unusable)?;
        let (council, state) = watch::channel(Arc::new(Council::new()));
        let caller = Arc::new(Caller {
            voter: identity.voter,
            transport,
            left_out: Mutex::new(None),
            sendings: AtomicU64::new(0),
        });
        let config = settings.raft_config().validate();
        let config = config.map_err(|error| internal(format!("the timings: {error}")))?;
        let raft = Raft::new(
            identity.voter,
            Arc::new(config),
            Lines(Arc::clone(&caller)),
            Log::new(loaded, writer.clone()),
            Machine::new(council, writer.clone()),
        )
        .await
        .map_err(|error| store::unusable(path, &error))?;
        if is_known {
            // The raft says what it was restored to a moment after its start.
            let restored = raft.wait(Some(FORM_TIMEOUT)).metrics(is_restored, "restored").await;
            restored.map_err(|error| store::unusable(path, &error))?;
        }
        let (follower, leader, failed) = follow::start(&raft, Arc::clone(&caller));
        Ok(Arc::new(CouncilService {
            receiver: Receiver { raft: raft.clone(), identity, incoming: Mutex::new(None) },
            raft,
            identity,
            node: settings.node,
            caller,
            changing: tokio::sync::Mutex::new(()),
            state,
            leader,
            failed,
            writer,
            follower,
        }))
    }

    /// This voter. It is drawn with the log: a wiped folder is another voter.
    pub fn voter(&self) -> VoterId {
        VoterId(self.identity.voter)
    }

    /// Whether this voter has ever heard of a council: it has a log or a snapshot.
    pub fn is_initialized(&self) -> bool {
        let metrics = self.raft.metrics();
        is_restored(&metrics.borrow_watched())
    }

    /// Forms the council of a new cluster with this voter as its only one. Can be done again when it was interrupted.
    pub(crate) async fn found(&self, create: CreateCluster) -> Result<()> {
        let own = VoterNode { node: self.node.as_str().to_owned(), log: self.identity.log };
        match self.raft.initialize(BTreeMap::from([(self.identity.voter, own)])).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(error) => return Err(internal(error.to_string())),
        }
        let mut leader = self.leader();
        let leads = |leader: &Option<CouncilLeader>| leader.as_ref().is_some_and(|l| l.is_me);
        let deadline = Instant::now() + FORM_TIMEOUT;
        let late = || Error::new(ErrorCode::NotReady, "the first voter does not become the leader");
        loop {
            let waited = timeout_at(deadline, leader.wait_for(leads)).await;
            waited.map_err(|_| late())?.map_err(|_| internal("the council ended".to_owned()))?;
            match self.write(Command::CreateCluster(create.clone())).await {
                Ok(Outcome::Applied | Outcome::Unchanged) => return Ok(()),
                Ok(other) => {
                    let why = other.refusal().map(ToString::to_string).unwrap_or_default();
                    return Err(internal(format!("the cluster cannot be formed: {why}")));
                }
                Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
                Err(_) => return Err(late()),
            }
        }
    }

    /// Proposes a command, where this node leads. Dropping the future does not take the command back.
    pub(crate) async fn write(&self, command: Command) -> Result<Outcome, ProposeFailed> {
        let bytes = encode(&command).map_or(usize::MAX, |bytes| bytes.len());
        if bytes > COMMAND_BYTES_MAX {
            return Err(ProposeFailed::TooLarge(bytes));
        }
        let proposal = Proposal(Arc::new(command));
        let deadline = Instant::now() + PROPOSE_TIMEOUT;
        loop {
            let write = self.raft.client_write(proposal.clone());
            let Ok(written) = timeout_at(deadline, write).await else {
                return Err(ProposeFailed::Unknown("no outcome came in time".to_owned()));
            };
            let error = match written {
                Ok(done) => return Ok(done.data.expect("a command has an outcome")),
                Err(error) => error,
            };
            match error {
                RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => {
                    // Without a fresh quorum nothing was written, and nobody else is known to lead: once more.
                    let is_passing = to.reason == ForwardReason::LeaseExpired;
                    if !is_passing || Instant::now() + PAUSE >= deadline {
                        return Err(self.not_leader(&to));
                    }
                    sleep(PAUSE).await;
                }
                error => return Err(ProposeFailed::Unknown(error.to_string())),
            }
        }
    }

    /// Makes sure that this node leads and [`state`](Self::state) holds all that was acknowledged before the call.
    pub(crate) async fn make_sure(&self) -> Result<(), ProposeFailed> {
        let read = self.raft.ensure_linearizable(ReadPolicy::ReadIndex);
        match timeout(CONFIRM_TIMEOUT, read).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to)))) => {
                Err(self.not_leader(&to))
            }
            Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) | Err(_) => {
                Err(ProposeFailed::NotLeader(None))
            }
            Ok(Err(error)) => Err(ProposeFailed::Unknown(error.to_string())),
        }
    }

    /// The council as far as it was applied here; it goes on only on voters and those who are about to be. It has a new
    /// value once per applied batch. Clone the `Arc` out of the watch for anything longer than a look: who holds the
    /// watch's lock holds up the council.
    pub fn state(&self) -> watch::Receiver<Arc<Council>> {
        self.state.clone()
    }

    /// Who leads as far as this voter knows. A leader that was cut off still names itself: see
    /// [`has_quorum`](Self::has_quorum).
    pub fn leader(&self) -> watch::Receiver<Option<CouncilLeader>> {
        self.leader.clone()
    }

    /// Why the council cannot go on, once it cannot: the process must end then.
    pub fn failed(&self) -> watch::Receiver<Option<String>> {
        self.failed.clone()
    }

    /// Whether this node leads and a quorum has answered it a moment ago.
    pub fn has_quorum(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        if metrics.state != ServerState::Leader || metrics.running_state.is_err() {
            return false;
        }
        let alone = metrics.membership_config.voter_ids().eq([self.identity.voter]);
        alone
            || metrics
                .last_quorum_acked
                .is_some_and(|acked| acked.into_inner().elapsed() < QUORUM_HEARD)
    }

    /// The voters and their nodes, old and new ones while they change.
    pub fn voters(&self) -> BTreeMap<VoterId, NodeId> {
        let metrics = self.raft.metrics();
        let voters = voters_of(&metrics.borrow_watched().membership_config);
        voters.into_iter().map(|(voter, node)| (VoterId(voter), node.node_id())).collect()
    }

    /// Whether this voter votes, as far as it knows. One that was removed learns it from the others.
    pub fn is_voter(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let votes = metrics.membership_config.voter_ids().any(|v| v == self.identity.voter);
        votes && !follow::is_left_out(&metrics, &self.caller)
    }

    /// Answers a message of another node's council service.
    pub(crate) async fn receive(&self, from: &NodeId, body: Bytes) -> Result<Bytes> {
        let envelope: Envelope = decode(&body).map_err(|error| {
            let why = format!("a message of the council from {from}: {error}");
            Error::new(ErrorCode::FrameMalformed, why)
        })?;
        let reply = self.receiver.answer(envelope).await;
        let bytes = encode(&reply).map_err(|error| internal(error.to_string()))?;
        Ok(Bytes::from(bytes))
    }

    /// Ends it: the file is closed when this returns.
    pub(crate) async fn end(&self) {
        self.follower.abort();
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "the council did not end in order");
        }
        self.writer.stop().await;
    }

    /// How often the file was synced since the start.
    #[cfg(test)]
    pub fn syncs(&self) -> u64 {
        self.writer.syncs().buckets().iter().sum()
    }

    /// How long syncs of the file took since the start.
    pub fn sync_times(&self) -> &Histogram {
        self.writer.syncs()
    }

    /// The voter in figures.
    pub fn figures(&self) -> CouncilFigures {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        CouncilFigures {
            is_leader: metrics.state == ServerState::Leader,
            term: metrics.vote.leader_id().term,
            applied: metrics.last_applied.map_or(0, |id| id.index()),
        }
    }

    fn not_leader(&self, to: &ForwardToLeader<Types>) -> ProposeFailed {
        let other = to.leader_id.filter(|leader| *leader != self.identity.voter);
        let node = to.leader_node.as_ref().filter(|_| other.is_some());
        ProposeFailed::NotLeader(node.map(VoterNode::node_id))
    }
}

impl Drop for CouncilService {
    fn drop(&mut self) {
        // The raft ends with its last handle, and this task holds one.
        self.follower.abort();
    }
}

/// Whether there is a log or a snapshot.
fn is_restored(metrics: &RaftMetrics<Types>) -> bool {
    metrics.last_log_index.is_some() || metrics.snapshot.is_some()
}

pub(super) fn internal(why: String) -> Error {
    Error::new(ErrorCode::Internal, why)
}

/// A time in which a node must answer who it is.
pub(super) const WHO_TIMEOUT: Duration = Duration::from_secs(1);
