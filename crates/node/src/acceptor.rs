//! Takes connections and gives each to the core that has the fewest. Connections stay where they were given, so that a
//! client can open one per core and know which core serves which.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::clients::{Clients, Door};
use crate::connection::ConnectionState;

/// How many accepted connections may wait for a core to take them.
pub(crate) const HANDOVER_QUEUE_LEN_MAX: usize = 1_024;

/// How many connections beyond the limit are served just long enough to be told why they are refused.
const REFUSALS_MAX: usize = 64;

/// The pause after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An accepted connection on its way to its core.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The socket, not yet tied to a runtime.
    pub socket: std::net::TcpStream,
    /// What is known of it.
    pub state: Arc<ConnectionState>,
}

/// Where the acceptor sends the connections of one core.
#[derive(Clone, Debug)]
pub(crate) struct CoreDoor {
    /// To the core.
    pub sender: mpsc::Sender<Accepted>,
    /// How many connections the core has.
    pub open: Arc<AtomicUsize>,
}

/// Chooses a core for each connection.
#[derive(Debug)]
pub(crate) struct Acceptor {
    cores: Vec<CoreDoor>,
    connections_max: usize,
    clients: Arc<Clients>,
    /// How many came that were one too many.
    refusals: Arc<AtomicU64>,
    /// Breaks ties between equally busy cores.
    turn: usize,
}

impl Acceptor {
    /// An acceptor for these cores.
    pub(crate) fn new(
        cores: Vec<CoreDoor>,
        connections_max: usize,
        clients: Arc<Clients>,
        refusals: Arc<AtomicU64>,
    ) -> Self {
        Self { cores, connections_max, clients, refusals, turn: 0 }
    }

    /// Accepts connections until the task is dropped.
    pub(crate) async fn run(mut self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((socket, peer)) => self.place(socket, peer).await,
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn place(&mut self, socket: TcpStream, peer: SocketAddr) {
        let open: usize = self.cores.iter().map(|core| core.open.load(Ordering::Relaxed)).sum();
        if open >= self.connections_max {
            self.refusals.fetch_add(1, Ordering::Relaxed);
        }
        if open >= self.connections_max + REFUSALS_MAX {
            warn!(%peer, open, "connection dropped: far too many connections");
            return;
        }
        let refused = open >= self.connections_max;
        if refused {
            warn!(%peer, open, "connection refused: too many connections");
        }
        let core = self.least_busy();
        let prepared = socket.set_nodelay(true).and_then(|()| socket.into_std());
        let socket = match prepared {
            Ok(socket) => socket,
            Err(error) => return debug!(%peer, %error, "connection was gone at once"),
        };
        let door = &self.cores[core];
        let client = self.clients.open(Door::Grpc, peer);
        let state = Arc::new(ConnectionState::new(client, core, refused, Arc::clone(&door.open)));
        if door.sender.send(Accepted { socket, state }).await.is_err() {
            debug!(%peer, core, "connection dropped: the core is stopping");
        }
    }

    fn least_busy(&mut self) -> usize {
        let cores = self.cores.len();
        self.turn = (self.turn + 1) % cores;
        let busy = |core: &usize| self.cores[*core].open.load(Ordering::Relaxed);
        (0..cores)
            .map(|offset| (self.turn + offset) % cores)
            .min_by_key(busy)
            .expect("a node has at least one core")
    }
}
