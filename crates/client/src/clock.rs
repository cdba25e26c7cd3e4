//! The client's coarse clock: one task that ticks while operations wait, so that no operation pays for a timer or a look
//! at the system's clock.
//!
//! The clock is never ahead of real time, and it does not count time during which the runtime stood still: a stalled
//! thread makes deadlines late, never early.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The time between two looks at the deadlines.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The most a tick counts for, however long it took.
const TICK_MS_MAX: u64 = 25;

/// Milliseconds of waiting since the client was built.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    now_ms: AtomicU64,
    ticking: AtomicBool,
    wake: Notify,
}

impl Clock {
    /// The time now.
    #[inline]
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// When a call that begins now must end: one tick more than asked for, since a tick is under way.
    #[inline]
    pub(crate) fn deadline(&self, timeout: Duration) -> u64 {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.now_ms().saturating_add(timeout_ms).saturating_add(TICK.as_millis() as u64)
    }

    /// Makes the clock tick; called when the first operation of a lane begins to wait.
    #[inline]
    pub(crate) fn start(&self) {
        if !self.ticking.load(Ordering::Acquire) && !self.ticking.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// Ticks for as long as `on_tick` says that somebody waits, then sleeps until [`start`](Self::start).
    pub(crate) async fn run(&self, mut on_tick: impl FnMut(u64) -> bool) {
        loop {
            self.wake.notified().await;
            let mut last = Instant::now();
            loop {
                tokio::time::sleep(TICK).await;
                let now = Instant::now();
                let elapsed_ms = now.duration_since(last).as_millis() as u64;
                if elapsed_ms <= TICK_MS_MAX {
                    // Not `now`: the fraction of a millisecond counts in the next tick.
                    last += Duration::from_millis(elapsed_ms);
                } else {
                    last = now;
                }
                let elapsed_ms = elapsed_ms.min(TICK_MS_MAX);
                let now_ms = self.now_ms.fetch_add(elapsed_ms, Ordering::Relaxed) + elapsed_ms;
                if !on_tick(now_ms) {
                    // Whoever began to wait meanwhile either sees `false` and starts the clock, or is seen here.
                    self.ticking.store(false, Ordering::SeqCst);
                    if !on_tick(now_ms) || self.ticking.swap(true, Ordering::AcqRel) {
                        break;
                    }
                }
            }
        }
    }
}
