//! [`Doors`]: what goes through this node's doors, counted: connections, streams, bytes. Each core counts for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What goes through this node's doors.
pub(crate) struct Doors {
    bytes: Box<[Arc<CoreBytes>]>,
    /// Connections that came as one too many.
    pub(crate) refused: Arc<AtomicU64>,
    /// Streams of frames that are open.
    pub(crate) sessions: Gauge,
    /// When the last of the data was given to a backup, in milliseconds since the epoch; nought before.
    backup_at_ms: AtomicU64,
}

/// The bytes of one core, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CoreBytes {
    from_clients: AtomicU64,
    to_clients: AtomicU64,
    from_nodes: AtomicU64,
    to_nodes: AtomicU64,
}

impl CoreBytes {
    /// Bytes came over a connection: from another node or from a client.
    pub(crate) fn received(&self, is_peer: bool, bytes: usize) {
        let count = if is_peer { &self.from_nodes } else { &self.from_clients };
        count.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes went over it.
    pub(crate) fn sent(&self, is_peer: bool, bytes: usize) {
        let count = if is_peer { &self.to_nodes } else { &self.to_clients };
        count.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Bytes over connections that were opened to this node, by who opened them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) from_clients: u64,
    pub(crate) to_clients: u64,
    pub(crate) from_nodes: u64,
    pub(crate) to_nodes: u64,
}

impl Bytes {
    pub(crate) fn all(self) -> u64 {
        self.from_clients + self.to_clients + self.from_nodes + self.to_nodes
    }
}

impl Doors {
    pub(crate) fn new(cores: usize, refused: Arc<AtomicU64>) -> Self {
        Doors {
            bytes: (0..cores).map(|_| Arc::default()).collect(),
            refused,
            sessions: Gauge::default(),
            backup_at_ms: AtomicU64::new(0),
        }
    }

    /// Where a core counts.
    pub(crate) fn of_core(&self, core: usize) -> Arc<CoreBytes> {
        Arc::clone(&self.bytes[core])
    }

    /// What all cores have counted.
    pub(crate) fn bytes(&self) -> Bytes {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.bytes.iter().fold(Bytes::default(), |sum, core| Bytes {
            from_clients: sum.from_clients + read(&core.from_clients),
            to_clients: sum.to_clients + read(&core.to_clients),
            from_nodes: sum.from_nodes + read(&core.from_nodes),
            to_nodes: sum.to_nodes + read(&core.to_nodes),
        })
    }

    /// The last of the data was given to a backup.
    pub(crate) fn backed_up(&self, now: isogrid_core::Timestamp) {
        self.backup_at_ms.store(now.0, Ordering::Relaxed);
    }

    /// When that was.
    pub(crate) fn backup_at_ms(&self) -> Option<u64> {
        Some(self.backup_at_ms.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}

/// How many of something there are now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicU64>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Entered(Arc<AtomicU64>);

impl Gauge {
    pub(crate) fn enter(&self) -> Entered {
        self.0.fetch_add(1, Ordering::Relaxed);
        Entered(Arc::clone(&self.0))
    }

    pub(crate) fn now(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_gone_is_counted_no_more() {
        let gauge = Gauge::default();
        let (one, other) = (gauge.enter(), gauge.enter());
        drop(one);
        assert!((gauge.now() - 1.0).abs() < 1e-9);
        drop(other);
        assert!(gauge.now().abs() < 1e-9);
    }
}
