//! What the steward wants done.

use isogrid_core::{NodeId, PartitionId, Replica};
use serde::{Deserialize, Serialize};

use crate::council::Command;

/// What the steward wants done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// To propose to the council, in this order.
    pub commands: Vec<Command>,
    /// To send to primaries. A lost one is given again.
    pub directives: Vec<Directive>,
}

impl Orders {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.directives.is_empty()
    }
}

/// What the steward asks of a primary, which alone may do it. A primary that has moved on ignores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Directive {
    /// Hand the partition over to this member, once it has everything.
    HandOver {
        /// The partition.
        partition: PartitionId,
        /// Its primary.
        primary: NodeId,
        /// Who leads from then on.
        to: NodeId,
    },
    /// Remove this member, once the leases that it gave have lapsed (R3).
    Retire {
        /// The partition.
        partition: PartitionId,
        /// Its primary.
        primary: NodeId,
        /// The member that is not needed any more.
        member: Replica,
    },
    /// Propose this suspect as a member again, once its log was found to match up to this epoch's first entry.
    Vouch {
        /// The partition.
        partition: PartitionId,
        /// Its primary.
        primary: NodeId,
        /// The suspect.
        member: Replica,
    },
}

impl Directive {
    /// The node it is for.
    pub fn primary(&self) -> &NodeId {
        match self {
            Directive::HandOver { primary, .. }
            | Directive::Retire { primary, .. }
            | Directive::Vouch { primary, .. } => primary,
        }
    }

    /// The partition it is about.
    pub fn partition(&self) -> PartitionId {
        match self {
            Directive::HandOver { partition, .. }
            | Directive::Retire { partition, .. }
            | Directive::Vouch { partition, .. } => *partition,
        }
    }
}
