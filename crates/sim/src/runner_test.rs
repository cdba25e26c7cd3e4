//! Tests of the runner: the merged result, panics, the bound on failures, and the replay check.

use std::cell::Cell;

use super::*;
use crate::random::Random;
use crate::time::SimTime;
use crate::trace::Trace;

const SETTINGS: RunSettings =
    RunSettings { first_seed: 10, seeds: 50, threads: 1, failures_max: u64::MAX };

fn run(seed: u64) -> SeedRun {
    let mut summary =
        Summary { seeds: 1, events: Random::new(seed).below(100), ..Summary::default() };
    if seed.is_multiple_of(20) {
        summary.add_violations(seed, [Violation::new("rule", "broken")]);
    }
    assert!(seed != 33, "the assertion of seed {seed}");
    SeedRun { summary, ..SeedRun::default() }
}

#[test]
fn the_number_of_threads_changes_nothing_and_progress_reaches_the_end() {
    let mut last = 0;
    let alone = run_seeds(&SETTINGS, &run, &mut |progress| last = progress.done);
    assert_eq!(last, 50);
    assert_eq!(alone.seeds, 50);
    assert_eq!(alone.failed_seeds, [20, 33, 40]);
    let threads = RunSettings { threads: 4, ..SETTINGS };
    assert_eq!(run_seeds(&threads, &run, &mut |_| ()), alone);
}

#[test]
fn a_panic_is_a_violation() {
    let summary = run_one(33, &run).summary;
    assert_eq!(summary.violations[0].violation.to_string(), "panic: the assertion of seed 33");
}

#[test]
fn after_enough_failures_no_seed_is_begun() {
    let settings = RunSettings { failures_max: 1, ..SETTINGS };
    let summary = run_seeds(&settings, &run, &mut |_| ());
    assert_eq!(summary.failed_seeds[0], 20);
    assert!(summary.seeds < 20, "{}", summary.seeds);
}

fn traced(seed: u64, keep: Keep, disturbance: u64) -> SeedRun {
    let mut random = Random::new(seed);
    let mut trace = Trace::new(keep);
    for step in 0..20 {
        let drawn = random.below(1_000) + if step == 12 { disturbance } else { 0 };
        trace.record(SimTime(step), None, "draw", &drawn, || drawn.to_string());
    }
    SeedRun { trace_hash: trace.hash(), trace: trace.to_text(), ..SeedRun::default() }
}

#[test]
fn a_seed_that_replays_passes() {
    assert!(check_replay(7, &|seed, keep| traced(seed, keep, 0)).is_ok());
}

#[test]
fn a_run_that_depends_on_something_else_is_found_with_its_line() {
    let clock = Cell::new(0);
    let difference = check_replay(7, &|seed, keep| {
        clock.set(clock.get() + 1);
        traced(seed, keep, clock.get())
    })
    .unwrap_err();
    let (first, second) = difference.first_difference.clone().unwrap();
    assert!(first.contains("draw") && first != second);
    assert!(difference.to_string().starts_with("seed 7 does not replay\n  first "));
}
