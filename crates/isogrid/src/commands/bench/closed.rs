//! The closed loop: every caller starts the next call when it has the reply of the one before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isogrid_client::Grid;

use super::clock;
use super::load::{Load, seed};
use super::plan::{Plan, Window};
use super::tally::{self, Tally, tally};

/// How long a caller rests after a failed call: a node that refuses must not be asked a million times a second.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(10);

/// Runs the callers of one thread until the window ends.
pub(super) async fn run(plan: &Arc<Plan>, grid: &Grid, window: Window, thread: usize) -> Tally {
    let callers = plan.callers_of(thread);
    let shared_by = clock::shared_by(callers);
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let load = Load::new(plan.clone(), grid, seed(thread, caller));
            tokio::spawn(call_again_and_again(load, window, shared_by))
        })
        .collect();
    for caller in callers {
        // A caller that panics has told so on standard error; the others go on.
        let _ = caller.await;
    }
    tally::take()
}

/// One caller. It reads the clock at most once per call: the end of a call is the beginning of the next.
async fn call_again_and_again(mut load: Load, window: Window, shared_by: usize) {
    let mut begun = Instant::now();
    loop {
        let outcome = load.call().await;
        let ended = clock::now(shared_by);
        if window.counts(ended) {
            tally(|tally| {
                tally.count(&outcome);
                tally.latency(ended.saturating_duration_since(begun));
            });
        }
        if ended >= window.end {
            return;
        }
        begun = ended;
        if outcome.failed.is_some() {
            tokio::time::sleep(REST_AFTER_FAILURE).await;
            begun = Instant::now();
        }
    }
}
