//! Many seeds on all cores, behind a progress bar, and what they were worth together. The first that failed is explained.

use std::num::NonZero;
use std::thread;

use isogrid_sim::runner::{RunSettings, run_seeds};
use isogrid_sim::{Keep, Summary};
use serde_json::Value;

use super::args::SimArgs;
use super::course::Course;
use super::failure::Failed;
use super::one::summary_object;
use crate::exit::{CommandResult, Exit, wrong_argument};
use crate::output::{Format, print, print_json, tell};
use crate::progress;

pub(super) fn run(seeds: u64, args: &SimArgs, course: &Course, format: Format) -> CommandResult {
    let first = args.first;
    if first.checked_add(seeds).is_none() {
        let detail = format!("--first {first} --seeds {seeds}; the last seed is {}", u64::MAX);
        return Err(wrong_argument(detail));
    }
    Course::silence_panics();
    let threads = match args.threads {
        Some(threads) => usize::from(threads),
        None => thread::available_parallelism().map_or(1, NonZero::get),
    };
    let settings =
        RunSettings { first_seed: first, seeds, threads, failures_max: args.failures_max };
    let summary = run_behind_bar(&settings, course);
    if format == Format::Table {
        print(&format!("{}\n{}", summary.to_text(), verdict(seeds, &summary)))?;
    }
    let failed = first_failed(args, course, &summary);
    match (format, &failed) {
        (Format::Json, _) => {
            let mut object = summary_object(&summary);
            if let Some(failed) = &failed {
                object.insert("failure".into(), failed.to_object());
            }
            print_json(&Value::Object(object))?;
        }
        (Format::Table, Some(failed)) => print(&failed.to_text())?,
        (Format::Table, None) => {}
    }
    Ok(if summary.is_good() { Exit::Ok } else { Exit::Violation })
}

fn run_behind_bar(settings: &RunSettings, course: &Course) -> Summary {
    let bar = progress::bar("seeds", Some(settings.seeds));
    let run = |seed| course.run(seed, Keep::Nothing);
    let summary = run_seeds(settings, &run, &mut |progress| {
        bar.inc(1);
        if let Some(first) = progress.summary.violations.first() {
            // A run can take hours: its failures are told when they happen.
            bar.suspend(|| tell(format!("seed {} fails: {}", first.seed, first.violation)));
        }
    });
    bar.finish_and_clear();
    summary
}

fn verdict(seeds: u64, summary: &Summary) -> String {
    let failed = summary.failed_seeds.len();
    let early = match seeds - summary.seeds {
        0 => String::new(),
        left => format!("; {left} were not begun after so many failures (--failures-max)"),
    };
    match failed {
        0 => format!("{seeds} seeds pass{early}\n"),
        _ => format!("{failed} of {} seeds fail{early}\n", summary.seeds),
    }
}

/// The first failed seed again, with its schedule made small.
fn first_failed(args: &SimArgs, course: &Course, summary: &Summary) -> Option<Failed> {
    let seed = *summary.failed_seeds.first()?;
    let again = course.run(seed, Keep::Nothing);
    let plan = course.plan(seed);
    Some(Failed::explain(seed, args, course, &again.summary, &plan.schedule))
}
