//! Answers that do not come at once: a write waits until every in-sync replica holds it, a read until what it shows is
//! committed. Whoever asked leaves a [`Late`] behind; the partition keeps it with a [`Waiter`] until it knows the answer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use isogrid_core::{Error, ErrorCode, Outcome, Reply};
use isogrid_replica::{Receipt, Ticket, Ticks};

use super::batch::BATCH_OPS_HARD_MAX;
use super::figures::Metered;
use super::slow::Trace;

/// Takes the answers of a batch that come late. Called under a partition's lock: it must not wait for anything.
pub(crate) trait Late: Send + Sync {
    /// The answer to the operation with this index.
    fn answer(&self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>);

    /// Where the client is that waits, if that is known.
    fn client(&self) -> Option<SocketAddr> {
        None
    }
}

/// Who waits for an answer after its batch has ended without it.
pub(crate) struct Waiter {
    /// Where the answer goes.
    pub(super) late: Arc<Metered>,
    /// When the client stops waiting.
    pub(crate) until: Option<Ticks>,
    /// Whether nothing can have happened yet: the request was deferred.
    pub(crate) is_deferred: bool,
    /// What it asked, and since when.
    pub(crate) trace: Trace,
}

/// All who wait at one partition. Requests are numbered in the order in which they reach the replica. Most are answered
/// within their batch and never come here: until its batch ends, a request is known by its number alone.
///
/// A ticket is the request's number and, in its lowest bits, its index in its batch.
#[derive(Default)]
pub(crate) struct Waiters {
    next: u64,
    /// The number of the first request of the batch that is being executed, or was last.
    present: u64,
    /// By number, ascending.
    waiting: VecDeque<(Ticket, Waiter)>,
}

/// How many bits of a ticket are the index: as many as a batch may have.
const INDEX_BITS: u32 = BATCH_OPS_HARD_MAX.ilog2();

/// The index of a request in its batch.
pub(crate) fn index_in_batch(ticket: Ticket) -> usize {
    ticket.0 as usize & (BATCH_OPS_HARD_MAX - 1)
}

impl Waiters {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The requests from here on are of the batch that is being executed.
    #[inline]
    pub(crate) fn begin_batch(&mut self) {
        self.present = self.next;
    }

    /// A ticket for the next request. It is used once.
    #[inline]
    pub(crate) fn ticket(&mut self, index: usize) -> Ticket {
        debug_assert!(index < BATCH_OPS_HARD_MAX, "a batch has no more operations");
        let ticket = Ticket(self.next << INDEX_BITS | index as u64);
        self.next += 1;
        ticket
    }

    /// Whether this is a request of the batch that is being executed.
    #[inline]
    pub(crate) fn is_present(&self, ticket: Ticket) -> bool {
        ticket.0 >> INDEX_BITS >= self.present
    }

    /// Keeps one who waits. Tickets come in their order.
    pub(crate) fn keep(&mut self, ticket: Ticket, waiter: Waiter) {
        debug_assert!(self.waiting.back().is_none_or(|(last, _)| *last < ticket), "in their order");
        self.waiting.push_back((ticket, waiter));
    }

    /// Whoever waits with this ticket, if the answer was not given up.
    pub(crate) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Waiter> {
        let place = self.place(ticket)?;
        self.waiting.get_mut(place).map(|(_, waiter)| waiter)
    }

    /// Takes out whoever waits with this ticket.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Waiter> {
        // Writes are answered in their order.
        if self.waiting.front().is_some_and(|(first, _)| *first == ticket) {
            return self.waiting.pop_front().map(|(_, waiter)| waiter);
        }
        let place = self.place(ticket)?;
        self.waiting.remove(place).map(|(_, waiter)| waiter)
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.waiting.binary_search_by_key(&ticket, |(other, _)| *other).ok()
    }

    /// Ends the waiting of those whose clients do not wait any more, or of all.
    pub(crate) fn end(
        &mut self,
        now: Ticks,
        which: impl Fn(&Waiter) -> bool,
        why: impl Fn(&Waiter) -> Error,
    ) {
        self.waiting.retain(|(ticket, waiter)| {
            let ends = which(waiter);
            if ends {
                let index = index_in_batch(*ticket);
                waiter.late.answer(now, index, &Reply::Failed(why(waiter)), None);
            }
            !ends
        });
    }

    /// Ends the waiting of those whose clients do not wait any more; each is shown to `ended`.
    pub(crate) fn end_late(&mut self, now: Ticks, ended: impl Fn(&Waiter)) {
        let is_late = |waiter: &Waiter| {
            let is_late = waiter.until.is_some_and(|until| until <= now);
            if is_late {
                ended(waiter);
            }
            is_late
        };
        self.end(now, is_late, |waiter| match waiter.is_deferred {
            true => Error::new(ErrorCode::DeadlineBeforeStart, "the partition has no primary yet"),
            false => Error::new(ErrorCode::DeadlineInFlight, "not every replica has acknowledged")
                .with_outcome(Outcome::Unknown),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use isogrid_core::{MapId, Op};

    use super::*;

    struct Nobody;

    impl Late for Nobody {
        fn answer(&self, _: usize, _: &Reply<'_>, _: Option<&Receipt>) {}
    }

    fn keep(waiters: &mut Waiters, index: usize, until: Option<Ticks>) -> Ticket {
        let ticket = waiters.ticket(index);
        let trace = Trace::new(Ticks(0), MapId(0), &Op::put(b"k", b"v"));
        let late = Arc::new(Metered::unseen(Arc::new(Nobody)));
        waiters.keep(ticket, Waiter { late, until, is_deferred: false, trace });
        ticket
    }

    #[test]
    fn a_ticket_is_good_once() {
        let mut waiters = Waiters::default();
        let tickets = [7, 3, BATCH_OPS_HARD_MAX - 1].map(|index| keep(&mut waiters, index, None));
        assert_eq!(tickets.map(index_in_batch), [7, 3, BATCH_OPS_HARD_MAX - 1]);
        for ticket in [tickets[1], tickets[0], tickets[2]] {
            assert!(waiters.get_mut(ticket).is_some());
            assert!(waiters.take(ticket).is_some());
            assert!(waiters.get_mut(ticket).is_none() && waiters.take(ticket).is_none());
        }
        assert!(waiters.waiting.is_empty());
    }

    #[test]
    fn only_the_requests_since_the_batch_began_are_present() {
        let mut waiters = Waiters::default();
        waiters.begin_batch();
        let earlier = waiters.ticket(5);
        assert!(waiters.is_present(earlier));
        waiters.begin_batch();
        let later = waiters.ticket(0);
        assert!(!waiters.is_present(earlier) && waiters.is_present(later));
    }

    #[test]
    fn whoever_waits_too_long_is_told_so_and_not_answered_again() {
        let mut waiters = Waiters::default();
        let late = keep(&mut waiters, 1, Some(Ticks(10)));
        let patient = keep(&mut waiters, 2, Some(Ticks(11)));
        let ended = Cell::new(0);
        waiters.end_late(Ticks(10), |_| ended.set(ended.get() + 1));
        assert_eq!(ended.get(), 1);
        assert!(waiters.take(late).is_none());
        assert!(waiters.take(patient).is_some());
    }
}
