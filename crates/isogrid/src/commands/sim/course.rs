//! How a seed is run: once, or twice to compare. A panic is a violation that says where it happened.

use std::cell::{Cell, RefCell};
use std::panic;

use isogrid_sim::grid::{self, Options};
use isogrid_sim::runner::{Plan, plan_of, run_one};
use isogrid_sim::{Keep, Schedule, SeedRun, Violation, check_replay};

/// The name of the rule that a seed replays.
const REPLAY_RULE: &str = "a seed replays byte for byte";

thread_local! {
    /// Where the last panic of a simulation on this thread was; the outer one is there while one runs.
    static PANICKED_AT: Cell<Option<Option<String>>> = const { Cell::new(None) };
}

/// What all runs of a command have in common.
pub(super) struct Course {
    /// What the cluster is like.
    pub(super) options: Options,
    /// Whether each seed runs twice.
    pub(super) runs_twice: bool,
}

impl Course {
    /// Panics of simulations are not printed from here on: they are violations. All others are printed as before.
    pub(super) fn silence_panics() {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| match PANICKED_AT.take() {
            Some(_) => PANICKED_AT.set(Some(info.location().map(ToString::to_string))),
            None => usual(info),
        }));
    }

    /// What the seed is about to do.
    pub(super) fn plan(&self, seed: u64) -> Plan {
        plan_of(seed, &self.options)
    }

    /// Runs a seed and keeps these lines; of one that runs twice, none.
    pub(super) fn run(&self, seed: u64, keep: Keep) -> SeedRun {
        caught(seed, &|seed| match self.runs_twice {
            true => twice(seed, &self.options),
            false => grid::run(seed, &Options { keep, ..self.options.clone() }),
        })
    }

    /// Runs a seed once, with this schedule instead of its own.
    pub(super) fn run_with(&self, seed: u64, schedule: &Schedule, keep: Keep) -> SeedRun {
        let schedule = Some(schedule.clone());
        let options = Options { keep, schedule, ..self.options.clone() };
        caught(seed, &|seed| match self.runs_twice && keep == Keep::Nothing {
            true => twice(seed, &options),
            false => grid::run(seed, &options),
        })
    }
}

fn twice(seed: u64, options: &Options) -> SeedRun {
    let first = RefCell::new(None);
    let verdict = check_replay(seed, &|seed, keep| {
        let run = grid::run(seed, &Options { keep, ..options.clone() });
        first.borrow_mut().get_or_insert_with(|| run.clone());
        run
    });
    let mut run = first.into_inner().unwrap_or_default();
    if let Err(differs) = verdict {
        run.summary.add_violations(seed, [Violation::new(REPLAY_RULE, differs.to_string())]);
    }
    run
}

fn caught(seed: u64, run: &dyn Fn(u64) -> SeedRun) -> SeedRun {
    PANICKED_AT.set(Some(None));
    let mut done = run_one(seed, run);
    if let (Some(Some(place)), Some(last)) =
        (PANICKED_AT.take(), done.summary.violations.last_mut())
    {
        last.violation.what.push_str(&format!(" ({place})"));
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_simulation_says_where_it_was() {
        Course::silence_panics();
        let done = caught(7, &|seed| panic!("no such thing as {seed}"));
        let violation = &done.summary.violations[0].violation;
        assert_eq!(violation.rule, "panic");
        assert!(violation.what.starts_with("no such thing as 7 ("), "{}", violation.what);
        assert!(violation.what.contains("course.rs:"), "{}", violation.what);
    }

    #[test]
    fn a_seed_that_differs_is_a_violation() {
        let options = Options { operations: 6, faults: 0, ..Options::default() };
        assert!(twice(1, &options).summary.is_good());
    }
}
