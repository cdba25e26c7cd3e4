//! Starts and stops a node: binds its addresses, gives each core a thread with a runtime of its own, and ends them in
//! order.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::StreamExt;
use isogrid_core::{Error, ErrorCode, NodeId, Result, Timestamp};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::{error, info};

use crate::acceptor::{Accepted, Acceptor, CoreDoor, HANDOVER_QUEUE_LEN_MAX};
use crate::config::Config;
use crate::connection::Connection;
use crate::engine::Engine;
use crate::grpc::maps::Maps;
use crate::identity::Identity;
use crate::janitor::{CoreConnections, Janitor};
use crate::memory::{MemoryGauge, available_bytes};
use crate::relay::Relay;
use crate::worker::Workers;
use crate::{VERSION, clock, grpc, http};

/// How long a stopping node waits for requests in progress.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How many connections may wait to be accepted: a burst of clients that all come back at once.
const WAITING_CONNECTIONS_MAX: i32 = 4_096;

/// What all services of a node share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) relay: Relay,
    pub(crate) maps: Arc<dyn Maps>,
    /// The node's name.
    pub(crate) node_id: NodeId,
    /// The cluster's name.
    pub(crate) cluster_name: String,
    /// How many cores serve connections.
    pub(crate) cores: usize,
    pub(crate) workers: Workers,
    pub(crate) grpc_addr: SocketAddr,
    pub(crate) gossip_addr: String,
    pub(crate) http_addr: SocketAddr,
    pub(crate) zone: Option<String>,
    pub(crate) started_at: Timestamp,
    open_connections: Vec<Arc<AtomicUsize>>,
}

impl Shared {
    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.open_connections.iter().map(|open| open.load(Ordering::Relaxed)).sum()
    }
}

/// A running node. Dropping it ends it at once, as a crash would; [`Node::stop`] is the polite way.
pub struct Node {
    shared: Arc<Shared>,
    stopping: CancellationToken,
    /// Ends what does not stop by itself.
    cut_off: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    /// Keeps the data folder's lock until the last thread has ended.
    identity: Identity,
}

impl Node {
    /// Starts a node. When this returns, clients can connect.
    pub fn start(config: Config) -> Result<Node> {
        let grpc_listener = bind(&config.node.grpc_addr, "node.grpc_addr")?;
        let http_listener = bind(&config.node.http_addr, "node.http_addr")?;
        let grpc_addr = local_addr(&grpc_listener)?;
        let http_addr = local_addr(&http_listener)?;
        let identity = Identity::establish(&config.node, grpc_addr.port())?;
        let cores = match config.node.cores {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            cores => cores,
        };
        let memory = MemoryGauge::new(config.memory.limit.resolve(available_bytes()));
        let engine = Arc::new(Engine::new(&config, identity.hash_seed, memory, cores)?);
        let (doors, inboxes): (Vec<_>, Vec<_>) = (0..cores).map(|_| core_door()).unzip();
        let shared = Arc::new(Shared {
            host: Arc::new(SessionHost {
                engine,
                node_id: identity.node_id.to_string(),
                cluster_id: identity.cluster_id.clone(),
                cores,
            }),
            workers: Workers::default(),
            grpc_addr,
            gossip_addr: config.node.gossip_addr.clone(),
            http_addr,
            zone: config.node.zone.clone(),
            started_at: clock::now(),
            open_connections: doors.iter().map(|door| Arc::clone(&door.open)).collect(),
        });
        let acceptor = Acceptor::new(doors, config.limits.connections_max);
        let mut node = Node {
            shared,
            stopping: CancellationToken::new(),
            cut_off: CancellationToken::new(),
            threads: Vec::new(),
            identity,
        };
        let services = grpc::shared_services(&node.shared);
        let mut entrance = Some(Entrance { acceptor, grpc_listener, http_listener });
        for (core, inbox) in inboxes.into_iter().enumerate() {
            node.start_core(core, inbox, services.clone(), entrance.take())?;
        }
        let shared = &node.shared;
        info!(
            version = VERSION,
            node = %node.identity.node_id,
            cluster = %node.identity.cluster_id,
            grpc = %shared.grpc_addr,
            http = %shared.http_addr,
            cores,
            partitions = shared.engine.partitions().get(),
            memory_limit_bytes = shared.engine.memory().limit_bytes(),
            "node started"
        );
        Ok(node)
    }

    /// Where clients connect.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.shared.grpc_addr
    }

    /// Where health is served.
    pub fn http_addr(&self) -> SocketAddr {
        self.shared.http_addr
    }

    /// The node's name.
    pub fn id(&self) -> &NodeId {
        &self.identity.node_id
    }

    /// Stops the node: no new connections and operations, requests in progress are finished, then everything ends.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        self.shared.engine.stop();
        self.stopping.cancel();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a core's thread panicked");
            }
        }
        info!(node = %self.identity.node_id, "node stopped");
    }

    fn start_core(
        &mut self,
        core: usize,
        inbox: mpsc::Receiver<Accepted>,
        services: Routes,
        entrance: Option<Entrance>,
    ) -> Result<()> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|e| internal(&e))?;
        let connections = Arc::new(CoreConnections::default());
        let janitor = Janitor {
            engine: Arc::clone(&self.shared.engine),
            core,
            cores: self.shared.cores,
            connections: Arc::clone(&connections),
            worker: self.shared.workers.register(format!("janitor-{core}")),
        };
        let work = CoreWork {
            shared: Arc::clone(&self.shared),
            core,
            inbox,
            services,
            connections,
            janitor,
            stopping: self.stopping.clone(),
            cut_off: self.cut_off.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("core-{core}"))
            .spawn(move || work.run(&runtime, entrance))
            .map_err(|e| internal(&e))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.cut_off.cancel();
        self.shut_down();
    }
}

/// The node's listeners; the first core looks after them.
struct Entrance {
    acceptor: Acceptor,
    grpc_listener: std::net::TcpListener,
    http_listener: std::net::TcpListener,
}

/// What one core does.
struct CoreWork {
    shared: Arc<Shared>,
    core: usize,
    inbox: mpsc::Receiver<Accepted>,
    services: Routes,
    connections: Arc<CoreConnections>,
    janitor: Janitor,
    stopping: CancellationToken,
    cut_off: CancellationToken,
}

impl CoreWork {
    fn run(self, runtime: &Runtime, entrance: Option<Entrance>) {
        let _context = runtime.enter();
        if let Some(entrance) = entrance {
            entrance.open(&self.shared, &self.stopping);
        }
        tokio::spawn(self.janitor.run());
        let connections = self.connections;
        let incoming = ReceiverStream::new(self.inbox).map(move |accepted| {
            connections.add(&accepted.state);
            let socket = tokio::net::TcpStream::from_std(accepted.socket)?;
            Ok(Connection::new(socket, accepted.state))
        });
        let stopping = self.stopping.clone();
        let serving =
            grpc::serve(self.shared, self.services, self.core, incoming, stopping.clone());
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
        });
    }
}

impl Entrance {
    /// Lets clients in. Must be called within a runtime.
    fn open(self, shared: &Arc<Shared>, stopping: &CancellationToken) {
        let listeners = TcpListener::from_std(self.grpc_listener)
            .and_then(|grpc| Ok((grpc, TcpListener::from_std(self.http_listener)?)));
        let (grpc_listener, http_listener) = match listeners {
            Ok(listeners) => listeners,
            Err(error) => return error!(%error, "cannot listen"),
        };
        let closing = stopping.clone();
        let accepting = self.acceptor.run(grpc_listener);
        tokio::spawn(async move {
            tokio::select! { () = accepting => {}, () = closing.cancelled() => {} }
        });
        let serving = http::serve(Arc::clone(shared), http_listener, stopping.clone());
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                error!(%error, "HTTP ended");
            }
        });
    }
}

fn core_door() -> (CoreDoor, mpsc::Receiver<Accepted>) {
    let (sender, inbox) = mpsc::channel(HANDOVER_QUEUE_LEN_MAX);
    (CoreDoor { sender, open: Arc::default() }, inbox)
}

/// Binds an address for a runtime to take over.
fn bind(address: &str, key: &str) -> Result<std::net::TcpListener> {
    let unavailable =
        |why: &str| Error::new(ErrorCode::AddressUnavailable, format!("{key} = {address}: {why}"));
    let addresses = address.to_socket_addrs().map_err(|e| unavailable(&e.to_string()))?;
    let mut last = unavailable("no such address");
    for address in addresses {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = unavailable(&error.to_string()),
        }
    }
    Err(last)
}

fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(WAITING_CONNECTIONS_MAX)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn local_addr(listener: &std::net::TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|e| internal(&e))
}

fn internal(error: &std::io::Error) -> Error {
    Error::new(ErrorCode::Internal, error.to_string())
}
