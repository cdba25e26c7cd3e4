//! A cluster in one process: control with twins in memory of gossip, council, links and engine. Nodes are started and
//! killed in a moment, and nothing but control itself takes time.

mod council;
mod engine;
mod gossip;
mod peers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use isogrid_cluster::council::LossPolicy;
use isogrid_cluster::steward::StewardSettings;
use isogrid_cluster::{Command, Council, Outcome, VoterId};
use isogrid_core::{Error, ErrorCode, Incarnation, Member, NodeId, Replica, Result};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::council::CouncilTwin;
use self::engine::EngineTwin;
use self::gossip::GossipTwin;
use self::peers::PeersTwin;
use super::faces::{CouncilFace, EngineFace, Faces};
use super::settings::{ControlSettings, Pace};
use super::shared::Control;
use super::view::View;
use crate::config::NodeConfig;
use crate::config::node::AtEnd;
use crate::gossip::Seen;
use crate::identity::{DataOnDisk, Identity};
use isogrid_council::CouncilLeader;

/// What a node hears of the others.
type Others = BTreeMap<NodeId, Seen>;

/// How the nodes of a test are started.
#[derive(Clone)]
pub(super) struct Start {
    pub(super) expect: u16,
    pub(super) backups: u8,
    pub(super) has_seeds: bool,
    /// This life instead of one of the present.
    pub(super) life: Option<u64>,
}

impl Default for Start {
    fn default() -> Self {
        Start { expect: 1, backups: 1, has_seeds: false, life: None }
    }
}

/// The one council that there is, as a correct consensus would keep it.
#[derive(Default)]
pub(super) struct Group {
    pub(super) council: Council,
    pub(super) voters: BTreeMap<VoterId, NodeId>,
    pub(super) term: u64,
    pub(super) leader: Option<NodeId>,
}

/// A node that runs.
pub(super) struct Station {
    pub(super) control: Arc<Control>,
    pub(super) engine: Arc<EngineTwin>,
    life: Incarnation,
    council: Arc<CouncilTwin>,
    stopping: CancellationToken,
}

/// All nodes.
pub(super) struct World {
    begin: Instant,
    pub(super) group: Mutex<Group>,
    stations: Mutex<BTreeMap<NodeId, Arc<Station>>>,
    /// Nodes that ran once, and when they ended.
    dead: Mutex<BTreeMap<NodeId, Instant>>,
    gossip: Mutex<BTreeMap<NodeId, Seen>>,
    /// For each node what it hears of the others.
    heard: Mutex<BTreeMap<NodeId, watch::Sender<Arc<Others>>>>,
    evidence: watch::Sender<u64>,
    voters: AtomicU64,
}

impl World {
    pub(super) fn new() -> Arc<World> {
        Arc::new(World {
            begin: Instant::now(),
            group: Mutex::default(),
            stations: Mutex::default(),
            dead: Mutex::default(),
            gossip: Mutex::default(),
            heard: Mutex::default(),
            evidence: watch::Sender::new(0),
            voters: AtomicU64::new(1),
        })
    }

    pub(super) fn start(self: &Arc<World>, name: &str, start: &Start) -> Arc<Station> {
        let config = NodeConfig { name: Some(name.to_owned()), ..NodeConfig::default() };
        let mut identity = Identity::establish(&config, 1).unwrap();
        // Lives of one node follow each other faster here than clocks tick.
        identity.incarnation.0 += self.voters.load(Ordering::Relaxed);
        if let Some(life) = start.life {
            identity.incarnation = Incarnation(life);
        }
        let node = identity.node_id.clone();
        let life = identity.incarnation;
        let member =
            Member { incarnation: life, grpc_addr: format!("{name}:1"), ..Member::new(name) };
        let (proposals, proposed) = mpsc::channel(1_024);
        let engine = Arc::new(EngineTwin {
            me: Replica { node: node.clone(), incarnation: life },
            begin: self.begin,
            view: Mutex::new(Arc::new(View::empty())),
            proposals,
            answered: AtomicU64::new(0),
            kept_alive: Mutex::default(),
        });
        let council = Arc::new(CouncilTwin {
            world: Arc::clone(self),
            node: node.clone(),
            voter: VoterId(self.voters.fetch_add(1, Ordering::Relaxed)),
            state: watch::Sender::default(),
            leader: watch::Sender::default(),
        });
        let faces = Faces {
            gossip: Arc::new(GossipTwin { world: Arc::clone(self), node: node.clone() }),
            council: Arc::clone(&council) as Arc<dyn CouncilFace>,
            peers: Arc::new(PeersTwin {
                world: Arc::clone(self),
                node: node.clone(),
                addresses: Mutex::default(),
            }),
            engine: Arc::clone(&engine) as Arc<dyn EngineFace>,
        };
        let stopping = CancellationToken::new();
        let settings = settings(identity, member, start);
        drop(faces.gossip.members());
        self.tell();
        let control = Control::start(settings, faces, proposed, stopping.clone());
        let station = Arc::new(Station { control, engine, life, council, stopping });
        self.dead.lock().remove(&node);
        self.stations.lock().insert(node, Arc::clone(&station));
        self.show();
        station
    }

    /// A node ends without a word. If it led the council, another voter does.
    pub(super) fn kill(&self, name: &str) {
        let node = NodeId::new(name);
        let station = self.stations.lock().remove(&node).expect("it runs");
        station.stopping.cancel();
        self.dead.lock().insert(node.clone(), Instant::now());
        if let Some(seen) = self.gossip.lock().get_mut(&node) {
            seen.is_live = false;
        }
        self.tell();
        self.evidence.send_modify(|changes| *changes += 1);
        let mut group = self.group.lock();
        if group.leader.as_ref() == Some(&node) {
            let next = group.voters.values().find(|voter| self.runs(voter)).cloned();
            group.leader = next.filter(|_| self.is_majority(&group));
            group.term += 1;
        }
        drop(group);
        self.show();
    }

    pub(super) fn station(&self, name: &str) -> Arc<Station> {
        Arc::clone(&self.stations.lock()[&NodeId::new(name)])
    }

    pub(super) fn stations(&self) -> Vec<Arc<Station>> {
        self.stations.lock().values().cloned().collect()
    }

    /// Whether the views of all running nodes are so.
    pub(super) fn all(&self, is_so: impl Fn(&View) -> bool) -> bool {
        self.stations().iter().all(|station| is_so(&station.control.now_known()))
    }

    /// Gossip reaches everybody at once.
    fn tell(&self) {
        let gossip = self.gossip.lock().clone();
        for (node, heard) in self.heard.lock().iter() {
            let mut others = gossip.clone();
            others.remove(node);
            heard.send_replace(Arc::new(others));
        }
    }

    fn runs(&self, node: &NodeId) -> bool {
        self.stations.lock().contains_key(node)
    }

    fn is_majority(&self, group: &Group) -> bool {
        // A voter counts by its log: a restarted node has another one.
        let runs = |(voter, node): &(&VoterId, &NodeId)| {
            let stations = self.stations.lock();
            stations.get(*node).is_some_and(|station| station.council.voter == **voter)
        };
        group.voters.iter().filter(runs).count() * 2 > group.voters.len()
    }

    /// Applies a command, and every voter sees it.
    pub(super) fn apply(&self, command: &Command) -> Outcome {
        let outcome = self.group.lock().council.apply(command);
        self.show();
        outcome
    }

    fn show(&self) {
        let (council, voters, leader) = {
            let group = self.group.lock();
            let leader = group.leader.clone().map(|node| (group.term, node));
            (Arc::new(group.council.clone()), group.voters.clone(), leader)
        };
        for station in self.stations() {
            let twin = &station.council;
            if !voters.contains_key(&twin.voter) {
                twin.leader.send_if_modified(|known| known.take().is_some());
                continue;
            }
            twin.state.send_replace(Arc::clone(&council));
            let leading = leader.clone().map(|(term, node)| CouncilLeader {
                term,
                voter: twin.voter,
                is_me: node == twin.node,
                node,
            });
            twin.leader.send_if_modified(|known| {
                let is_new = *known != leading;
                known.clone_from(&leading);
                is_new
            });
        }
    }
}

fn settings(identity: Identity, member: Member, start: &Start) -> ControlSettings {
    ControlSettings {
        identity: Arc::new(identity),
        member,
        data_on_disk: DataOnDisk::Nothing,
        expect: start.expect,
        has_seeds: start.has_seeds,
        partitions: 16,
        backups: start.backups,
        loss_policy: LossPolicy::Reset,
        drain_timeout: Duration::from_secs(5),
        at_end: AtEnd::Restart,
        maps: BTreeMap::new(),
        steward: StewardSettings {
            settle_ms: 50,
            stable_ms: 50,
            back_off_ms: 50,
            repeat_ms: 200,
            ..StewardSettings::default()
        },
        pace: Pace {
            heartbeat: Duration::from_millis(20),
            steward: Duration::from_millis(10),
            voters: Duration::from_millis(20),
            stable: Duration::from_millis(200),
            ..Pace::default()
        },
    }
}

/// Waits until it is so; not for ever.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "not so after 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// An error of this code.
pub(super) fn is_code<T>(result: &Result<T, Error>, code: ErrorCode) -> bool {
    result.as_ref().is_err_and(|error| error.code() == code)
}
