//! What one core does: serves its connections, keeps its links, and keeps house.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::{error, info};

use crate::acceptor::{Accepted, Acceptor};
use crate::connection::Connection;
use crate::handler::Handler;
use crate::janitor::{CoreConnections, Janitor};
use crate::listen::Listeners;
use crate::node::Shared;
use crate::pulse::Pulse;
use crate::{grpc, history, http};

/// How long a stopping node waits for requests in progress.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How long it waits then for a collector to take what is left of traces.
const TRACES_PATIENCE: Duration = Duration::from_secs(1);

/// The node's listeners; the first core looks after them.
pub(crate) struct Entrance {
    pub(crate) acceptor: Acceptor,
    pub(crate) listeners: Listeners,
    #[cfg(feature = "sql")]
    pub(crate) pg_door: crate::pg::PgDoor,
}

/// What one core does.
pub(crate) struct CoreWork {
    pub(crate) shared: Arc<Shared>,
    pub(crate) core: usize,
    pub(crate) inbox: mpsc::Receiver<Accepted>,
    pub(crate) services: Routes,
    pub(crate) connections: Arc<CoreConnections>,
    pub(crate) janitor: Janitor,
    pub(crate) pulse: Pulse,
    pub(crate) stopping: CancellationToken,
    pub(crate) cut_off: CancellationToken,
}

impl CoreWork {
    pub(crate) fn run(self, runtime: &Runtime, entrance: Option<Entrance>) {
        let _context = runtime.enter();
        if let Some(entrance) = entrance {
            entrance.open(&self.shared, &self.stopping);
        }
        tokio::spawn(self.janitor.run());
        tokio::spawn(self.pulse.run());
        if self.core == 0 {
            let worker = self.shared.workers.register("history");
            tokio::spawn(history::run(Arc::clone(&self.shared), worker));
            if let Some(telling) = self.shared.engine.tracer().take_task() {
                let worker = self.shared.workers.register("traces");
                worker.enter("tells what gathers");
                tokio::spawn(telling);
            }
        }
        tokio::spawn(Arc::clone(&self.shared.peers).run_core(self.core, self.stopping.clone()));
        let connections = self.connections;
        let bytes = self.shared.doors.of_core(self.core);
        let incoming = ReceiverStream::new(self.inbox).map(move |accepted| {
            connections.add(&accepted.state);
            let socket = tokio::net::TcpStream::from_std(accepted.socket)?;
            Ok(Connection::new(socket, accepted.state, Arc::clone(&bytes)))
        });
        let stopping = self.stopping.clone();
        let shared = Arc::clone(&self.shared);
        let handler = Arc::new(Handler {
            engine: Arc::clone(&shared.engine),
            control: Arc::clone(&shared.control),
            council: Arc::clone(&shared.council),
            relay: Arc::clone(&shared.relay),
            shared: Arc::clone(&shared),
        });
        let doors = grpc::Doors { services: self.services, handler };
        let serving = grpc::serve(shared, doors, self.core, incoming, stopping.clone());
        let impatience = async {
            stopping.cancelled().await;
            let _ = tokio::time::timeout(STOP_PATIENCE, self.cut_off.cancelled()).await;
        };
        runtime.block_on(async {
            tokio::select! {
                served = serving => if let Err(error) = served {
                    error!(core = self.core, %error, "serving ended");
                },
                () = impatience => info!(core = self.core, "requests in progress were cut off"),
            }
            if self.core == 0 {
                self.shared.gossip.stop().await;
                self.shared.council.stop().await;
                let told = self.shared.engine.tracer().flush();
                // A collector that is gone keeps nobody.
                let _ = tokio::time::timeout(TRACES_PATIENCE, told).await;
            }
        });
    }
}

impl Entrance {
    /// Lets clients in. Must be called within a runtime.
    fn open(self, shared: &Arc<Shared>, stopping: &CancellationToken) {
        let listeners = TcpListener::from_std(self.listeners.grpc)
            .and_then(|grpc| Ok((grpc, TcpListener::from_std(self.listeners.http)?)));
        let (grpc_listener, http_listener) = match listeners {
            Ok(listeners) => listeners,
            Err(error) => return error!(%error, "cannot listen"),
        };
        let closing = stopping.clone();
        let accepting = self.acceptor.run(grpc_listener);
        tokio::spawn(async move {
            tokio::select! { () = accepting => {}, () = closing.cancelled() => {} }
        });
        let site = http::Site {
            shared: Arc::clone(shared),
            #[cfg(feature = "sql")]
            statements: Arc::clone(&self.pg_door.statements),
            stopping: stopping.clone(),
        };
        tokio::spawn(http::serve(site, http_listener));
        #[cfg(feature = "sql")]
        if let Some(listener) = self.listeners.pg {
            match TcpListener::from_std(listener) {
                Ok(listener) => drop(tokio::spawn(self.pg_door.run(listener))),
                Err(error) => error!(%error, "cannot listen for PostgreSQL's clients"),
            }
        }
    }
}
