//! What travels between the processes of a simulated cluster.

use isogrid_cluster::gossip::GossipState;
use isogrid_cluster::heartbeat::Heartbeat;
use isogrid_cluster::{Command, Directive, Outcome};
use isogrid_core::{
    Incarnation, LogPosition, MapId, PartitionId, Replica, SessionId, TableDelta, TableVersion,
    Timestamp,
};
use isogrid_replica::entry::Tag;
use isogrid_replica::lease::{Beat, BeatAck};
use isogrid_replica::{Message, ReadMode, Refusal, Ticks};

use crate::network::NodeIndex;

/// A message.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    /// Between replicas of a partition.
    Replica {
        /// The partition.
        partition: PartitionId,
        /// Who speaks, with its life.
        from: Replica,
        /// Which life of the receiver is meant.
        to: Incarnation,
        /// What it says.
        message: Message,
    },
    /// The leases of a node pair.
    Beat {
        /// Who leads.
        from: Replica,
        /// Which life of the receiver is meant.
        to: Incarnation,
        /// The claims.
        beat: Beat,
    },
    /// The answer.
    BeatAck {
        /// Who vouches.
        from: Replica,
        /// Which life of the receiver is meant.
        to: Incarnation,
        /// For what.
        ack: BeatAck,
    },
    /// News.
    Gossip {
        /// Of a node.
        state: GossipState,
        /// Who leads the council, in which term.
        leader: (u64, NodeIndex),
    },
    /// Changes of the table since this version, please.
    Pull {
        /// The version.
        since: TableVersion,
    },
    /// Changes of the table, and of what else the council says.
    News(News),
    /// To the council's leader.
    Propose {
        /// The proposer's name for it.
        ticket: u64,
        /// What.
        command: Command,
    },
    /// From the council's leader.
    Decided {
        /// The proposer's name for it.
        ticket: u64,
        /// What came of it; `None` when this node does not lead.
        outcome: Option<Outcome>,
        /// Who leads the council, in which term.
        leader: (u64, NodeIndex),
    },
    /// To the council's leader: I live, and this is what I see.
    Heartbeat(Heartbeat),
    /// The answer.
    HeartbeatAnswer {
        /// Which life is meant.
        to: Incarnation,
        /// The clock in the heartbeat.
        sent_at: Ticks,
        /// Whether the council counts this life among those that serve.
        serves: bool,
    },
    /// The steward wants something of a primary.
    Directive(Directive),
    /// A client asks.
    Ask(Ask),
    /// A client is answered.
    Answer(Answer),
}

/// What the council decided, as it spreads.
#[derive(Clone, Debug)]
pub(crate) struct News {
    /// Changes of the table.
    pub(crate) delta: TableDelta,
    /// All sessions below have ended.
    pub(crate) watermark: SessionId,
    /// And these.
    pub(crate) ended: Vec<SessionId>,
    /// Who leads the council, in which term.
    pub(crate) leader: (u64, NodeIndex),
}

/// A client's request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The client's name for the attempt.
    pub(crate) attempt: u64,
    /// The map.
    pub(crate) map: MapId,
    /// The partition it believes to be right.
    pub(crate) partition: PartitionId,
    /// What.
    pub(crate) what: What,
    /// For exactly-once.
    pub(crate) tag: Option<Tag>,
    /// From when on the client no longer waits.
    pub(crate) deadline: Timestamp,
    /// The session to keep alive.
    pub(crate) session: SessionId,
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A value.
    Get(Vec<u8>, ReadMode, Option<LogPosition>),
    /// A write.
    Put(Vec<u8>, Vec<u8>, Option<u64>),
    /// A removal.
    Delete(Vec<u8>),
    /// One more.
    Increment(Vec<u8>),
    /// A write if this is there.
    CompareAndSet(Vec<u8>, Option<Vec<u8>>, Vec<u8>),
    /// A record moves from the first key to the second, only if that is absent if so said.
    Rename(Vec<u8>, Vec<u8>, bool),
    /// A session.
    Open,
}

/// An answer to a client.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The client's name for the attempt.
    pub(crate) attempt: u64,
    /// What.
    pub(crate) what: Answered,
    /// The newest table the answering node knows, for clients that asked the wrong one.
    pub(crate) table: Option<TableDelta>,
}

/// What a client is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answered {
    /// The record, or that there is none; of writes what stands there now.
    Seen {
        /// The version; of a write its entry's number.
        version: u64,
        /// The value.
        value: Option<Vec<u8>>,
        /// Of a write, where it stands.
        position: Option<LogPosition>,
    },
    /// There was nothing to write to; of a write, with its entry's number and where that stands.
    Missing {
        /// The version.
        version: u64,
        /// Of a write.
        position: Option<LogPosition>,
    },
    /// The integer after an increment.
    Number {
        /// The version.
        version: u64,
        /// The number.
        value: i64,
    },
    /// The condition did not hold.
    Conflict(Option<(u64, Vec<u8>)>),
    /// It failed for a reason that lies in the request or for lack of room.
    Failed,
    /// No answer, and why.
    Refused(Refusal),
    /// The disk takes nothing, so that nothing was changed.
    DiskRefuses,
    /// A session.
    Session(SessionId),
}

impl Packet {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Packet::Replica { message, .. } => 64 + message_bytes(message),
            Packet::Beat { beat, .. } => 48 + 12 * beat.claims.as_ref().map_or(0, Vec::len) as u64,
            Packet::BeatAck { ack, .. } => 48 + 2 * ack.excluded.len() as u64,
            Packet::News(news) => 64 + 96 * news.delta.entries.len() as u64,
            Packet::Answer(answer) => {
                64 + 96 * answer.table.as_ref().map_or(0, |delta| delta.entries.len()) as u64
            }
            Packet::Heartbeat(beat) => 64 + 32 * (beat.heard.len() + beat.leads.len()) as u64,
            _ => 96,
        }
    }

    /// The kind, for traces.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Packet::Replica { message, .. } => match message {
                Message::Append(_) => "append",
                Message::Ack(_) => "ack",
                Message::Mismatch(_) => "mismatch",
                Message::Refused { .. } => "refused",
                Message::Offer(_) => "offer",
                Message::Pull { .. } => "pull",
                Message::Chunk(_) => "chunk",
                Message::Differs { .. } => "differs",
            },
            Packet::Beat { .. } => "beat",
            Packet::BeatAck { .. } => "beat-ack",
            Packet::Gossip { .. } => "gossip",
            Packet::Pull { .. } => "table-pull",
            Packet::News(_) => "table-news",
            Packet::Propose { .. } => "propose",
            Packet::Decided { .. } => "decided",
            Packet::Heartbeat(_) => "heartbeat",
            Packet::HeartbeatAnswer { .. } => "heartbeat-answer",
            Packet::Directive(_) => "directive",
            Packet::Ask(_) => "ask",
            Packet::Answer(_) => "answer",
        }
    }

    /// The packet for people.
    pub(crate) fn to_line(&self) -> String {
        match self {
            Packet::Replica { partition, message, .. } => {
                format!("p{} {}", partition.0, message_line(message))
            }
            other => format!("{other:?}"),
        }
    }
}

fn message_bytes(message: &Message) -> u64 {
    match message {
        Message::Append(append) => append.entries.len() as u64 + 96,
        Message::Chunk(chunk) => match &chunk.content {
            isogrid_replica::message::Content::Records { records, .. } => records.len() as u64,
            isogrid_replica::message::Content::Start { sessions, .. } => sessions.len() as u64,
            isogrid_replica::message::Content::Buckets(sums) => 16 * sums.len() as u64,
        },
        _ => 96,
    }
}

fn message_line(message: &Message) -> String {
    match message {
        Message::Append(append) => {
            let entries: Vec<String> = isogrid_replica::entry::Entries::new(&append.entries)
                .flatten()
                .map(|encoded| encoded.entry.position.to_string())
                .collect();
            format!(
                "append e{} after {} [{}] commit {}",
                append.epoch.0,
                append.prev,
                entries.join(" "),
                append.commit
            )
        }
        Message::Ack(ack) => {
            format!("ack e{} {} applied {}", ack.epoch.0, ack.matched, ack.applied)
        }
        other => format!("{other:?}"),
    }
}
