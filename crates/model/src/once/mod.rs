//! Exactly once: a request is executed at most once and has one answer, however often it is retried, and wherever.
//!
//! ```text
//! request → ended or below the watermark? stale, never executed → in the log? committed → its answer   else → in progress
//!         → not in the log → executed: an entry with the result
//! ```
//!
//! Copies of requests stay in the network for ever. Below lies the write path of [`crate::write`]. Section 7, R9 and R11.

pub mod actions;
pub mod dedupe;
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
pub struct OnceModel {
    /// The rule that is broken, if any.
    pub mutant: Mutant,
    /// How much may happen.
    pub bounds: Bounds,
    deadline: Deadline,
}

impl OnceModel {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == mutant
    }
}

impl Protocol for OnceModel {
    type Mutant = Mutant;

    const USES: &'static [&'static str] =
        &["epochs", "changes", "crashes", "messages", "in-sync", "session-ends"];

    fn new(mutant: Mutant, bounds: Bounds) -> Self {
        OnceModel { mutant, bounds, deadline: Deadline::default() }
    }

    fn deadline(&mut self) -> &mut Deadline {
        &mut self.deadline
    }

    fn bounds_for(mutant: Mutant) -> Bounds {
        let smallest = Bounds::SMALLEST;
        match mutant {
            Mutant::None => Bounds { epochs: 3, session_ends: true, ..smallest },
            Mutant::ForgetAtEnd => Bounds { session_ends: true, ..smallest },
            Mutant::ExecuteBeforeBarrier | Mutant::DoneBeforeBarrier => {
                Bounds { epochs: 3, ..smallest }
            }
            _ => smallest,
        }
    }

    fn is_harmless(mutant: Mutant) -> bool {
        mutant == Mutant::ExecuteBeforeBarrier
    }
}

impl Model for OnceModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(&self.bounds)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !state.lost && state.fault.is_none() && !self.deadline.has_passed() {
            self.offer(state, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.step(&mut next, action)?;
        drop_useless(&mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

/// Drops the messages that can do nothing any more, and the configurations that nobody can learn.
fn drop_useless(state: &mut State) {
    use crate::replica::{is_answer_useful, is_append_useful};
    use state::Message;

    let State { council, nodes, network, .. } = state;
    network.retain(|message| match message {
        Message::Append(it) => is_append_useful(it, &nodes[it.from].replica, &nodes[it.to].replica),
        Message::Acknowledgement(it) => is_answer_useful(it, &nodes[it.to].replica),
        Message::Proposal(it) => council.amended(it).is_some(),
    });
    council.forget(|it| nodes.iter().any(|(node, its)| its.replica.could_learn(node, it)));
}
