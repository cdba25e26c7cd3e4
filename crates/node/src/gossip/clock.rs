//! How far another node's clock is off, from what it said and when that arrived.

use std::collections::VecDeque;

use isogrid_core::Timestamp;

/// How many readings are looked at; one comes about every second.
const SAMPLES_MAX: usize = 20;

/// The last readings of another node's clock.
///
/// A reading arrives some time after it was taken, so `theirs - ours` is the true offset less that delay: never more than
/// the offset. The largest of several readings had the shortest way and is the closest.
#[derive(Debug, Default)]
pub(super) struct Offsets(VecDeque<i64>);

impl Offsets {
    /// A reading has arrived.
    pub(super) fn add(&mut self, theirs: Timestamp, ours: Timestamp) {
        if self.0.len() == SAMPLES_MAX {
            self.0.pop_front();
        }
        let apart = i64::try_from(theirs.0.abs_diff(ours.0)).unwrap_or(i64::MAX);
        self.0.push_back(if theirs >= ours { apart } else { -apart });
    }

    /// By how many milliseconds their clock is ahead of ours, as far as is known.
    pub(super) fn best(&self) -> Option<i64> {
        self.0.iter().copied().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quickest_reading_counts() {
        let mut offsets = Offsets::default();
        assert_eq!(offsets.best(), None);
        for (sent, delay) in [(1_000, 180), (2_000, 7), (3_000, 90)] {
            offsets.add(Timestamp(sent + 500), Timestamp(sent + delay));
        }
        assert_eq!(offsets.best(), Some(493));
    }

    #[test]
    fn a_clock_that_was_put_back_is_noticed_in_the_end() {
        let mut offsets = Offsets::default();
        offsets.add(Timestamp(9_000), Timestamp(1_000));
        for second in 0..SAMPLES_MAX as u64 {
            offsets.add(Timestamp(second), Timestamp(second + 10));
        }
        assert_eq!(offsets.best(), Some(-10));
    }

    #[test]
    fn absurd_clocks_do_no_harm() {
        let mut offsets = Offsets::default();
        offsets.add(Timestamp(0), Timestamp(u64::MAX));
        assert_eq!(offsets.best(), Some(-i64::MAX));
        offsets.add(Timestamp(u64::MAX), Timestamp(0));
        assert_eq!(offsets.best(), Some(i64::MAX));
    }
}
