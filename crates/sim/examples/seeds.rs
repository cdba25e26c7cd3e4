//! Runs seeds of the simulated grid: `seeds FIRST COUNT [THREADS]`, or `seeds FIRST trace` for one with its trace.
#![allow(clippy::print_stdout, reason = "an example talks to people")]

use isogrid_sim::grid::{Options, run};
use isogrid_sim::runner::{RunSettings, run_one, run_seeds};
use isogrid_sim::trace::Keep;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let first: u64 = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    if arguments.get(2).map(String::as_str) == Some("trace") {
        let keep = arguments
            .get(3)
            .and_then(|text| text.parse().ok())
            .map_or(Keep::Everything, Keep::Last);
        let options = Options { keep, ..Options::default() };
        let done = run_one(first, &|seed| run(seed, &options));
        print!("{}", done.trace);
        println!("{}", done.summary.to_text());
        return;
    }
    let seeds = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(10);
    let threads = arguments.get(3).and_then(|text| text.parse().ok()).unwrap_or(1);
    let settings = RunSettings { first_seed: first, seeds, threads, failures_max: 20 };
    let options = Options::default();
    let summary = run_seeds(&settings, &|seed| run(seed, &options), &mut |progress| {
        if !progress.summary.is_good() {
            let first = &progress.summary.violations[0].violation;
            println!("seed {}: {first}", progress.seed);
        }
        let operations = progress.summary.operations.total();
        if operations < u64::from(options.operations) {
            println!("seed {}: only {operations} operations: clients were held up", progress.seed);
        }
    });
    println!("{}", summary.to_text());
}
