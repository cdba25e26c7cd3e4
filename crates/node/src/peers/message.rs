//! What nodes say to each other over links and in questions.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use isogrid_cluster::Directive;
use isogrid_core::{Error, Incarnation, PartitionId, Replica, Traces};
use isogrid_replica::Message;
use isogrid_replica::lease::{Beat, BeatAck};

use crate::control::news::News;
use crate::engine::Mark;

/// A message over a link. The link's hello says who sends it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LinkMessage {
    /// Between replicas of a partition.
    Replica {
        /// The partition.
        partition: PartitionId,
        /// Which life of the receiver is meant.
        to: Incarnation,
        /// What is said.
        message: Message,
    },
    /// An entry of a log that is about to come belongs to a trace.
    Traced {
        /// The partition.
        partition: PartitionId,
        /// Which life of the receiver is meant.
        to: Incarnation,
        /// Which entry, and where it belongs.
        mark: Mark,
    },
    /// The leases that the sender wants.
    Beat {
        /// Which life of the receiver is meant.
        to: Incarnation,
        /// The claims.
        beat: Beat,
    },
    /// The answer to a beat.
    BeatAck {
        /// Which life of the receiver is meant.
        to: Incarnation,
        /// For what the sender vouches.
        ack: BeatAck,
    },
    /// The council's leader: this was decided.
    News(Arc<News>),
    /// The steward wants something of a primary.
    Directive(Directive),
    /// The sender lives.
    Ping,
}

/// What a node can ask another one. The numbers travel: they are never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum AskKind {
    /// A call of the council's consensus.
    Raft = 1,
    /// A command for the council's leader.
    Propose = 2,
    /// To the council's leader: I live, and this is what I see.
    Heartbeat = 3,
    /// What was decided since?
    PullNews = 4,
    /// Is there a map of this name? Asked of the council's leader.
    FindMap = 5,
    /// Operations of a client for their owner.
    Forward = 6,
    /// Can a node be stopped? Asked of the council's leader.
    CanStop = 7,
    /// How is that node, and what does it lead?
    Status = 8,
    /// Who is connected there? Or: end one of them.
    Clients = 20,
}

impl AskKind {
    /// The kind with this number.
    pub(crate) fn from_number(number: u32) -> Option<AskKind> {
        use AskKind::{
            CanStop, Clients, FindMap, Forward, Heartbeat, Propose, PullNews, Raft, Status,
        };
        let kinds =
            [Raft, Propose, Heartbeat, PullNews, FindMap, Forward, CanStop, Status, Clients];
        kinds.into_iter().find(|kind| *kind as u32 == number)
    }

    /// Whether it may be asked before both ends know that they are of one cluster: it is how they come to know.
    pub(crate) fn is_for_strangers(self) -> bool {
        matches!(self, AskKind::Raft | AskKind::Propose | AskKind::PullNews)
    }
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerAddress {
    /// Its life; zero when it is not known: then whichever life is there is meant.
    pub(crate) incarnation: Incarnation,
    /// Host and port of its gRPC door.
    pub(crate) grpc: String,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AskFailed {
    /// It was certainly not asked: there is no way to the node, or another life or cluster lives there.
    Unreachable(String),
    /// The node answered with an error.
    Refused(Error),
    /// It may or may not have been asked, and done.
    Unknown(String),
}

impl fmt::Display for AskFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskFailed::Unreachable(why) => write!(formatter, "not asked: {why}"),
            AskFailed::Refused(error) => write!(formatter, "refused: {error}"),
            AskFailed::Unknown(why) => write!(formatter, "no answer: {why}"),
        }
    }
}

/// Who handles what other nodes say. It belongs to the consumer: the engine and control, put together by the node.
#[tonic::async_trait]
pub(crate) trait PeerHandler: Send + Sync + 'static {
    /// Messages arrived on a core, in the order of their link. Must not block: the link waits.
    fn receive(&self, core: usize, from: &Replica, batch: Vec<LinkMessage>);

    /// A question arrived.
    async fn ask(&self, from: &Replica, kind: AskKind, body: Bytes) -> Result<Bytes, Error>;

    /// A client's operations arrived; some belong to traces.
    async fn forward(&self, from: &Replica, frame: Bytes, traces: Traces) -> Result<Bytes, Error>;
}
