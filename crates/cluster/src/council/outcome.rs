//! What comes of a command.

use std::fmt;

use isogrid_core::{Epoch, Incarnation, MapId, PartitionId, SessionId, TableVersion};
use serde::{Deserialize, Serialize};

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was applied.
    Applied,
    /// All of it was so before: nothing changed.
    Unchanged,
    /// It was not applied, and nothing changed.
    Refused {
        /// Why.
        why: Refusal,
    },
    /// The node is registered.
    Registered(Registered),
    /// The node is down.
    Fenced(Fenced),
    /// What came of each change, in their order.
    Changes(Vec<ChangeOutcome>),
    /// Sessions were opened: `count` numbers from `first` on.
    SessionsOpened {
        /// The first number.
        first: SessionId,
        /// How many.
        count: u32,
    },
    /// The map has this number.
    Map(MapId),
}

impl Outcome {
    /// Why the command was refused, if it was.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Outcome::Refused { why } => Some(why),
            _ => None,
        }
    }
}

/// What a registration did. The node takes part from this version of the table on, not before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The version of the table that knows the node's new life.
    pub table: TableVersion,
    /// How many entries followed the node to its new life.
    pub rebound: u32,
    /// Where it is a member no more: the storage is another one.
    pub removed: Vec<PartitionId>,
    /// Where it was the last member and came back without the storage.
    pub stranded: Vec<PartitionId>,
    /// Where its log may miss its end: it should report positions.
    pub suspect: Vec<PartitionId>,
}

/// What a fencing did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    /// Partitions that have another primary.
    pub promoted: Vec<PartitionId>,
    /// Partitions that nobody else can lead: the old primary stays recorded.
    pub blocked: Vec<PartitionId>,
}

/// What came of one change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeOutcome {
    /// The entry is now at this epoch and ver.
    Done {
        /// The epoch.
        epoch: Epoch,
        /// The ver.
        ver: u32,
    },
    /// It was not applied.
    Refused(Refusal),
}

/// Why the council refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There is no cluster yet.
    NoCluster,
    /// There is a cluster already.
    ClusterExists,
    /// A number or name is out of its bounds.
    OutOfBounds,
    /// There is no such node, partition or map.
    Unknown,
    /// A newer life of the node is registered.
    OldIncarnation {
        /// The one that is registered.
        registered: Incarnation,
    },
    /// This life of the node is registered with another storage: two processes have the same name.
    OtherStorage,
    /// The entry is no longer the one that the change was made for.
    Moved {
        /// Its epoch.
        epoch: Epoch,
        /// Its ver.
        ver: u32,
    },
    /// The node is not the life that is registered, or does not serve.
    NotCurrent,
    /// The node is not listed as the change needs it.
    NotListed,
    /// The node is listed already.
    AlreadyListed,
    /// The primary cannot be removed, or there is none.
    Primary,
    /// The last member stays recorded.
    LastMember,
    /// The log of the node may miss its end.
    Suspect,
    /// A sound member can lead, or may come back.
    SoundMember,
    /// Not every suspect has reported.
    NotAllReported,
    /// The loss policy does not allow it.
    LossPolicy,
    /// The node still holds copies.
    StillHolds,
    /// The node still serves.
    StillServes,
    /// It would break a rule of tables.
    BreaksTable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoCluster => f.write_str("there is no cluster yet"),
            Refusal::ClusterExists => f.write_str("there is a cluster already"),
            Refusal::OutOfBounds => f.write_str("a number or name is out of its bounds"),
            Refusal::Unknown => f.write_str("there is no such node, partition or map"),
            Refusal::OldIncarnation { registered } => {
                write!(f, "a newer life of the node is registered: {}", registered.0)
            }
            Refusal::OtherStorage => f.write_str("this life has registered another storage"),
            Refusal::Moved { epoch, ver } => {
                write!(f, "the entry has moved on to epoch {}, ver {ver}", epoch.0)
            }
            Refusal::NotCurrent => f.write_str("the node's life is not current, or it is down"),
            Refusal::NotListed => f.write_str("the node is not listed for this"),
            Refusal::AlreadyListed => f.write_str("the node is listed already"),
            Refusal::Primary => f.write_str("the primary cannot be removed, or there is none"),
            Refusal::LastMember => f.write_str("the last member stays recorded"),
            Refusal::Suspect => f.write_str("the end of the node's log may be missing"),
            Refusal::SoundMember => f.write_str("a sound member leads or may come back"),
            Refusal::NotAllReported => f.write_str("not every suspect has reported"),
            Refusal::LossPolicy => f.write_str("the loss policy does not allow it"),
            Refusal::StillHolds => f.write_str("the node still holds copies"),
            Refusal::StillServes => f.write_str("the node still serves"),
            Refusal::BreaksTable => f.write_str("it would break a rule of tables"),
        }
    }
}
