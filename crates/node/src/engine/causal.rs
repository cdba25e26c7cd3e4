//! The newest hybrid clock of all partitions here. Replies carry it to clients, and clients bring it with their next
//! requests to whatever node: so a write that was made after an answer gets a later time than what the answer showed. A
//! backup of the whole cluster cuts along that time.

use std::sync::atomic::{AtomicU64, Ordering};

use isogrid_core::{Hlc, Timestamp};

use super::Engine;

/// How far ahead of this node's own clock one may be that a client or another node brings: enough for machines whose clocks are
/// kept, and so little that nobody makes records expire much before their time.
pub(crate) const CLOCK_AHEAD_MS_MAX: u64 = 5_000;

/// The newest clock, in units that frames can carry: within a millisecond most entries leave it as it is, so that the cores
/// do not fight for it.
#[derive(Default)]
pub(super) struct NewestClock(AtomicU64);

impl NewestClock {
    /// A partition has come this far.
    #[inline]
    pub(super) fn note(&self, hlc: Hlc) {
        let coarse = hlc.coarse().0;
        if self.0.load(Ordering::Acquire) < coarse {
            self.0.fetch_max(coarse, Ordering::AcqRel);
        }
    }
}

impl Engine {
    /// The newest hybrid clock of all partitions here, or brought by other nodes.
    pub(crate) fn clock(&self) -> Hlc {
        Hlc(self.clock.0.load(Ordering::Acquire))
    }

    /// A clock that another node's reply brought, on its way to a client of this one.
    pub(crate) fn learn_clock(&self, clock: Hlc, now: Timestamp) {
        self.clock.note(believable(clock, now));
    }
}

/// The clock that a request brought, unless it is too far ahead to be true.
#[inline]
pub(super) fn believable(clock: Hlc, now: Timestamp) -> Hlc {
    let is_ahead = clock.timestamp().0 > now.0.saturating_add(CLOCK_AHEAD_MS_MAX);
    if is_ahead { Hlc(0) } else { clock }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_too_far_ahead_is_not_believed() {
        let now = Timestamp(1_000_000);
        let at = |ms: u64| Hlc(ms << 16);
        let last = at(now.0 + CLOCK_AHEAD_MS_MAX);
        assert_eq!(believable(last, now), last);
        assert_eq!(believable(at(now.0 + CLOCK_AHEAD_MS_MAX + 1), now), Hlc(0));
        assert_eq!(believable(Hlc(0), now), Hlc(0));
    }

    #[test]
    fn the_newest_clock_is_not_behind_any_entry() {
        let clock = NewestClock::default();
        clock.note(Hlc(33));
        clock.note(Hlc(17));
        assert_eq!(clock.0.load(Ordering::Acquire), 48);
    }
}
