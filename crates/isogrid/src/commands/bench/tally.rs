//! What a thread has seen: latencies, and operations by how they ended.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use isogrid_core::ErrorCode;

/// The longest latency told apart from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(100);

/// The finest difference between latencies, in nanoseconds.
const RESOLUTION_NS: u64 = 64;

/// The significant digits of a latency.
const DIGITS: u8 = 3;

/// How the operations of one call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CallOutcome {
    /// Operations that succeeded, misses among them.
    pub(super) succeeded: u64,
    /// Reads that found nothing.
    pub(super) misses: u64,
    /// Operations that failed, and the code of the first.
    pub(super) failed: Option<(ErrorCode, u64)>,
}

/// What a thread has seen.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    latencies_ns: Histogram<u64>,
    /// Operations that succeeded within the window.
    pub(super) operations: u64,
    /// Reads that found nothing.
    pub(super) misses: u64,
    /// Failed operations by code.
    pub(super) errors: BTreeMap<ErrorCode, u64>,
    /// Operations that were due but could not even be started.
    pub(super) not_started: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let max_ns = LATENCY_MAX.as_nanos() as u64;
        Self {
            latencies_ns: Histogram::new_with_bounds(RESOLUTION_NS, max_ns, DIGITS)
                .expect("the bounds are constants that a test uses"),
            operations: 0,
            misses: 0,
            errors: BTreeMap::new(),
            not_started: 0,
        }
    }
}

thread_local! {
    /// The tally of this thread's callers. They are tasks of a runtime that has this thread only; a tally behind a
    /// pointer would either need a lock or tie them to a `LocalSet`, and both cost more than they give.
    static OF_THREAD: RefCell<Tally> = RefCell::default();
}

/// Changes the tally of this thread.
#[inline]
pub(super) fn tally(change: impl FnOnce(&mut Tally)) {
    OF_THREAD.with_borrow_mut(change);
}

/// Takes the tally of this thread and leaves an empty one.
pub(super) fn take() -> Tally {
    OF_THREAD.take()
}

impl Tally {
    /// Counts the operations of a call.
    #[inline]
    pub(super) fn count(&mut self, outcome: &CallOutcome) {
        self.operations += outcome.succeeded;
        self.misses += outcome.misses;
        if let Some((code, operations)) = outcome.failed {
            *self.errors.entry(code).or_default() += operations;
        }
    }

    /// Counts the latency of a call.
    #[inline]
    pub(super) fn latency(&mut self, latency: Duration) {
        self.latencies_ns.saturating_record(latency.as_nanos() as u64);
    }

    /// Counts the latency of several calls.
    pub(super) fn latencies(&mut self, latency: Duration, calls: u64) {
        self.latencies_ns.saturating_record_n(latency.as_nanos() as u64, calls);
    }

    /// Adds what another thread has seen.
    pub(super) fn add(&mut self, other: &Tally) {
        self.latencies_ns.add(&other.latencies_ns).expect("all tallies have the same bounds");
        self.operations += other.operations;
        self.misses += other.misses;
        self.not_started += other.not_started;
        for (code, operations) in &other.errors {
            *self.errors.entry(*code).or_default() += operations;
        }
    }

    /// All failed operations.
    pub(super) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The latency that so many percent of the calls did not exceed, in microseconds.
    pub(super) fn percentile_us(&self, percent: f64) -> f64 {
        self.latencies_ns.value_at_percentile(percent) as f64 / 1_000.0
    }

    /// The longest latency, in microseconds.
    pub(super) fn max_us(&self) -> f64 {
        self.latencies_ns.max() as f64 / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up() {
        let (mut one, mut two) = (Tally::default(), Tally::default());
        let missed = CallOutcome { succeeded: 3, misses: 1, failed: None };
        let failed = CallOutcome { failed: Some((ErrorCode::MemoryFull, 2)), ..Default::default() };
        one.count(&missed);
        two.count(&failed);
        two.count(&failed);
        two.not_started = 5;
        for us in 1..=100 {
            one.latency(Duration::from_micros(us));
            two.latency(Duration::from_micros(us + 100));
        }
        one.add(&two);
        assert_eq!((one.operations, one.misses, one.failed(), one.not_started), (3, 1, 4, 5));
        assert_eq!(one.errors[&ErrorCode::MemoryFull], 4);
        for (percent, us) in [(50.0, 100.0), (99.0, 198.0)] {
            assert!((one.percentile_us(percent) - us).abs() < 1.0, "{percent}");
        }
        assert!((one.max_us() - 200.0).abs() < 1.0);
    }

    #[test]
    fn endless_latencies_are_counted_as_the_longest() {
        let mut tally = Tally::default();
        tally.latency(Duration::from_secs(100_000));
        assert!(tally.max_us() >= 100_000_000.0);
    }
}
