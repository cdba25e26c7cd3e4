//! Starts and stops a node: binds its addresses, joins its cluster, gives each core a thread with a runtime of its own, and
//! ends them in order.

mod cores;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use isogrid_core::{Error, ErrorCode, NodeId, Replica, Result, Timestamp};
use isogrid_persist::Maker;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::acceptor::{Acceptor, CoreDoor};
use crate::boot::{self, Booted};
use crate::clients::Clients;
use crate::config::Config;
use crate::control::Control;
use crate::control::view::View;
use crate::doors::Doors;
use crate::engine::Engine;
use crate::gossip::Gossip;
use crate::grpc::maps::MapDoor;
use crate::handler::Questions;
use crate::history::History;
use crate::identity::{DataOnDisk, Identity};
use crate::listen::{Addresses, Listeners};
use crate::memory::{MemoryGauge, available_bytes};
use crate::peers::Peers;
use crate::peers::limits::PeerLimits;
use crate::readiness::Readiness;
use crate::relay::Relay;
use crate::storage::{Keepers, Storage};
use crate::worker::Workers;
use crate::{clock, recovering};
use isogrid_council::CouncilService;

/// How long the start of a node waits for its cluster: long enough for one that forms it alone. Others join later.
const JOIN_PATIENCE: Duration = Duration::from_secs(2);

/// What all services of a node share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) relay: Arc<Relay>,
    pub(crate) control: Arc<Control>,
    pub(crate) council: Arc<CouncilService>,
    pub(crate) gossip: Arc<Gossip>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) views: watch::Receiver<Arc<View>>,
    /// The node's name.
    pub(crate) node_id: NodeId,
    /// The cluster's name.
    pub(crate) cluster_name: String,
    /// How many cores serve connections.
    pub(crate) cores: usize,
    pub(crate) workers: Workers,
    /// Who is connected, through all doors.
    pub(crate) clients: Arc<Clients>,
    pub(crate) grpc_addr: SocketAddr,
    pub(crate) gossip_addr: SocketAddr,
    pub(crate) http_addr: SocketAddr,
    pub(crate) pg_addr: Option<SocketAddr>,
    pub(crate) zone: Option<String>,
    pub(crate) started_at: Timestamp,
    pub(crate) readiness: Readiness,
    /// The configuration, as TOML.
    pub(crate) config: String,
    #[cfg(feature = "sql")]
    pub(crate) queries: Arc<isogrid_query::QueryCounts>,
    #[cfg(feature = "sql")]
    pub(crate) pg: Arc<crate::pg::PgCounts>,
    /// Watches with filters that can begin still.
    pub(crate) live_watches: Arc<Semaphore>,
    open_connections: Vec<Arc<AtomicUsize>>,
    pub(crate) doors: Doors,
    pub(crate) history: History,
    /// Of all cores, once they run.
    runtimes: OnceLock<Vec<Handle>>,
}

impl Shared {
    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.open_connections.iter().map(|open| open.load(Ordering::Relaxed)).sum()
    }

    /// For how long each core's thread had something to do.
    pub(crate) fn busy_seconds(&self) -> Vec<f64> {
        let runtimes = self.runtimes.get().map(Vec::as_slice).unwrap_or_default();
        let busy = |handle: &Handle| handle.metrics().worker_total_busy_duration(0).as_secs_f64();
        runtimes.iter().map(busy).collect()
    }
}

/// A running node. Dropping it ends it at once, as a crash would; [`Node::stop`] is the polite way.
pub struct Node {
    shared: Arc<Shared>,
    stopping: CancellationToken,
    /// Ends what does not stop by itself.
    cut_off: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    /// Of the first core.
    runtime: Handle,
    /// Of the data on disk.
    keepers: Option<Keepers>,
    /// Keeps the data folder's lock until the last thread has ended.
    identity: Arc<Identity>,
}

impl Node {
    /// Starts a node. When this returns, clients can connect; a node that forms a cluster alone has done so.
    pub fn start(config: Config) -> Result<Node> {
        let listeners = Listeners::bind(&config.node)?;
        let addresses = listeners.addresses()?;
        let identity = Arc::new(Identity::establish(&config.node, addresses.grpc.port())?);
        let cores = cores(&config);
        let own = Replica { node: identity.node_id.clone(), incarnation: identity.incarnation };
        let peers = Peers::new(own.clone(), cores, PeerLimits::default());
        let memory = MemoryGauge::new(config.memory.limit.resolve(available_bytes()));
        let wire = Arc::clone(&peers) as Arc<dyn crate::engine::Wire>;
        let doors = (&listeners.grpc, &listeners.http);
        let recovering = recovering::begin(&config, &identity, doors)?;
        let progress = Arc::clone(&recovering.progress);
        let kept = identity.folder().zip(identity.storage());
        let open =
            |(folder, (id, _)): (PathBuf, _)| Storage::open(&folder, id, (&progress, &config.disk));
        let kept = kept.map(open).transpose()?;
        let (storage, recovery) = kept.unzip();
        let (engine, proposals) =
            Engine::new(&config, own.clone(), memory, cores, (wire, storage.clone()))?;
        let engine = Arc::new(engine);
        let limits = config.limits.clone();
        let maker = |settings| Maker { own, settings, limits };
        let data_on_disk = match &recovery {
            Some(recovery) => {
                let onto = (&*progress, cores);
                recovering::restore((&identity, &engine), recovery, maker, onto)
            }
            None => DataOnDisk::Nothing,
        };
        // The node's own doors open on the same listeners.
        drop(recovering);
        let recovered_ms = progress.standing().elapsed_ms;
        let keepers = storage.map(|storage| Keepers::start(storage, &engine, recovered_ms));
        let keepers = keepers.transpose()?;
        let stopping = CancellationToken::new();
        let runtime = runtime()?;
        let handle = runtime.handle().clone();
        let plan = boot::Plan {
            identity: Arc::clone(&identity),
            data_on_disk,
            engine: Arc::clone(&engine),
            peers: Arc::clone(&peers),
            proposals,
            grpc_addr: addresses.grpc,
            http_addr: addresses.http,
            stopping: stopping.clone(),
        };
        let (booted, runtime) = boot::run(runtime, config.clone(), plan)?;
        let (doors, inboxes): (Vec<_>, Vec<_>) = (0..cores).map(|_| cores::core_door()).unzip();
        let shared = share(&config, &identity, booted, (engine, peers), addresses, &doors);
        let shared = Arc::new(shared);
        let clients = Arc::clone(&shared.clients);
        let refused = Arc::clone(&shared.doors.refused);
        let acceptor = Acceptor::new(doors, config.limits.connections_max, clients, refused);
        let mut node = Node {
            shared,
            stopping,
            cut_off: CancellationToken::new(),
            threads: Vec::new(),
            runtime: handle,
            keepers,
            identity,
        };
        let pg_connections_max = config.limits.pg_connections_max;
        node.start_cores(runtime, inboxes, (acceptor, listeners), pg_connections_max)?;
        node.await_cluster(config.cluster.expect);
        Ok(node)
    }

    /// A node that forms its cluster alone is there at once; others need each other and are not waited for.
    fn await_cluster(&self, expect: u16) {
        let deadline = std::time::Instant::now() + JOIN_PATIENCE;
        while expect == 1 && !self.shared.engine.has_led() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Where clients connect.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.shared.grpc_addr
    }

    /// Where other nodes gossip with it.
    pub fn gossip_addr(&self) -> SocketAddr {
        self.shared.gossip_addr
    }

    /// Where HTTP is served.
    pub fn http_addr(&self) -> SocketAddr {
        self.shared.http_addr
    }

    /// Where PostgreSQL's clients connect, if they can.
    pub fn pg_addr(&self) -> Option<SocketAddr> {
        self.shared.pg_addr
    }

    /// The node's name.
    pub fn id(&self) -> &NodeId {
        &self.identity.node_id
    }

    /// Ends when the node cannot go on, and says why: its disk fails, or another process has its name.
    pub async fn failed(&self) -> String {
        let mut council = self.shared.council.failed();
        let mut control = self.shared.control.failed();
        let text = |why: Option<String>| why.unwrap_or_else(|| "its tasks have ended".to_owned());
        let mut disk = self.keepers.as_ref().map(Keepers::failed);
        let disk_fails = async {
            match &mut disk {
                Some(disk) => disk.wait_for(Option::is_some).await.ok().and_then(|why| why.clone()),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            why = disk_fails => text(why),
            why = council.wait_for(Option::is_some) => text(why.ok().and_then(|why| why.clone())),
            why = control.wait_for(Option::is_some) => {
                text(why.ok().and_then(|why| why.as_ref().map(ToString::to_string)))
            }
        }
    }

    /// Cuts the node off from all others, or connects it again: everything between them is lost, as if the network did it.
    /// Its clients still reach it. For who wants to see what happens then.
    pub fn cut_off(&self, is_cut: bool) {
        match is_cut {
            true => warn!("cut off: everything between this node and the others is lost"),
            false => warn!("connected again"),
        }
        self.shared.peers.cut_off(is_cut);
        self.shared.gossip.cut_off(is_cut);
    }

    /// Stops the node: what it leads is handed over, then no new connections and operations, requests in progress are
    /// finished, and everything ends.
    pub fn stop(mut self) {
        self.shared.readiness.end();
        let control = Arc::clone(&self.shared.control);
        let handing_over = self.runtime.spawn(async move { control.prepare_stop().await });
        let _ = futures::executor::block_on(handing_over);
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
        self.keepers = None;
        self.shared.history.save();
        info!(node = %self.identity.node_id, "node stopped");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.cut_off.cancel();
        self.shut_down();
    }
}

/// How many cores serve connections.
pub(crate) fn cores(config: &Config) -> usize {
    match config.node.cores {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        cores => cores,
    }
}

/// What the services share.
fn share(
    config: &Config,
    identity: &Identity,
    booted: Booted,
    (engine, peers): (Arc<Engine>, Arc<Peers>),
    addresses: Addresses,
    doors: &[CoreDoor],
) -> Shared {
    let Booted { control, council, gossip, gossip_addr } = booted;
    let relay = Arc::new(Relay {
        engine: Arc::clone(&engine),
        asker: Arc::new(Questions(Arc::clone(&peers))),
        maps: Arc::new(MapDoor(Arc::clone(&control))),
    });
    Shared {
        engine,
        relay,
        views: control.view(),
        control,
        council,
        gossip,
        peers,
        node_id: identity.node_id.clone(),
        cluster_name: identity.cluster_id.clone(),
        cores: doors.len(),
        workers: Workers::default(),
        clients: Arc::default(),
        grpc_addr: addresses.grpc,
        gossip_addr,
        http_addr: addresses.http,
        pg_addr: addresses.pg,
        zone: config.node.zone.clone(),
        started_at: clock::now(),
        readiness: Readiness::default(),
        config: toml::to_string(config).unwrap_or_default(),
        #[cfg(feature = "sql")]
        queries: Arc::default(),
        #[cfg(feature = "sql")]
        pg: Arc::default(),
        live_watches: Arc::new(Semaphore::new(crate::grpc::LIVE_WATCHES_MAX)),
        open_connections: doors.iter().map(|door| Arc::clone(&door.open)).collect(),
        doors: Doors::new(doors.len(), Arc::default()),
        history: History::open(identity.folder().as_deref()),
        runtimes: OnceLock::new(),
    }
}

/// A runtime for one thread.
pub(crate) fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().map_err(|e| internal(&e))
}

/// A failure of the system that nobody can do anything about.
pub(crate) fn internal(error: &std::io::Error) -> Error {
    Error::new(ErrorCode::Internal, error.to_string())
}
