//! Writes all keys before reads are measured: in batches, several at a time, behind a progress bar.

use futures::{TryStreamExt, stream};
use indicatif::ProgressBar;
use isogrid_client::Grid;

use crate::exit::Failure;
use crate::progress;

use super::keys::key;
use super::load::bench_map;
use super::plan::Plan;

/// How many keys one batch writes.
const BATCH_KEYS: u64 = 256;

/// How many batches a thread has under way.
const BATCHES_IN_FLIGHT: usize = 4;

/// How much is filled, over all threads.
#[derive(Clone, Debug)]
pub(super) struct Filled(ProgressBar);

impl Filled {
    /// A bar for so many keys.
    pub(super) fn new(keys: u64) -> Self {
        Filled(progress::bar("filling", Some(keys)))
    }

    /// Takes the bar away.
    pub(super) fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// Writes a thread's share of the keys.
pub(super) async fn fill(
    plan: &Plan,
    grid: &Grid,
    filled: &Filled,
    thread: usize,
) -> Result<(), Failure> {
    let (first, count) = plan.keys_of(thread);
    let map = bench_map(grid, &plan.map);
    // Batches are bounded in bytes as well, so that large values do not make huge frames.
    let fitting = (FILL_BYTES_MAX / plan.value.len().max(1) as u64).clamp(1, BATCH_KEYS);
    let batches = (0..count.div_ceil(fitting)).map(|batch| {
        let begin = first + batch * fitting;
        begin..(begin + fitting).min(first + count)
    });
    stream::iter(batches.map(Ok))
        .try_for_each_concurrent(BATCHES_IN_FLIGHT, |numbers| {
            let map = map.clone();
            async move {
                let written = numbers.end - numbers.start;
                let entries = numbers.map(|number| (key(number), plan.value.clone()));
                let mut put = map.put_many(entries);
                if let Some(ttl) = plan.ttl {
                    put = put.ttl(ttl);
                }
                put.await?.all()?;
                filled.0.inc(written);
                Ok(())
            }
        })
        .await
}

/// How many bytes of values one batch writes.
const FILL_BYTES_MAX: u64 = 1 << 20;
