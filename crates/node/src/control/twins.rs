//! A cluster in one process: control with twins in memory of gossip, council, links and engine. Nodes are started and
//! killed in a moment, and nothing but control itself takes time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use isogrid_cluster::council::{CreateCluster, LossPolicy};
use isogrid_cluster::heartbeat::Lead;
use isogrid_cluster::steward::{Follower, StewardSettings};
use isogrid_cluster::{ClusterId, Command, Council, Directive, Outcome, VoterId};
use isogrid_core::{
    Error, ErrorCode, Incarnation, LogPosition, Member, NodeId, PartitionId, Replica, Result,
    SessionId, Timestamp,
};
use isogrid_replica::{Now, Proposal, ProposedChange, Ticks};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::faces::{CouncilFace, EngineFace, Faces, GossipFace, PeersFace};
use super::settings::{ControlSettings, Pace};
use super::shared::Control;
use super::view::View;
use crate::config::NodeConfig;
use crate::council::{CouncilLeader, ProposeFailed};
use crate::gossip::{OwnNews, Seen};
use crate::identity::Identity;
use crate::peers::message::{AskFailed, AskKind, LinkMessage, PeerAddress};
use crate::peers::pulse::Heard;

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
    heard: watch::Sender<Arc<BTreeMap<NodeId, Seen>>>,
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
            heard: watch::Sender::default(),
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
        self.heard.send_replace(Arc::new(self.gossip.lock().clone()));
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
        has_data_on_disk: false,
        expect: start.expect,
        has_seeds: start.has_seeds,
        partitions: 16,
        backups: start.backups,
        loss_policy: LossPolicy::Reset,
        drain_timeout: Duration::from_secs(5),
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

struct GossipTwin {
    world: Arc<World>,
    node: NodeId,
}

impl GossipFace for GossipTwin {
    fn publish(&self, news: OwnNews) {
        let seen = Seen {
            news: Arc::new(news),
            address: "127.0.0.1:1".parse().unwrap(),
            heard: Instant::now(),
            is_live: !self.world.dead.lock().contains_key(&self.node),
            is_leaving: false,
            clock: Timestamp(0),
            clock_offset_ms: None,
        };
        let mut gossip = self.world.gossip.lock();
        let is_old = gossip.get(&self.node).is_some_and(|known| {
            known.news.member.incarnation > seen.news.member.incarnation
                || known.news == seen.news && known.is_live
        });
        if !is_old {
            gossip.insert(self.node.clone(), seen);
            self.world.heard.send_replace(Arc::new(gossip.clone()));
        }
    }

    /// The real one leaves this node itself out; nothing depends on it.
    fn members(&self) -> watch::Receiver<Arc<BTreeMap<NodeId, Seen>>> {
        self.world.heard.subscribe()
    }
}

pub(super) struct CouncilTwin {
    world: Arc<World>,
    node: NodeId,
    voter: VoterId,
    state: watch::Sender<Arc<Council>>,
    leader: watch::Sender<Option<CouncilLeader>>,
}

impl CouncilTwin {
    fn not_leader(&self) -> ProposeFailed {
        ProposeFailed::NotLeader(self.world.group.lock().leader.clone())
    }
}

#[tonic::async_trait]
impl CouncilFace for CouncilTwin {
    fn voter(&self) -> VoterId {
        self.voter
    }

    fn is_initialized(&self) -> bool {
        self.world.group.lock().voters.contains_key(&self.voter)
    }

    async fn form(&self, create: CreateCluster) -> Result<()> {
        {
            let mut group = self.world.group.lock();
            assert!(group.voters.is_empty(), "a second cluster is formed");
            group.voters = BTreeMap::from([(self.voter, self.node.clone())]);
            (group.term, group.leader) = (1, Some(self.node.clone()));
        }
        self.world.apply(&Command::CreateCluster(create));
        Ok(())
    }

    async fn propose(&self, command: Command) -> Result<Outcome, ProposeFailed> {
        if !self.has_quorum() {
            return Err(self.not_leader());
        }
        Ok(self.world.apply(&command))
    }

    async fn confirm(&self) -> Result<(), ProposeFailed> {
        if self.has_quorum() { Ok(()) } else { Err(self.not_leader()) }
    }

    fn state(&self) -> watch::Receiver<Arc<Council>> {
        self.state.subscribe()
    }

    fn leader(&self) -> watch::Receiver<Option<CouncilLeader>> {
        self.leader.subscribe()
    }

    fn has_quorum(&self) -> bool {
        let group = self.world.group.lock();
        let leads = group.leader.as_ref() == Some(&self.node);
        leads && group.voters.contains_key(&self.voter) && self.world.is_majority(&group)
    }

    fn voters(&self) -> BTreeMap<VoterId, NodeId> {
        let group = self.world.group.lock();
        if group.voters.contains_key(&self.voter) { group.voters.clone() } else { BTreeMap::new() }
    }

    async fn change_voters(&self, voters: BTreeMap<VoterId, NodeId>) -> Result<()> {
        {
            let mut group = self.world.group.lock();
            group.voters = voters;
            let stays = group.voters.contains_key(&self.voter);
            if !stays {
                group.leader = group.voters.values().next().cloned();
                group.term += 1;
            }
        }
        self.world.show();
        Ok(())
    }
}

struct PeersTwin {
    world: Arc<World>,
    node: NodeId,
    addresses: Mutex<BTreeMap<NodeId, PeerAddress>>,
}

impl PeersTwin {
    fn reach(&self, to: &NodeId) -> Option<Arc<Station>> {
        let address = self.addresses.lock().get(to)?.incarnation;
        let station = self.world.stations.lock().get(to).cloned()?;
        (self.world.runs(&self.node) && station.life == address).then_some(station)
    }
}

#[tonic::async_trait]
impl PeersFace for PeersTwin {
    fn set_cluster(&self, _cluster: ClusterId) {}

    fn set_addresses(&self, addresses: BTreeMap<NodeId, PeerAddress>) {
        *self.addresses.lock() = addresses;
    }

    fn send(&self, to: &NodeId, message: &LinkMessage) {
        let Some(station) = self.reach(to) else { return };
        match message {
            LinkMessage::News(news) => station.control.hear_news(&self.node, news),
            LinkMessage::Directive(directive) => station.engine.direct(directive),
            _ => {}
        }
    }

    async fn ask(
        &self,
        to: &NodeId,
        kind: AskKind,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, AskFailed> {
        let unreachable = || AskFailed::Unreachable("nobody is there".to_owned());
        let station = self.reach(to).ok_or_else(unreachable)?;
        let answer = station.control.answer(&self.node, kind, &body);
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(AskFailed::Refused(error)),
            Err(_) => Err(AskFailed::Unknown("no answer in time".to_owned())),
        }
    }

    fn heard(&self) -> BTreeMap<NodeId, Heard> {
        let addresses = self.addresses.lock();
        let heard = addresses.iter().map(|(node, address)| {
            let died = self.world.dead.lock().get(node).copied();
            let last = died.unwrap_or_else(Instant::now);
            let incarnation = address.incarnation;
            (node.clone(), Heard { last, incarnation, is_refused: died.is_some() })
        });
        heard.collect()
    }

    fn evidence(&self) -> watch::Receiver<u64> {
        self.world.evidence.subscribe()
    }
}

/// Primaries that do at once what they have to.
pub(super) struct EngineTwin {
    me: Replica,
    begin: Instant,
    view: Mutex<Arc<View>>,
    proposals: mpsc::Sender<Proposal>,
    /// How many heartbeats were answered with a lease.
    pub(super) answered: AtomicU64,
    pub(super) kept_alive: Mutex<BTreeSet<SessionId>>,
}

impl EngineTwin {
    fn propose(&self, partition: PartitionId, change: ProposedChange) {
        let view = Arc::clone(&self.view.lock());
        let Some(entry) = view.table.entry(partition) else { return };
        let (epoch, ver) = (entry.epoch, entry.ver);
        let _ = self.proposals.try_send(Proposal { partition, epoch, ver, change });
    }

    /// Learners are ready at once, and members that are down are removed.
    fn tend(&self) {
        let view = Arc::clone(&self.view.lock());
        for partition in view.table.owned_by(&self.me.node) {
            let Some(entry) = view.table.entry(partition) else { continue };
            if let Some(learner) = entry.learners.iter().find(|learner| view.is_live(learner)) {
                self.propose(partition, ProposedChange::Add(learner.clone()));
            } else if let Some(gone) = entry.in_sync.iter().find(|member| !view.is_live(member)) {
                self.propose(partition, ProposedChange::Remove(gone.clone()));
            }
        }
    }
}

impl EngineFace for EngineTwin {
    fn learn(&self, view: &Arc<View>) {
        {
            let mut known = self.view.lock();
            assert!(known.table.version() <= view.table.version(), "views come in their order");
            *known = Arc::clone(view);
        }
        self.tend();
    }

    fn leads(&self) -> Vec<Lead> {
        let view = Arc::clone(&self.view.lock());
        let lead = |partition| {
            let entry = view.table.entry(partition).expect("it is led");
            let whole = entry.in_sync.iter().map(|member| (member, true));
            let followers = whole.chain(entry.learners.iter().map(|learner| (learner, false)));
            let followers = followers.filter(|(replica, _)| replica.node != self.me.node);
            Lead {
                partition,
                bytes: 100,
                commit: LogPosition { epoch: entry.epoch, seq: 1 },
                followers: followers
                    .map(|(replica, is_complete)| {
                        (replica.node.clone(), Follower { is_complete, ..Follower::default() })
                    })
                    .collect(),
            }
        };
        view.table.owned_by(&self.me.node).map(lead).collect()
    }

    fn kept_alive(&self) -> Vec<SessionId> {
        std::mem::take(&mut *self.kept_alive.lock()).into_iter().collect()
    }

    fn positions(&self) -> Vec<(PartitionId, LogPosition)> {
        Vec::new()
    }

    fn council_answered(&self, _sent_at: Ticks) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        // A lost proposal is made again.
        self.tend();
    }

    fn direct(&self, directive: &Directive) {
        match directive.clone() {
            Directive::HandOver { partition, to, .. } => {
                self.propose(partition, ProposedChange::HandOver(to));
            }
            Directive::Retire { partition, member, .. } => {
                self.propose(partition, ProposedChange::Remove(member));
            }
            Directive::Vouch { partition, member, .. } => {
                self.propose(partition, ProposedChange::Add(member));
            }
        }
    }

    fn now(&self) -> Now {
        let micros = self.begin.elapsed().as_micros() as u64;
        Now {
            ticks: Ticks(10_000_000 + micros),
            wall: Timestamp(1_700_000_000_000 + micros / 1_000),
        }
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
