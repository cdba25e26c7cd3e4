//! Writers, and the oracle that knows what was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use isogrid_client::{Grid, Map, Outcome};
use parking_lot::Mutex;
use tokio::task::JoinSet;

pub(crate) use crate::setup::PATIENCE;

/// How many writers there are, and how many counters they share.
pub(crate) const WRITERS: usize = 64;
const COUNTERS: usize = 96;
/// How long a writer rests between two operations, unless told otherwise.
const REST_MS: u64 = 20;
/// How many failures are kept word for word.
const FAILURES_MAX: usize = 20;

/// What one counter was told.
#[derive(Default)]
struct Counter {
    /// The highest value that somebody has seen.
    floor: AtomicI64,
    acknowledged: AtomicI64,
    unknown: AtomicI64,
    /// The values that acknowledged increments gave: each may be given once.
    given: Mutex<Vec<i64>>,
}

/// What is known of everything that was written.
#[derive(Default)]
pub(crate) struct Oracle {
    counters: Vec<Counter>,
    /// How many values each writer wrote that were acknowledged; a value says its own name.
    unique: Vec<Mutex<Vec<u32>>>,
    operations: AtomicU64,
    failed: AtomicU64,
    slowest_us: AtomicU64,
    latencies_us: Mutex<Vec<u32>>,
    wrong: Mutex<Vec<String>>,
    failures: Mutex<Vec<String>>,
}

/// What a load has done.
#[derive(Debug)]
pub(crate) struct Outcomes {
    pub(crate) operations: u64,
    pub(crate) failed: u64,
    pub(crate) unique: usize,
    pub(crate) increments: i64,
    pub(crate) unknown: i64,
    pub(crate) failures: Vec<String>,
}

impl Oracle {
    fn new() -> Oracle {
        Oracle {
            counters: (0..COUNTERS).map(|_| Counter::default()).collect(),
            unique: (0..WRITERS).map(|_| Mutex::default()).collect(),
            ..Oracle::default()
        }
    }

    /// The highest value of a counter that somebody has seen.
    pub(crate) fn floor(&self, counter: usize) -> i64 {
        self.counters[counter % COUNTERS].floor.load(Ordering::SeqCst)
    }

    /// Something that must never happen.
    pub(crate) fn wrong(&self, what: String) {
        let mut wrong = self.wrong.lock();
        if wrong.len() < FAILURES_MAX {
            crate::say(&format!("WRONG: {what}"));
            wrong.push(what);
        }
    }

    fn fail(&self, what: &str, took: Duration, error: &isogrid_client::Error) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.failures.lock();
        if failures.len() < FAILURES_MAX {
            failures.push(format!("{what} after {took:?}: {error:?}"));
        }
    }

    /// The p99 of the latencies since this was asked last, and the slowest.
    pub(crate) fn latency(&self) -> (Duration, Duration, usize) {
        let mut all = std::mem::take(&mut *self.latencies_us.lock());
        all.sort_unstable();
        let p99 = all.get(all.len() * 99 / 100).copied().unwrap_or(0);
        let slowest = self.slowest_us.swap(0, Ordering::Relaxed);
        (Duration::from_micros(p99.into()), Duration::from_micros(slowest), all.len())
    }
}

pub(crate) fn counter_name(counter: usize) -> String {
    format!("c{}", counter % COUNTERS)
}

fn unique_name(writer: usize, number: u32) -> String {
    format!("w{writer}-{number}")
}

/// What everybody writes to.
#[derive(Clone)]
pub(crate) struct Maps {
    pub(crate) values: Map<String, String>,
    pub(crate) counters: Map<String, i64>,
}

impl Maps {
    pub(crate) fn of(grid: &Grid) -> Maps {
        Maps { values: grid.map("values"), counters: grid.map("counters") }
    }
}

/// Writers at work.
pub(crate) struct Load {
    pub(crate) oracle: Arc<Oracle>,
    stopping: Arc<AtomicBool>,
    writers: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(grid: &Grid) -> Load {
        let rest = std::env::var("ISOGRID_TEST_REST_MS").ok().and_then(|ms| ms.parse().ok());
        let rest = Duration::from_millis(rest.unwrap_or(REST_MS));
        let oracle = Arc::new(Oracle::new());
        let stopping = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let work = Writer {
                writer,
                rest,
                maps: Maps::of(grid),
                oracle: Arc::clone(&oracle),
                stopping: Arc::clone(&stopping),
            };
            writers.spawn(work.run());
        }
        Load { oracle, stopping, writers }
    }

    /// Waits until each writer has done something, and more than once.
    pub(crate) async fn under_way(&self) {
        while self.oracle.operations.load(Ordering::Relaxed) < 10 * WRITERS as u64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the writers and holds what is there against what was acknowledged.
    pub(crate) async fn judge(mut self, grid: &Grid) -> Outcomes {
        self.stopping.store(true, Ordering::SeqCst);
        while let Some(ended) = self.writers.join_next().await {
            ended.expect("a writer does not panic");
        }
        let oracle = &self.oracle;
        let maps = Maps::of(grid);
        let unique = judge_unique(oracle, &maps).await;
        let (increments, unknown) = judge_counters(oracle, &maps).await;
        let outcomes = Outcomes {
            operations: oracle.operations.load(Ordering::Relaxed),
            failed: oracle.failed.load(Ordering::Relaxed),
            unique,
            increments,
            unknown,
            failures: std::mem::take(&mut *oracle.failures.lock()),
        };
        let wrong = std::mem::take(&mut *oracle.wrong.lock());
        crate::say(&format!(
            "{} operations, {} failed; {} unique writes and {} increments acknowledged, {} increments unknown",
            outcomes.operations,
            outcomes.failed,
            outcomes.unique,
            outcomes.increments,
            outcomes.unknown
        ));
        assert!(wrong.is_empty(), "{wrong:#?}");
        outcomes
    }
}

async fn judge_unique(oracle: &Oracle, maps: &Maps) -> usize {
    let mut seen = 0;
    for (writer, numbers) in oracle.unique.iter().enumerate() {
        let names: Vec<String> =
            numbers.lock().iter().map(|number| unique_name(writer, *number)).collect();
        for names in names.chunks(512) {
            let found = maps.values.get_many(names.iter().map(String::as_str));
            let found = found.await.expect("the cluster answers");
            for (name, value) in names.iter().zip(found) {
                let (_, value) = value;
                let value = value.expect("the cluster answers");
                if value.as_ref() != Some(name) {
                    oracle.wrong(format!("{name} was acknowledged, and is {value:?}"));
                }
                seen += 1;
            }
        }
    }
    seen
}

async fn judge_counters(oracle: &Oracle, maps: &Maps) -> (i64, i64) {
    let mut sum = (0, 0);
    for (index, counter) in oracle.counters.iter().enumerate() {
        let name = counter_name(index);
        let value = maps.counters.get(name.as_str()).await.expect("the cluster answers");
        let value = value.unwrap_or(0);
        let acknowledged = counter.acknowledged.load(Ordering::SeqCst);
        let unknown = counter.unknown.load(Ordering::SeqCst);
        if value < acknowledged || value > acknowledged + unknown {
            oracle.wrong(format!(
                "{name} is {value}, {acknowledged} increments were acknowledged, {unknown} are unknown"
            ));
        }
        let mut times = BTreeMap::new();
        for given in counter.given.lock().iter() {
            *times.entry(*given).or_insert(0) += 1;
        }
        for (given, times) in times.into_iter().filter(|(_, times)| *times > 1) {
            oracle.wrong(format!("{name}: {times} increments gave {given}"));
        }
        sum = (sum.0 + acknowledged, sum.1 + unknown);
    }
    sum
}

/// One writer.
struct Writer {
    writer: usize,
    rest: Duration,
    maps: Maps,
    oracle: Arc<Oracle>,
    stopping: Arc<AtomicBool>,
}

impl Writer {
    async fn run(self) {
        let mut number: u32 = 0;
        while !self.stopping.load(Ordering::SeqCst) {
            number += 1;
            let begun = Instant::now();
            match number % 4 {
                0 => self.read_counter(number).await,
                1 => self.read_own(number).await,
                2 => self.increment(number).await,
                _ => self.put(number).await,
            }
            let took = begun.elapsed().as_micros();
            let took = u32::try_from(took).unwrap_or(u32::MAX);
            self.oracle.operations.fetch_add(1, Ordering::Relaxed);
            self.oracle.slowest_us.fetch_max(took.into(), Ordering::Relaxed);
            self.oracle.latencies_us.lock().push(took);
            tokio::time::sleep(self.rest).await;
        }
    }

    fn any(&self, number: u32) -> usize {
        // Every writer visits the counters in another order.
        (number as usize).wrapping_mul(2 * self.writer + 1).wrapping_add(self.writer) % COUNTERS
    }

    async fn put(&self, number: u32) {
        let name = unique_name(self.writer, number);
        let begun = Instant::now();
        match self.maps.values.put(name.as_str(), &name).await {
            Ok(_) => self.oracle.unique[self.writer].lock().push(number),
            Err(error) => self.oracle.fail(&format!("put {name}"), begun.elapsed(), &error),
        }
    }

    async fn increment(&self, number: u32) {
        let index = self.any(number);
        let counter = &self.oracle.counters[index];
        let begun = Instant::now();
        match self.maps.counters.incr(counter_name(index).as_str(), 1).await {
            Ok(value) => {
                counter.floor.fetch_max(value, Ordering::SeqCst);
                counter.acknowledged.fetch_add(1, Ordering::SeqCst);
                counter.given.lock().push(value);
            }
            Err(error) => {
                if error.outcome() != Outcome::NotApplied {
                    counter.unknown.fetch_add(1, Ordering::SeqCst);
                }
                self.oracle.fail(&format!("incr c{index}"), begun.elapsed(), &error);
            }
        }
    }

    /// What somebody has seen is there for everybody who asks later.
    async fn read_counter(&self, number: u32) {
        let index = self.any(number);
        let counter = &self.oracle.counters[index];
        let floor = counter.floor.load(Ordering::SeqCst);
        let begun = Instant::now();
        match self.maps.counters.get(counter_name(index).as_str()).await {
            Ok(value) => {
                let value = value.unwrap_or(0);
                if value < floor {
                    self.oracle.wrong(format!("c{index} was {floor} and is read as {value}"));
                }
                counter.floor.fetch_max(value, Ordering::SeqCst);
            }
            Err(error) => self.oracle.fail(&format!("get c{index}"), begun.elapsed(), &error),
        }
    }

    async fn read_own(&self, number: u32) {
        let name = {
            let written = self.oracle.unique[self.writer].lock();
            let Some(last) = written.len().checked_sub(1) else { return };
            // The newest half of the time, any other else.
            let index = if number % 8 == 1 { last } else { number as usize * 7919 % written.len() };
            unique_name(self.writer, written[index])
        };
        let begun = Instant::now();
        match self.maps.values.get(name.as_str()).await {
            Ok(value) if value.as_ref() == Some(&name) => {}
            Ok(value) => self.oracle.wrong(format!("{name} was acknowledged, and is {value:?}")),
            Err(error) => self.oracle.fail(&format!("get {name}"), begun.elapsed(), &error),
        }
    }
}
