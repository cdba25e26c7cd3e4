//! The other nodes: links to them, and questions.
//!
//! ```text
//!   engine, control ── send ──► lane (core, node) ── flush ──► link ══ gRPC ══► grpc/peer ──► PeerHandler of the other node
//!                   ── ask ───► door (node) ──────────────────────────────────► grpc/peer ──► its answer
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `message` | what is said and asked, and who listens |
//! | `codec` | the format of a batch |
//! | `queue`, `lane` | what waits to be sent, by urgency and bounded |
//! | `link` | keeps one connection and sends what its lane has |
//! | `door` | the connection for questions |
//! | `pulse` | the signs of life of a node |
//! | `limits` | every bound |
//!
//! docs/links.md explains the whole.

pub(crate) mod codec;
mod door;
mod lane;
pub(crate) mod limits;
mod link;
pub(crate) mod message;
pub(crate) mod pulse;
mod queue;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use isogrid_cluster::ClusterId;
use isogrid_core::{Incarnation, NodeId, Replica, Traces};
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::door::Door;
use self::lane::Lane;
use self::limits::{LINKS_MAX, PEERS_MAX, PeerLimits, QUESTION_BYTES_MAX};
use self::message::{AskFailed, AskKind, LinkMessage, PeerAddress};
use self::pulse::{Heard, Pulse};
use crate::grpc::peer_client::{self, ChannelState, ConnectFailed, Greeting};

/// The lanes of one core.
type Lanes = BTreeMap<NodeId, Arc<Lane>>;

/// The other nodes.
pub(crate) struct Peers {
    own: Replica,
    limits: PeerLimits,
    origin: Instant,
    cluster: watch::Sender<Option<ClusterId>>,
    /// For each core what it sends over. Written only when addresses change.
    lanes: Vec<RwLock<Lanes>>,
    /// All other nodes with an address.
    peers: RwLock<BTreeMap<NodeId, Arc<Peer>>>,
    /// Counts changes of the addresses.
    addresses: watch::Sender<u64>,
    /// The signs of life, also of nodes that linked before their address was known.
    pulses: Mutex<BTreeMap<NodeId, Arc<Pulse>>>,
    /// Counts what may be evidence of a death.
    evidence: watch::Sender<u64>,
    /// Places for links of other nodes.
    places: Arc<Semaphore>,
    /// Where connections for questions live: on the first core.
    runtime: watch::Sender<Option<Handle>>,
    /// Whether everything between this node and the others is lost, for who wants to see what happens then.
    is_cut: watch::Sender<bool>,
}

/// One life of another node at one address.
struct Peer {
    id: NodeId,
    incarnation: Incarnation,
    address: Arc<str>,
    lanes: Vec<Arc<Lane>>,
    door: Door,
    questions: Semaphore,
    pulse: Arc<Pulse>,
    /// The node is gone or elsewhere.
    closed: CancellationToken,
}

/// How much was exchanged with a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeerTraffic {
    /// Packed for sending since its address is known.
    pub(crate) sent_bytes: u64,
    pub(crate) sent_messages: u64,
    pub(crate) sent_batches: u64,
    /// Bytes of entries of logs, and of copies, among these.
    pub(crate) sent_append_bytes: u64,
    pub(crate) sent_chunk_bytes: u64,
    /// Found no room, or their link broke.
    pub(crate) dropped_messages: u64,
    /// Waits in all lanes.
    pub(crate) waiting_bytes: u64,
    /// Arrived over links.
    pub(crate) received_bytes: u64,
    pub(crate) received_messages: u64,
    /// Links that broke.
    pub(crate) link_breaks: u64,
}

impl Peers {
    /// A node that knows no others yet.
    pub(crate) fn new(own: Replica, cores: usize, limits: PeerLimits) -> Arc<Peers> {
        Arc::new(Peers {
            own,
            limits,
            origin: Instant::now(),
            cluster: watch::Sender::new(None),
            lanes: (0..cores).map(|_| RwLock::default()).collect(),
            peers: RwLock::default(),
            addresses: watch::Sender::new(0),
            pulses: Mutex::default(),
            evidence: watch::Sender::new(0),
            places: Arc::new(Semaphore::new(LINKS_MAX)),
            runtime: watch::Sender::new(None),
            is_cut: watch::Sender::new(false),
        })
    }

    /// Loses everything between this node and the others from now on, or nothing any more: as if the network did.
    pub(crate) fn cut_off(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }

    /// Whether everything between this node and the others is lost.
    pub(crate) fn is_cut_off(&self) -> bool {
        *self.is_cut.borrow()
    }

    /// Until what others say arrives.
    pub(crate) async fn until_connected(&self) {
        // Fails only when the sender is gone, and `self` owns it.
        let _ = self.is_cut.subscribe().wait_for(|is_cut| !is_cut).await;
    }

    /// This node.
    pub(crate) fn own(&self) -> &Replica {
        &self.own
    }

    /// The cluster, if this node belongs to one.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        *self.cluster.borrow()
    }

    /// This node belongs to a cluster now: links are opened from now on.
    pub(crate) fn set_cluster(&self, cluster: ClusterId) {
        self.cluster.send_if_modified(|known| known.replace(cluster) != Some(cluster));
    }

    /// Says where all other nodes are. Opens links to new ones, opens those anew that moved or live another life, and
    /// closes those that are not mentioned. This node itself is left out.
    pub(crate) fn set_addresses(&self, addresses: BTreeMap<NodeId, PeerAddress>) {
        let others = addresses.into_iter().filter(|(node, _)| *node != self.own.node);
        let mut peers = self.peers.write();
        let mut next = BTreeMap::new();
        for (node, address) in others.take(PEERS_MAX) {
            let known = peers.get(&node).filter(|peer| peer.is_at(&address)).cloned();
            let Some(peer) = known.or_else(|| self.peer(&node, &address)) else { continue };
            next.insert(node, peer);
        }
        let is_same = |peer: &Arc<Peer>, other: Option<&Arc<Peer>>| {
            other.is_some_and(|other| Arc::ptr_eq(peer, other))
        };
        let is_known = |(node, peer): (&NodeId, &Arc<Peer>)| is_same(peer, peers.get(node));
        if next.len() == peers.len() && next.iter().all(is_known) {
            return;
        }
        for (core, lanes) in self.lanes.iter().enumerate() {
            let lane =
                |(node, peer): (&NodeId, &Arc<Peer>)| (node.clone(), Arc::clone(&peer.lanes[core]));
            *lanes.write() = next.iter().map(lane).collect();
        }
        for peer in peers.values().filter(|peer| !is_same(peer, next.get(&peer.id))) {
            peer.closed.cancel();
        }
        *peers = next;
        drop(peers);
        self.addresses.send_modify(|changes| *changes += 1);
    }

    /// Packs a message for a node, to be sent at the next flush. Never waits. A node without an address is told nothing,
    /// and what has no room is dropped: the protocols repeat what matters.
    pub(crate) fn send(&self, core: usize, to: &NodeId, message: &LinkMessage) {
        if self.is_cut_off() {
            return;
        }
        if let Some(lane) = self.lanes[core].read().get(to) {
            lane.push(message);
        }
    }

    /// Lets a core's links send what was packed.
    pub(crate) fn flush(&self, core: usize) {
        self.lanes[core].read().values().for_each(|lane| lane.flush());
    }

    /// Asks a node and waits for its answer.
    pub(crate) async fn ask(
        &self,
        to: &NodeId,
        kind: AskKind,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, AskFailed> {
        self.ask_traced(to, kind, (body, Traces::default()), timeout).await
    }

    /// [`ask`](Self::ask), of operations some of which belong to traces.
    pub(crate) async fn ask_traced(
        &self,
        to: &NodeId,
        kind: AskKind,
        (body, traces): (Bytes, Traces),
        timeout: Duration,
    ) -> Result<Bytes, AskFailed> {
        let unreachable = |why: &str| AskFailed::Unreachable(why.to_owned());
        let peer = self.peers.read().get(to).cloned();
        let peer = peer.ok_or_else(|| unreachable("its address is not known"))?;
        if body.len() > QUESTION_BYTES_MAX {
            return Err(unreachable("the question is too large"));
        }
        let Ok(_place) = peer.questions.try_acquire() else {
            return Err(unreachable("too many questions are under way"));
        };
        let deadline = tokio::time::Instant::now() + timeout;
        if tokio::time::timeout_at(deadline, self.until_connected()).await.is_err() {
            return Err(unreachable("no answer in time"));
        }
        let mut runtime = self.runtime.subscribe();
        let opening = async {
            // Connections live on the first core: who asks may be gone before the answer to another one is here.
            let started = runtime.wait_for(Option::is_some).await.ok().and_then(|r| r.clone());
            let stopping = || ConnectFailed { is_refused: false, why: "stopping".to_owned() };
            let runtime = started.ok_or_else(stopping)?;
            peer.door.open(&runtime, &peer.address, &self.limits).await
        };
        let channel = match tokio::time::timeout_at(deadline, opening).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(failed)) => {
                if peer.pulse.refuses(failed.is_refused) {
                    self.tell();
                }
                return Err(AskFailed::Unreachable(failed.why));
            }
            Err(_) => return Err(unreachable("no connection in time")),
        };
        let greeting =
            Greeting { cluster: self.cluster(), own: self.own.clone(), to: peer.incarnation };
        let asking = peer_client::ask(channel, greeting, kind, (body, traces));
        match tokio::time::timeout_at(deadline, asking).await {
            Ok(Ok(answer)) => {
                peer.pulse.beat();
                Ok(answer)
            }
            Ok(Err((failed, state))) => {
                match state {
                    ChannelState::Alive => peer.pulse.beat(),
                    ChannelState::Broken => peer.door.close(),
                }
                Err(failed)
            }
            Err(_) => Err(AskFailed::Unknown("no answer in time".to_owned())),
        }
    }

    /// When each node was heard last.
    pub(crate) fn heard(&self) -> BTreeMap<NodeId, Heard> {
        let peers = self.peers.read();
        let mut pulses = self.pulses.lock();
        // Who is linked to this node is heard even when its address is not known.
        pulses.retain(|node, pulse| peers.contains_key(node) || Arc::strong_count(pulse) > 1);
        pulses.iter().map(|(node, pulse)| (node.clone(), pulse.heard())).collect()
    }

    /// Changes whenever a link breaks or an address begins to refuse connections: then [`Peers::heard`] is worth a look.
    pub(crate) fn evidence(&self) -> watch::Receiver<u64> {
        self.evidence.subscribe()
    }

    /// How much was exchanged with each node that has an address.
    pub(crate) fn traffic(&self) -> BTreeMap<NodeId, PeerTraffic> {
        let peers = self.peers.read();
        peers.iter().map(|(node, peer)| (node.clone(), peer.traffic())).collect()
    }

    /// Keeps the links of one core. To be run on the core's runtime; ends with `stopping`.
    pub(crate) async fn run_core(self: Arc<Self>, core: usize, stopping: CancellationToken) {
        if core == 0 {
            self.runtime.send_replace(Some(Handle::current()));
        }
        let mut addresses = self.addresses.subscribe();
        let mut links = JoinSet::new();
        let mut kept: BTreeMap<NodeId, Arc<Peer>> = BTreeMap::new();
        loop {
            let peers = self.peers.read().clone();
            for (node, peer) in &peers {
                if !kept.get(node).is_some_and(|kept| Arc::ptr_eq(kept, peer)) {
                    links.spawn(link::keep(Arc::clone(&self), core, Arc::clone(peer)));
                }
            }
            kept = peers;
            tokio::select! {
                changed = addresses.changed() => if changed.is_err() { return },
                Some(_) = links.join_next() => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    /// The signs of life of a node; none if there are too many nodes.
    pub(crate) fn pulse(&self, node: &NodeId) -> Option<Arc<Pulse>> {
        let mut pulses = self.pulses.lock();
        if let Some(pulse) = pulses.get(node) {
            return Some(Arc::clone(pulse));
        }
        if pulses.len() >= PEERS_MAX {
            return None;
        }
        let pulse = Arc::new(Pulse::new(self.origin));
        pulses.insert(node.clone(), Arc::clone(&pulse));
        Some(pulse)
    }

    /// A place for a link of another node, until it is dropped.
    pub(crate) fn admit_link(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// How many links other nodes have open to this one.
    pub(crate) fn links(&self) -> usize {
        LINKS_MAX.saturating_sub(self.places.available_permits())
    }

    fn peer(&self, node: &NodeId, address: &PeerAddress) -> Option<Arc<Peer>> {
        let pulse = self.pulse(node)?;
        pulse.refuses(false);
        Some(Arc::new(Peer {
            id: node.clone(),
            incarnation: address.incarnation,
            address: Arc::from(address.grpc.as_str()),
            lanes: self.lanes.iter().map(|_| Arc::new(Lane::new(&self.limits))).collect(),
            door: Door::default(),
            questions: Semaphore::new(self.limits.questions_max),
            pulse,
            closed: CancellationToken::new(),
        }))
    }

    /// Something happened that may be evidence.
    fn tell(&self) {
        self.evidence.send_modify(|events| *events += 1);
    }
}

impl Peer {
    fn is_at(&self, address: &PeerAddress) -> bool {
        self.incarnation == address.incarnation && *self.address == *address.grpc
    }

    fn traffic(&self) -> PeerTraffic {
        let (received_bytes, received_messages, link_breaks) = self.pulse.counts();
        let mut traffic = PeerTraffic {
            received_bytes,
            received_messages,
            link_breaks,
            ..PeerTraffic::default()
        };
        for lane in self.lanes.iter().map(|lane| lane.traffic()) {
            traffic.sent_bytes += lane.sent_bytes;
            traffic.sent_messages += lane.sent_messages;
            traffic.sent_batches += lane.sent_batches;
            traffic.sent_append_bytes += lane.sent_append_bytes;
            traffic.sent_chunk_bytes += lane.sent_chunk_bytes;
            traffic.dropped_messages += lane.dropped_messages;
            traffic.waiting_bytes += lane.waiting_bytes;
        }
        traffic
    }
}

#[cfg(test)]
#[path = "peers_test.rs"]
mod tests;
