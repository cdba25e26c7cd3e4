//! [`Attempts`]: what one call has been through, and whether another attempt may follow. Made only when something failed.

use std::time::{Duration, Instant};

use isogrid_core::{ErrorCode, Outcome};

use crate::error::Error;
use crate::lane::Lane;
use crate::link::Link;
use crate::retry;

/// The attempts of one call, or of one batch.
#[derive(Debug)]
pub(crate) struct Attempts {
    made: u32,
    deadline: Instant,
    /// Some operation failed in a way that only a pause can help.
    must_pause: bool,
}

impl Attempts {
    /// Begins to count at the first failure. `deadline_ms` is the call's, by the coarse clock; from here on real time
    /// counts, since the coarse clock stands still while a call pauses.
    pub(crate) fn new(link: &Link, deadline_ms: u64) -> Self {
        let left = Duration::from_millis(deadline_ms.saturating_sub(link.clock.now_ms()));
        let now = Instant::now();
        // A deadline too far away for the system's clock is as good as none for an hour.
        let deadline = now.checked_add(left).unwrap_or(now + Duration::from_secs(3_600));
        Self { made: 0, deadline, must_pause: false }
    }

    /// Counts an attempt that ended.
    pub(crate) fn count(&mut self) {
        self.made += 1;
        self.must_pause = false;
    }

    /// The client's error for an operation that failed in the attempt just counted.
    pub(crate) fn error(&self, error: isogrid_core::Error, lane: &Lane, is_read: bool) -> Error {
        // Whether a read was executed or not, it changed nothing.
        let changed_nothing = is_read && error.outcome() == Outcome::Unknown;
        let error = if changed_nothing { error.with_outcome(Outcome::NotApplied) } else { error };
        Error::from(error).after(self.made, lane.node())
    }

    /// Whether a failed operation gets another attempt; if not, the error that its caller gets.
    pub(crate) fn allow(&mut self, link: &Link, error: Error, is_read: bool) -> Result<(), Error> {
        let retry = &link.settings.retry;
        let worth_it = retry::is_worth_it(&error, is_read) && retry.allows_more_than(self.made);
        let now = Instant::now();
        if !worth_it || link.is_closed() || now >= self.deadline {
            return Err(error);
        }
        // A reply that did not fit its frame needs no pause: every attempt gets further.
        self.must_pause |= error.code() != ErrorCode::ReplyTooLarge;
        if !retry::costs_budget(&error) || link.budget.spend(now) {
            Ok(())
        } else {
            Err(error.without_budget())
        }
    }

    /// The pause before the next attempt: never past the deadline.
    pub(crate) fn pause(&self, link: &Link) -> Duration {
        if !self.must_pause {
            return Duration::ZERO;
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        link.settings.retry.pause(self.made).min(left)
    }

    /// The deadline by the coarse clock, for the next attempt.
    pub(crate) fn deadline_ms(&self, link: &Link) -> u64 {
        link.clock.deadline(self.deadline.saturating_duration_since(Instant::now()))
    }
}
