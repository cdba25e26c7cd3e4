//! Nodes for tests: real servers on free ports in this process, and a handler that writes down what it hears.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use isogrid_cluster::ClusterId;
use isogrid_cluster::council::Cluster;
use isogrid_core::{
    Error, ErrorCode, Incarnation, NodeId, PartitionEntry, PartitionId, Replica, SessionId,
    TableDelta, TableVersion, Traces,
};
use isogrid_replica::Ticks;
use isogrid_replica::lease::Beat;
use isogrid_replica::message::{Append, Message};
use parking_lot::{Condvar, Mutex};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use super::Peers;
use super::limits::PeerLimits;
use super::message::{AskKind, LinkMessage, PeerAddress, PeerHandler};
use crate::control::news::News;
use crate::grpc::peer::PeerService;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The cluster of the tests.
pub(crate) const CLUSTER: ClusterId = ClusterId(7);

/// News without anything new.
pub(crate) fn news(id: ClusterId) -> News {
    let cluster =
        Cluster { id, format: 1, feature_level: 1, copies: 2, loss_policy: Default::default() };
    News {
        cluster,
        delta: TableDelta {
            since: TableVersion(1),
            version: TableVersion(2),
            partitions: 16,
            entries: vec![(PartitionId(3), PartitionEntry::default())],
        },
        nodes: None,
        maps: None,
        losses: Vec::new(),
        sessions: 1,
        watermark: SessionId(5),
        ended: Vec::new(),
        leader: None,
    }
}

/// An append with a number and so many bytes.
pub(crate) fn append(to: u64, number: u64, bytes: usize) -> LinkMessage {
    let append = Append { commit: number, entries: vec![number as u8; bytes], ..Append::default() };
    LinkMessage::Replica {
        partition: PartitionId(1),
        to: Incarnation(to),
        message: Message::Append(append),
    }
}

/// A beat with a number.
pub(crate) fn beat(to: u64, number: u64) -> LinkMessage {
    let beat = Beat { number, claims: None, sent_at: Ticks(1) };
    LinkMessage::Beat { to: Incarnation(to), beat }
}

/// The numbers of the appends, in their order.
pub(crate) fn numbers(messages: &[LinkMessage]) -> Vec<u64> {
    let number = |message: &LinkMessage| match message {
        LinkMessage::Replica { message: Message::Append(append), .. } => Some(append.commit),
        _ => None,
    };
    messages.iter().filter_map(number).collect()
}

/// Writes down what it hears.
#[derive(Default)]
pub(crate) struct Recorder {
    heard: Mutex<Vec<LinkMessage>>,
    batches: AtomicUsize,
    messages: AtomicUsize,
    only_counts: AtomicBool,
    /// While it is set, whoever brings something waits.
    is_held: Mutex<bool>,
    released: Condvar,
}

impl Recorder {
    /// What was heard.
    pub(crate) fn heard(&self) -> Vec<LinkMessage> {
        self.heard.lock().clone()
    }

    /// In how many batches, and how many messages.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.batches.load(Ordering::Relaxed), self.messages.load(Ordering::Relaxed))
    }

    /// Counts from now on, and keeps nothing.
    pub(crate) fn count_only(&self) {
        self.only_counts.store(true, Ordering::Relaxed);
    }

    /// Takes nothing more, or goes on.
    pub(crate) fn hold(&self, is_held: bool) {
        *self.is_held.lock() = is_held;
        self.released.notify_all();
    }
}

#[tonic::async_trait]
impl PeerHandler for Recorder {
    fn receive(&self, _core: usize, _from: &Replica, mut batch: Vec<LinkMessage>) {
        let mut is_held = self.is_held.lock();
        while *is_held {
            self.released.wait(&mut is_held);
        }
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.messages.fetch_add(batch.len(), Ordering::Relaxed);
        if !self.only_counts.load(Ordering::Relaxed) {
            self.heard.lock().append(&mut batch);
        }
    }

    /// Echoes; does not find maps, and never ends to forward.
    async fn ask(&self, _from: &Replica, kind: AskKind, body: Bytes) -> Result<Bytes, Error> {
        match kind {
            AskKind::FindMap => Err(Error::new(ErrorCode::MapNameInvalid, "no such map")),
            _ => Ok(body),
        }
    }

    async fn forward(&self, _: &Replica, _: Bytes, _: Traces) -> Result<Bytes, Error> {
        std::future::pending().await
    }
}

/// A node on a thread of its own. Dropping it ends it as a crash would.
pub(crate) struct TestNode {
    pub(crate) peers: Arc<Peers>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) address: SocketAddr,
    crash: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl TestNode {
    /// Starts a life of a node of the tests' cluster.
    pub(crate) fn start(name: &str, life: u64) -> TestNode {
        let node = Self::start_stranger(name, life, PeerLimits::default());
        node.peers.set_cluster(CLUSTER);
        node
    }

    /// Starts a node that belongs to no cluster yet.
    pub(crate) fn start_stranger(name: &str, life: u64, limits: PeerLimits) -> TestNode {
        let own = Replica { node: NodeId::new(name), incarnation: Incarnation(life) };
        let peers = Peers::new(own, 2, limits);
        let recorder = Arc::new(Recorder::default());
        let crash = CancellationToken::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound");
        let serving = serve(Arc::clone(&peers), Arc::clone(&recorder), listener, crash.clone());
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serving);
        });
        TestNode { peers, recorder, address, crash, thread: Some(thread) }
    }

    /// Tells this node where others are.
    pub(crate) fn knows(&self, others: &[&TestNode]) {
        let address = |other: &&TestNode| {
            let own = other.peers.own();
            (own.node.clone(), other.peer_address(own.incarnation.0))
        };
        self.peers.set_addresses(others.iter().map(address).collect::<BTreeMap<_, _>>());
    }

    /// Where it is, as this life.
    pub(crate) fn peer_address(&self, life: u64) -> PeerAddress {
        PeerAddress { incarnation: Incarnation(life), grpc: self.address.to_string() }
    }

    /// Its name.
    pub(crate) fn id(&self) -> &NodeId {
        &self.peers.own().node
    }

    /// Sends and flushes.
    pub(crate) fn say(&self, core: usize, to: &TestNode, message: &LinkMessage) {
        self.peers.send(core, to.id(), message);
        self.peers.flush(core);
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.recorder.hold(false);
        self.crash.cancel();
        let joined = self.thread.take().map(JoinHandle::join);
        assert!(joined.is_none_or(|joined| joined.is_ok()), "a node panicked");
    }
}

async fn serve(
    peers: Arc<Peers>,
    recorder: Arc<Recorder>,
    listener: std::net::TcpListener,
    crash: CancellationToken,
) {
    for core in 0..2 {
        tokio::spawn(Arc::clone(&peers).run_core(core, CancellationToken::new()));
    }
    let listener = TcpListener::from_std(listener).expect("a socket");
    let service = PeerService::server(peers, recorder, 0, CancellationToken::new());
    let serving = tonic::transport::Server::builder()
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .max_frame_size(1 << 20)
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::select! {
        served = serving => served.expect("it serves until it crashes"),
        () = crash.cancelled() => {}
    }
}

/// Waits until something holds; says how long that took.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
    since.elapsed()
}
