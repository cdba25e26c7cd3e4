//! [`Doors`]: what goes through this node's doors, counted: connections, streams, bytes. Each core counts for itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use crate::connection::{Connection, ConnectionState};

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

/// A connection whose bytes are counted: once for each call of the system, whatever is in it.
#[derive(Debug)]
pub(crate) struct CountedConnection {
    pub(crate) connection: Connection,
    pub(crate) state: Arc<ConnectionState>,
    pub(crate) bytes: Arc<CoreBytes>,
}

impl CountedConnection {
    fn received(&self, bytes: usize) {
        let count = match self.state.is_peer() {
            true => &self.bytes.from_nodes,
            false => &self.bytes.from_clients,
        };
        count.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            let count = match self.state.is_peer() {
                true => &self.bytes.to_nodes,
                false => &self.bytes.to_clients,
            };
            count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

impl Connected for CountedConnection {
    type ConnectInfo = Arc<ConnectionState>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.connect_info()
    }
}

impl AsyncRead for CountedConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(context, buffer);
        let received = buffer.filled().len() - before;
        if received > 0 {
            self.received(received);
        }
        read
    }
}

impl AsyncWrite for CountedConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write(context, bytes);
        self.sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write_vectored(context, buffers);
        self.sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
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
