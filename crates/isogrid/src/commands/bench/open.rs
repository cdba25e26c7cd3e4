//! The open loop: calls are due on a schedule, whatever the node does, and latency counts from when a call was due. A node
//! that stalls for a second is charged for every call that was due in that second (no coordinated omission).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use isogrid_client::Grid;
use tokio::sync::Semaphore;

use crate::exit::Failure;

use super::load::{Load, seed};
use super::plan::{Plan, Window};
use super::tally::{self, Tally, tally};

/// How long calls that were due within the window may still be started behind its end.
const GRACE: Duration = Duration::from_secs(5);

/// The shortest sleep of the pacer: about what the system can keep.
const PACE_MIN: Duration = Duration::from_micros(50);

/// The calls of one thread, numbered; each is due at a time of its own.
struct Schedule {
    window: Window,
    interval: Duration,
    /// How many calls there are.
    total: u64,
    /// The next call to be started.
    next: AtomicU64,
    /// One permit for each call that is due.
    due: Arc<Semaphore>,
}

impl Schedule {
    /// The next call that is due: its time, or `None` when there are no more.
    async fn next(&self) -> Option<Instant> {
        // Nobody closes the semaphore.
        self.due.acquire().await.ok()?.forget();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.total).then(|| self.window.begin + at(self.interval, number))
    }
}

/// Runs the callers of one thread until all calls that were due are done, or the grace is over.
pub(super) async fn run(
    plan: &Arc<Plan>,
    grid: &Grid,
    window: Window,
    thread: usize,
) -> Result<Tally, Failure> {
    let interval = plan.interval();
    let total = ((window.end - window.begin).as_nanos() / interval.as_nanos().max(1)) as u64;
    let callers = plan.callers_of(thread);
    let due = Arc::new(Semaphore::new(0));
    start_pacer(window.begin, interval, total, (due.clone(), callers))?;
    let schedule = Arc::new(Schedule { window, interval, total, next: AtomicU64::new(0), due });
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let load = Load::new(plan.clone(), grid, seed(thread, caller));
            tokio::spawn(call_when_due(load, schedule.clone()))
        })
        .collect();
    for caller in callers {
        // A caller that panics has told so on standard error; the others go on.
        let _ = caller.await;
    }
    let mut tally = tally::take();
    let left = schedule.total.saturating_sub(schedule.next.load(Ordering::Relaxed));
    tally.not_started += left * plan.batch as u64;
    Ok(tally)
}

/// One caller.
async fn call_when_due(mut load: Load, schedule: Arc<Schedule>) {
    let window = schedule.window;
    while let Some(due) = schedule.next().await {
        let outcome = load.call().await;
        let ended = Instant::now();
        // Throughput is what was done within the window; latency is that of what was due in it.
        tally(|tally| {
            if window.counts(ended) {
                tally.count(&outcome);
            }
            if window.counts(due) {
                tally.latency(ended.saturating_duration_since(due));
            }
        });
        if ended >= window.end + GRACE {
            return;
        }
    }
}

/// When a call is due, from the beginning.
fn at(interval: Duration, number: u64) -> Duration {
    Duration::from_nanos_u128(interval.as_nanos() * u128::from(number))
}

/// Starts the thread that hands out the permits. The runtime's own timers tick in milliseconds, which would be seen in
/// the latencies.
fn start_pacer(
    begin: Instant,
    interval: Duration,
    total: u64,
    (due, callers): (Arc<Semaphore>, usize),
) -> Result<(), Failure> {
    thread::Builder::new().name("pacer".into()).spawn(move || {
        let mut released = 0;
        while released < total {
            let elapsed = begin.elapsed();
            let now_due = (elapsed.as_nanos() / interval.as_nanos().max(1)) as u64 + 1;
            let now_due = now_due.min(total);
            due.add_permits((now_due - released) as usize);
            released = now_due;
            let until_next = at(interval, released).saturating_sub(begin.elapsed());
            thread::sleep(until_next.max(PACE_MIN));
        }
        // Those who still wait learn that there are no more.
        due.add_permits(callers);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_call_is_due_in_its_time() {
        let begin = Instant::now();
        let interval = Duration::from_micros(500);
        let due = Arc::new(Semaphore::new(0));
        start_pacer(begin, interval, 100, (due.clone(), 1)).expect("a thread starts");
        let window = Window { begin, start: begin, end: begin + Duration::from_millis(50) };
        let schedule = Schedule { window, interval, total: 100, next: AtomicU64::new(0), due };
        let mut calls = 0;
        while let Some(due) = schedule.next().await {
            assert!(Instant::now() >= due, "call {calls} was started before its time");
            assert_eq!(due, begin + interval * calls);
            calls += 1;
        }
        assert_eq!(calls, 100);
        assert!(begin.elapsed() >= Duration::from_micros(49_500));
    }
}
