//! The door for PostgreSQL's clients. Its connections live on the threads of statements.

mod runner;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use isogrid_pg::{Cancels, Door};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::clients::{self, Clients, Metered};
use crate::sql::Statements;
use runner::StatementRunner;

/// How many connections beyond the limit are served just long enough to be told why they are refused, or to cancel
/// something.
const REFUSALS_MAX: usize = 64;

/// The pause after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// After how long an idle connection is asked whether its client lives.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What the door did, in figures.
#[derive(Debug, Default)]
pub(crate) struct PgCounts {
    open: AtomicUsize,
    refused: AtomicU64,
}

impl PgCounts {
    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// The door, before it opens.
pub(crate) struct PgDoor {
    pub(crate) statements: Arc<Statements>,
    pub(crate) counts: Arc<PgCounts>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) connections_max: usize,
    pub(crate) stopping: CancellationToken,
}

impl PgDoor {
    /// Accepts connections until the node stops.
    pub(crate) async fn run(self, listener: TcpListener) {
        let cancels = Arc::new(Cancels::default());
        loop {
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.place(socket, peer, &cancels),
                Err(error) => {
                    warn!(%error, "cannot accept a connection of PostgreSQL's protocol");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn place(&self, socket: TcpStream, peer: SocketAddr, cancels: &Arc<Cancels>) {
        let open = self.counts.open();
        let is_refused = open >= self.connections_max;
        if is_refused {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            warn!(open, "connection refused: too many of PostgreSQL's clients");
        }
        if open >= self.connections_max + REFUSALS_MAX {
            return;
        }
        // From the runtime that accepts to that of statements.
        let socket = prepared(socket);
        let guard = Counted::new(&self.counts);
        let client = self.clients.open(clients::Door::Postgres, peer);
        let runner = StatementRunner::new(&self.statements, &client);
        let door = Door {
            runner: Arc::new(runner),
            cancels: Arc::clone(cancels),
            stopping: self.stopping.clone(),
        };
        let serving = async move {
            let _guard = guard;
            match socket.and_then(TcpStream::from_std) {
                Ok(socket) => {
                    let socket = Metered::new(socket, Arc::clone(&client), None);
                    tokio::select! {
                        () = isogrid_pg::serve(socket, door, is_refused) => {}
                        () = client.until_ended() => {}
                    }
                }
                Err(error) => debug!(%error, "connection was gone at once"),
            }
        };
        if let Err(error) = self.statements.spawn(serving) {
            debug!(%error, "connection dropped");
        }
    }
}

fn prepared(socket: TcpStream) -> std::io::Result<std::net::TcpStream> {
    socket.set_nodelay(true)?;
    SockRef::from(&socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    socket.into_std()
}

/// A connection that counts while it is open.
struct Counted(Arc<PgCounts>);

impl Counted {
    fn new(counts: &Arc<PgCounts>) -> Self {
        counts.open.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(counts))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
