//! What was sent, and who measures how long the work took.

use std::ops::Sub;

/// What was sent. Heartbeats are not in it: they are counted apart, for they are the same all the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Exchanges of gossip: three messages each.
    pub exchanges: u64,
    /// Deltas of the table that nodes asked each other for: two messages each.
    pub pulls: u64,
    /// Bytes of those deltas.
    pub pull_bytes: u64,
    /// The largest of them.
    pub pull_bytes_max: u64,
    /// Commands of the council.
    pub commands: u64,
    /// Bytes of those commands, each counted once.
    pub command_bytes: u64,
    /// The largest of them.
    pub command_bytes_max: u64,
    /// Proposals of primaries: a message and its answer each.
    pub proposals: u64,
    /// Of the changes in all commands, those that were refused.
    pub refused: u64,
    /// Directives of the steward.
    pub directives: u64,
}

impl Sub for Traffic {
    type Output = Traffic;

    /// What was sent since `earlier`; the largest ones stay those of the whole run.
    fn sub(self, earlier: Traffic) -> Traffic {
        Traffic {
            exchanges: self.exchanges - earlier.exchanges,
            pulls: self.pulls - earlier.pulls,
            pull_bytes: self.pull_bytes - earlier.pull_bytes,
            pull_bytes_max: self.pull_bytes_max,
            commands: self.commands - earlier.commands,
            command_bytes: self.command_bytes - earlier.command_bytes,
            command_bytes_max: self.command_bytes_max,
            proposals: self.proposals - earlier.proposals,
            refused: self.refused - earlier.refused,
            directives: self.directives - earlier.directives,
        }
    }
}

/// A kind of work whose time is worth knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// A step of the steward that ordered nothing.
    IdleStep,
    /// A step of the steward that ordered something.
    BusyStep,
    /// A command of the council.
    Command,
    /// `Table::delta_since` at the node that is asked.
    DeltaSince,
    /// `Table::apply` at the node that asked.
    ApplyDelta,
    /// `reconcile` at one node.
    Reconcile,
}

/// Whoever measures the work. The simulation itself has no clock.
pub trait Watch {
    /// Some work begins.
    fn begin(&mut self);
    /// It has ended.
    fn end(&mut self, work: Work);
}

/// Measures nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatch;

impl Watch for NoWatch {
    fn begin(&mut self) {}

    fn end(&mut self, _work: Work) {}
}
