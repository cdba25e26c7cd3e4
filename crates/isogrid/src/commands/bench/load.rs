//! One call: a get, a put, or a batch of them.

use std::sync::Arc;

use bytes::Bytes;
use isogrid_client::{Error, Grid, Map, Raw};

use super::keys::{Key, Random, key};
use super::plan::Plan;
use super::tally::CallOutcome;

/// The map that is measured: bytes as they are.
pub(super) type BenchMap = Map<Bytes, Bytes, Raw>;

/// The map of this name.
pub(super) fn bench_map(grid: &Grid, name: &str) -> BenchMap {
    grid.raw_map(name)
}

/// A seed of its own for each caller of each thread.
pub(super) fn seed(thread: usize, caller: usize) -> u64 {
    ((thread as u64) << 32) | caller as u64
}

/// What one caller needs: it makes calls one after the other.
pub(super) struct Load {
    plan: Arc<Plan>,
    map: BenchMap,
    random: Random,
}

impl Load {
    pub(super) fn new(plan: Arc<Plan>, grid: &Grid, seed: u64) -> Self {
        let map = bench_map(grid, &plan.map);
        Self { plan, map, random: Random::new(seed) }
    }

    /// Makes one call with random keys.
    pub(super) async fn call(&mut self) -> CallOutcome {
        let reads = self.random.below(100) < self.plan.reads_percent;
        match (self.plan.batch, reads) {
            (1, true) => self.get().await,
            (1, false) => self.put().await,
            (_, true) => self.get_batch().await,
            (_, false) => self.put_batch().await,
        }
    }

    fn key(&mut self) -> Key {
        key(self.random.below(self.plan.keys))
    }

    fn keys(&mut self) -> Vec<Key> {
        (0..self.plan.batch).map(|_| self.key()).collect()
    }

    async fn get(&mut self) -> CallOutcome {
        let key = self.key();
        match self.map.get(&key).await {
            Ok(value) => {
                CallOutcome { succeeded: 1, misses: u64::from(value.is_none()), failed: None }
            }
            Err(error) => all_failed(&error, 1),
        }
    }

    async fn put(&mut self) -> CallOutcome {
        let key = self.key();
        let put = self.map.put(&key, &self.plan.value);
        let stored = match self.plan.ttl {
            Some(ttl) => put.ttl(ttl).await,
            None => put.await,
        };
        match stored {
            Ok(_) => CallOutcome { succeeded: 1, ..CallOutcome::default() },
            Err(error) => all_failed(&error, 1),
        }
    }

    async fn get_batch(&mut self) -> CallOutcome {
        let keys = self.keys();
        let entries = match self.map.get_many(&keys).await {
            Ok(entries) => entries,
            Err(error) => return all_failed(&error, keys.len() as u64),
        };
        let mut outcome = CallOutcome::default();
        for (_, entry) in entries {
            match entry {
                Ok(value) => {
                    outcome.succeeded += 1;
                    outcome.misses += u64::from(value.is_none());
                }
                Err(error) => outcome.failed = one_more(outcome.failed, &error),
            }
        }
        outcome
    }

    async fn put_batch(&mut self) -> CallOutcome {
        let keys = self.keys();
        let value = &self.plan.value;
        let mut put = self.map.put_many(keys.iter().map(|key| (key, value)));
        if let Some(ttl) = self.plan.ttl {
            put = put.ttl(ttl);
        }
        match put.await {
            Ok(report) => {
                let failed =
                    report.failed.iter().fold(None, |sum, (_, error)| one_more(sum, error));
                CallOutcome { succeeded: report.ok as u64, misses: 0, failed }
            }
            Err(error) => all_failed(&error, keys.len() as u64),
        }
    }
}

fn all_failed(error: &Error, operations: u64) -> CallOutcome {
    CallOutcome { failed: Some((error.code(), operations)), ..CallOutcome::default() }
}

/// Counts one more failure, under the code of the first.
fn one_more(
    failed: Option<(isogrid_core::ErrorCode, u64)>,
    error: &Error,
) -> Option<(isogrid_core::ErrorCode, u64)> {
    let (code, operations) = failed.unwrap_or((error.code(), 0));
    Some((code, operations + 1))
}
