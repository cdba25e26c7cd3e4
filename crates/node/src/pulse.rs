//! The heart of a core: tells the replicas of its partitions that time has passed. The first core also asks for leases.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::engine::Engine;
use crate::worker::Worker;

/// How often replicas hear of the time: what they repeat and propose is late by no more.
const TICK: Duration = Duration::from_millis(20);

/// Those in which nothing is under way hear of it once in so many ticks: what they expire is late by no more.
const TICKS_PER_WHOLE_TICK: u64 = 5;

/// Leases are asked for once in so many ticks: five times in the life of one.
const TICKS_PER_BEAT: u64 = 10;

/// What is rarely due is looked at once in so many ticks.
const TICKS_PER_SLOW_TICK: u64 = 50;

/// The heart of one core.
pub(crate) struct Pulse {
    pub(crate) engine: Arc<Engine>,
    pub(crate) core: usize,
    pub(crate) worker: Arc<Worker>,
}

impl Pulse {
    /// Beats until the task is dropped.
    pub(crate) async fn run(self) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks = 0_u64;
        loop {
            let due = interval.tick().await;
            self.engine.figures().came_late(self.core, due.elapsed());
            self.worker.enter("ticking");
            self.engine.tick(self.core, ticks.is_multiple_of(TICKS_PER_WHOLE_TICK));
            if self.core == 0 && ticks.is_multiple_of(TICKS_PER_BEAT) {
                self.engine.beat(self.core);
            }
            if self.core == 0 && ticks.is_multiple_of(TICKS_PER_SLOW_TICK) {
                self.engine.tick_slowly(self.core);
            }
            ticks += 1;
            self.worker.round_done();
        }
    }
}
