//! Reads and leases: a read at the primary is never stale, and no value that was read or acknowledged is lost.
//!
//! ```text
//! read → pin the epoch → past the barrier? take a committed value → then: lease of every member and the same epoch? → reply
//! removal → only when the own last acknowledgement can uphold nobody's lease any more (R3)
//! ```
//!
//! One key; its value is the newest write. Each node has a clock, and any two differ by at most one tick at any moment: over
//! a window, two clocks disagree by at most two. A lease lasts D ticks of the primary's clock, the wait of R3 D + 2 of the
//! waiter's. A pause is a node that takes no step. Section 5, R2, R3, R6, R9 and R12.

pub mod actions;
mod clocks;
mod leading;
pub mod mutant;
pub mod properties;
pub mod reads;
pub mod state;
mod steps;

use stateright::{Model, Property};

use crate::bounds::Bounds;
use crate::protocol::{Deadline, Protocol};

use self::mutant::Mutant;
use self::state::{Action, State};

/// By how much two clocks may disagree over a window, in ticks: the drift and the epsilon of R3.
const DRIFT_TICKS: u8 = 2;

/// The model.
#[derive(Clone, Debug)]
pub struct LeaseModel {
    /// The rule that is broken, if any.
    pub mutant: Mutant,
    /// How much may happen.
    pub bounds: Bounds,
    deadline: Deadline,
}

impl LeaseModel {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == mutant
    }

    /// R3: D(1+drift)+eps.
    fn wait_ticks(&self) -> u8 {
        self.bounds.lease_ticks + DRIFT_TICKS
    }
}

impl Protocol for LeaseModel {
    type Mutant = Mutant;

    const USES: &'static [&'static str] = &[
        "writes",
        "epochs",
        "changes",
        "crashes",
        "messages",
        "in-sync",
        "lease-ticks",
        "confirmed-reads",
        "keeps-log",
        "heartbeats",
        "clocks",
    ];

    fn new(mutant: Mutant, bounds: Bounds) -> Self {
        LeaseModel { mutant, bounds, deadline: Deadline::default() }
    }

    fn deadline(&mut self) -> &mut Deadline {
        &mut self.deadline
    }

    fn bounds_for(mutant: Mutant) -> Bounds {
        let smallest = Bounds { messages: 1, ..Bounds::SMALLEST };
        let removal = Bounds { changes: 1, ..smallest };
        // Where no clock need run for the mutant to be seen, none does.
        let still = Bounds { clocks: false, ..smallest };
        match mutant {
            Mutant::None | Mutant::CheckReused | Mutant::ReceiveTime => removal,
            Mutant::HandoverWithoutYielding => removal,
            Mutant::JoinRound => Bounds { confirmed_reads: true, ..removal },
            Mutant::DirtyRead | Mutant::CheckThenRead => still,
            Mutant::NoBarrier => Bounds { heartbeats: true, ..still },
            Mutant::EpochNotPinned => Bounds { epochs: 3, changes: 2, ..still },
            Mutant::LeaseFromSome => Bounds { in_sync: 3, changes: 1, ..still },
            Mutant::AdditionNotLeased | Mutant::LearnerNotStamped | Mutant::ResetWithoutWaiting => {
                Bounds { changes: 2, in_sync: 1, ..still }
            }
            Mutant::RemovalNotLeased => Bounds { changes: 2, ..still },
            Mutant::RoundThenValue => Bounds { confirmed_reads: true, changes: 1, ..still },
            Mutant::RestartWithoutWaiting | Mutant::LeaseOutlivesIncarnation => {
                Bounds { crashes: 1, keeps_log: true, changes: 1, ..still }
            }
            Mutant::ForgetAddition
            | Mutant::RemovalWithoutWaiting
            | Mutant::PairLease
            | Mutant::HandoverUnguarded
            | Mutant::HandoverResumes
            | Mutant::ValueBeforeBarrier
            | Mutant::LastCommittedValue
            | Mutant::CheckFirstInEpoch => Bounds { changes: 1, ..still },
        }
    }

    fn is_harmless(mutant: Mutant) -> bool {
        matches!(
            mutant,
            Mutant::HandoverWithoutYielding
                | Mutant::LastCommittedValue
                | Mutant::CheckFirstInEpoch
                | Mutant::RoundThenValue
                | Mutant::LeaseOutlivesIncarnation
        )
    }
}

impl Model for LeaseModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(&self.bounds)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !state.lost && !state.stale && !self.deadline.has_passed() {
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
