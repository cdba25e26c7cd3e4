//! Background work that can be seen: each worker has a name, says what it does now and counts its rounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// What is known of one worker.
#[derive(Debug)]
pub(crate) struct Worker {
    name: String,
    state: Mutex<&'static str>,
    rounds: AtomicU64,
}

impl Worker {
    /// The worker's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it does now.
    pub(crate) fn state(&self) -> &'static str {
        *self.state.lock()
    }

    /// How many rounds it has done.
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Says what the worker does now.
    pub(crate) fn enter(&self, state: &'static str) {
        *self.state.lock() = state;
    }

    /// Counts a finished round.
    pub(crate) fn round_done(&self) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        self.enter("idle");
    }
}

/// All workers of a node.
#[derive(Debug, Default)]
pub(crate) struct Workers(Mutex<Vec<Arc<Worker>>>);

impl Workers {
    /// Adds a worker.
    pub(crate) fn register(&self, name: impl Into<String>) -> Arc<Worker> {
        let worker = Arc::new(Worker {
            name: name.into(),
            state: Mutex::new("starting"),
            rounds: AtomicU64::new(0),
        });
        self.0.lock().push(Arc::clone(&worker));
        worker
    }

    /// The workers by name: the threads that add them start in any order.
    pub(crate) fn all(&self) -> Vec<Arc<Worker>> {
        let mut all = self.0.lock().clone();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}
