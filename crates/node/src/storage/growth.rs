//! [`Growth`]: how much longer the log becomes while images of all partitions are written.

use std::time::{Duration, Instant};

/// A rate is measured over so long at least: shorter ones say nothing.
const MEASURED_MIN: Duration = Duration::from_millis(50);

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Growth {
    /// When it was looked last, and how many bytes the log had ever had then.
    last: Option<(Instant, u64)>,
    bytes_per_second: f64,
    round: Round,
    /// For how long the round that goes on has rested.
    rested: Duration,
}

/// The last time that images of all were written to make the log shorter.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    grew: u64,
    /// How long it would have taken without rests.
    worked: Duration,
}

impl Growth {
    /// The log has had so many bytes by now.
    pub(super) fn look(&mut self, now: Instant, log_bytes: u64) {
        let Some((then, before)) = self.last else {
            self.last = Some((now, log_bytes));
            return;
        };
        let time = now.saturating_duration_since(then);
        if time >= MEASURED_MIN {
            self.bytes_per_second = log_bytes.saturating_sub(before) as f64 / time.as_secs_f64();
            self.last = Some((now, log_bytes));
        }
    }

    /// The round that goes on rests for so long.
    pub(super) fn rests(&mut self, time: Duration) {
        self.rested += time;
    }

    /// A round begins.
    pub(super) fn begin(&mut self) {
        self.rested = Duration::ZERO;
    }

    /// It took so long, rests included, while the log grew by so much.
    pub(super) fn end(&mut self, took: Duration, grew: u64) {
        self.round = Round { grew, worked: took.saturating_sub(self.rested) };
    }

    /// By how much the log will grow during the next one: as the last time, or as fast as it grows now; and a little more.
    pub(super) fn expected(&self) -> u64 {
        let at_this_rate = self.bytes_per_second * self.round.worked.as_secs_f64();
        let expected = self.round.grew.max(at_this_rate as u64);
        expected + expected / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_grows_as_the_last_time_or_as_fast_as_now() {
        let now = Instant::now();
        let mut growth = Growth::default();
        growth.look(now, 500);
        assert_eq!(growth.expected(), 0, "nothing is known");
        growth.begin();
        growth.rests(SECOND * 3);
        growth.end(SECOND * 5, 800);
        assert_eq!(growth.expected(), 900, "as the last time");
        growth.look(now + SECOND, 500 + 4_000);
        assert_eq!(growth.expected(), 9_000, "two seconds of work at 4,000 a second");
        growth.look(now + SECOND + MEASURED_MIN / 2, 1 << 40);
        assert_eq!(growth.expected(), 9_000, "too short to be measured");
        growth.look(now + SECOND * 2, 4_500);
        assert_eq!(growth.expected(), 900, "it does not grow any more");
    }

    #[test]
    fn rests_of_an_earlier_round_do_not_count() {
        let now = Instant::now();
        let mut growth = Growth::default();
        growth.rests(SECOND * 9);
        growth.begin();
        growth.end(SECOND, 0);
        growth.look(now, 0);
        growth.look(now + SECOND, 80);
        assert_eq!(growth.expected(), 90);
    }
}
