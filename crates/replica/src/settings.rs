//! What an operator can set for replication, and the switches with which tests prove that each rule is needed.

use isogrid_core::{Durability, MapId};

use crate::log::WindowLimits;

/// When a write to a map is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// When every in-sync replica holds it.
    #[default]
    InSync,
    /// When the primary holds it. A failover may lose it, and the receipt says so.
    Primary,
}

/// How the writes of one map are replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapMode {
    /// When a write is acknowledged.
    pub acknowledge: Acknowledge,
    /// Writes are refused while fewer replicas than this are in sync.
    pub min_in_sync: u8,
    /// What an acknowledged write survives on replicas that are on disk.
    pub durability: Durability,
}

impl Default for MapMode {
    fn default() -> Self {
        MapMode {
            acknowledge: Acknowledge::InSync,
            min_in_sync: 1,
            durability: Durability::default(),
        }
    }
}

/// What happens to the writes of asynchronous maps while the backups are too far behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenLagging {
    /// They wait until the backups have caught up.
    #[default]
    Backpressure,
    /// The backups that lag are proposed for removal at once.
    Drop,
}

/// The settings of a replica.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster's seed for key hashes.
    pub hash_seed: u64,
    /// How long an acknowledgement is a lease to read: `D` of the rules.
    pub lease_ms: u64,
    /// A primary to which, for so long, neither the council nor some replica in sync has answered refuses what would wait for
    /// them.
    pub cut_off_ms: u64,
    /// How much faster one clock may run than another, in thousandths.
    pub drift_permille: u64,
    /// What is added to a lease before it counts as lapsed: `eps` of the rules.
    pub epsilon_ms: u64,
    /// Whether entries count only once they are on this node's disk.
    pub durable: bool,
    /// Whether nobody but its own members can ever replace an in-sync set: under the loss policy `block`. Under the others
    /// the council may give up all of them, so a primary reads only under a lease from the council too, alone or not.
    pub alone_is_safe: bool,
    /// The bounds of the log in memory.
    pub window: WindowLimits,
    /// The most bytes of entries in one message.
    pub append_bytes_max: usize,
    /// The most bytes sent to a replica and not yet acknowledged.
    pub in_flight_bytes_max: usize,
    /// The most bytes of records in one chunk of a copy.
    pub chunk_bytes_max: usize,
    /// How many bytes of records a learner asks for in a second.
    pub copy_bytes_per_s: u64,
    /// After how long an unanswered message is sent again.
    pub resend_ms: u64,
    /// A follower hears from its primary at least this often, so that it knows how fresh its data are.
    pub refresh_ms: u64,
    /// A backup that is behind, or silent, for this long is proposed for removal.
    pub lag_ms_max: u64,
    /// A backup that was removed is added again only after this long in good health; doubles with every removal.
    pub readd_ms: u64,
    /// The most that back-off grows to.
    pub readd_ms_max: u64,
    /// How long a handover waits for the writes in flight before it gives up.
    pub handover_ms_max: u64,
    /// Digests are compared after this many entries.
    pub digest_every: u64,
    /// Digests of an idle partition are compared this often.
    pub digest_ms: u64,
    /// How far the backups of asynchronous maps may be behind.
    pub async_lag_bytes_max: usize,
    /// What happens when they are further behind.
    pub when_lagging: WhenLagging,
    /// How each map is replicated, by its number.
    pub maps: Vec<MapMode>,
    /// Which rules are kept: all of them, except in tests of the simulator.
    #[doc(hidden)]
    pub rules: Rules,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            hash_seed: 0,
            lease_ms: 1_000,
            cut_off_ms: 1_500,
            drift_permille: 10,
            epsilon_ms: 50,
            durable: false,
            alone_is_safe: true,
            window: WindowLimits::default(),
            append_bytes_max: 256 << 10,
            in_flight_bytes_max: 1 << 20,
            chunk_bytes_max: 256 << 10,
            copy_bytes_per_s: 64 << 20,
            resend_ms: 200,
            refresh_ms: 500,
            lag_ms_max: 1_000,
            readd_ms: 5_000,
            readd_ms_max: 60_000,
            handover_ms_max: 1_000,
            digest_every: 1_024,
            digest_ms: 5_000,
            async_lag_bytes_max: 16 << 20,
            when_lagging: WhenLagging::Backpressure,
            maps: Vec::new(),
            rules: Rules::default(),
        }
    }
}

impl Settings {
    /// How a map is replicated.
    #[inline]
    pub fn mode(&self, map: MapId) -> MapMode {
        self.maps.get(map.0 as usize).copied().unwrap_or_default()
    }

    /// What a committed write to a map of this durability has survived.
    #[inline]
    pub fn reached(&self, wanted: Durability) -> Durability {
        // Whatever the map, an entry that is on disk counts once it is written there.
        if self.durable { wanted.max(Durability::Os) } else { Durability::Memory }
    }

    /// How long after its own last acknowledgement a replica may be sure that nobody reads under a lease it gave.
    pub fn lease_wait_ms(&self) -> u64 {
        self.lease_ms + self.lease_ms * self.drift_permille / 1_000 + self.epsilon_ms
    }
}

/// One switch per rule of the protocol. A rule that is off must make the simulator find a violation: this is how the
/// project knows that the rule is needed and that the simulator can see. Nothing but tests turns one off.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// R1: refuse what comes from an epoch below the promise.
    pub fence: bool,
    /// R3: wait for a backup until its removal is committed.
    pub shrink_before_ack: bool,
    /// R3: propose a removal only when the leases given to an earlier primary have lapsed.
    pub wait_out_leases: bool,
    /// R4: take messages only for this very life of the node.
    pub check_incarnation: bool,
    /// R6: count a proposed learner as required.
    pub count_additions: bool,
    /// R7: match logs by epoch and number, not by number alone.
    pub match_epochs: bool,
    /// R8: count an entry only when it is on disk.
    pub persist_before_count: bool,
    /// R9: answer nothing before the epoch's first entry is committed.
    pub barrier: bool,
    /// R11: let finished requests travel with the log.
    pub dedupe_travels: bool,
    /// R12: step down at the first word of a higher epoch.
    pub step_down_when_stale: bool,
    /// Section 5: read only what is committed.
    pub read_committed: bool,
    /// Section 5: read at the primary only under a lease.
    pub check_lease: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            fence: true,
            shrink_before_ack: true,
            wait_out_leases: true,
            check_incarnation: true,
            count_additions: true,
            match_epochs: true,
            persist_before_count: true,
            barrier: true,
            dedupe_travels: true,
            step_down_when_stale: true,
            read_committed: true,
            check_lease: true,
        }
    }
}
