//! What is known of a connection of the gRPC door, and how to end it from outside.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use isogrid_core::{Error, ErrorCode, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use crate::clients::Client;
use crate::doors::CoreBytes;

/// How long a refused connection stays open, so that its client can read why.
const REFUSAL_LINGER: Duration = Duration::from_secs(1);

/// What is known of one connection; shared by its socket, its sessions and the janitor.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    /// The connection in the list of clients.
    pub client: Arc<Client>,
    /// The core that serves it.
    pub core: usize,
    /// Whether it came when the node had as many connections as it allows.
    pub refused: bool,
    /// Since when a reply waits to be taken by the client, in milliseconds since the epoch; zero when none waits.
    reply_waits_since_ms: AtomicU64,
    /// Whether another node is at the other end: such connections are not counted, so that clients cannot lock them out.
    is_peer: AtomicBool,
    open: Arc<AtomicUsize>,
}

impl ConnectionState {
    /// A connection on a core. `open` counts the core's connections and is one lower when this one is gone.
    pub(crate) fn new(
        client: Arc<Client>,
        core: usize,
        refused: bool,
        open: Arc<AtomicUsize>,
    ) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self {
            client,
            core,
            refused,
            reply_waits_since_ms: AtomicU64::new(0),
            is_peer: AtomicBool::new(false),
            open,
        }
    }

    /// Ends the connection: its socket reads as closed from now on.
    pub(crate) fn end(&self) {
        self.client.end();
    }

    /// The client's address.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.client.address
    }

    /// Another node showed itself at the other end: the connection counts no more and stays, even if it came as one too
    /// many.
    pub(crate) fn become_peer(&self) {
        if !self.is_peer.swap(true, Ordering::Relaxed) {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether another node is at the other end.
    pub(crate) fn is_peer(&self) -> bool {
        self.is_peer.load(Ordering::Relaxed)
    }

    /// A reply was handed to the transport.
    pub(crate) fn reply_handed_out(&self, now: Timestamp) {
        self.reply_waits_since_ms.store(now.0, Ordering::Relaxed);
        self.client.is_active(now);
    }

    /// The transport asked for more: the last reply is on its way.
    pub(crate) fn reply_taken(&self) {
        self.reply_waits_since_ms.store(0, Ordering::Relaxed);
    }

    /// How long a reply has been waiting for the client to take it.
    pub(crate) fn reply_waits_ms(&self, now: Timestamp) -> u64 {
        match self.reply_waits_since_ms.load(Ordering::Relaxed) {
            0 => 0,
            since => now.ms_since(Timestamp(since)),
        }
    }

    /// The error of a client that came when the node was full.
    pub(crate) fn check_admitted(&self) -> Result<(), Error> {
        if self.refused { Err(Error::new(ErrorCode::TooManyConnections, "")) } else { Ok(()) }
    }
}

impl Drop for ConnectionState {
    fn drop(&mut self) {
        if !*self.is_peer.get_mut() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// How long a client may take to send its first bytes: a connection that says nothing holds a place for nothing.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// What a client sends first, whatever it wants: the preface of HTTP/2. Its bytes are looked at elsewhere.
const PREFACE_BYTES: usize = 24;

/// A client's socket.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    state: Arc<ConnectionState>,
    /// Where its core counts bytes.
    bytes: Arc<CoreBytes>,
    /// Ends a refused connection, or one whose client has not said enough yet.
    patience: Option<Pin<Box<Sleep>>>,
    received: usize,
}

impl Connection {
    /// Wraps a socket.
    pub(crate) fn new(
        socket: TcpStream,
        state: Arc<ConnectionState>,
        bytes: Arc<CoreBytes>,
    ) -> Self {
        let patience = if state.refused { REFUSAL_LINGER } else { SILENCE_MAX };
        let patience = Some(Box::pin(tokio::time::sleep(patience)));
        Self { socket, state, bytes, patience, received: 0 }
    }

    fn check_ended(&self) -> io::Result<()> {
        match self.state.client.has_ended() {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }

    fn sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.state.client.sent(*bytes);
            self.bytes.sent(self.state.is_peer(), *bytes);
        }
        written
    }

    fn has_ended(&mut self, context: &mut Context<'_>) -> bool {
        self.state.client.reads(context.waker());
        let patience = self.patience.as_mut();
        let over = patience.is_some_and(|sleep| sleep.as_mut().poll(context).is_ready());
        let over = over && !self.state.is_peer.load(Ordering::Relaxed);
        over || self.state.client.has_ended()
    }
}

impl Connected for Connection {
    type ConnectInfo = Arc<ConnectionState>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(&self.state)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.has_ended(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        let received = buffer.filled().len() - before;
        self.state.client.received(received);
        self.bytes.received(self.state.is_peer(), received);
        if self.patience.is_some() && !self.state.refused {
            self.received += received;
            if self.received >= PREFACE_BYTES {
                self.patience = None;
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_ended()?;
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_ended()?;
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, buffers);
        self.sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::{Clients, Door};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Both ends of a connection, the node's end wrapped.
    async fn pair() -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let client = TcpStream::connect(address).await.expect("it listens");
        let (socket, peer) = listener.accept().await.expect("connected");
        let listed = Clients::default().open(Door::Grpc, peer);
        let state = ConnectionState::new(listed, 0, false, Arc::default());
        (client, Connection::new(socket, Arc::new(state), Arc::default()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_ended() {
        let (_client, mut connection) = pair().await;
        let error = connection.read(&mut [0; 64]).await.expect_err("must be ended");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn a_client_that_has_spoken_may_be_silent() {
        let (mut client, mut connection) = pair().await;
        client.write_all(&[0; PREFACE_BYTES]).await.expect("sent");
        connection.read_exact(&mut [0; PREFACE_BYTES]).await.expect("received");
        assert!(connection.patience.is_none());
        connection.state.end();
        assert!(connection.read(&mut [0; 64]).await.is_err(), "ended from outside");
        assert!(connection.write_all(b"x").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn another_node_is_not_counted_and_stays_even_if_it_was_one_too_many() {
        let (_client, connection) = pair().await;
        let open = Arc::new(AtomicUsize::new(0));
        let client = Arc::clone(&connection.state.client);
        let state = Arc::new(ConnectionState::new(client, 0, true, Arc::clone(&open)));
        let Connection { socket, .. } = connection;
        let mut connection = Connection::new(socket, Arc::clone(&state), Arc::default());
        assert_eq!(open.load(Ordering::Relaxed), 1);
        state.become_peer();
        state.become_peer();
        assert_eq!(open.load(Ordering::Relaxed), 0);
        let mut byte = [0];
        let reading = connection.read(&mut byte);
        assert!(tokio::time::timeout(2 * REFUSAL_LINGER, reading).await.is_err(), "it stays open");
        drop((connection, state));
        assert_eq!(open.load(Ordering::Relaxed), 0);
    }
}
