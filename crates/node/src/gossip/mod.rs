//! Gossip: who else is there, where, and what each says of itself. It carries news and evidence of life; it decides
//! nothing. docs/membership.md explains it, docs/adr/0012-chitchat-version.md why it is built on this version of chitchat.
//!
//! ```text
//!   publish ──► news: keys and values ──► chitchat ◄── socket ◄── envelope: plain or sealed ◄── UDP
//!   members ◄── lives: the newest life of each node ◄──┘ polled by the session, which the keeper restarts
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `news` | what a node says of itself, as keys and values |
//! | `seen` | what is known of another node |
//! | `lives` | from chitchat's entries to one [`Seen`] per node: the newest life wins |
//! | `clock` | how far another node's clock is off |
//! | `envelope` | datagrams of this cluster only; sealed when there is a key |
//! | `socket` | chitchat's transport over UDP in envelopes |
//! | `seeds` | whom to call first, and DNS |
//! | `session` | one run of chitchat: publishes, polls, calls seeds |
//! | `keeper` | starts a session anew when it dies |
//! | `figures` | counters, and warnings that do not flood the log |

mod clock;
mod envelope;
mod figures;
mod keeper;
mod lives;
mod news;
mod seeds;
mod seen;
mod session;
mod socket;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use isogrid_core::{Error, ErrorCode, NodeId, Result};
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use envelope::GossipKey;
pub(crate) use figures::GossipFigures;
pub(crate) use news::OwnNews;
pub(crate) use seen::Seen;

use envelope::Envelope;
use figures::Counters;
use lives::Lives;

/// How long a node that is not heard of is remembered. Peers stop telling others of it at half of it. It bounds the
/// digest: restarts pile up lives, and every datagram lists all of them.
const DEAD_GRACE: Duration = Duration::from_secs(15 * 60);

/// The longest name of a node or a cluster, so that digests stay small.
const NAME_BYTES_MAX: usize = 255;

/// The bits of chitchat's generation that count restarts of gossip within one life of the node.
const RESTART_BITS: u32 = 20;

/// What gossip needs to know to start.
#[derive(Clone, Debug)]
pub(crate) struct GossipSettings {
    /// The name of this node.
    pub(crate) node: NodeId,
    /// Which life of the node this is. It must grow with every start, also of a node whose data folder was wiped:
    /// the others listen to the highest only.
    pub(crate) generation: u64,
    /// The name of the cluster. Datagrams of another one are dropped.
    pub(crate) cluster: String,
    /// Where to listen (UDP). Port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// Where the others reach this node. Port 0 stands for the port that is listened on.
    pub(crate) advertise: SocketAddr,
    /// `host:port` of nodes to call first. Names are resolved again and again.
    pub(crate) seeds: Vec<String>,
    /// Seals datagrams when there is one.
    pub(crate) key: Option<GossipKey>,
    /// How often this node gossips.
    pub(crate) interval: Duration,
    /// After how many usual pauses between heartbeats a node is held for dead.
    pub(crate) phi: f64,
    /// The pause between heartbeats that is assumed before any was measured.
    pub(crate) initial_interval: Duration,
}

impl GossipSettings {
    /// The usual settings: no seeds, no key, a round each 200 ms.
    pub(crate) fn new(node: NodeId, generation: u64, cluster: &str, listen: SocketAddr) -> Self {
        let interval = Duration::from_millis(200);
        Self {
            node,
            generation,
            cluster: cluster.to_owned(),
            listen,
            advertise: listen,
            seeds: Vec::new(),
            key: None,
            interval,
            phi: 8.0,
            initial_interval: interval,
        }
    }

    fn check(&self) -> Result<()> {
        let invalid = |detail: String| Err(Error::new(ErrorCode::ConfigValueInvalid, detail));
        for (what, name) in [("node", self.node.as_str()), ("cluster", &self.cluster)] {
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                return invalid(format!("the name of the {what} has 1 to {NAME_BYTES_MAX} bytes"));
            }
        }
        if self.advertise.ip().is_unspecified() {
            return invalid(format!("other nodes cannot reach this one at {}", self.advertise));
        }
        if self.generation >> (u64::BITS - RESTART_BITS) != 0 {
            return invalid(format!("{} is too large for the life of a node", self.generation));
        }
        Ok(())
    }
}

/// What the parts of gossip share.
struct Shared {
    settings: GossipSettings,
    /// The address that was bound; a broken socket is bound there again.
    bound: SocketAddr,
    envelope: Envelope,
    counters: Counters,
    /// Short and sync: what to publish.
    own: Mutex<Own>,
    /// Something is to be published.
    changed: Notify,
    stop: CancellationToken,
    members: watch::Sender<Arc<BTreeMap<NodeId, Seen>>>,
    /// Written by the session, kept from one session to the next.
    lives: Mutex<Lives>,
    /// Written by the resolver, read by the session.
    seeds: Mutex<Vec<SocketAddr>>,
    /// Addresses where members were once; tried when nobody else answers.
    also_try: Mutex<Vec<SocketAddr>>,
    /// `None` when it broke and is to be bound again.
    socket: Mutex<Option<Arc<UdpSocket>>>,
    /// Whether all datagrams are lost, for who wants to see what happens then.
    is_cut: AtomicBool,
    /// The running chitchat.
    chitchat: Mutex<Option<Arc<chitchat::ChitchatHandle>>>,
}

struct Own {
    news: OwnNews,
    is_leaving: bool,
}

/// This node among the others.
pub(crate) struct Gossip {
    shared: Arc<Shared>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl Gossip {
    /// Binds the address and begins to gossip. Returns before anybody is seen.
    pub(crate) async fn start(mut settings: GossipSettings, own: OwnNews) -> Result<Gossip> {
        settings.check()?;
        news::check(&own)?;
        let socket = socket::bind(settings.listen)?;
        let bound = socket.local_addr().map_err(|error| unavailable(settings.listen, &error))?;
        if settings.advertise.port() == 0 {
            settings.advertise.set_port(bound.port());
        }
        let shared = Arc::new(Shared {
            bound,
            envelope: Envelope::new(&settings.cluster, settings.key.clone()),
            counters: Counters::default(),
            own: Mutex::new(Own { news: own, is_leaving: false }),
            changed: Notify::new(),
            stop: CancellationToken::new(),
            members: watch::Sender::default(),
            lives: Mutex::new(Lives::new(settings.node.clone(), settings.generation)),
            seeds: Mutex::default(),
            also_try: Mutex::default(),
            socket: Mutex::new(Some(Arc::new(socket))),
            is_cut: AtomicBool::new(false),
            chitchat: Mutex::new(None),
            settings,
        });
        let keeper = tokio::spawn(keeper::keep(Arc::clone(&shared)));
        Ok(Gossip { shared, keeper: Mutex::new(Some(keeper)) })
    }

    /// Tells the others what is new of this node. What is the same as before costs nothing.
    pub(crate) fn publish(&self, news: OwnNews) {
        self.shared.own.lock().news = news;
        self.shared.changed.notify_one();
    }

    /// The other nodes that were heard of in this node's life; never this node. Receivers are woken when something other
    /// than `heard` and the clocks has changed; what they borrow is always the newest.
    pub(crate) fn members(&self) -> watch::Receiver<Arc<BTreeMap<NodeId, Seen>>> {
        self.shared.members.subscribe()
    }

    /// How many milliseconds every live clock is ahead of this node's, with this node's own among them: what
    /// [`isogrid_cluster::gossip::judge_clock`] asks for.
    pub(crate) fn clock_offsets(&self) -> BTreeMap<NodeId, i64> {
        let own = (self.shared.settings.node.clone(), 0);
        seen::clock_offsets(&self.shared.members.borrow()).into_iter().chain([own]).collect()
    }

    /// Loses all datagrams from now on, or none any more.
    pub(crate) fn cut_off(&self, is_cut: bool) {
        self.shared.is_cut.store(is_cut, Ordering::Relaxed);
    }

    /// Where the others reach this node.
    pub(crate) fn address(&self) -> SocketAddr {
        self.shared.settings.advertise
    }

    /// Addresses where members were once, such as those in the last known table: they are called when no seed answers.
    #[cfg_attr(not(test), expect(dead_code, reason = "for a restart with all seeds dead"))]
    pub(crate) fn also_try(&self, addresses: Vec<SocketAddr>) {
        *self.shared.also_try.lock() = addresses;
    }

    /// What was counted so far.
    pub(crate) fn figures(&self) -> GossipFigures {
        self.shared.counters.figures()
    }

    /// Says goodbye and stops: the others see at once that this node has left. Dropping gossip instead stops it without
    /// a word, as a crash would.
    pub(crate) async fn stop(&self) {
        self.shared.own.lock().is_leaving = true;
        self.shared.changed.notify_one();
        // There is no answer to a goodbye: time for two rounds, and the session calls everybody at once.
        let rounds = self.shared.settings.interval * 2;
        tokio::time::sleep(rounds.clamp(GOODBYE_MIN, GOODBYE_MAX)).await;
        self.shared.stop.cancel();
        // The keeper ends by the token; that it was ended otherwise is no reason to fail here.
        let keeper = self.keeper.lock().take();
        if let Some(keeper) = keeper {
            let _ = keeper.await;
        }
    }
}

/// The least and the most time that a goodbye is given.
const GOODBYE_MIN: Duration = Duration::from_millis(100);
const GOODBYE_MAX: Duration = Duration::from_millis(500);

impl Drop for Gossip {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

fn unavailable(address: SocketAddr, error: &std::io::Error) -> Error {
    Error::new(ErrorCode::AddressUnavailable, format!("{address} (UDP, gossip): {error}"))
}

#[cfg(test)]
mod gossip_test;
