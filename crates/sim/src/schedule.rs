//! Which faults happen when: a value, drawn from the seed before the run or read from text. One line per fault; `#` begins
//! a comment.

mod generate;
mod profile;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use generate::GenerateSettings;
pub use profile::Profile;

use crate::faults::{Fault, ParseFaultError, TimedFault};
use crate::network::{Disturbance, Links};
use crate::time::SimTime;

/// Faults over time, in the order of their beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    faults: Vec<TimedFault>,
}

/// Whether a fault begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edge {
    /// It begins.
    Begin,
    /// It ends: the world undoes it.
    End,
}

/// One moment of a schedule: what the world does to itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: SimTime,
    /// Which of the schedule's faults, and of its repetitions: the same for its beginning and its end.
    pub id: (usize, u32),
    /// Begin or end.
    pub edge: Edge,
    /// What. Never [`Fault::Flap`], which is taken apart into cuts.
    pub fault: Fault,
}

impl Schedule {
    /// How often a fault without an end flaps.
    const FLAPS_WITHOUT_END: u32 = 10;

    /// A schedule of these.
    pub fn new(mut faults: Vec<TimedFault>) -> Self {
        faults.sort_by_key(|fault| fault.at);
        Schedule { faults }
    }

    /// The faults by their beginning.
    pub fn faults(&self) -> &[TimedFault] {
        &self.faults
    }

    /// The number of faults.
    pub fn len(&self) -> usize {
        self.faults.len()
    }

    /// Whether nothing goes wrong.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// When the last fault begins or ends.
    pub fn end(&self) -> SimTime {
        let ends = self.faults.iter().map(|fault| fault.ends().unwrap_or(fault.at));
        ends.max().unwrap_or(SimTime::ZERO)
    }

    /// Everything the world has to do, by time. At the same time ends come first, so that what follows without a gap does
    /// not overlap. Put these into the queue before the run.
    pub fn moments(&self) -> Vec<Moment> {
        let mut moments = Vec::new();
        for (index, timed) in self.faults.iter().enumerate() {
            match &timed.fault {
                Fault::Flap { node, every } => {
                    flap(index, timed, *every, Links::Of(*node), &mut moments);
                }
                fault => push_both((index, 0), timed.at, timed.ends(), fault, &mut moments),
            }
        }
        moments.sort_by_key(|moment| (moment.at, moment.edge == Edge::Begin, moment.id));
        moments
    }
}

fn flap(index: usize, timed: &TimedFault, every: Duration, links: Links, to: &mut Vec<Moment>) {
    let every = every.max(Duration::from_millis(1));
    let end = timed.ends().unwrap_or(timed.at + every * (2 * Schedule::FLAPS_WITHOUT_END));
    let cut = Fault::Network(Disturbance::cut(links));
    let mut begin = timed.at;
    for repetition in 0.. {
        if begin >= end {
            break;
        }
        push_both((index, repetition), begin, Some((begin + every).min(end)), &cut, to);
        begin = begin + every * 2;
    }
}

fn push_both(
    id: (usize, u32),
    begin: SimTime,
    end: Option<SimTime>,
    fault: &Fault,
    to: &mut Vec<Moment>,
) {
    to.push(Moment { at: begin, id, edge: Edge::Begin, fault: fault.clone() });
    if let Some(end) = end {
        to.push(Moment { at: end, id, edge: Edge::End, fault: fault.clone() });
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        let mut faults = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let fault = line.parse::<TimedFault>();
            faults.push(fault.map_err(|error| ParseFaultError { line: number + 1, ..error })?);
        }
        Ok(Schedule::new(faults))
    }
}

#[cfg(test)]
#[path = "schedule/schedule_test.rs"]
mod tests;
