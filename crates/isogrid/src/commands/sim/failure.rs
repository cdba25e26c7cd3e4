//! What a failed seed looks like: what was violated, the smallest schedule that still does it, how to run that again, and
//! the end of its trace.

use isogrid_sim::{Keep, Schedule, Summary, Violation, shrink};
use serde_json::{Value, json};

use super::args::SimArgs;
use super::course::Course;
use super::schedule;
use crate::progress;

/// How many lines of the trace are shown unless `--trace` says otherwise.
const TAIL_LINES: usize = 40;

/// A failed seed, explained.
pub(super) struct Failed {
    seed: u64,
    violations: Vec<Violation>,
    /// How many faults the seed had by itself.
    faults_before: usize,
    schedule: Schedule,
    tries: usize,
    is_minimal: bool,
    /// What the small schedule violates.
    still: Vec<Violation>,
    again: String,
    trace: String,
}

impl Failed {
    /// Makes the schedule small, and runs what is left once more for its trace.
    pub(super) fn explain(
        seed: u64,
        args: &SimArgs,
        course: &Course,
        summary: &Summary,
        schedule: &Schedule,
    ) -> Failed {
        let violations = violations_of(summary);
        let rule = violations.first().map(|first| first.rule.clone()).unwrap_or_default();
        let bar = progress::bar("making its schedule small, runs", None);
        let tries_max = args.shrink_tries as usize;
        // Another rule would be another failure.
        let small = shrink(schedule, tries_max, &mut |tried| {
            bar.inc(1);
            let found = course.run_with(seed, tried, Keep::Nothing).summary;
            found.violations.iter().any(|failed| failed.violation.rule == rule)
        });
        bar.finish_and_clear();
        let keep = match args.trace {
            Some(Keep::Last(lines)) => Keep::Last(lines),
            _ => Keep::Last(TAIL_LINES),
        };
        let last = course.run_with(seed, &small.schedule, keep);
        let twice = if args.check_replay { " --check-replay" } else { "" };
        Failed {
            seed,
            violations,
            faults_before: schedule.len(),
            still: violations_of(&last.summary),
            schedule: small.schedule,
            tries: small.tries,
            is_minimal: small.is_minimal,
            again: format!("isogrid sim --seed {seed}{}{twice} --schedule", args.cluster.words()),
            trace: last.trace,
        }
    }

    /// For people. The schedule stands in its own lines, to be copied.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("\nseed {} violates\n", self.seed);
        for violation in &self.violations {
            text.push_str(&format!("  {violation}\n"));
        }
        let (left, before, tries) = (self.schedule.len(), self.faults_before, self.tries);
        let how = match (self.tries, self.is_minimal) {
            (0, _) => "its schedule, not made smaller".to_owned(),
            (_, true) => format!("the smallest schedule that still does, {left} of {before} faults ({tries} runs)"),
            (_, false) => {
                format!("a smaller schedule that still does, {left} of {before} faults (--shrink-tries {tries} were not enough for the smallest)")
            }
        };
        text.push_str(&format!("\n{how}\n\n"));
        text.push_str(&match left {
            0 => "# no fault is needed\n".to_owned(),
            _ => self.schedule.to_string(),
        });
        text.push_str(&format!("\nto run it again, with these lines in FILE\n  {} FILE\n", self.again));
        text.push_str("\nwhat it violates\n");
        for violation in &self.still {
            text.push_str(&format!("  {violation}\n"));
        }
        text.push_str(&format!("\nthe end of its trace\n{}", self.trace));
        text
    }

    /// For machines.
    pub(super) fn to_object(&self) -> Value {
        json!({
            "seed": self.seed,
            "violations": self.violations,
            "schedule": schedule::lines(&self.schedule),
            "faults_before": self.faults_before,
            "tries": self.tries,
            "minimal": self.is_minimal,
            "schedule_violates": self.still,
            "again": format!("{} -", self.again),
            "trace": self.trace.lines().collect::<Vec<_>>(),
        })
    }
}

fn violations_of(summary: &Summary) -> Vec<Violation> {
    summary.violations.iter().map(|failed| failed.violation.clone()).collect()
}
