//! Runs a model: explores every reachable state within the bounds, breadth first. A violation is minimised by searching
//! again, shallower, until there is none.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries};

use crate::protocol::{Deadline, Protocol};

/// The names of properties that say "this can happen" begin so. They prove that a model explores what it is there for.
pub const REACHABLE: &str = "can: ";

/// How long to search, and with how much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The time after which the search stops, finished or not.
    pub time: Duration,
    /// Threads.
    pub threads: usize,
}

/// What breaks, and the shortest way there.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The property.
    pub property: &'static str,
    /// One sentence per step.
    pub steps: Vec<String>,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Different states seen.
    pub states: usize,
    /// The most steps from the beginning.
    pub depth: usize,
    /// The time it took.
    pub elapsed: Duration,
    /// Whether every state within the bounds was seen (or a violation minimised).
    pub finished: bool,
    /// The "can:" properties that were reached.
    pub reached: BTreeSet<&'static str>,
    /// What breaks, if anything does.
    pub violation: Option<Violation>,
}

/// Explores the model, up to the first violation: not always the one of the fewest steps.
pub fn find<P: Protocol>(model: &P, limits: Limits) -> Report {
    search(model, limits, None)
}

/// Explores the model, and minimises a violation.
pub fn check<P: Protocol>(model: &P, limits: Limits) -> Report {
    let start = Instant::now();
    let mut report = find(model, limits);
    while let Some(violation) = &report.violation {
        let left = limits.time.saturating_sub(start.elapsed());
        if left.is_zero() {
            report.finished = false;
            break;
        }
        let again = search(model, Limits { time: left, ..limits }, Some(violation.steps.len()));
        if again.violation.is_none() {
            report.finished = again.finished;
            break;
        }
        report = again;
    }
    Report { elapsed: start.elapsed(), ..report }
}

/// One search, of ways shorter than `shorter_than` if that is given.
fn search<P: Protocol>(model: &P, limits: Limits, shorter_than: Option<usize>) -> Report {
    let start = Instant::now();
    let deadline = Deadline::at(start + limits.time);
    let mut model = model.clone();
    *model.deadline() = deadline.clone();
    let mut builder =
        model.checker().threads(limits.threads).finish_when(HasDiscoveries::AnyFailures);
    if let Some(steps) = shorter_than {
        // The checker counts the first state as depth one, and does not look at the states of its target depth.
        builder = builder.target_max_depth(steps + 1);
    }
    let checker = builder.spawn_bfs().join();
    deadline.lift();
    let discoveries = checker.discoveries();
    let reached = discoveries.keys().copied().filter(|name| name.starts_with(REACHABLE)).collect();
    let violation = discoveries
        .into_iter()
        .filter(|(name, _)| !name.starts_with(REACHABLE))
        .map(|(property, path)| (property, path.into_actions()))
        .min_by_key(|(_, actions)| actions.len())
        .map(|(property, actions)| Violation {
            property,
            steps: actions.iter().map(ToString::to_string).collect(),
        });
    Report {
        states: checker.unique_state_count(),
        depth: checker.max_depth().saturating_sub(1),
        elapsed: start.elapsed(),
        finished: violation.is_some() || !deadline.has_stopped(),
        reached,
        violation,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { states, depth, elapsed, .. } = self;
        match (&self.violation, self.finished) {
            (Some(violation), finished) => {
                let steps = violation.steps.len();
                let note = if finished { "" } else { ", perhaps not the fewest" };
                writeln!(f, "BROKEN: {} ({steps} steps{note}; {elapsed:.1?})", violation.property)?;
                for (number, step) in (1..).zip(&violation.steps) {
                    writeln!(f, "{number:>4}. {step}")?;
                }
                return Ok(());
            }
            (None, true) => writeln!(f, "HOLDS in every state within the bounds")?,
            (None, false) => writeln!(f, "HOLDS so far: the time was up before the search was")?,
        }
        writeln!(f, "  {states} states, at most {depth} steps from the beginning, {elapsed:.1?}")?;
        for property in &self.reached {
            writeln!(f, "  reached  {property}")?;
        }
        Ok(())
    }
}
