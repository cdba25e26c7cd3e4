//! Many seeds on a few threads. Each seed runs on one thread from its beginning to its end, so that the number of threads
//! changes nothing but the time it takes; and the check that a seed, run twice, does the same twice.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

pub use isogrid_cluster::council::LossPolicy;

use crate::grid::{Options, Storage, World};
use crate::invariant::Violation;
use crate::schedule::Schedule;
use crate::summary::Summary;
use crate::trace::Keep;

/// What one run of a seed gives.
#[derive(Clone, Debug, Default)]
pub struct SeedRun {
    /// What it was worth.
    pub summary: Summary,
    /// The hash of all its events.
    pub trace_hash: u64,
    /// The lines that were kept.
    pub trace: String,
}

/// What a seed is about to do to a simulated grid: what the options left open, drawn.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many copies of each partition.
    pub copies: u8,
    /// What survives on the nodes.
    pub storage: Storage,
    /// What happens when nobody who holds a partition comes back.
    pub loss_policy: LossPolicy,
    /// Which faults happen when.
    pub schedule: Schedule,
}

/// The plan of a seed. Running the seed again with this schedule as the options' own does the same.
pub fn plan_of(seed: u64, options: &Options) -> Plan {
    let World { drawn, schedule, .. } = World::new(seed, options);
    let (copies, storage, loss_policy) = (drawn.copies, drawn.storage, drawn.loss_policy);
    Plan { copies, storage, loss_policy, schedule }
}

/// Which seeds, and how.
#[derive(Clone, Copy, Debug)]
pub struct RunSettings {
    /// The first seed; the others follow it.
    pub first_seed: u64,
    /// How many.
    pub seeds: u64,
    /// On how many threads.
    pub threads: usize,
    /// After so many failed seeds no new one is begun.
    pub failures_max: u64,
}

/// How far a run of many seeds is: given after each.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The seed that has just ended.
    pub seed: u64,
    /// Its summary.
    pub summary: &'a Summary,
    /// How many have ended.
    pub done: u64,
    /// How many there are.
    pub total: u64,
    /// How many failed.
    pub failed: u64,
}

/// Runs many seeds and merges their summaries in the order of the seeds. A seed that panics is a violation like any other:
/// the assertions of the code are invariants too. `progress` is called on the calling thread.
pub fn run_seeds(
    settings: &RunSettings,
    run: &(dyn Fn(u64) -> SeedRun + Sync),
    progress: &mut dyn FnMut(Progress<'_>),
) -> Summary {
    let next = AtomicU64::new(0);
    let is_enough = AtomicBool::new(false);
    let threads = settings.threads.max(1);
    let (sender, receiver) = sync_channel(threads * 2);
    thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (next, is_enough) = (&next, &is_enough);
            scope.spawn(move || work(settings, run, next, is_enough, &sender));
        }
        drop(sender);
        let mut merged = InOrder { next: settings.first_seed, ..InOrder::default() };
        let (mut done, mut failed) = (0, 0);
        while let Ok((seed, summary)) = receiver.recv() {
            done += 1;
            failed += u64::from(!summary.is_good());
            if failed >= settings.failures_max {
                is_enough.store(true, Ordering::Relaxed);
            }
            let total = settings.seeds;
            progress(Progress { seed, summary: &summary, done, total, failed });
            merged.add(seed, summary);
        }
        merged.finish()
    })
}

fn work(
    settings: &RunSettings,
    run: &(dyn Fn(u64) -> SeedRun + Sync),
    next: &AtomicU64,
    is_enough: &AtomicBool,
    results: &SyncSender<(u64, Summary)>,
) {
    while !is_enough.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= settings.seeds {
            break;
        }
        let seed = settings.first_seed + number;
        let summary = run_one(seed, run).summary;
        if results.send((seed, summary)).is_err() {
            break;
        }
    }
}

/// Runs one seed; a panic becomes a violation.
pub fn run_one(seed: u64, run: &dyn Fn(u64) -> SeedRun) -> SeedRun {
    catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|panic| {
        let mut summary = Summary { seeds: 1, ..Summary::default() };
        summary.add_violations(seed, [Violation::new("panic", message_of(panic.as_ref()))]);
        SeedRun { summary, ..SeedRun::default() }
    })
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Merges summaries in the order of their seeds, whichever comes first.
#[derive(Default)]
struct InOrder {
    next: u64,
    merged: Summary,
    waiting: BTreeMap<u64, Summary>,
}

impl InOrder {
    fn add(&mut self, seed: u64, summary: Summary) {
        self.waiting.insert(seed, summary);
        while let Some(summary) = self.waiting.remove(&self.next) {
            self.merged.add(&summary);
            self.next += 1;
        }
    }

    fn finish(mut self) -> Summary {
        for summary in self.waiting.values() {
            self.merged.add(summary);
        }
        self.merged
    }
}

/// A seed that did something else the second time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayDiffers {
    /// The seed.
    pub seed: u64,
    /// The first line that differs, as each run has it. `None` when the lines are the same and only what the hash covers
    /// beyond them differs.
    pub first_difference: Option<(String, String)>,
}

impl fmt::Display for ReplayDiffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} does not replay", self.seed)?;
        match &self.first_difference {
            Some((first, second)) => write!(f, "\n  first  {first}\n  second {second}"),
            None => f.write_str(": the same lines, but another hash"),
        }
    }
}

impl std::error::Error for ReplayDiffers {}

/// Runs a seed twice and compares the hashes of everything that happened. When they differ, it runs twice more to find the
/// first line that does.
pub fn check_replay(seed: u64, run: &dyn Fn(u64, Keep) -> SeedRun) -> Result<u64, ReplayDiffers> {
    let first = run(seed, Keep::Nothing);
    // The second keeps its lines: what is kept must not matter.
    let second = run(seed, Keep::Everything);
    if first.trace_hash == second.trace_hash && first.summary == second.summary {
        return Ok(first.trace_hash);
    }
    let third = run(seed, Keep::Everything);
    Err(ReplayDiffers { seed, first_difference: first_difference(&second.trace, &third.trace) })
}

fn first_difference(first: &str, second: &str) -> Option<(String, String)> {
    let (mut first, mut second) = (first.lines(), second.lines());
    loop {
        match (first.next(), second.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => {
                let text = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                return Some((text(one), text(other)));
            }
        }
    }
}

#[cfg(test)]
#[path = "runner_test.rs"]
mod tests;
