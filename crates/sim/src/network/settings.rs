//! How a link behaves when nobody disturbs it, and what the network counts.

use std::time::Duration;

use serde::Serialize;

use crate::random::Rate;

/// How one direction of a link behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// No message is faster.
    pub latency_least: Duration,
    /// What comes on top, on average: mostly less, now and then much more.
    pub latency_mean_extra: Duration,
    /// No message is slower, unless the link is full, reordering or disturbed.
    pub latency_most: Duration,
    /// How many messages are lost.
    pub loss: Rate,
    /// How many arrive twice.
    pub duplicate: Rate,
    /// How many may be overtaken. All others arrive in the order of sending.
    pub reorder: Rate,
    /// How much later the overtaken and the doubled arrive, on average.
    pub reorder_by: Duration,
    /// How much the link carries.
    pub bytes_per_second: u64,
}

impl Default for LinkSettings {
    /// A quiet data centre: 100 µs and a bit, nothing lost, 1 GB/s.
    fn default() -> Self {
        LinkSettings {
            latency_least: Duration::from_micros(100),
            latency_mean_extra: Duration::from_micros(50),
            latency_most: Duration::from_millis(5),
            loss: Rate::NEVER,
            duplicate: Rate::NEVER,
            reorder: Rate::NEVER,
            reorder_by: Duration::from_millis(5),
            bytes_per_second: 1_000_000_000,
        }
    }
}

/// What the network did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkCounts {
    /// Messages handed in.
    pub sent: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that got through, duplicates included.
    pub delivered: u64,
    /// Messages lost by chance, or dropped with the process they were held for.
    pub lost: u64,
    /// Messages lost to a cut.
    pub cut: u64,
    /// Messages that arrived twice.
    pub duplicated: u64,
    /// Messages that may have been overtaken.
    pub reordered: u64,
    /// Messages that a clogged link held back.
    pub held: u64,
}

impl NetworkCounts {
    /// Adds what another network did.
    pub fn add(&mut self, other: &NetworkCounts) {
        self.sent += other.sent;
        self.bytes += other.bytes;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.cut += other.cut;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.held += other.held;
    }
}
