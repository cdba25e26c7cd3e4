//! The simulated grid keeps all its promises: many seeds, each with tens of faults and thousands of operations; every seed
//! replays byte for byte; and together they visit every rare path.

use isogrid_sim::grid::{Options, run};
use isogrid_sim::runner::{RunSettings, check_replay, run_seeds};

/// How many seeds are run with every test run.
const SEEDS: u64 = 2_000;

/// How many are run twice.
const REPLAYED: u64 = 100;

#[test]
fn no_seed_breaks_a_promise() {
    let settings = RunSettings { first_seed: 1, seeds: SEEDS, threads: 2, failures_max: 3 };
    let options = Options::default();
    let summary = run_seeds(&settings, &|seed| run(seed, &options), &mut |_| {});
    assert!(summary.is_good(), "{}", summary.to_text());
    assert_eq!(summary.seeds, SEEDS);
    let never = summary.paths.never_reached();
    assert!(never.is_empty(), "never visited: {never:?}");
    assert!(summary.faults_total() >= 30 * SEEDS, "{} faults", summary.faults_total());
    assert!(summary.operations.total() >= 2_000 * SEEDS, "{:?}", summary.operations);
}

#[test]
fn a_seed_replays_byte_for_byte() {
    let run_kept = |seed, keep| run(seed, &Options { keep, ..Options::default() });
    for seed in 1..=REPLAYED {
        if let Err(differs) = check_replay(seed, &run_kept) {
            panic!("seed {seed}: {differs}");
        }
    }
}
