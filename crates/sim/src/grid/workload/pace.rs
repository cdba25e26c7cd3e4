//! [`Pace`]: when a client begins its operations: spread over the whole time of the faults, in bursts, so that there are
//! always some under way when something breaks and yet many at once on the hot keys.

use crate::random::Random;
use crate::time::SimTime;

/// When a client begins operations.
#[derive(Debug)]
pub(super) struct Pace {
    total: u64,
    begun: u64,
    until: SimTime,
    /// A burst begins when so many are due.
    burst: u64,
    is_bursting: bool,
}

impl Pace {
    /// So many operations until then.
    pub(super) fn new(total: u32, until: SimTime) -> Self {
        Pace { total: u64::from(total), begun: 0, until, burst: 1, is_bursting: false }
    }

    /// Whether all have begun.
    pub(super) fn is_over(&self) -> bool {
        self.begun == self.total
    }

    /// Whether all should have begun by now.
    pub(super) fn is_late(&self, at: SimTime) -> bool {
        at > self.until
    }

    /// Whether one begins now.
    pub(super) fn is_due(&mut self, at: SimTime, random: &mut Random) -> bool {
        let part = u128::from(self.total) * u128::from(at.0) / u128::from(self.until.0.max(1));
        let due = self.total.min(part as u64).saturating_sub(self.begun);
        if !self.is_bursting {
            self.is_bursting = due >= self.burst.min(self.total - self.begun).max(1);
        } else if due == 0 {
            self.is_bursting = false;
            self.burst = random.within(1..=40);
        }
        self.is_bursting && due > 0
    }

    /// One has begun.
    pub(super) fn count(&mut self) {
        self.begun = (self.begun + 1).min(self.total);
    }
}
