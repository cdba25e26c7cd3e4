//! What replicas of one partition say to each other. The shell carries messages in batches between nodes, with the names
//! and lives of both ends; a message for another life of a node than the present one is dropped.

use isogrid_core::{Epoch, Hlc, LogPosition, MapId};
use isogrid_store::WalkCursor;

use crate::time::Ticks;

/// A message between two replicas of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Primary to follower: entries, and how far the log is committed.
    Append(Append),
    /// Follower to primary: how far its log is the primary's.
    Ack(Ack),
    /// Follower to primary: the entry before those of an [`Append`] is not in this log.
    Mismatch(Mismatch),
    /// Follower to anyone of an older epoch: step down.
    Refused {
        /// The epoch the follower has promised.
        promised: Epoch,
    },
    /// Primary to learner: deltas cannot bring this log up to date.
    Offer(Offer),
    /// Learner to primary: the next piece of a copy, please.
    Pull {
        /// The primary's epoch.
        epoch: Epoch,
        /// Which piece.
        piece: Piece,
    },
    /// Primary to learner: a piece of a copy.
    Chunk(Box<Chunk>),
    /// Backup to primary: the data differ at this position.
    Differs {
        /// The primary's epoch.
        epoch: Epoch,
        /// Where both stood.
        at: LogPosition,
    },
}

/// Entries for a follower.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Append {
    /// The primary's epoch.
    pub epoch: Epoch,
    /// The entry before the first one here.
    pub prev: LogPosition,
    /// Encoded entries, one after the other; may be empty.
    pub entries: Vec<u8>,
    /// How far the primary's log is committed.
    pub commit: u64,
    /// The primary's clock when it sent this: acknowledgements bring it back, and leases count from it.
    pub sent_at: Ticks,
    /// The follower's own clock as last heard by the primary: this message was made after that moment.
    pub echo: Ticks,
    /// Whether the primary held its lease when it sent this, so that its commit index is the newest there is.
    pub leads: bool,
    /// The last round of confirmed reads that began before this was sent.
    pub round: u64,
    /// The primary's loss generation.
    pub loss_generation: u32,
    /// The digest of the primary's data at an entry that is here or was sent before.
    pub digest: Option<DigestAt>,
}

/// The digest of a partition at one position of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestAt {
    /// After which entry.
    pub seq: u64,
    /// Of the data.
    pub data: u128,
    /// Of the sessions, when the primary had nothing in flight.
    pub sessions: Option<u128>,
}

/// A follower's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The primary's epoch.
    pub epoch: Epoch,
    /// The follower's log is the primary's up to here, and on disk if that counts.
    pub matched: LogPosition,
    /// How far the follower has applied the log.
    pub applied: u64,
    /// The primary's clock in the message that this answers.
    pub sent_at: Ticks,
    /// The follower's clock now.
    pub stamp: Ticks,
    /// The round of the message that this answers.
    pub round: u64,
    /// Whether the follower's data are whole: no copy or repair is under way.
    pub complete: bool,
}

/// A follower cannot place what it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The primary's epoch.
    pub epoch: Epoch,
    /// The follower's newest position with neither a later epoch nor a larger number than the one it did not find; at least
    /// that of its commit index.
    pub tail: LogPosition,
    /// The follower's position at its commit index.
    pub commit: LogPosition,
    /// The primary's clock in the message that this answers: a mismatch acknowledges the epoch like any answer.
    pub sent_at: Ticks,
    /// The follower's clock now.
    pub stamp: Ticks,
}

/// Why deltas will not do, and what the primary's log looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The primary's epoch.
    pub epoch: Epoch,
    /// The primary's loss generation.
    pub loss_generation: u32,
    /// The oldest position in the primary's window.
    pub base: LogPosition,
    /// The first number of each epoch in the window.
    pub runs: Vec<LogPosition>,
    /// The primary's last position.
    pub last: LogPosition,
}

/// Which piece of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The beginning: sessions, clock, and the position from which deltas follow.
    Start,
    /// Records of all maps from a point of the walk on.
    Records(WalkCursor),
    /// The sessions and the clock alone.
    Sessions,
    /// The digests of the buckets.
    Buckets,
    /// Records of one bucket from a point of the walk on.
    Bucket(u8, WalkCursor),
    /// The records of these keys.
    Keys(Vec<(MapId, Vec<u8>)>),
}

/// A piece of a copy. It is sent only when everything it shows is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The primary's epoch.
    pub epoch: Epoch,
    /// The primary's loss generation.
    pub loss_generation: u32,
    /// Which piece it is.
    pub piece: Piece,
    /// The position of the primary's log when the piece was read.
    pub as_of: LogPosition,
    /// What is in it.
    pub content: Content,
    /// How much there is to copy in all, in entries and bytes.
    pub total: (u64, u64),
}

/// The content of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The sessions and the clock.
    Start {
        /// Encoded sessions.
        sessions: Vec<u8>,
        /// The hybrid clock.
        hlc: Hlc,
    },
    /// Records as encoded entries, and where the walk goes on, if it does.
    Records {
        /// Encoded.
        records: Vec<u8>,
        /// Where it goes on.
        next: Option<WalkCursor>,
    },
    /// The digest of each bucket.
    Buckets(Vec<u128>),
}

impl Message {
    /// The epoch the message belongs to.
    pub fn epoch(&self) -> Epoch {
        match self {
            Message::Append(append) => append.epoch,
            Message::Ack(ack) => ack.epoch,
            Message::Mismatch(mismatch) => mismatch.epoch,
            Message::Refused { promised } => *promised,
            Message::Offer(offer) => offer.epoch,
            Message::Pull { epoch, .. } | Message::Differs { epoch, .. } => *epoch,
            Message::Chunk(chunk) => chunk.epoch,
        }
    }

    /// Whether a primary says it, so that it may be the first word of a new epoch.
    pub fn is_from_primary(&self) -> bool {
        matches!(self, Message::Append(_) | Message::Offer(_) | Message::Chunk(_))
    }
}
