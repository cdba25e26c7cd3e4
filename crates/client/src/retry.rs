//! Retries: when another attempt is worth making, how long to wait before it, and a budget, so that many failing callers
//! do not become a storm.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use isogrid_core::{ErrorCode, NextStep};
use parking_lot::Mutex;

/// How many retries can be saved up: all reads of a few full connections that break at once.
const BUDGET_MAX: f64 = 4_096.0;

/// How many retries per second are always allowed, so that a client with little traffic can retry at all.
const BUDGET_PER_SECOND: f64 = 10.0;

/// How failed operations are tried again.
///
/// Only what is safe is retried: reads, operations that certainly changed nothing and may succeed later, and writes of a
/// client that has a session, since no node executes those twice. The call's deadline always wins. The pause before each attempt is drawn evenly between zero and a bound that doubles.
///
/// ```
/// # use std::time::Duration;
/// use isogrid_client::Retry;
/// let patient = Retry::exponential(Duration::from_millis(5), Duration::from_secs(1)).budget(0.2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    base: Duration,
    max: Duration,
    attempts_max: u32,
    budget: f64,
}

impl Retry {
    /// Pauses bounded by `base`, doubling up to `max`.
    pub fn exponential(base: Duration, max: Duration) -> Self {
        Self { base, max, attempts_max: u32::MAX, budget: 0.1 }
    }

    /// Every operation is tried once.
    pub fn none() -> Self {
        Self { attempts_max: 1, ..Self::default() }
    }

    /// How many retries each successful operation earns: 0.1 lets retries add a tenth to the load. Ten retries per
    /// second are allowed in any case, and 4,096 can be saved up. What a node refuses because it starts or stops costs
    /// nothing: a rolling restart fails no request.
    #[must_use]
    pub fn budget(mut self, retries_per_operation: f64) -> Self {
        self.budget = retries_per_operation.max(0.0);
        self
    }

    /// How often an operation is tried at most, the first time included.
    #[must_use]
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.attempts_max = attempts.max(1);
        self
    }

    /// The bound of the pause behind so many attempts.
    fn pause_max(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }

    /// The pause behind so many attempts.
    pub(crate) fn pause(&self, attempts: u32) -> Duration {
        self.pause_max(attempts).mul_f64(random_share())
    }

    /// Whether this many attempts may be followed by another.
    pub(crate) fn allows_more_than(&self, attempts: u32) -> bool {
        attempts < self.attempts_max
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::exponential(Duration::from_millis(5), Duration::from_secs(1))
    }
}

/// Whether another attempt is safe and may help. Safe are reads, writes that certainly changed nothing, and writes that
/// carry a name, since no node executes a name twice.
pub(crate) fn is_worth_it(error: &isogrid_core::Error, is_safe: bool) -> bool {
    use ErrorCode::{ConnectionLost, Deposed, NotEnoughReplicasLeft};
    let may_help = matches!(error.next_step(), NextStep::RetryLater | NextStep::Redirect)
        || matches!(error.code(), ConnectionLost | Deposed | NotEnoughReplicasLeft);
    is_safe && may_help
}

/// Whether another attempt must be paid for from the budget. A node that starts or stops, or does not own the partition,
/// refuses without work, and soon either serves or is gone; a connection that broke with its node is not more load; a reply
/// that did not fit its frame was not the node's fault.
pub(crate) fn costs_budget(error: &isogrid_core::Error) -> bool {
    use ErrorCode::{
        CutOff, Deposed, NoPrimary, NotOwner, NotReady, OwnerUnreachable, ReplyTooLarge,
        ShuttingDown, StillJoining,
    };
    !matches!(
        error.code(),
        CutOff
            | Deposed
            | NoPrimary
            | NotOwner
            | NotReady
            | OwnerUnreachable
            | ReplyTooLarge
            | ShuttingDown
            | StillJoining
    )
}

/// A number in `0.0..1.0`; good enough to spread callers, and needs no crate.
pub(crate) fn random_share() -> f64 {
    // Every RandomState has other keys, so the hash of nothing is a random number.
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1u64 << 53) as f64
}

/// The retries that a client may still make: a token bucket fed by successes and, slowly, by time.
#[derive(Debug)]
pub(crate) struct Budget {
    per_operation: f64,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    retries: f64,
    filled_at: Instant,
}

impl Budget {
    pub(crate) fn new(retry: &Retry) -> Self {
        let bucket = Bucket { retries: BUDGET_MAX, filled_at: Instant::now() };
        Self { per_operation: retry.budget, bucket: Mutex::new(bucket) }
    }

    /// Earns for operations that were answered; called once per frame.
    pub(crate) fn earn(&self, operations: usize) {
        let mut bucket = self.bucket.lock();
        bucket.retries = (bucket.retries + operations as f64 * self.per_operation).min(BUDGET_MAX);
    }

    /// Takes one retry, if there is one.
    pub(crate) fn spend(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock();
        let seconds = now.saturating_duration_since(bucket.filled_at).as_secs_f64();
        bucket.retries = (bucket.retries + seconds * BUDGET_PER_SECOND).min(BUDGET_MAX);
        bucket.filled_at = now;
        let allowed = bucket.retries >= 1.0;
        if allowed {
            bucket.retries -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum_and_are_jittered() {
        let retry = Retry::exponential(Duration::from_millis(5), Duration::from_millis(30));
        let bounds: Vec<u128> = (1..6).map(|n| retry.pause_max(n).as_millis()).collect();
        assert_eq!(bounds, [5, 10, 20, 30, 30]);
        let pauses: Vec<Duration> = (0..50).map(|_| retry.pause(3)).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(20)));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "all the same");
        assert!(retry.pause_max(u32::MAX) <= Duration::from_millis(30));
    }

    #[test]
    fn a_spent_budget_is_earned_back_by_successes_and_by_time() {
        let budget = Budget::new(&Retry::default().budget(0.1));
        let now = Instant::now();
        while budget.spend(now) {}
        budget.earn(9);
        assert!(!budget.spend(now));
        budget.earn(11);
        assert!(budget.spend(now) && budget.spend(now) && !budget.spend(now));
        assert!(budget.spend(now + Duration::from_millis(110)));
    }

    #[test]
    fn what_is_safe_is_tried_again_where_that_may_help() {
        let error = |code| isogrid_core::Error::new(code, "");
        let helpful = [
            ErrorCode::MemoryFull,
            ErrorCode::NotOwner,
            ErrorCode::NotReady,
            ErrorCode::Deposed,
            ErrorCode::ConnectionLost,
            ErrorCode::NotEnoughReplicas,
            ErrorCode::SessionFull,
            ErrorCode::TooFarBehind,
        ];
        for code in helpful {
            assert!(is_worth_it(&error(code), true), "{code}");
            assert!(!is_worth_it(&error(code), false), "{code}");
        }
        let useless = [
            ErrorCode::KeyTooLong,
            ErrorCode::SessionEnded,
            ErrorCode::PositionLost,
            ErrorCode::WrongCluster,
            ErrorCode::DeadlineInFlight,
            ErrorCode::Internal,
        ];
        for code in useless {
            assert!(!is_worth_it(&error(code), true), "{code}");
        }
    }
}
