//! How long partitions cannot be written to.

use std::time::{Duration, Instant};

use isogrid_client::Grid;
use isogrid_core::PartitionCount;
use tokio::task::JoinSet;

/// When a probe gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// One key per partition.
pub(crate) fn keys(partitions: u16) -> Vec<String> {
    let count = PartitionCount::new(partitions).expect("a power of two");
    let mut keys = vec![None; usize::from(partitions)];
    let mut missing = keys.len();
    for number in 0u32.. {
        if missing == 0 {
            break;
        }
        let key = format!("p{number}");
        let place = &mut keys[usize::from(count.partition_of_key(key.as_bytes()).0)];
        if place.is_none() {
            *place = Some(key);
            missing -= 1;
        }
    }
    keys.into_iter().flatten().collect()
}

/// From a moment on until a write to each partition that began then was acknowledged; `None` for one that failed.
pub(crate) async fn writable(
    grid: &Grid,
    partitions: u16,
    since: Instant,
) -> Vec<Option<Duration>> {
    let map = grid.map::<String, u64>("probes");
    let mut probes = JoinSet::new();
    for key in keys(partitions) {
        let map = map.clone();
        probes.spawn(async move {
            let put = map.put(key.as_str(), &1).timeout(PATIENCE).await;
            if let Err(error) = &put {
                crate::say(&format!("probe {key}: {error:?}"));
            }
            put.ok().map(|_| since.elapsed())
        });
    }
    probes.join_all().await
}

/// Figures of many measurements.
#[derive(Default)]
pub(crate) struct Figures {
    all: Vec<Duration>,
    /// The slowest of each fault.
    worst: Vec<Duration>,
    failed: usize,
}

impl Figures {
    /// Adds one fault; gives the slowest partition's time.
    pub(crate) fn add(&mut self, times: Vec<Option<Duration>>) -> Duration {
        self.failed += times.iter().filter(|time| time.is_none()).count();
        let times: Vec<Duration> = times.into_iter().flatten().collect();
        let worst = times.iter().copied().max().unwrap_or(PATIENCE);
        self.all.extend(times);
        self.worst.push(worst);
        worst
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// The p99 over the slowest partition of each fault.
    pub(crate) fn p99(&self) -> Duration {
        share(&self.worst, 0.99)
    }
}

fn share(times: &[Duration], share: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let index = (times.len() as f64 * share).ceil() as usize;
    times.get(index.saturating_sub(1)).copied().unwrap_or_default()
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "slowest partition of each of {} faults: p50 {:?} p99 {:?} max {:?}; all partitions: p50 {:?} p99 {:?}; {} failed",
            self.worst.len(),
            share(&self.worst, 0.5),
            share(&self.worst, 0.99),
            share(&self.worst, 1.0),
            share(&self.all, 0.5),
            share(&self.all, 0.99),
            self.failed
        )
    }
}
