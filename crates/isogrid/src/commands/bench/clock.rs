//! The clock of a thread's callers. Reading the system's takes about 20 ns, a noticeable part of one operation, so calls
//! that end within one turn of the runtime share a reading.
//!
//! A reading is shared by at most [`SHARED_MAX`] calls, and only where a thread has many callers; whenever the thread has
//! slept, the next call reads anew. So a latency is off by no more than the time those few calls take to be handled: some
//! microseconds, where a thousand callers wait for hundreds.

use std::cell::Cell;
use std::time::Instant;

/// The most calls that share a reading.
const SHARED_MAX: usize = 16;

/// How many callers a thread has for each call that may share a reading.
const CALLERS_PER_SHARE: usize = 64;

thread_local! {
    /// The last reading, and how many calls may still use it.
    static LAST: Cell<Option<(Instant, usize)>> = const { Cell::new(None) };
}

/// Makes the next call read anew: to be called when the thread wakes up.
pub(super) fn forget() {
    LAST.set(None);
}

/// How many calls share a reading on a thread with so many callers.
pub(super) fn shared_by(callers: usize) -> usize {
    (callers / CALLERS_PER_SHARE).clamp(1, SHARED_MAX)
}

/// The time, at most so many calls old.
#[inline]
pub(super) fn now(shared_by: usize) -> Instant {
    if let Some((reading, left)) = LAST.get()
        && left > 0
    {
        LAST.set(Some((reading, left - 1)));
        return reading;
    }
    let reading = Instant::now();
    LAST.set(Some((reading, shared_by - 1)));
    reading
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_callers_share_nothing() {
        assert_eq!((shared_by(1), shared_by(127), shared_by(128), shared_by(4_096)), (1, 1, 2, 16));
        let first = now(1);
        while Instant::now() == first {}
        assert!(now(1) > first);
    }

    #[test]
    fn a_reading_is_shared_until_it_is_used_up_or_forgotten() {
        forget();
        let first = now(3);
        while Instant::now() == first {}
        assert_eq!((now(3), now(3)), (first, first));
        let second = now(3);
        assert!(second > first, "used up");
        while Instant::now() == second {}
        forget();
        assert!(now(3) > second, "forgotten");
    }
}
