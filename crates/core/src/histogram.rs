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
pub struct Histogram {
    /// One for each bound, and one for what is beyond all of them.
    counts: [AtomicU64; LADDER.len() + 1],
    micros: AtomicU64,
}

/// One number for each bound, and one for what is beyond all of them.
pub type Buckets = [u64; LADDER.len() + 1];

/// Below which time the given share of all that was counted lies, in seconds, as far as the ladder says: between two bounds
/// all are taken for evenly spread. `None` where nothing was counted.
pub fn quantile(buckets: &Buckets, share: f64) -> Option<f64> {
    let total: u64 = buckets.iter().sum();
    let wanted = share * total as f64;
    let mut below = 0.0;
    let mut lower = 0.0;
    for (count, (bound, _)) in buckets.iter().zip(LADDER) {
        let (count, upper) = (*count as f64, bound as f64 / 1e6);
        if count > 0.0 && below + count >= wanted {
            return Some(lower + (upper - lower) * (wanted - below) / count);
        }
        below += count;
        lower = upper;
    }
    (total > 0).then_some(lower)
}

/// What a histogram has at one moment.
pub struct Counted {
    /// The bounds, in seconds, and how often something took as long and longer than the bound before.
    pub buckets: Vec<(&'static str, u64)>,
    /// How often in all.
    pub count: u64,
    /// How long all took.
    pub seconds: f64,
}

impl Histogram {
    /// Something took so long.
    pub fn record(&self, time: Duration) {
        self.record_many(time, 1);
    }

    /// So many things took so long, each of them.
    pub fn record_many(&self, time: Duration, times: u64) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let place = LADDER.partition_point(|(bound, _)| *bound < micros);
        self.counts[place].fetch_add(times, Ordering::Relaxed);
        self.micros.fetch_add(micros.saturating_mul(times), Ordering::Relaxed);
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.buckets().iter().all(|count| *count == 0)
    }

    /// All that several have.
    pub fn sum<'a>(all: impl IntoIterator<Item = &'a Histogram>) -> Histogram {
        let sum = Histogram::default();
        for one in all {
            for (sum, count) in sum.counts.iter().zip(&one.counts) {
                sum.fetch_add(count.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            sum.micros.fetch_add(one.micros.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        sum
    }

    /// The counts of its buckets, in the order of the bounds, and what is beyond.
    pub fn buckets(&self) -> Buckets {
        self.counts.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// What it has now. The count is that of its buckets, whoever counts meanwhile.
    pub fn counted(&self) -> Counted {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let bounds = LADDER.iter().map(|(_, bound)| *bound);
        Counted {
            buckets: bounds.zip(counts).collect(),
            count: counts.iter().sum(),
            seconds: self.micros.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_the_bounds_of_its_bucket() {
        let histogram = Histogram::default();
        assert_eq!(quantile(&histogram.buckets(), 0.99), None, "nothing was counted");
        histogram.record_many(Duration::from_micros(30), 90);
        histogram.record_many(Duration::from_micros(800), 10);
        let quantile = |share| quantile(&histogram.buckets(), share).expect("something is there");
        assert!(quantile(0.5) < 0.000_05);
        assert!(quantile(0.99) > 0.000_5 && quantile(0.99) < 0.001, "{}", quantile(0.99));
        histogram.record_many(Duration::from_secs(60), 1_000);
        assert!((quantile(0.99) - 10.0).abs() < 1e-9, "no more is known than the last bound");
    }

    #[test]
    fn histograms_add_up() {
        let (one, other) = (Histogram::default(), Histogram::default());
        one.record(Duration::from_micros(30));
        other.record_many(Duration::from_micros(40), 2);
        let sum = Histogram::sum([&one, &other]).counted();
        assert_eq!((sum.count, sum.buckets[0].1), (3, 3));
        assert!((sum.seconds - 0.000_11).abs() < 1e-12);
    }
}
