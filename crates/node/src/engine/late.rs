//! Answers that do not come at once: a write waits until every in-sync replica holds it, a read until what it shows is
//! committed. Whoever asked leaves a [`Late`] behind; the partition keeps it with a [`Waiter`] until it knows the answer.

use std::sync::Arc;

use isogrid_core::{Error, ErrorCode, Outcome, Reply};
use isogrid_replica::{Receipt, Ticket, Ticks};

/// Takes the answers of a batch that come late. Called under a partition's lock: it must not wait for anything.
pub(crate) trait Late: Send + Sync {
    /// The answer to the operation with this index.
    fn answer(&self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>);
}

/// Who waits for an answer.
pub(crate) struct Waiter {
    /// The batch it belongs to: answers during its execution go straight into its replies.
    pub(crate) batch: u64,
    /// Which of its operations.
    pub(crate) index: u32,
    /// Where the answer goes when the batch's execution has ended without it.
    pub(crate) late: Option<Arc<dyn Late>>,
    /// When the client stops waiting.
    pub(crate) until: Option<Ticks>,
    /// Whether nothing can have happened yet: the request was deferred.
    pub(crate) is_deferred: bool,
}

/// All who wait at one partition, by ticket. A ticket is used once: its upper half counts the uses of its place.
#[derive(Default)]
pub(crate) struct Waiters {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Place {
    uses: u32,
    waiter: Option<Waiter>,
}

impl Waiters {
    /// Adds one who waits.
    #[inline]
    pub(crate) fn add(&mut self, waiter: Waiter) -> Ticket {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() as u32 - 1
        });
        let place = &mut self.places[index as usize];
        place.uses = place.uses.wrapping_add(1);
        place.waiter = Some(waiter);
        Ticket(u64::from(place.uses) << 32 | u64::from(index))
    }

    /// Whoever waits with this ticket, if the answer was not given up.
    #[inline]
    pub(crate) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Waiter> {
        let place = self.places.get_mut(ticket.0 as u32 as usize)?;
        place.waiter.as_mut().filter(|_| u64::from(place.uses) == ticket.0 >> 32)
    }

    /// Takes out whoever waits with this ticket.
    #[inline]
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Waiter> {
        let index = ticket.0 as u32;
        let place = self.places.get_mut(index as usize)?;
        if u64::from(place.uses) != ticket.0 >> 32 {
            return None;
        }
        let waiter = place.waiter.take()?;
        self.free.push(index);
        Some(waiter)
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    /// Ends the waiting of those whose clients do not wait any more, or of all.
    pub(crate) fn end(&mut self, which: impl Fn(&Waiter) -> bool, why: impl Fn(&Waiter) -> Error) {
        for (index, place) in self.places.iter_mut().enumerate() {
            let Some(waiter) = place.waiter.take_if(|waiter| which(waiter)) else { continue };
            self.free.push(index as u32);
            if let Some(late) = &waiter.late {
                late.answer(waiter.index as usize, &Reply::Failed(why(&waiter)), None);
            }
        }
    }

    /// Ends the waiting of those whose clients do not wait any more.
    pub(crate) fn end_late(&mut self, now: Ticks) {
        let is_late = |waiter: &Waiter| waiter.until.is_some_and(|until| until <= now);
        self.end(is_late, |waiter| match waiter.is_deferred {
            true => Error::new(ErrorCode::DeadlineBeforeStart, "the partition has no primary yet"),
            false => Error::new(ErrorCode::DeadlineInFlight, "not every replica has acknowledged")
                .with_outcome(Outcome::Unknown),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(index: u32) -> Waiter {
        Waiter { batch: 1, index, late: None, until: None, is_deferred: false }
    }

    #[test]
    fn a_ticket_is_good_once() {
        let mut waiters = Waiters::default();
        let first = waiters.add(waiter(7));
        assert_eq!(waiters.take(first).map(|waiter| waiter.index), Some(7));
        assert!(waiters.take(first).is_none() && waiters.is_empty());
        let second = waiters.add(waiter(8));
        assert_ne!(first, second, "the same place, another ticket");
        assert!(waiters.get_mut(first).is_none() && waiters.get_mut(second).is_some());
    }

    #[test]
    fn whoever_waits_too_long_is_told_so_and_not_answered_again() {
        let mut waiters = Waiters::default();
        let late = waiters.add(Waiter { until: Some(Ticks(10)), ..waiter(1) });
        let patient = waiters.add(Waiter { until: Some(Ticks(11)), ..waiter(2) });
        waiters.end_late(Ticks(10));
        assert!(waiters.take(late).is_none());
        assert!(waiters.take(patient).is_some());
    }
}
