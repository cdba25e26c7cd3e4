//! The format of a batch of [`LinkMessage`]s: version 1.
//!
//! ```text
//! batch    version u8, messages
//! message  kind u8, length u32, body
//! ```
//!
//! Numbers are little-endian and have a fixed width: reading them is one load, and what is carried is much larger. A kind
//! that this node does not know is skipped by its length, so that newer nodes can say more. A body that does not end where
//! its length says is malformed: what changes a message's meaning gets a new kind. Kinds are never used again.

mod decode;
mod encode;

use std::fmt;

pub(crate) use decode::decode;
pub(crate) use encode::encode;

/// The version of the format that this build writes.
pub(crate) const BATCH_VERSION: u8 = 1;

/// The bytes in front of a message's body.
const HEADER_BYTES: usize = 5;

/// The kinds of messages; frozen.
mod kind {
    pub(super) const APPEND: u8 = 1;
    pub(super) const ACK: u8 = 2;
    pub(super) const MISMATCH: u8 = 3;
    pub(super) const REFUSED: u8 = 4;
    pub(super) const OFFER: u8 = 5;
    pub(super) const PULL: u8 = 6;
    pub(super) const CHUNK: u8 = 7;
    pub(super) const DIFFERS: u8 = 8;
    pub(super) const BEAT: u8 = 16;
    pub(super) const BEAT_ACK: u8 = 17;
    pub(super) const NEWS: u8 = 18;
    pub(super) const DIRECTIVE: u8 = 19;
    pub(super) const PING: u8 = 20;
    pub(super) const TRACED: u8 = 21;
}

/// The kinds of pieces of a copy; frozen.
mod piece {
    pub(super) const START: u8 = 1;
    pub(super) const RECORDS: u8 = 2;
    pub(super) const SESSIONS: u8 = 3;
    pub(super) const BUCKETS: u8 = 4;
    pub(super) const BUCKET: u8 = 5;
    pub(super) const KEYS: u8 = 6;
}

/// The kinds of contents of a piece; frozen.
mod content {
    pub(super) const START: u8 = 1;
    pub(super) const RECORDS: u8 = 2;
    pub(super) const BUCKETS: u8 = 3;
}

/// The flags of an append; frozen.
mod append {
    pub(super) const LEADS: u8 = 1;
    pub(super) const HAS_DIGEST: u8 = 2;
    pub(super) const HAS_SESSIONS_DIGEST: u8 = 4;
    pub(super) const ALL: u8 = LEADS | HAS_DIGEST | HAS_SESSIONS_DIGEST;
}

/// Why a batch cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It is of another version.
    Version(u8),
    /// It ends early, or says something that cannot be.
    Body {
        /// The message's kind.
        kind: u8,
        /// What is wrong.
        why: &'static str,
    },
    /// It ends within a message's header, or a message is longer than the batch.
    Cut,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Version(version) => write!(formatter, "batch of version {version}"),
            Malformed::Body { kind, why } => write!(formatter, "message of kind {kind}: {why}"),
            Malformed::Cut => write!(formatter, "a message is longer than its batch"),
        }
    }
}

#[cfg(test)]
#[path = "codec_test.rs"]
mod tests;
