//! Takes a point each ten seconds, and keeps what can be seen only over a time: rates, quantiles, the busiest partition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isogrid_core::PartitionId;
use tokio::time::MissedTickBehavior;

use super::{Balance, Load, NAMES, Point, balance};
use crate::clock;
use crate::metrics::{Buckets, quantile};
use crate::node::Shared;
use crate::worker::Worker;

/// How often a point is taken.
const EACH: Duration = Duration::from_secs(10);

/// The file is written once in so many points: what a crash loses is no more.
const POINTS_PER_SAVE: u64 = 30;

/// What was counted when the last point was taken.
struct Before {
    at: Instant,
    operations: u64,
    errors: u64,
    bytes: u64,
    cpu_seconds: f64,
    durations: Buckets,
    loads: BTreeMap<PartitionId, Load>,
}

/// Takes points until the task is dropped.
pub(crate) async fn run(shared: Arc<Shared>, worker: Arc<Worker>) {
    let mut before = Before::now(&shared);
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + EACH, EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut points = 0_u64;
    loop {
        ticks.tick().await;
        worker.enter("taking a point");
        let now = Before::now(&shared);
        let mut evenness = Balance::of(&now.loads, &before.loads);
        evenness.moves_pending = shared.moves_pending();
        *shared.history.balance.lock() = evenness;
        let seconds = now.at.saturating_duration_since(before.at).as_secs_f64().max(1e-3);
        *shared.history.rates.lock() = balance::rates(&now.loads, &before.loads, seconds);
        let point = point(&shared, &before, &now);
        shared.history.ring.lock().push(point);
        before = now;
        points += 1;
        if points.is_multiple_of(POINTS_PER_SAVE) {
            worker.enter("writing");
            let shared = Arc::clone(&shared);
            // It ends by itself; that it panicked is no reason to stop taking points.
            let _ = tokio::task::spawn_blocking(move || shared.history.save()).await;
        }
        worker.round_done();
    }
}

impl Before {
    fn now(shared: &Shared) -> Self {
        let figures = shared.engine.figures();
        Before {
            at: Instant::now(),
            operations: shared.engine.operations_total(),
            errors: figures.errors().iter().map(|(.., count)| count).sum(),
            bytes: shared.doors.bytes().all(),
            cpu_seconds: shared.busy_seconds().iter().sum(),
            durations: figures.all_durations().buckets(),
            loads: shared.engine.loads(),
        }
    }
}

fn point(shared: &Shared, before: &Before, now: &Before) -> Point {
    let seconds = now.at.saturating_duration_since(before.at).as_secs_f64().max(1e-3);
    let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
    let mut durations = now.durations;
    for (count, before) in durations.iter_mut().zip(before.durations) {
        *count = count.saturating_sub(before);
    }
    let memory = shared.engine.memory();
    let lags = crate::report::lags_of(&shared.engine.led());
    let lag_ms = lags.values().map(|lag| lag.ms).max().unwrap_or(0);
    let entries: u64 = now.loads.values().map(|load| load.entries).sum();
    let figures: [f64; NAMES.len()] = [
        rate(before.operations, now.operations),
        rate(before.errors, now.errors),
        quantile(&durations, 0.99).unwrap_or(0.0),
        (memory.data_bytes() + memory.log_bytes()) as f64,
        entries as f64,
        lag_ms as f64 / 1e3,
        shared.connections() as f64,
        rate(before.bytes, now.bytes),
        (now.cpu_seconds - before.cpu_seconds).max(0.0) / seconds,
    ];
    Point { at_s: clock::now().0 / 1_000, figures: figures.map(|figure| figure as f32) }
}
