//! [`Attempts`]: what one call has been through, and whether another attempt may follow. Made only when something failed.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use isogrid_core::{ErrorCode, ErrorKind, NextStep, Outcome};

use crate::error::Error;
use crate::lane::{Lane, was_taken_back};
use crate::link::Link;
use crate::numbers::Tag;
use crate::retry;

/// The attempts of one call, or of one batch.
#[derive(Debug)]
pub(crate) struct Attempts {
    made: u32,
    deadline: Instant,
    /// Some operation failed in a way that only a pause can help.
    must_pause: bool,
    /// Why a node did not serve it, the last time that one said so.
    refusal: Option<isogrid_core::Error>,
    /// How a single call ends if there is no time for another attempt. A batch keeps this for each of its operations.
    pub(crate) last: Option<Error>,
    /// Whether it may have been executed already. For a single call; a batch keeps this for each of its operations.
    pub(crate) is_in_doubt: bool,
}

/// What follows a failed attempt.
pub(crate) enum Verdict {
    /// Another attempt, if there is time for one behind the pause; else the operation ends with this error.
    Again(Error),
    /// The operation ends with this error.
    Over(Error),
}

/// An operation whose attempt failed.
pub(crate) struct Failed<'a> {
    /// Where it was tried.
    pub(crate) lane: &'a Lane,
    pub(crate) is_read: bool,
    /// The name under which it was sent.
    pub(crate) tag: Option<Tag>,
    /// Whether an attempt may have been executed; set when this one may have been.
    pub(crate) is_in_doubt: &'a mut bool,
    /// Whether the way to its partition is another one by now.
    pub(crate) has_moved: bool,
}

impl Attempts {
    /// Begins to count at the first failure. `deadline_ms` is the call's, by the coarse clock; from here on real time
    /// counts, since the coarse clock stands still while a call pauses.
    pub(crate) fn new(link: &Link, deadline_ms: u64) -> Self {
        let left = Duration::from_millis(deadline_ms.saturating_sub(link.clock.now_ms()));
        let now = Instant::now();
        // A deadline too far away for the system's clock is as good as none for an hour.
        let deadline = now.checked_add(left).unwrap_or(now + Duration::from_secs(3_600));
        Self { made: 0, deadline, must_pause: false, refusal: None, last: None, is_in_doubt: false }
    }

    /// Counts an attempt that ended.
    pub(crate) fn count(&mut self) {
        self.made += 1;
        self.must_pause = false;
    }

    /// Whether there is no time for another attempt.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Whether a failed operation gets another attempt, and the error that its caller gets if not.
    pub(crate) fn allow(
        &mut self,
        link: &Link,
        error: isogrid_core::Error,
        failed: Failed<'_>,
    ) -> Verdict {
        let now = Instant::now();
        if was_taken_back(&error) {
            let late = isogrid_core::Error::new(ErrorCode::DeadlineBeforeStart, "");
            let late = self.told(late, &failed);
            let ended = now >= self.deadline || link.is_closed();
            return if ended { Verdict::Over(late) } else { Verdict::Again(late) };
        }
        let error = self.judged(link, error, &failed);
        let error = self.explained(error);
        let is_unknown = error.outcome() == Outcome::Unknown;
        *failed.is_in_doubt |= is_unknown && !failed.is_read;
        let is_safe = failed.is_read || failed.tag.is_some() || !*failed.is_in_doubt;
        let worth_it = retry::is_worth_it(&error, is_safe);
        let retry = &link.settings.retry;
        // Finding the owner is no retry: the operation has not been tried yet.
        let is_redirect = error.next_step() == NextStep::Redirect;
        let allowed = retry.allows_more_than(self.made) || is_redirect;
        let ended = link.is_closed() || now >= self.deadline;
        let costs_budget = retry::costs_budget(&error);
        let told = self.told(error, &failed);
        if !worth_it || !allowed || ended {
            return Verdict::Over(told);
        }
        // A reply that did not fit its frame needs no pause: every attempt gets further. Nor does the way to the owner.
        let can_go_on = told.code() == ErrorCode::ReplyTooLarge || failed.has_moved;
        self.must_pause |= !can_go_on;
        if costs_budget && !link.budget.spend(now) {
            return Verdict::Over(told.without_budget());
        }
        Verdict::Again(told)
    }

    /// The error, with what this client knows about it beyond the node.
    fn judged(
        &self,
        link: &Link,
        error: isogrid_core::Error,
        failed: &Failed<'_>,
    ) -> isogrid_core::Error {
        if error.code() == ErrorCode::SessionEnded {
            if let Some(tag) = failed.tag {
                link.numbers.forget(tag.session);
                link.session_wanted.notify_one();
            }
            // The only attempt was refused: nothing of it was executed, and it may go again under another name. A node that
            // forwards may have sent it twice.
            if self.made <= 1 && !*failed.is_in_doubt && !link.settings.is_gateway {
                return isogrid_core::Error::new(ErrorCode::NotReady, error.detail());
            }
        }
        // Whether a read was executed or not, it changed nothing.
        let changed_nothing = failed.is_read && error.outcome() == Outcome::Unknown;
        if changed_nothing { error.with_outcome(Outcome::NotApplied) } else { error }
    }

    /// That the time is over says less than why it took so long.
    fn explained(&mut self, error: isogrid_core::Error) -> isogrid_core::Error {
        let is_refusal = matches!(error.kind(), ErrorKind::Overloaded | ErrorKind::Unavailable);
        if is_refusal && error.outcome() == Outcome::NotApplied {
            self.refusal = Some(error.clone());
        }
        match &self.refusal {
            Some(refusal) if error.code() == ErrorCode::DeadlineBeforeStart => refusal.clone(),
            _ => error,
        }
    }

    /// The error as the caller gets it: it never promises more than is known of all attempts.
    fn told(&self, error: isogrid_core::Error, failed: &Failed<'_>) -> Error {
        let in_doubt = *failed.is_in_doubt && error.outcome() == Outcome::NotApplied;
        let error = if in_doubt { error.with_outcome(Outcome::Unknown) } else { error };
        Error::from(error).after(self.made.max(1), failed.lane.node())
    }

    /// The pause before the next attempt: never past the deadline, and not longer than until a partition goes another way.
    /// Whoever pauses until the deadline must not try again: nobody could tell what became of that attempt.
    pub(crate) fn pause(&self, link: &Link) -> Pause {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let pause = match self.must_pause {
            true => link.settings.retry.pause(self.made).min(left),
            false => Duration::ZERO,
        };
        let mut changes = link.routes.changes();
        Pause(Box::pin(async move {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = changes.changed() => {}
            }
        }))
    }

    /// The deadline by the coarse clock, for the next attempt.
    pub(crate) fn deadline_ms(&self, link: &Link) -> u64 {
        link.clock.deadline(self.deadline.saturating_duration_since(Instant::now()))
    }
}

/// A pause between two attempts.
pub(crate) struct Pause(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Pause {
    /// A pause of this length.
    pub(crate) fn of(length: Duration) -> Self {
        Pause(Box::pin(tokio::time::sleep(length)))
    }
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pause")
    }
}
