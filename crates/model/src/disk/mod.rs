//! Recovery from disk: a restart keeps what was persisted, a power loss may take a log's tail, a disk can be lost whole.
//!
//! ```text
//! restart → new incarnation → registers: same storage? → rebound (new epoch if it was primary)   else → removed
//!         → power lost? → rebound as suspect: required, not promoted while a sound member is recorded
//!         → all suspect, all reported → the highest (epoch of the last entry, seq) leads, and the loss is declared
//! ```
//!
//! The log travels in pieces, so log matching (R7) matters. Rules R1, R2, R4, R7, R8, R9 and section 12.

pub mod actions;
pub mod mutant;
pub mod properties;
pub mod recovery;
pub mod state;
mod steps;

use stateright::{Model, Property};

use crate::bounds::Bounds;
use crate::protocol::{Deadline, Protocol};

use self::mutant::Mutant;
use self::state::{Action, State};

/// The model.
#[derive(Clone, Debug)]
pub struct DiskModel {
    /// The rule that is broken, if any.
    pub mutant: Mutant,
    /// How much may happen.
    pub bounds: Bounds,
    deadline: Deadline,
}

impl DiskModel {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == mutant
    }
}

impl Protocol for DiskModel {
    type Mutant = Mutant;

    const USES: &'static [&'static str] = &[
        "writes",
        "epochs",
        "changes",
        "crashes",
        "disk-losses",
        "power-losses",
        "messages",
        "in-sync",
    ];

    fn new(mutant: Mutant, bounds: Bounds) -> Self {
        DiskModel { mutant, bounds, deadline: Deadline::default() }
    }

    fn deadline(&mut self) -> &mut Deadline {
        &mut self.deadline
    }

    fn is_harmless(mutant: Mutant) -> bool {
        mutant == Mutant::AckBeforeBarrier
    }

    fn bounds_for(mutant: Mutant) -> Bounds {
        let smallest = Bounds::SMALLEST;
        match mutant {
            Mutant::None => Bounds { crashes: 2, ..smallest },
            Mutant::TrustSeqOnly | Mutant::TrustContiguous => Bounds { epochs: 3, ..smallest },
            Mutant::AckLength => Bounds { writes: 3, epochs: 3, messages: 1, ..smallest },
            Mutant::AddBeforeBarrier => Bounds { writes: 2, changes: 1, messages: 1, ..smallest },
            Mutant::RebindLost => Bounds { disk_losses: 1, ..smallest },
            Mutant::ExpelRestarted => Bounds { crashes: 1, disk_losses: 1, ..smallest },
            Mutant::AnyDisk => Bounds { crashes: 1, changes: 1, ..smallest },
            Mutant::RebindSuspectAsSound => Bounds { power_losses: 1, ..smallest },
            Mutant::PickAny | Mutant::PickWithoutWaiting | Mutant::AckBeforeBarrier => {
                Bounds { power_losses: 2, ..smallest }
            }
            Mutant::PickByHeardEpoch => Bounds { power_losses: 2, epochs: 3, ..smallest },
            Mutant::SuspectNotRequired => {
                Bounds { power_losses: 2, epochs: 5, messages: 0, ..smallest }
            }
            Mutant::AckUnpersisted
            | Mutant::SelfUnpersisted
            | Mutant::ResumeSameEpoch
            | Mutant::SameIncarnation
            | Mutant::TruncateAfterChunk => Bounds { crashes: 1, ..smallest },
        }
    }
}

impl Model for DiskModel {
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
