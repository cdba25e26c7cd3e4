//! How soon each rule that is switched off is caught: `mutants [NAME] [SEEDS]`. The figures of docs/simulation.md.
#![allow(clippy::print_stdout, reason = "an example talks to people")]

use isogrid_sim::grid::rules::RULES;
use isogrid_sim::grid::{Options, run};
use isogrid_sim::runner::{RunSettings, run_seeds};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let wanted = arguments.get(1).cloned().unwrap_or_default();
    let seeds = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(500);
    std::panic::set_hook(Box::new(|_| {}));
    for rule in RULES.iter().filter(|rule| rule.name.contains(&wanted)) {
        let mut options = Options::default();
        (rule.switch_off)(&mut options);
        // One thread: of two the faster one would decide which seed is the first.
        let settings = RunSettings { first_seed: 1, seeds, threads: 1, failures_max: 1 };
        let mut found = None;
        run_seeds(&settings, &|seed| run(seed, &options), &mut |progress| {
            if let Some(first) = progress.summary.violations.first()
                && found.is_none()
            {
                found = Some((progress.seed, first.violation.to_string()));
            }
        });
        // With the rule kept, the same seed must be fine: otherwise it was something else that was caught.
        let kept = Options {
            replica_rules: Options::default().replica_rules,
            council_rules: Options::default().council_rules,
            ..options.clone()
        };
        if let Some((seed, what)) = &found
            && !run(*seed, &kept).summary.is_good()
        {
            println!(
                "| {} | {} | {seed} fails with the rule kept too | {what} |",
                rule.origin, rule.name
            );
            continue;
        }
        match found {
            Some((seed, what)) => println!("| {} | {} | {seed} | {what} |", rule.origin, rule.name),
            None => println!("| {} | {} | none in {seeds} | |", rule.origin, rule.name),
        }
    }
}
