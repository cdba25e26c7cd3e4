//! [`Histogram`]: how often something took how long. All histograms have the same ladder, so that they can be added up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The bounds of the ladder, in microseconds, each with its text in seconds.
const LADDER: [(u64, &str); 17] = [
    (50, "0.00005"),
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// Counts of times; anybody may count.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// One for each bound, and one for what is beyond all of them.
    counts: [AtomicU64; LADDER.len() + 1],
    micros: AtomicU64,
}

/// What a histogram has at one moment.
pub(super) struct Counted {
    /// The bounds, in seconds, and how often something took as long and longer than the bound before.
    pub(super) buckets: Vec<(&'static str, u64)>,
    /// How often in all.
    pub(super) count: u64,
    pub(super) seconds: f64,
}

impl Histogram {
    /// Something took so long.
    pub(crate) fn record(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let place = LADDER.partition_point(|(bound, _)| *bound < micros);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What it has now. The count is that of its buckets, whoever counts meanwhile.
    pub(super) fn counted(&self) -> Counted {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let bounds = LADDER.iter().map(|(_, bound)| *bound);
        Counted {
            buckets: bounds.zip(counts).collect(),
            count: counts.iter().sum(),
            seconds: self.micros.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}
