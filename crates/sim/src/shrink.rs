//! The smallest schedule that still fails: first fewer faults (delta debugging), then shorter ones.

use std::time::Duration;

use crate::faults::TimedFault;
use crate::schedule::Schedule;

/// A schedule made small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// What is left. It fails.
    pub schedule: Schedule,
    /// How many schedules were run.
    pub tries: usize,
    /// Whether nothing more can be left out. Otherwise the tries were used up first.
    pub is_minimal: bool,
}

/// Makes a failing schedule as small as it gets with `tries_max` runs. `fails` runs one and says whether it fails; it gets
/// the same seed each time. `schedule` itself is known to fail.
pub fn shrink(
    schedule: &Schedule,
    tries_max: usize,
    fails: &mut dyn FnMut(&Schedule) -> bool,
) -> Shrunk {
    let mut attempt = Attempt { best: schedule.faults().to_vec(), tries: 0, tries_max, fails };
    // Shorter faults sometimes make others needless: once more, until nothing changes.
    loop {
        let before = attempt.best.clone();
        attempt.leave_out();
        attempt.shorten();
        if attempt.best == before || attempt.is_used_up() {
            break;
        }
    }
    Shrunk {
        is_minimal: !attempt.is_used_up(),
        schedule: Schedule::new(attempt.best),
        tries: attempt.tries,
    }
}

struct Attempt<'a> {
    /// The smallest that failed so far.
    best: Vec<TimedFault>,
    tries: usize,
    tries_max: usize,
    fails: &'a mut dyn FnMut(&Schedule) -> bool,
}

impl Attempt<'_> {
    fn is_used_up(&self) -> bool {
        self.tries >= self.tries_max
    }

    /// Runs these; when they fail, they are the best.
    fn takes(&mut self, faults: Vec<TimedFault>) -> bool {
        if self.is_used_up() {
            return false;
        }
        self.tries += 1;
        let is_failing = (self.fails)(&Schedule::new(faults.clone()));
        if is_failing {
            self.best = faults;
        }
        is_failing
    }

    /// Leaves out parts: halves, then quarters, down to single faults.
    fn leave_out(&mut self) {
        if !self.best.is_empty() && self.takes(Vec::new()) {
            return;
        }
        let mut part = self.best.len().div_ceil(2);
        while part > 0 && !self.is_used_up() {
            let mut start = 0;
            while start < self.best.len() {
                let mut rest = self.best.clone();
                rest.drain(start..(start + part).min(rest.len()));
                // What follows has moved to `start` when the part was not needed.
                if !self.takes(rest) {
                    start += part;
                }
            }
            part = if part == 1 { 0 } else { part.div_ceil(2) };
        }
    }

    /// Halves each duration for as long as it still fails.
    fn shorten(&mut self) {
        for index in 0..self.best.len() {
            while let Some(lasts) = self.best[index].lasts {
                let half = Duration::from_millis(lasts.as_millis() as u64 / 2);
                if half.is_zero() {
                    break;
                }
                let mut shorter = self.best.clone();
                shorter[index].lasts = Some(half);
                if !self.takes(shorter) {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Fault;
    use crate::random::Random;
    use crate::schedule::GenerateSettings;

    fn drawn() -> Schedule {
        let settings = GenerateSettings { faults: 60, ..GenerateSettings::default() };
        Schedule::generate(&settings, &Random::new(11))
    }

    #[test]
    fn what_is_not_needed_is_left_out() {
        let schedule = drawn();
        let needed = [schedule.faults()[7].fault.clone(), schedule.faults()[41].fault.clone()];
        let has = |schedule: &Schedule, fault: &Fault| {
            schedule.faults().iter().any(|timed| timed.fault == *fault)
        };
        let shrunk =
            shrink(&schedule, 1_000, &mut |tried| needed.iter().all(|fault| has(tried, fault)));
        assert!(shrunk.is_minimal);
        assert_eq!(shrunk.schedule.len(), 2);
        assert!(needed.iter().all(|fault| has(&shrunk.schedule, fault)));
        assert!(shrunk.tries < 300, "{}", shrunk.tries);
    }

    #[test]
    fn durations_are_shortened_as_far_as_it_still_fails() {
        let schedule: Schedule = "at 1s pause n1 for 8s\nat 2s pause n2 for 3s".parse().unwrap();
        let shrunk = shrink(&schedule, 100, &mut |tried| {
            let long = |timed: &TimedFault| timed.lasts >= Some(Duration::from_millis(1_500));
            tried.faults().first().is_some_and(long)
        });
        // The first is not needed, since the second is long enough.
        assert_eq!(shrunk.schedule.to_string(), "at 2.000s pause n2 for 1.5s\n");
    }

    #[test]
    fn a_failure_without_any_fault_is_found_at_once() {
        let shrunk = shrink(&drawn(), 100, &mut |_| true);
        assert!(shrunk.schedule.is_empty() && shrunk.is_minimal);
        assert_eq!(shrunk.tries, 1);
    }

    #[test]
    fn the_tries_are_bounded_and_the_result_still_fails() {
        let schedule = drawn();
        let fault = schedule.faults()[20].clone();
        let mut runs = 0;
        let shrunk = shrink(&schedule, 5, &mut |tried| {
            runs += 1;
            tried.faults().contains(&fault)
        });
        assert_eq!((runs, shrunk.tries, shrunk.is_minimal), (5, 5, false));
        assert!(shrunk.schedule.faults().contains(&fault));
        assert!(shrunk.schedule.len() < schedule.len());
    }
}
