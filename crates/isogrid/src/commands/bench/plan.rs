//! What is to be measured.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// What is to be measured, the same for all threads.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The node.
    pub(super) endpoint: String,
    /// The map.
    pub(super) map: String,
    /// How many calls are under way at most, over all threads.
    pub(super) callers: usize,
    /// How many threads send them.
    pub(super) threads: usize,
    /// How many keys there are.
    pub(super) keys: u64,
    /// How many of a hundred operations read.
    pub(super) reads_percent: u64,
    /// How many operations one call has.
    pub(super) batch: usize,
    /// Operations per second to start, over all threads; zero for as many as replies allow.
    pub(super) rate: u64,
    /// When written entries expire.
    pub(super) ttl: Option<Duration>,
    /// What is written: one buffer that all writes share.
    pub(super) value: Bytes,
    /// How long the load runs before it is measured.
    pub(super) warmup: Duration,
    /// How long it is measured.
    pub(super) measured: Duration,
}

impl Plan {
    /// How many callers a thread has.
    pub(super) fn callers_of(&self, thread: usize) -> usize {
        share(self.callers as u64, self.threads, thread).1 as usize
    }

    /// The keys a thread fills: the first, and how many.
    pub(super) fn keys_of(&self, thread: usize) -> (u64, u64) {
        share(self.keys, self.threads, thread)
    }

    /// The time between two calls that one thread starts on schedule.
    pub(super) fn interval(&self) -> Duration {
        let calls_per_second = self.rate as f64 / self.batch as f64 / self.threads as f64;
        Duration::from_secs_f64(1.0 / calls_per_second)
    }
}

/// The part of a thread when `total` is divided as evenly as can be: where it begins, and how much it is.
fn share(total: u64, threads: usize, thread: usize) -> (u64, u64) {
    let (threads, thread) = (threads as u64, thread as u64);
    let (each, rest) = (total / threads, total % threads);
    (each * thread + rest.min(thread), each + u64::from(thread < rest))
}

/// When the load runs and when it is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The load begins.
    pub(super) begin: Instant,
    /// The measurement begins.
    pub(super) start: Instant,
    /// Both end.
    pub(super) end: Instant,
}

impl Window {
    /// A window that begins now.
    pub(super) fn new(plan: &Plan) -> Self {
        let begin = Instant::now();
        let start = begin + plan.warmup;
        Self { begin, start, end: start + plan.measured }
    }

    /// Whether something that happened then counts.
    #[inline]
    pub(super) fn counts(&self, then: Instant) -> bool {
        self.start <= then && then < self.end
    }
}

/// A value of so many readable bytes that do not repeat soon.
pub(super) fn value(bytes: usize) -> Bytes {
    let mut random = super::keys::Random::new(0);
    (0..bytes).map(|_| b'a' + random.below(26) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_complete() {
        for (total, threads) in [(10, 3), (2, 4), (1_000_000, 2), (1, 1)] {
            let shares: Vec<(u64, u64)> = (0..threads).map(|i| share(total, threads, i)).collect();
            let mut next = 0;
            for (first, count) in &shares {
                assert_eq!(*first, next);
                next += count;
            }
            assert_eq!(next, total);
            let counts = shares.iter().map(|(_, count)| *count);
            assert!(counts.clone().max() <= counts.min().map(|least| least + 1));
        }
    }

    #[test]
    fn a_value_is_readable() {
        let value = value(100);
        assert_eq!(value.len(), 100);
        assert!(value.iter().all(u8::is_ascii_lowercase));
    }
}
