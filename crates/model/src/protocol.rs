//! What the four models have in common for the tests and the command line.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::ValueEnum;
use stateright::Model;

use crate::bounds::Bounds;

/// A model of one partition, intact or with one rule broken.
pub trait Protocol:
    Model<
        State: Clone + Debug + Hash + PartialEq + Send + Sync,
        Action: Clone + Debug + Display + PartialEq,
    > + Clone
    + Send
    + Sync
    + 'static
{
    /// The rules that can be broken, one variant for each, the first one being "none".
    type Mutant: ValueEnum + Copy + Debug + PartialEq + Send + Sync + 'static;

    /// The names of the bounds that the model heeds, as the command line spells them.
    const USES: &'static [&'static str];

    /// The model.
    fn new(mutant: Self::Mutant, bounds: Bounds) -> Self;

    /// When the model is to stop offering steps.
    fn deadline(&mut self) -> &mut Deadline;

    /// Bounds within which the mutant is seen to fail; for the intact model, those to begin with.
    fn bounds_for(mutant: Self::Mutant) -> Bounds;

    /// Whether the model holds without the rule: another one suffices. Such a mutant shows which rule carries the weight.
    fn is_harmless(_mutant: Self::Mutant) -> bool {
        false
    }
}

/// How the command line spells a mutant.
pub fn name_of<M: ValueEnum>(mutant: M) -> String {
    mutant.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// When a search ends, finished or not. The checker's own timeout waits until a thread has nothing left to do, and a thread
/// of a breadth-first search always has: so the model itself stops offering steps.
#[derive(Clone, Debug, Default)]
pub struct Deadline {
    at: Option<Instant>,
    stopped: Arc<AtomicBool>,
    lifted: Arc<AtomicBool>,
}

impl Deadline {
    /// The given moment.
    pub fn at(moment: Instant) -> Self {
        Deadline { at: Some(moment), ..Deadline::default() }
    }

    /// Whether it has passed. Once it was asked for in vain, the search is not a complete one.
    pub fn has_passed(&self) -> bool {
        let passed = self.at.is_some_and(|moment| Instant::now() >= moment)
            && !self.lifted.load(Ordering::Relaxed);
        if passed {
            self.stopped.store(true, Ordering::Relaxed);
        }
        passed
    }

    /// Lets the model go on: the checker replays the steps of what it found.
    pub fn lift(&self) {
        self.lifted.store(true, Ordering::Relaxed);
    }

    /// Whether it stopped anything.
    pub fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
