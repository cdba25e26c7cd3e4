//! [`Seen`]: the newest hybrid clock that any reply has brought. Every frame carries it back, so that a write made after an
//! answer gets a later time than what the answer showed, whichever nodes the two came to.

use std::sync::atomic::{AtomicU64, Ordering};

use isogrid_core::Hlc;

/// The newest clock of all replies to this client.
#[derive(Debug, Default)]
pub(super) struct Seen(AtomicU64);

impl Seen {
    /// A reply has brought this clock.
    #[inline]
    pub(super) fn note(&self, clock: Hlc) {
        // Most replies bring what is known, and then the line stays shared between the cores.
        if self.0.load(Ordering::Acquire) < clock.0 {
            self.0.fetch_max(clock.0, Ordering::AcqRel);
        }
    }

    /// The newest of all.
    #[inline]
    pub(super) fn newest(&self) -> Hlc {
        Hlc(self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_clock_changes_nothing() {
        let seen = Seen::default();
        for (brought, newest) in [(0, 0), (5, 5), (3, 5), (9, 9)] {
            seen.note(Hlc(brought));
            assert_eq!(seen.newest(), Hlc(newest));
        }
    }
}
