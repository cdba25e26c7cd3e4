//! The words of a partition's log: where an entry stands ([`LogPosition`]), when it was made ([`Hlc`]), which request it
//! answers ([`RequestId`]), and what it changes ([`Effect`]).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, MapId, PartitionId, Timestamp, Version};

/// A place in a partition's log: the epoch of the entry there and its number. Two logs that have the same position hold
/// the same entries up to it. Ordered by epoch first: the further log is the one to trust.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LogPosition {
    /// The epoch of the entry; zero before the first.
    pub epoch: Epoch,
    /// The number of the entry; zero before the first.
    pub seq: u64,
}

impl LogPosition {
    /// The beginning of every log: before the first entry.
    pub const START: LogPosition = LogPosition { epoch: Epoch(0), seq: 0 };

    /// A position.
    pub fn new(epoch: u64, seq: u64) -> Self {
        LogPosition { epoch: Epoch(epoch), seq }
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.0, self.seq)
    }
}

/// A hybrid logical clock: milliseconds since the Unix epoch in the high 48 bits, a counter in the low 16. It follows the
/// wall clock and never goes back, also not across a failover to a node whose clock is behind.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Hlc(pub u64);

impl Hlc {
    /// Frames carry the clock in units of so many of its ticks, of which a millisecond has 65,536.
    pub const WIRE_TICKS: u64 = 16;

    /// The next reading: the wall clock if it is ahead, else one tick more than the last reading.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Hlc {
        Hlc((now.0 << 16).max(self.0 + 1))
    }

    /// This reading or the next that is whole in units of [`Hlc::WIRE_TICKS`]: what a frame can carry. Whoever goes on behind
    /// it goes on behind this reading.
    #[must_use]
    pub fn coarse(self) -> Hlc {
        Hlc(self.0.div_ceil(Hlc::WIRE_TICKS).saturating_mul(Hlc::WIRE_TICKS))
    }

    /// The milliseconds of the reading.
    pub fn timestamp(self) -> Timestamp {
        Timestamp(self.0 >> 16)
    }
}

/// A client's session, numbered by the council in the order of opening. A number is never given twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct SessionId(pub u64);

/// One request of a session. A retry carries the same id, so that it is never executed twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct RequestId {
    /// The session.
    pub session: SessionId,
    /// The number of the request within its session, from one.
    pub number: u64,
}

/// Why a record was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A client asked for it.
    Deleted,
    /// Its expiry passed.
    Expired,
    /// It made room.
    Evicted,
}

/// What one log entry changes. Effects are absolute: each says what stands there afterwards, so that it can be applied
/// without knowing what was there before. The version of what it writes is the entry's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// Nothing: the entry opens an epoch, or keeps the answer of a write that changed nothing.
    Nothing,
    /// The record is now exactly this.
    Put {
        /// The map.
        map: MapId,
        /// The key.
        key: &'a [u8],
        /// The value.
        value: &'a [u8],
        /// When it expires, if it does.
        expires_at: Option<Timestamp>,
    },
    /// The record is gone.
    Remove {
        /// The map.
        map: MapId,
        /// The key.
        key: &'a [u8],
        /// Why.
        cause: Cause,
    },
    /// The record of one key is gone, and another key's record is now exactly this: what stood there moved.
    Rename {
        /// The map.
        map: MapId,
        /// The key that lost its record.
        from: &'a [u8],
        /// The key that has it now; never the same.
        to: &'a [u8],
        /// The value.
        value: &'a [u8],
        /// When it expires, if it does.
        expires_at: Option<Timestamp>,
    },
    /// All records of the map are gone.
    Clear {
        /// The map.
        map: MapId,
    },
    /// Client sessions have ended, and nothing of them is ever executed again.
    EndSessions(EndedSessions<'a>),
}

/// Which sessions have ended: all numbers below the watermark, and these above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedSessions<'a> {
    /// Every session with a smaller number has ended.
    pub watermark: SessionId,
    /// Ended sessions with larger numbers: eight bytes each, little-endian, ascending.
    pub above: &'a [u8],
}

impl<'a> EndedSessions<'a> {
    /// The ended sessions above the watermark.
    pub fn iter(&self) -> impl Iterator<Item = SessionId> + use<'a> {
        let (numbers, _) = self.above.as_chunks::<8>();
        numbers.iter().map(|number| SessionId(u64::from_le_bytes(*number)))
    }
}

/// The version that the entry with this number gives to what it writes.
pub fn version_of(seq: u64) -> Version {
    Version(seq)
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The loss of all but one of the in-sync nodes.
    Memory,
    /// And the end of every process.
    #[default]
    Os,
    /// And a power loss everywhere.
    Fsync,
}

/// What is known of the safety of a write. Hand it to a later read as `at_least`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The partition.
    pub partition: PartitionId,
    /// Where the write stands in the log.
    pub position: LogPosition,
    /// The loss generation of the log.
    pub loss_generation: u32,
    /// How many replicas held it when it was acknowledged.
    pub replicas: u8,
    /// What it survived then.
    pub durability: Durability,
    /// How many entries the furthest behind of the in-sync replicas lacked then.
    pub lag_ops: u64,
}

impl Receipt {
    /// The version that the write gave to what it wrote.
    pub fn version(&self) -> Version {
        version_of(self.position.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hybrid_clock_follows_the_wall_clock_and_never_goes_back() {
        let first = Hlc::default().next(Timestamp(1_000));
        assert_eq!(first.timestamp(), Timestamp(1_000));
        let behind = first.next(Timestamp(400));
        assert!(behind > first);
        assert_eq!(behind.timestamp(), Timestamp(1_000));
        assert_eq!(behind.next(Timestamp(1_001)).timestamp(), Timestamp(1_001));
    }

    #[test]
    fn a_coarse_reading_is_never_behind_and_less_than_a_unit_ahead() {
        for reading in [0, 1, 15, 16, 17, 1_795_000_000_000 << 16, u64::MAX] {
            let coarse = Hlc(reading).coarse();
            assert!(coarse >= Hlc(reading) || reading > u64::MAX - Hlc::WIRE_TICKS, "{reading}");
            assert!(coarse.0.abs_diff(reading) < Hlc::WIRE_TICKS, "{reading}");
        }
    }

    #[test]
    fn a_later_epoch_is_further_whatever_its_number() {
        assert!(LogPosition::new(2, 5) > LogPosition::new(1, 900));
        assert!(LogPosition::new(2, 6) > LogPosition::new(2, 5));
        assert!(LogPosition::START < LogPosition::new(1, 1));
    }

    #[test]
    fn ended_sessions_are_read_from_their_bytes() {
        let above: Vec<u8> = [7u64, 9].iter().flat_map(|number| number.to_le_bytes()).collect();
        let ended = EndedSessions { watermark: SessionId(5), above: &above };
        assert_eq!(ended.iter().collect::<Vec<_>>(), [SessionId(7), SessionId(9)]);
    }
}
