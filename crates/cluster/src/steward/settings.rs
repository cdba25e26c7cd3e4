//! How patient the steward is, and how much it moves at once.

/// How patient the steward is, and how much it moves at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StewardSettings {
    /// How many other nodes must consider a node dead; all others where there are fewer.
    pub reporters_min: usize,
    /// How long they must have.
    pub suspicion_ms: u64,
    /// How recent word of a node must be to speak against its death.
    pub contact_ms: u64,
    /// The span in which at most a third of the nodes, rounded up, are fenced.
    pub fence_span_ms: u64,
    /// How long a node that came back must be up before it takes copies.
    pub stable_ms: u64,
    /// What is added to that after the first return; doubles with every further one.
    pub back_off_ms: u64,
    /// The most that grows to.
    pub back_off_ms_max: u64,
    /// After how long without a return a node's returns are forgotten.
    pub flapping_forgotten_ms: u64,
    /// How long new nodes are waited for before copies move, so that nodes that start together are placed together.
    pub settle_ms: u64,
    /// How long a node must be down, or come back without ever being ready, before its copies are made elsewhere.
    pub replace_ms: u64,
    /// The same for a node that was stopped for a restart.
    pub replace_restarting_ms: u64,
    /// How long the members of a partition are waited for before a loss is declared, where the policy allows it.
    pub recovery_wait_ms: u64,
    /// How long a lease to read lasts: `D` of the protocol.
    pub lease_ms: u64,
    /// How much faster one clock may run than another, in thousandths.
    pub drift_permille: u64,
    /// What is added to a lease before it counts as lapsed: `eps` of the protocol.
    pub epsilon_ms: u64,
    /// The most copies under way per node, to it and from it.
    pub streams_max: usize,
    /// The most bytes per second and node that copies may take, on average.
    pub copy_bytes_per_second: u64,
    /// A copy without progress for this long is given up, and tried again later.
    pub stalled_ms: u64,
    /// After how long without effect an order is given again.
    pub repeat_ms: u64,
    /// The most handovers asked of one node in one step.
    pub handovers_max: usize,
    /// How long a session lives without a heartbeat.
    pub session_ms: u64,
    /// The most changes in one command.
    pub changes_max: usize,
}

impl Default for StewardSettings {
    fn default() -> Self {
        StewardSettings {
            reporters_min: 2,
            suspicion_ms: 100,
            contact_ms: 500,
            fence_span_ms: 10_000,
            stable_ms: 5_000,
            back_off_ms: 1_000,
            back_off_ms_max: 60_000,
            flapping_forgotten_ms: 600_000,
            settle_ms: 1_000,
            replace_ms: 30_000,
            replace_restarting_ms: 600_000,
            recovery_wait_ms: 60_000,
            lease_ms: 1_000,
            drift_permille: 10,
            epsilon_ms: 50,
            streams_max: 2,
            copy_bytes_per_second: 256 << 20,
            stalled_ms: 60_000,
            repeat_ms: 1_000,
            handovers_max: 64,
            session_ms: 60_000,
            changes_max: 1_024,
        }
    }
}

impl StewardSettings {
    /// How long after an answer of the council a node may still read under the lease that it gave.
    pub fn lease_wait_ms(&self) -> u64 {
        self.lease_ms + self.lease_ms * self.drift_permille / 1_000 + self.epsilon_ms
    }
}
