//! What can happen to a replica.

use isogrid_core::{Hlc, Incarnation, LogPosition, MapId, NodeId, Op, PartitionEntry, Replica};
use isogrid_core::{SessionId, Timestamp};
use isogrid_store::KeyHash;

use crate::entry::Tag;
use crate::message::Message;
use crate::time::{Now, Ticks};

/// Something that happens to a replica.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A client asks for something.
    Request(Request<'a>),
    /// The end of a batch of requests or messages: what they added is sent now.
    Flush,
    /// Another replica of this partition says something.
    Receive {
        /// Who.
        from: &'a Replica,
        /// Which life of this node the message is for.
        to: Incarnation,
        /// What.
        message: Message,
    },
    /// A node acknowledged, for all partitions it shares with this one, a message sent at that moment, and has promised
    /// nothing above this partition's epoch.
    LeaseAck {
        /// Who.
        from: &'a Replica,
        /// The epoch it acknowledged.
        epoch: isogrid_core::Epoch,
        /// When this node sent the message.
        sent_at: Ticks,
    },
    /// The council answered this node's heartbeat that was sent at that moment.
    CouncilAnswered {
        /// When the heartbeat was sent.
        sent_at: Ticks,
    },
    /// The committed table says this about the partition.
    Table(&'a PartitionEntry),
    /// The log is on this node's disk up to here.
    Persisted(LogPosition),
    /// What the disk has is worth nothing: without an image nothing can follow there.
    DiskVoided,
    /// The replica comes from a disk that was found damaged: what it has may end too early. What the disk has is worth nothing more,
    /// and no image is either, until a primary has brought the replica up to date.
    Damaged,
    /// An image of the data is on this node's disk, taken when that had become worthless so many times
    /// ([`Replica::disk_voided`](crate::Replica::disk_voided)).
    Imaged {
        /// Where it was taken.
        position: LogPosition,
        /// How many times.
        voided: u32,
    },
    /// The steward wants another in-sync replica to be primary.
    HandOver {
        /// Which.
        to: &'a NodeId,
    },
    /// The steward does not need this in-sync replica any more.
    Retire {
        /// Which.
        replica: &'a Replica,
    },
    /// The steward asks whether this suspect has everything, so that it may count as sound again.
    Vouch {
        /// Which.
        replica: &'a Replica,
    },
    /// The council ended sessions: all below the watermark, and these.
    SessionsEnded {
        /// The watermark.
        watermark: SessionId,
        /// The others, ascending.
        above: &'a [SessionId],
    },
    /// A backup of the cluster cuts here: an entry that changes nothing is appended, unless one behind this clock is there, so
    /// that all replicas know that nothing more comes before it.
    Fence {
        /// The clock of the cut.
        clock: Hlc,
    },
    /// The node needs memory: evict a record of this map.
    Evict {
        /// The map.
        map: MapId,
    },
    /// Time has passed. About every 20 ms.
    Tick,
}

/// The shell's name for a request in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// How a read chooses between speed and certainty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// At the primary, under its lease: linearizable, no round trip. Falls back to [`ReadMode::Confirmed`].
    #[default]
    Lease,
    /// At the primary, after a round trip to the in-sync set: linearizable, whatever the clocks do.
    Confirmed,
    /// At any in-sync replica, not older than this.
    Backup {
        /// The most milliseconds the answer may be behind.
        staleness_ms_max: u64,
    },
    /// At any replica, whatever it has.
    Any,
}

/// A client's request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The shell's name for it.
    pub ticket: Ticket,
    /// The map.
    pub map: MapId,
    /// The hash of the key; not looked at for operations on the whole partition.
    pub hash: KeyHash,
    /// What to do.
    pub op: Op<'a>,
    /// For writes: the name under which a retry is recognised.
    pub tag: Option<Tag>,
    /// From when on the client no longer waits.
    pub deadline: Option<Timestamp>,
    /// For reads.
    pub mode: ReadMode,
    /// A position from a receipt: the answer must not be older.
    pub at_least: Option<LogPosition>,
    /// Whether the node is over its memory mark.
    pub over_mark: bool,
}

impl<'a> Request<'a> {
    /// A request with nothing special about it.
    pub fn new(ticket: Ticket, map: MapId, hash: KeyHash, op: Op<'a>) -> Self {
        Request {
            ticket,
            map,
            hash,
            op,
            tag: None,
            deadline: None,
            mode: ReadMode::Lease,
            at_least: None,
            over_mark: false,
        }
    }

    /// Whether its client no longer waits.
    #[inline]
    pub(crate) fn is_late(&self, now: Now) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now.wall)
    }
}
