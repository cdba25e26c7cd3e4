//! The steward: run by the council's leader, it closes the gap between the table as it is and as it should be, a few
//! rate-limited steps at a time. It sees the council and [`Evidence`], and answers with [`Orders`]: commands for the
//! council, and directives for primaries, who alone may shrink, extend or hand over what they lead.
//!
//! ```text
//!   evidence ──> fencing ───────────────> NodeDown
//!   council  ──> recovery ──────────────> Assign, Promote, PromoteSuspect, Reset
//!            ──> desired table ──> moves ─> AddLearner, DropLearner; hand over, retire, vouch
//!            ──> sessions ──────────────> EndSessions
//! ```
//!
//! All it remembers are timers, and who was fenced or came back lately. A new leader's steward starts with none: what it
//! must wait for it waits for again, and what it counted it does not know any more.

mod budget;
mod can_stop;
mod desired;
mod evidence;
mod fencing;
mod moves;
mod orders;
mod outlook;
mod plan;
mod recovery;
mod sessions;
mod settings;
mod stability;

#[cfg(test)]
mod can_stop_test;
#[cfg(test)]
mod fencing_test;
#[cfg(test)]
mod loop_test;
#[cfg(test)]
mod recovery_test;
#[cfg(test)]
mod stability_test;
#[cfg(test)]
mod world;

pub use can_stop::{BlockedBy, Blocker, CanStop, Proof, can_stop};
pub use evidence::{Evidence, Follower, PartitionReport, Stream};
pub use orders::{Directive, Orders};
pub use outlook::{Outlook, Planned, outlook};
pub use settings::StewardSettings;

use crate::council::{Council, Intent};
use crate::id::Millis;
use budget::Budgets;
use desired::Desired;
use fencing::Fencing;
use moves::Asked;
use recovery::Recovery;
use sessions::SessionWatch;
use stability::Stability;

/// The steward's timers.
#[derive(Clone, Debug)]
pub struct Steward {
    settings: StewardSettings,
    /// When this steward took over.
    since: Millis,
    stability: Stability,
    fencing: Fencing,
    recovery: Recovery,
    desired: Desired,
    budgets: Budgets,
    asked: Asked,
    sessions: SessionWatch,
}

impl Steward {
    /// The steward of a leader that takes over now.
    pub fn new(now: Millis) -> Self {
        Self::with_settings(now, StewardSettings::default())
    }

    /// The steward of a leader that takes over now, with other settings than the usual ones.
    pub fn with_settings(now: Millis, settings: StewardSettings) -> Self {
        Steward {
            settings,
            since: now,
            stability: Stability::default(),
            fencing: Fencing::default(),
            recovery: Recovery::default(),
            desired: Desired::default(),
            budgets: Budgets::default(),
            asked: Asked::default(),
            sessions: SessionWatch::default(),
        }
    }

    /// Its settings.
    pub fn settings(&self) -> &StewardSettings {
        &self.settings
    }

    /// The next steps. To be called about every 100 ms and after each change of the council. Every command is a proposal:
    /// the council may refuse it, and it is made again when it was lost.
    pub fn step(&mut self, now: Millis, council: &Council, evidence: &Evidence) -> Orders {
        let mut orders = Orders::default();
        if council.cluster().is_none() {
            return orders;
        }
        self.stability.look(now, council, &self.settings);
        self.end_sessions(now, council, evidence, &mut orders);
        if everybody_stops(council) {
            return orders;
        }
        self.fence(now, council, evidence, &mut orders);
        self.recover(now, council, evidence, &mut orders);
        self.move_copies(now, council, evidence, &mut orders);
        orders
    }
}

/// Whether the whole cluster is being stopped: then nothing is fenced and nothing moves.
fn everybody_stops(council: &Council) -> bool {
    let mut serving = council.nodes().values().filter(|record| record.is_serving()).peekable();
    serving.peek().is_some() && serving.all(|record| record.intent == Intent::Stop)
}
