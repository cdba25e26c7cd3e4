//! Each rule of the protocol, switched off in the real code, is caught by the simulator. The seeds are those that caught it
//! when this was written, and some around them; docs/simulation.md says how many seeds it took from the first one on.

use isogrid_sim::grid::rules::named;
use isogrid_sim::grid::{Options, run};
use isogrid_sim::runner::{RunSettings, run_seeds};

/// The first seed that found something, by the rule's name, and how many seeds are tried from it on.
fn is_caught(name: &str, first_seed: u64, seeds: u64) {
    let rule = named(name).expect("the rule has a switch");
    let mut options = Options::default();
    (rule.switch_off)(&mut options);
    let settings = RunSettings { first_seed, seeds, threads: 2, failures_max: 1 };
    let mut violation = None;
    run_seeds(&settings, &|seed| run(seed, &options), &mut |progress| {
        let first = progress.summary.violations.first();
        violation = violation.take().or(first.map(|first| first.violation.to_string()));
    });
    assert!(violation.is_some(), "{name} is off, and {seeds} seeds from {first_seed} on find nothing");
}


