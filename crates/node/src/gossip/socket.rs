//! Chitchat's transport: UDP, every message in an [`Envelope`](super::envelope::Envelope).
//!
//! The socket outlives a session, so that the address stays this node's own while gossip is started again.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatMessage, Deserializable, Serializable};
use isogrid_core::Result;
use tokio::net::UdpSocket;
use tracing::warn;

use super::envelope::Refused;
use super::{Shared, unavailable};

/// What the kernel holds for us while we are busy: several of the largest datagrams.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// The largest datagram and one byte more.
const DATAGRAM_BUFFER_BYTES: usize = 1 << 16;

/// So many errors in a row, with nothing received in between, and the socket is held for broken.
const ERRORS_IN_A_ROW_MAX: u32 = 16;

/// What a future of chitchat's traits is. They are written with a macro; this is what it makes of them.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send + 'a>>;

/// Binds an address.
pub(super) fn bind(address: SocketAddr) -> Result<UdpSocket> {
    let bound = || {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        // The kernel may allow less; then a burst of large datagrams is lost and comes again with the next round.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        UdpSocket::from_std(socket)
    };
    bound().map_err(|error| unavailable(address, &error))
}

/// Gives chitchat the socket that is bound already, or binds it again.
pub(super) struct UdpTransport(pub(super) Arc<Shared>);

impl Transport for UdpTransport {
    fn open<'a, 'b>(&'a self, _listen: SocketAddr) -> Boxed<'b, Box<dyn Socket>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let shared = Arc::clone(&self.0);
            let mut bound = shared.socket.lock();
            let socket = match &*bound {
                Some(socket) => Arc::clone(socket),
                None => Arc::clone(bound.insert(Arc::new(bind(shared.bound)?))),
            };
            drop(bound);
            let buffer = vec![0; DATAGRAM_BUFFER_BYTES].into_boxed_slice();
            let sealed = SealedSocket { shared, socket, buffer, message: vec![], datagram: vec![] };
            Ok(Box::new(sealed) as Box<dyn Socket>)
        })
    }
}

struct SealedSocket {
    shared: Arc<Shared>,
    socket: Arc<UdpSocket>,
    buffer: Box<[u8]>,
    message: Vec<u8>,
    datagram: Vec<u8>,
}

impl Socket for SealedSocket {
    fn send<'a, 'b>(&'a mut self, to: SocketAddr, message: ChitchatMessage) -> Boxed<'b, ()>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            self.send_one(to, &message).await;
            // A datagram that could not be sent is as good as one that was lost: an error here would only be logged by
            // chitchat, each round anew.
            Ok(())
        })
    }

    fn recv<'a, 'b>(&'a mut self) -> Boxed<'b, (SocketAddr, ChitchatMessage)>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.receive())
    }
}

impl SealedSocket {
    async fn send_one(&mut self, to: SocketAddr, message: &ChitchatMessage) {
        if self.shared.is_cut.load(Ordering::Relaxed) {
            return;
        }
        let counters = &self.shared.counters;
        self.message.clear();
        message.serialize(&mut self.message);
        let failed = match self.shared.envelope.wrap(&self.message, &mut self.datagram) {
            Ok(()) => self.socket.send_to(&self.datagram, to).await.err().map(|e| e.to_string()),
            Err(error) => Some(format!("{error:?}, {} bytes", self.message.len())),
        };
        match failed {
            None => counters.sent(self.datagram.len()),
            Some(error) => {
                if let Some(count) = counters.not_sent.event(Instant::now()) {
                    warn!(%to, %error, count, "gossip could not send");
                }
            }
        }
    }

    /// Chitchat drops this future whenever something else happens: it waits in one place only, with nothing in its hands.
    async fn receive(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        let mut errors = 0;
        loop {
            let (length, from) = match self.socket.recv_from(&mut self.buffer).await {
                Ok(received) => received,
                Err(error) => {
                    errors += 1;
                    self.check(&error, errors)?;
                    continue;
                }
            };
            errors = 0;
            if self.shared.is_cut.load(Ordering::Relaxed) {
                continue;
            }
            match read(&self.shared, &mut self.buffer[..length]) {
                Ok(message) => {
                    self.shared.counters.received(length);
                    return Ok((from, message));
                }
                Err(why) => refuse(&self.shared, from, why),
            }
        }
    }

    /// Lets an error pass that says something about one datagram, such as that an earlier one could not be delivered.
    fn check(&self, error: &std::io::Error, errors: u32) -> anyhow::Result<()> {
        let passing = [
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionReset,
            ErrorKind::HostUnreachable,
            ErrorKind::NetworkUnreachable,
            ErrorKind::NetworkDown,
            ErrorKind::Interrupted,
            ErrorKind::OutOfMemory,
        ];
        if errors < ERRORS_IN_A_ROW_MAX && passing.contains(&error.kind()) {
            return Ok(());
        }
        *self.shared.socket.lock() = None;
        Err(anyhow::Error::msg(format!("the socket is broken: {error}")))
    }
}

fn read(shared: &Shared, datagram: &mut [u8]) -> Result<ChitchatMessage, Refused> {
    let mut message = shared.envelope.open(datagram)?;
    ChitchatMessage::deserialize(&mut message).map_err(|_| Refused::Malformed)
}

fn refuse(shared: &Shared, from: SocketAddr, why: Refused) {
    let (counter, reason) = shared.counters.of(why);
    if let Some(count) = counter.event(Instant::now()) {
        warn!(%from, reason, count, "gossip dropped datagrams");
    }
}
