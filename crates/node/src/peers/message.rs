//! What nodes say to each other over links and in questions.

use std::sync::Arc;

use isogrid_cluster::Directive;
use isogrid_core::{Incarnation, PartitionId};
use isogrid_replica::Message;
use isogrid_replica::lease::{Beat, BeatAck};

use crate::control::news::News;

/// A message over a link. The link's hello says who sends it.
#[derive(Clone, Debug)]
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
}
