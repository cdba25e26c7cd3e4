//! What a failed seed looks like: what was violated, the smallest schedule that still does it, how to run that again, and
//! the end of its trace.

use isogrid_sim::{Keep, Schedule, SimTime, Summary, Violation, shrink};
use serde_json::{Value, json};

use super::args::SimArgs;
use super::course::Course;
use super::schedule;
use crate::progress;

/// How many lines of the trace are shown unless `--trace` says otherwise.
const TAIL_LINES: usize = 40;

/// How many lines are kept to choose from.
const KEPT_LINES: usize = 100_000;

/// What nodes say all the time, whatever happens.
const CHATTER: [&str; 5] = ["gossip", "beat", "beat-ack", "heartbeat", "heartbeat-answer"];

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
    trace: Vec<String>,
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
        let tail = match args.trace {
            Some(Keep::Last(lines)) => lines,
            _ => TAIL_LINES,
        };
        let last = course.run_with(seed, &small.schedule, Keep::Last(KEPT_LINES));
        let still = violations_of(&last.summary);
        let twice = if args.check_replay { " --check-replay" } else { "" };
        Failed {
            seed,
            violations,
            faults_before: schedule.len(),
            schedule: small.schedule,
            tries: small.tries,
            is_minimal: small.is_minimal,
            again: format!("isogrid sim --seed {seed}{}{twice} --schedule", args.cluster.words()),
            trace: before_violation(&last.trace, &still, tail),
            still,
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
            (_, true) => format!(
                "the smallest schedule that still does, {left} of {before} faults ({tries} runs)"
            ),
            (_, false) => {
                format!(
                    "a smaller schedule that still does, {left} of {before} faults (--shrink-tries {tries} were not enough for the smallest)"
                )
            }
        };
        text.push_str(&format!("\n{how}\n\n"));
        text.push_str(&match left {
            0 => "# no fault is needed\n".to_owned(),
            _ => self.schedule.to_string(),
        });
        text.push_str(&format!(
            "\nto run it again, with these lines in FILE\n  {} FILE\n",
            self.again
        ));
        text.push_str("\nwhat it violates\n");
        for violation in &self.still {
            text.push_str(&format!("  {violation}\n"));
        }
        text.push_str("\nits trace before the first of these, without gossip and heartbeats\n");
        for line in &self.trace {
            text.push_str(&format!("{line}\n"));
        }
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
            "trace": self.trace,
        })
    }
}

fn violations_of(summary: &Summary) -> Vec<Violation> {
    summary.violations.iter().map(|failed| failed.violation.clone()).collect()
}

/// The last lines of a trace until the first violation, without chatter.
fn before_violation(trace: &str, violations: &[Violation], lines: usize) -> Vec<String> {
    let end = violations
        .iter()
        .filter_map(|violation| violation.at_ns)
        .min()
        .map_or(SimTime::MAX, SimTime);
    let telling = |line: &&str| {
        let mut words = line.split_whitespace();
        let at = words.next().and_then(|word| word.parse::<SimTime>().ok());
        at.is_some_and(|at| at <= end) && words.nth(1).is_some_and(|kind| !CHATTER.contains(&kind))
    };
    let mut last: Vec<String> =
        trace.lines().rev().filter(telling).take(lines).map(str::to_owned).collect();
    last.reverse();
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_ends_with_the_first_violation_and_has_no_chatter() {
        let trace = "... 7 events before\n       1.000s n1   append     p1\n       1.500s n2   gossip     x\n\
                     \x20      2.000s -    fault      begins: pause n1\n       3.000s n1   ack        p1\n";
        let at = |seconds| Violation::new("rule", "what").at(SimTime::from_secs(seconds));
        let shown = before_violation(trace, &[at(5), at(2)], 40);
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[0].contains("append") && shown[1].contains("fault"), "{shown:?}");
        let shown = before_violation(trace, &[Violation::new("at the end", "what")], 1);
        assert!(shown.len() == 1 && shown[0].contains("ack"), "{shown:?}");
    }
}
