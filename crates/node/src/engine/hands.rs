//! [`Hands`]: what a step of a replica wants done, done at once: answers go to whoever waits, messages into the lanes of
//! the core that steps, proposals to control.

use isogrid_core::{Error, ErrorCode, NodeId, Outcome, PartitionId, Replica, Reply};
use isogrid_replica::{
    Effects, Message, Notice, Now, Proposal, Receipt, Refusal, Response, Ticket,
};

use super::Engine;
use super::late::{Waiters, index_in_batch};
use crate::peers::message::LinkMessage;

/// The way to other nodes, as the engine needs it.
pub(crate) trait Wire: Send + Sync {
    /// A message for a node; it may be lost.
    fn send(&self, core: usize, to: &NodeId, message: LinkMessage);
    /// What was said so far goes out.
    fn flush(&self, core: usize);
}

/// Takes the replies of the batch that is being executed.
pub(crate) trait Replies {
    /// The reply to the operation with this index.
    fn put(&mut self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>);
}

/// The hands of one partition's replica during a step.
pub(super) struct Hands<'a, 'p> {
    pub(super) engine: &'a Engine,
    pub(super) core: usize,
    pub(super) partition: PartitionId,
    pub(super) now: Now,
    pub(super) waiters: &'a mut Waiters,
    /// The replies of the batch that is being executed, if one is.
    pub(super) present: Option<&'a mut (dyn Replies + 'p)>,
    /// The request of this step waits for better times.
    pub(super) deferred: Option<Ticket>,
    /// The deferred requests are to be presented again.
    pub(super) resumed: bool,
}

impl Hands<'_, '_> {
    fn answer(&mut self, ticket: Ticket, reply: &Reply<'_>, receipt: Option<&Receipt>) {
        match &mut self.present {
            Some(replies) if self.waiters.is_present(ticket) => {
                replies.put(index_in_batch(ticket), reply, receipt);
            }
            // Nobody: its client stopped waiting.
            _ => {
                if let Some(waiter) = self.waiters.take(ticket) {
                    self.engine.time_late(self.partition, &waiter, self.now);
                    waiter.late.answer(self.now.ticks, index_in_batch(ticket), reply, receipt);
                }
            }
        }
    }
}

impl Effects for Hands<'_, '_> {
    #[inline]
    fn respond(&mut self, ticket: Ticket, response: Response<'_>) {
        match response {
            Response::Read { reply, .. } => self.answer(ticket, &reply, None),
            Response::Written { reply, receipt } => self.answer(ticket, &reply, Some(&receipt)),
            Response::Refused(refusal) => {
                self.answer(ticket, &Reply::Failed(refused(refusal)), None);
            }
        }
    }

    fn defer(&mut self, ticket: Ticket) {
        self.deferred = Some(ticket);
    }

    fn resume(&mut self) {
        self.resumed = true;
    }

    fn send(&mut self, to: &Replica, message: Message) {
        let partition = self.partition;
        let message = LinkMessage::Replica { partition, to: to.incarnation, message };
        self.engine.wire.send(self.core, &to.node, message);
    }

    fn propose(&mut self, proposal: Proposal) {
        // Proposals are made again until the table says what came of them: one that finds no room is not missed.
        let _ = self.engine.proposals.try_send(proposal);
    }

    fn notice(&mut self, notice: Notice) {
        self.engine.notices.count(self.partition, &notice);
    }
}

/// What a client is told of a refusal.
pub(super) fn refused(refusal: Refusal) -> Error {
    let code = match refusal {
        Refusal::NotOwner => ErrorCode::NotOwner,
        Refusal::TooLate => ErrorCode::DeadlineBeforeStart,
        Refusal::NotEnoughReplicas | Refusal::NotEnoughReplicasLeft => ErrorCode::NotEnoughReplicas,
        Refusal::Deposed => ErrorCode::Deposed,
        Refusal::Stale => ErrorCode::SessionEnded,
        Refusal::SessionFull => ErrorCode::SessionFull,
        Refusal::TooFarBehind => ErrorCode::TooFarBehind,
        Refusal::PositionLost => ErrorCode::PositionLost,
        Refusal::BackupsLag => ErrorCode::BackupsLag,
        Refusal::CutOff => ErrorCode::CutOff,
    };
    let outcome = if refusal.is_not_applied() { Outcome::NotApplied } else { Outcome::Unknown };
    Error::new(code, "").with_outcome(outcome)
}
