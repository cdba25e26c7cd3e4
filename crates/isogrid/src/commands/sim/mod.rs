//! `isogrid sim`: a cluster in virtual time, and everything that can go wrong with it.
//!
//! | module | what it does |
//! |---|---|
//! | [`args`] | the options |
//! | [`breaking`] | rules that can be switched off, to see that it is noticed |
//! | [`schedule`] | reads a schedule of faults, and looks for what makes no sense |
//! | [`course`] | runs a seed: once, or twice to compare; panics become violations |
//! | [`one`] | one seed: its plan, its trace, what it was worth |
//! | [`many`] | many seeds, and what they were worth together |
//! | [`failure`] | what a failed seed looks like: violations, the smallest schedule, the end of its trace |

mod args;
mod breaking;
mod course;
mod failure;
mod many;
mod one;
mod schedule;

pub(crate) use args::SimArgs;

use crate::exit::{CommandResult, Exit, wrong_argument};
use crate::output::{Format, print, print_json};
use course::Course;
use isogrid_sim::runner::plan_of;
use serde_json::json;

pub(crate) fn run(args: &SimArgs, format: Format) -> CommandResult {
    args.cluster.check()?;
    let mut options = args.cluster.options();
    if let Some(path) = &args.schedule {
        options.schedule = Some(schedule::read(path, options.nodes)?);
    }
    let course = Course { options, runs_twice: args.check_replay };
    match (args.seed, args.seeds) {
        (Some(seed), _) if args.print_schedule => {
            let schedule = plan_of(seed, &course.options).schedule;
            match format {
                Format::Json => {
                    print_json(&json!({ "seed": seed, "schedule": schedule::lines(&schedule) }))?;
                }
                Format::Table => print(&schedule.to_string())?,
            }
            Ok(Exit::Ok)
        }
        (Some(seed), _) => one::run(seed, args, &course, format),
        (None, Some(seeds)) => many::run(seeds, args, &course, format),
        (None, None) => Err(wrong_argument("neither --seed nor --seeds")),
    }
}
