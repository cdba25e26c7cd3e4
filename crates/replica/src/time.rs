//! Time as a replica is told it: it has no clock of its own.

use isogrid_core::Timestamp;

/// A reading of a node's monotonic clock in microseconds. It never goes back, counts suspend, and means nothing on
/// another node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub u64);

impl Ticks {
    /// This moment plus some milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Ticks {
        Ticks(self.0.saturating_add(ms.saturating_mul(1_000)))
    }

    /// Whole milliseconds from `earlier` to this moment, or zero when it lies behind.
    pub fn ms_since(self, earlier: Ticks) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000
    }
}

/// What time it is, by both of a node's clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For durations on this node: leases, lag, back-off.
    pub ticks: Ticks,
    /// For expiry and the hybrid clock. It may jump.
    pub wall: Timestamp,
}
