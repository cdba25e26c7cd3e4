//! What a replica wants done. The shell implements [`Effects`]; [`Recorded`] collects everything, for tests.

use isogrid_core::{Epoch, NodeId, PartitionId, Replica, Reply, Version};

use crate::event::Ticket;
use crate::message::Message;
use crate::notice::Notice;

pub use isogrid_core::Receipt;

/// The hands of a replica. Called while a step runs; what is borrowed is good only for the call.
pub trait Effects {
    /// The answer to a request.
    fn respond(&mut self, ticket: Ticket, response: Response<'_>);
    /// The request cannot be served at this moment, and will be: keep it, and present it again after
    /// [`Effects::resume`], or let it go when its deadline passes.
    fn defer(&mut self, ticket: Ticket);
    /// Present the deferred requests of this partition again, in their order.
    fn resume(&mut self);
    /// A message to another replica of this partition.
    fn send(&mut self, to: &Replica, message: Message);
    /// A change of the table, for the council to decide. Proposals get lost, and are made again.
    fn propose(&mut self, proposal: Proposal);
    /// Something that counters and traces want to know.
    fn notice(&mut self, notice: Notice);
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Response<'a> {
    /// To a read, and at which position of the log it was true.
    Read {
        /// The answer.
        reply: Reply<'a>,
        /// The version of the newest change it shows, if it shows one.
        newest: Option<Version>,
    },
    /// To a write.
    Written {
        /// The answer.
        reply: Reply<'a>,
        /// What is known of its safety.
        receipt: Receipt,
    },
    /// None, and why.
    Refused(Refusal),
}

/// Why there is no answer, by what it means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Not applied: this replica is not the primary. Ask the primary of the newer table.
    NotOwner,
    /// Not applied: the deadline has passed.
    TooLate,
    /// Not applied: too few replicas are in sync for this map.
    NotEnoughReplicas,
    /// Unknown: it was applied, and then too few replicas were in sync for this map.
    NotEnoughReplicasLeft,
    /// Unknown: the primary was replaced before the write was acknowledged. Retry with the same id.
    Deposed,
    /// Unknown: the session has ended, or the client itself said that this request was answered.
    Stale,
    /// Not applied: the session has too many unanswered writes in this partition.
    SessionFull,
    /// Not applied: this replica is further behind than the read allows.
    TooFarBehind,
    /// Not applied: the position in the read's receipt is not in this log, or is so old that nobody can tell, because data
    /// were declared lost.
    PositionLost,
    /// Not applied: asynchronous writes wait for the backups to catch up.
    BackupsLag,
    /// Not applied: neither the council nor some replica in sync has answered for so long that others may lead by now.
    CutOff,
}

impl Refusal {
    /// Whether the request certainly had no effect.
    pub fn is_not_applied(self) -> bool {
        !matches!(self, Refusal::NotEnoughReplicasLeft | Refusal::Deposed | Refusal::Stale)
    }
}

/// A change of one partition's entry, decided by the council as a compare-and-set on epoch and `ver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The partition.
    pub partition: PartitionId,
    /// The proposer's epoch.
    pub epoch: Epoch,
    /// The `ver` the proposer has read.
    pub ver: u32,
    /// What to change.
    pub change: ProposedChange,
}

/// What a primary proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposedChange {
    /// This learner is caught up: add it to the in-sync set.
    Add(Replica),
    /// Take this backup out of the in-sync set.
    Remove(Replica),
    /// Make this in-sync replica the primary.
    HandOver(NodeId),
}

/// Effects, collected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// Answers, as text: they outlive what they borrowed.
    pub responses: Vec<(Ticket, String)>,
    /// Deferred requests.
    pub deferred: Vec<Ticket>,
    /// Whether deferred requests are to be presented again.
    pub resumed: bool,
    /// Messages with their receivers.
    pub messages: Vec<(Replica, Message)>,
    /// Proposals.
    pub proposals: Vec<Proposal>,
    /// Notices.
    pub notices: Vec<Notice>,
}

impl Effects for Recorded {
    fn respond(&mut self, ticket: Ticket, response: Response<'_>) {
        self.responses.push((ticket, format!("{response:?}")));
    }

    fn defer(&mut self, ticket: Ticket) {
        self.deferred.push(ticket);
    }

    fn resume(&mut self) {
        self.resumed = true;
    }

    fn send(&mut self, to: &Replica, message: Message) {
        self.messages.push((to.clone(), message));
    }

    fn propose(&mut self, proposal: Proposal) {
        self.proposals.push(proposal);
    }

    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}
