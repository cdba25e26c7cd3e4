//! The open loop: calls are due on a schedule, whatever the node does, and latency counts from when a call was due. A node
//! that stalls for a second is charged for every call that was due in that second (no coordinated omission).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use isogrid_client::Grid;
use tokio::sync::{Notify, Semaphore};

use crate::exit::Failure;

use super::load::{Load, seed};
use super::plan::{Plan, Window};
use super::tally::{self, Tally, tally};

/// How long calls that were due within the window may still be started behind its end.
const GRACE: Duration = Duration::from_secs(5);

/// The shortest sleep of the pacer: about what the system can keep.
const PACE_MIN: Duration = Duration::from_micros(50);

/// Into how many groups the calls that were never started are divided.
const NOT_STARTED_GROUPS: u64 = 4_096;

/// The calls of one thread, numbered; each is due at a time of its own.
struct Schedule {
    window: Window,
    interval: Duration,
    /// How many calls there are.
    total: u64,
    /// The next call to be started.
    next: AtomicU64,
    /// One permit for each call that is due.
    due: Semaphore,
    /// Wakes the dispatcher.
    tick: Notify,
}

impl Schedule {
    fn new(window: Window, interval: Duration) -> Arc<Self> {
        let total = (window.end - window.begin).as_nanos() / interval.as_nanos().max(1);
        Arc::new(Self {
            window,
            interval,
            total: total as u64,
            next: AtomicU64::new(0),
            due: Semaphore::new(0),
            tick: Notify::new(),
        })
    }

    /// When a call is due, from the beginning.
    fn at(&self, number: u64) -> Duration {
        Duration::from_nanos_u128(self.interval.as_nanos() * u128::from(number))
    }

    /// How many calls have been due until now.
    fn due_by_now(&self) -> u64 {
        let elapsed = self.window.begin.elapsed().as_nanos();
        let due = (elapsed / self.interval.as_nanos().max(1)) as u64 + 1;
        due.min(self.total)
    }

    /// The next call that is due: its time, or `None` when there are no more.
    async fn next(&self) -> Option<Instant> {
        // Nobody closes the semaphore.
        self.due.acquire().await.ok()?.forget();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.total).then(|| self.window.begin + self.at(number))
    }

    /// Hands out a permit for each call that is due. It runs beside the callers: waking them from another thread would
    /// take a system call for each.
    async fn dispatch(self: Arc<Self>, callers: usize) {
        let mut released = 0;
        while released < self.total {
            self.tick.notified().await;
            let due = self.due_by_now();
            self.due.add_permits((due - released) as usize);
            released = due;
        }
        // Those who still wait learn that there are no more.
        self.due.add_permits(callers);
    }

    /// How many calls nobody came to start. They count with the time they have waited so far, or a node that is far too
    /// slow would look fast: by the few calls it did answer.
    fn not_started(&self, now: Instant, tally: &mut Tally) -> u64 {
        let first = self.next.load(Ordering::Relaxed).min(self.total);
        let left = self.total - first;
        // Neighbours have waited almost equally long, so a few thousand groups are as good as millions of calls.
        let group = left / NOT_STARTED_GROUPS + 1;
        for number in (first..self.total).step_by(group as usize) {
            let due = self.window.begin + self.at(number);
            if self.window.counts(due) {
                let calls = group.min(self.total - number);
                tally.latencies(now.saturating_duration_since(due), calls);
            }
        }
        left
    }

    /// Starts the thread that wakes the dispatcher whenever a call is due. The runtime's own timers tick in milliseconds,
    /// which would be seen in the latencies.
    fn start_pacer(self: &Arc<Self>) -> io::Result<()> {
        let schedule = self.clone();
        thread::Builder::new().name("pacer".into()).spawn(move || {
            loop {
                let due = schedule.due_by_now();
                schedule.tick.notify_one();
                if due == schedule.total {
                    return;
                }
                let until_next = schedule.at(due).saturating_sub(schedule.window.begin.elapsed());
                thread::sleep(until_next.max(PACE_MIN));
            }
        })?;
        Ok(())
    }
}

/// Runs the callers of one thread until all calls that were due are done, or the grace is over.
pub(super) async fn run(
    plan: &Arc<Plan>,
    grid: &Grid,
    window: Window,
    thread: usize,
) -> Result<Tally, Failure> {
    let schedule = Schedule::new(window, plan.interval());
    let count = plan.callers_of(thread);
    let callers: Vec<_> = (0..count)
        .map(|caller| {
            let load = Load::new(plan.clone(), grid, seed(thread, caller));
            tokio::spawn(call_when_due(load, schedule.clone()))
        })
        .collect();
    let dispatcher = tokio::spawn(schedule.clone().dispatch(count));
    schedule.start_pacer()?;
    for caller in callers {
        // A caller that panics has told so on standard error; the others go on.
        let _ = caller.await;
    }
    dispatcher.abort();
    let mut tally = tally::take();
    tally.not_started += schedule.not_started(Instant::now(), &mut tally) * plan.batch as u64;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_were_never_started_count_with_their_wait() {
        let begin = Instant::now();
        let second = Duration::from_secs(1);
        let window = Window { begin, start: begin + second, end: begin + 2 * second };
        let schedule = Schedule::new(window, Duration::from_micros(10));
        schedule.next.store(50_000, Ordering::Relaxed);
        let mut tally = Tally::default();
        assert_eq!(schedule.not_started(begin + 7 * second, &mut tally), 150_000);
        // Due between the first and the second second, they have waited for 5 to 6 of them.
        assert!((tally.percentile_us(50.0) - 5_500_000.0).abs() < 10_000.0);
        assert!((tally.max_us() - 6_000_000.0).abs() < 10_000.0);
    }

    #[tokio::test]
    async fn every_call_is_due_in_its_time() {
        let begin = Instant::now();
        let interval = Duration::from_micros(500);
        let window = Window { begin, start: begin, end: begin + Duration::from_millis(50) };
        let schedule = Schedule::new(window, interval);
        tokio::spawn(schedule.clone().dispatch(1));
        schedule.start_pacer().expect("a thread starts");
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
