//! The write path: no acknowledged write is lost, whatever is suspected, delayed, reordered or restarted.
//!
//! ```text
//! write → primary appends → sends its log to members and learners → each matches it with its own and answers
//!       → all required answered → acknowledged            (promotions, removals, additions, restarts at any moment)
//! ```
//!
//! Nodes live in memory: a restart loses everything (recovery from disk is [`crate::disk`]). There is no clock: write safety
//! uses none. A message carries the whole log; pieces of it are in [`crate::disk`]. Rules R1 to R7, R9, R10 and R12.

pub mod actions;
pub mod mutant;
pub mod properties;
pub mod state;
mod steps;

use stateright::{Model, Property};

use crate::bounds::Bounds;
use crate::protocol::{Deadline, Protocol};

use self::mutant::Mutant;
use self::state::{Action, State};

/// The model.
#[derive(Clone, Debug)]
pub struct WriteModel {
    /// The rule that is broken, if any.
    pub mutant: Mutant,
    /// How much may happen.
    pub bounds: Bounds,
    deadline: Deadline,
}

impl WriteModel {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == mutant
    }
}

impl Protocol for WriteModel {
    type Mutant = Mutant;

    const USES: &'static [&'static str] =
        &["writes", "epochs", "changes", "crashes", "messages", "in-sync"];

    fn new(mutant: Mutant, bounds: Bounds) -> Self {
        WriteModel { mutant, bounds, deadline: Deadline::default() }
    }

    fn deadline(&mut self) -> &mut Deadline {
        &mut self.deadline
    }

    fn bounds_for(mutant: Mutant) -> Bounds {
        let smallest = Bounds::SMALLEST;
        match mutant {
            Mutant::None => Bounds { crashes: 1, changes: 1, ..smallest },
            Mutant::GossipElects | Mutant::PromoteAny => smallest,
            Mutant::TruncateToCommit | Mutant::NoFence => smallest,
            Mutant::NoIncarnation => Bounds { crashes: 1, ..smallest },
            Mutant::ShrinkEarly | Mutant::AdditionNotCounted | Mutant::ForgetAddition => {
                Bounds { changes: 1, ..smallest }
            }
            Mutant::AddWithoutIncarnationCheck => Bounds { crashes: 1, changes: 1, ..smallest },
            Mutant::TrustSeqOnly => Bounds { epochs: 3, ..smallest },
        }
    }
}

impl Model for WriteModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(&self.bounds)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !state.lost && !self.deadline.has_passed() {
            self.offer(state, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.step(&mut next, action)?;
        self.drop_useless(&mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
