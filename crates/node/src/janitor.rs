//! Keeps house: keeps maps within their limits, reads the memory, ends clients that do not take their replies. Each core
//! has one janitor, for its own connections.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::warn;

use crate::clock;
use crate::connection::ConnectionState;
use crate::engine::Engine;
use crate::worker::Worker;

/// The pause between two rounds.
const ROUND_PAUSE: Duration = Duration::from_millis(100);

/// The connections of one core, as long as they live.
#[derive(Debug, Default)]
pub(crate) struct CoreConnections(Mutex<Vec<Weak<ConnectionState>>>);

impl CoreConnections {
    /// Adds a connection.
    pub(crate) fn add(&self, connection: &Arc<ConnectionState>) {
        self.0.lock().push(Arc::downgrade(connection));
    }

    /// The connections that still live.
    fn living(&self) -> Vec<Arc<ConnectionState>> {
        let mut connections = self.0.lock();
        connections.retain(|connection| connection.strong_count() > 0);
        connections.iter().filter_map(Weak::upgrade).collect()
    }
}

/// The janitor of one core.
pub(crate) struct Janitor {
    /// The data.
    pub engine: Arc<Engine>,
    /// Which core this is.
    pub core: usize,
    /// The core's connections.
    pub connections: Arc<CoreConnections>,
    /// How this work is seen.
    pub worker: Arc<Worker>,
}

impl Janitor {
    /// Works until the task is dropped.
    pub(crate) async fn run(self) {
        loop {
            if self.core == 0 {
                self.worker.enter("evicting");
                self.engine.memory().refresh_resident();
                self.evict().await;
            }
            self.worker.enter("looking after clients");
            self.end_stuck_clients();
            self.worker.round_done();
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }

    /// Evicts what maps have beyond their limits.
    async fn evict(&self) {
        for map in self.engine.maps().iter().filter(|map| map.is_limited()) {
            while map.is_over_limits() && self.engine.relieve(self.core, map) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn end_stuck_clients(&self) {
        let stall_max_ms = self.engine.limits().output_stall_ms;
        let now = clock::now();
        for connection in self.connections.living() {
            let waits_ms = connection.reply_waits_ms(now);
            if waits_ms > stall_max_ms {
                warn!(peer = %connection.peer(), waits_ms, "connection ended: its client takes no replies");
                connection.end();
            }
        }
    }
}
