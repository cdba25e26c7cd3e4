//! What nodes send each other and the council. The network loses, delays and reorders all of it.

use std::fmt;

use crate::council::Proposal;
use crate::log::Chunk;
use crate::nodes::{Epoch, Incarnation, NodeId};

/// A primary's piece of log for one replica.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Append<C> {
    /// The primary.
    pub from: NodeId,
    /// The replica.
    pub to: NodeId,
    /// The incarnation it is meant for (R4).
    pub incarnation: Incarnation,
    /// The primary's epoch (R1).
    pub epoch: Epoch,
    /// The entries, and what must lie before them (R7).
    pub chunk: Chunk<C>,
    /// The commit index. Sent only in mutants that use it: no rule needs a replica to know it.
    pub commit: u8,
}

/// A replica holds the first `length` entries of the primary's log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acknowledgement {
    /// The replica.
    pub from: NodeId,
    /// The primary.
    pub to: NodeId,
    /// The replica's incarnation.
    pub incarnation: Incarnation,
    /// The epoch of the primary it answers.
    pub epoch: Epoch,
    /// The matched prefix.
    pub length: u8,
}

/// Everything that travels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message<C> {
    /// Entries.
    Append(Append<C>),
    /// The answer to them.
    Acknowledgement(Acknowledgement),
    /// A primary's wish to the council.
    Proposal(Proposal),
}

impl<C: fmt::Display> fmt::Display for Message<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Append(Append { from, to, incarnation, epoch, chunk, .. }) => {
                write!(f, "{to}#{incarnation} receives {chunk} from {from} in epoch {epoch}")
            }
            Message::Acknowledgement(Acknowledgement { from, to, incarnation, epoch, length }) => {
                write!(
                    f,
                    "{to} receives from {from}#{incarnation}: {length} entries held, epoch {epoch}"
                )
            }
            Message::Proposal(Proposal { epoch, version, amendment }) => {
                write!(
                    f,
                    "the council receives the wish {amendment}, if still at {epoch}.{version}"
                )
            }
        }
    }
}
