//! The keeper: chitchat ends without a word when its socket breaks or one of its assertions fails. The keeper notices and
//! starts it again, as a later life of this node; what is known of the others is kept meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use super::{Shared, seeds, session};

/// The first and the longest pause before gossip is started again.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A session that lived so long was a good one: the next pause is the shortest again.
const GOOD_AFTER: Duration = Duration::from_secs(60);

/// Keeps gossip running until the node stops.
pub(super) async fn keep(shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    tokio::select! {
        () = run_sessions(Arc::clone(&shared)) => {}
        () = resolve(Arc::clone(&shared)) => {}
    }
    debug_assert!(stop.is_cancelled(), "gossip ends only with the node");
}

/// Resolves seeds beside the sessions; never done before the node stops.
async fn resolve(shared: Arc<Shared>) {
    seeds::resolve(shared).await;
    std::future::pending().await
}

async fn run_sessions(shared: Arc<Shared>) {
    let (mut restarts, mut pause) = (0, PAUSE_MIN);
    loop {
        let started = Instant::now();
        // A task of its own: should it panic, the keeper lives on.
        let ended = tokio::spawn(session::run(Arc::clone(&shared), restarts)).await;
        if let Some(chitchat) = shared.chitchat.lock().take() {
            chitchat.abort();
        }
        if shared.stop.is_cancelled() {
            return;
        }
        let why = match ended {
            Ok(ended) => ended.err().unwrap_or_else(|| "it stopped".into()),
            Err(panic) => panic.to_string(),
        };
        restarts += 1;
        if started.elapsed() > GOOD_AFTER {
            pause = PAUSE_MIN;
        }
        if let Some(count) = shared.counters.restarts.event(Instant::now()) {
            warn!(why, count, ?pause, "gossip died and is started again");
        }
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
