//! What a change of the cluster cost.

use super::traffic::Traffic;

/// What happens to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The node of this number dies and does not come back.
    Die(usize),
    /// One more node joins.
    Join,
    /// The node of this number is to leave.
    Leave(usize),
}

/// The load of the fullest node over the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evenness {
    /// Of partitions that a node leads.
    pub primaries: f64,
    /// Of copies in sync.
    pub copies: f64,
}

/// What an event cost. All times are milliseconds of virtual time since the event.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleReport {
    /// What happened.
    pub event: Event,
    /// Every partition has a primary that is up.
    pub writable_ms: u64,
    /// Every node that is up knows so.
    pub known_ms: u64,
    /// Every partition has all its copies.
    pub whole_ms: u64,
    /// Every partition is where placement wants it.
    pub settled_ms: u64,
    /// Copies begun.
    pub moves: u64,
    /// Copies without which the desired table cannot be reached from the table before.
    pub moves_needed: u64,
    /// Copies that any placement has to make: what the node held, or the share of the new one.
    pub moves_ideal: u64,
    /// Bytes copied.
    pub bytes_copied: u64,
    /// The most copies that any node took part in at once.
    pub streams_max: usize,
    /// The fewest whole copies that any partition had.
    pub copies_min: usize,
    /// Versions of the table.
    pub versions: u64,
    /// Entries that changed in the table's first version after the event, and the bytes of its command and its delta: of
    /// the fencing, for a death.
    pub first: FirstChange,
    /// What was sent until the cluster had settled.
    pub traffic: Traffic,
    /// Before the event.
    pub before: Evenness,
    /// After it.
    pub after: Evenness,
}

/// The first change of the table after an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstChange {
    /// How many entries changed.
    pub entries: usize,
    /// Bytes of the command.
    pub command_bytes: usize,
    /// Bytes of the delta.
    pub delta_bytes: usize,
}

/// How one change of the table came to all nodes by gossip. All times are milliseconds of virtual time since its commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpreadReport {
    /// Bytes of the command.
    pub command_bytes: usize,
    /// Bytes of the delta.
    pub delta_bytes: usize,
    /// Half of the nodes know.
    pub half_ms: u64,
    /// All but one in a hundred know.
    pub most_ms: u64,
    /// All know.
    pub all_ms: u64,
    /// What was sent meanwhile.
    pub traffic: Traffic,
}
