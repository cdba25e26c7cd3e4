//! A node that reads its data back from disk: how far it is, in its log every second, and at its doors. They are open already
//! and tell who asks; whatever else is wanted is refused with an error that says to try again. When the data are back these
//! doors close, and those of the node open on the same listeners.

mod progress;

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures::StreamExt;
use isogrid_core::slot::PartitionCount;
use isogrid_core::{Error, ErrorCode, Incarnation, NodeId, Result};
use isogrid_persist::Maker;
use isogrid_wal::OsDisk;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::acceptor::{Acceptor, CoreDoor, HANDOVER_QUEUE_LEN_MAX};
use crate::advertise::reachable;
use crate::config::Config;
use crate::connection::Connection;
use crate::engine::Engine;
use crate::identity::{DataOnDisk, Identity};
use crate::listen::local_addr;
use crate::memory::available_bytes;
use crate::node::{cores, internal, runtime};
use crate::storage;
use crate::{grpc, http};

pub(crate) use progress::Progress;

/// How often the log says how far it is.
const TELL: Duration = Duration::from_secs(1);

/// How long calls in progress may take when the doors close.
const CLOSE_PATIENCE: Duration = Duration::from_millis(250);

/// Which node recovers, as it tells.
pub(crate) struct About {
    pub(crate) node_id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) cluster_name: String,
    /// Which cluster of that name.
    pub(crate) cluster_id: u128,
    pub(crate) grpc_addr: String,
    pub(crate) gossip_addr: String,
    pub(crate) http_addr: String,
    pub(crate) zone: Option<String>,
    pub(crate) cores: usize,
    pub(crate) connections_max: usize,
    pub(crate) memory_limit_bytes: u64,
}

/// What the doors of a recovering node tell.
pub(crate) struct Recovering {
    pub(crate) about: About,
    pub(crate) progress: Arc<Progress>,
}

impl Recovering {
    /// Why the node does nothing else: nothing was changed, and soon it will.
    pub(crate) fn refusal(&self) -> Error {
        let standing = self.progress.standing();
        let detail = format!("it reads its data back from disk: {standing}");
        Error::new(ErrorCode::NotReady, detail)
    }
}

/// The doors of a recovering node. Dropped they close.
pub(crate) struct Doors {
    closing: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Doors {
    /// Opens them.
    pub(crate) fn open(
        about: About,
        progress: &Arc<Progress>,
        (grpc, http): (&TcpListener, &TcpListener),
    ) -> Result<Doors> {
        let recovering = Arc::new(Recovering { about, progress: Arc::clone(progress) });
        let grpc = grpc.try_clone().map_err(|error| internal(&error))?;
        let http = http.try_clone().map_err(|error| internal(&error))?;
        let runtime = runtime()?;
        let closing = CancellationToken::new();
        let closed = closing.clone();
        let serve = move || {
            runtime.block_on(async {
                let patience = async {
                    closed.cancelled().await;
                    tokio::time::sleep(CLOSE_PATIENCE).await;
                };
                tokio::select! {
                    () = serve(&recovering, (grpc, http), &closed) => {}
                    () = patience => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("recovering".to_owned()).spawn(serve);
        let thread = thread.map_err(|error| internal(&error))?;
        Ok(Doors { closing, thread: Some(thread) })
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.closing.cancel();
        if let Some(thread) = self.thread.take() {
            // Recovery does not need it.
            let _ = thread.join();
        }
    }
}

/// Until the doors close. That they cannot be opened is no reason not to recover.
async fn serve(
    recovering: &Arc<Recovering>,
    (grpc, http): (TcpListener, TcpListener),
    closing: &CancellationToken,
) {
    let calls = async {
        if let Err(error) = serve_grpc(recovering, grpc, closing.clone()).await {
            warn!(%error, "clients are not told of the recovery");
        }
    };
    let health = async {
        match tokio::net::TcpListener::from_std(http) {
            Ok(listener) => {
                http::serve_recovering(Arc::clone(recovering), listener, closing.clone()).await;
            }
            Err(error) => warn!(%error, "probes are not told of the recovery"),
        }
    };
    tokio::join!(calls, health, tell(&recovering.progress, closing));
}

/// Takes connections as a node does that has one core.
async fn serve_grpc(
    recovering: &Arc<Recovering>,
    listener: TcpListener,
    closing: CancellationToken,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (sender, inbox) = mpsc::channel(HANDOVER_QUEUE_LEN_MAX);
    let door = CoreDoor { sender, open: Arc::default() };
    let open = Arc::clone(&door.open);
    let accepting =
        Acceptor::new(vec![door], recovering.about.connections_max, Arc::default(), Arc::default())
            .run(listener);
    let incoming = ReceiverStream::new(inbox).map(|accepted| {
        let socket = tokio::net::TcpStream::from_std(accepted.socket)?;
        Ok(Connection::new(socket, accepted.state, Arc::default()))
    });
    let closed = closing.clone();
    let accepting = async {
        tokio::select! { () = accepting => {}, () = closed.cancelled() => {} }
    };
    let serving = grpc::recovering::serve((Arc::clone(recovering), open), incoming, closing);
    let (served, ()) = tokio::join!(serving, accepting);
    Ok(served?)
}

/// Says every second how far it is.
async fn tell(progress: &Progress, closing: &CancellationToken) {
    let mut ticks = tokio::time::interval(TELL);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let standing = progress.standing();
        info!(
            stage = standing.stage(),
            partitions = standing.partitions_done,
            of = standing.partitions_total,
            bytes_verified = standing.bytes_verified,
            bytes = standing.bytes_total,
            percent = standing.percent,
            eta_ms = standing.eta_ms,
            "data are read back from disk"
        );
    }
}

/// A recovery under way. Dropped, its doors close.
pub(crate) struct Recovery {
    pub(crate) progress: Arc<Progress>,
    /// Where there may be something to recover.
    _doors: Option<Doors>,
}

/// Begins to recover what a node has on disk: from now on it tells how far it is.
pub(crate) fn begin(
    config: &Config,
    identity: &Identity,
    (grpc, http): (&TcpListener, &TcpListener),
) -> Result<Recovery> {
    let folder = identity.folder().map(|folder| folder.join(storage::FOLDER));
    let progress = Progress::begin(folder.as_deref());
    let Some(cluster) = folder.and(identity.known_cluster()) else {
        return Ok(Recovery { progress, _doors: None });
    };
    let advertise = config.node.advertise.as_deref();
    let about = About {
        node_id: identity.node_id.clone(),
        incarnation: identity.incarnation,
        cluster_name: identity.cluster_id.clone(),
        cluster_id: cluster.0,
        grpc_addr: reachable(advertise, local_addr(grpc)?),
        gossip_addr: config.node.gossip_addr.clone(),
        http_addr: reachable(advertise, local_addr(http)?),
        zone: config.node.zone.clone(),
        cores: cores(config),
        connections_max: config.limits.connections_max,
        memory_limit_bytes: config.memory.limit.resolve(available_bytes()),
    };
    let doors = Doors::open(about, &progress, (grpc, http))?;
    Ok(Recovery { progress, _doors: Some(doors) })
}

/// Gives the engine what the disk has of the cluster that the node belongs to, read on so many threads.
pub(crate) fn restore(
    (identity, engine): (&Identity, &Engine),
    recovery: &isogrid_wal::Recovery<OsDisk>,
    maker: impl FnOnce(Arc<isogrid_replica::Settings>) -> Maker,
    onto: (&Progress, usize),
) -> DataOnDisk {
    let count = identity.storage().and_then(|(_, count)| PartitionCount::new(count));
    let Some((cluster, count)) = identity.known_cluster().zip(count) else {
        return DataOnDisk::Whole;
    };
    if recovery.segments() == 0 {
        error!(
            cluster = format!("{:032x}", cluster.0),
            "this node has been in its cluster, and its data are gone from its folder"
        );
        return DataOnDisk::Damaged;
    }
    let found = storage::recover(recovery, &maker(engine.settings_at_start(cluster)), onto);
    engine.restore((cluster, count), found.replicas);
    if found.is_intact { DataOnDisk::Whole } else { DataOnDisk::Damaged }
}
