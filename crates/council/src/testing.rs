//! Voters in one process, joined by links that can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use isogrid_cluster::council::{Command, CreateCluster, LossPolicy, Outcome};
use isogrid_cluster::{ClusterId, VoterId};
use isogrid_core::NodeId;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::network::{CallFailed, RaftTransport};
use crate::service::{CouncilService, ProposeFailed};
use crate::settings::CouncilSettings;
use crate::store::{Loaded, Store};

/// What tests wait at most.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The links.
#[derive(Default)]
pub(super) struct Net {
    services: Mutex<BTreeMap<NodeId, Weak<CouncilService>>>,
    /// What these send or are sent is lost, without a word.
    cut: Mutex<BTreeSet<NodeId>>,
    /// The largest message so far.
    pub(super) largest: Mutex<usize>,
}

struct Ends {
    net: Arc<Net>,
    own: NodeId,
}

impl RaftTransport for Ends {
    fn call<'a>(
        &'a self,
        to: &'a NodeId,
        body: Bytes,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Bytes, CallFailed>> {
        async move {
            let is_cut = || {
                let cut = self.net.cut.lock();
                cut.contains(&self.own) || cut.contains(to)
            };
            {
                let mut largest = self.net.largest.lock();
                *largest = body.len().max(*largest);
            }
            if is_cut() {
                sleep(wait).await;
                return Err(CallFailed::TimedOut);
            }
            let there = self.net.services.lock().get(to).and_then(Weak::upgrade);
            let gone = || CallFailed::Unreachable(format!("{to} is away"));
            let there = there.ok_or_else(gone)?;
            let answer = there.handle(&self.own, body).await;
            if is_cut() {
                return Err(CallFailed::TimedOut);
            }
            answer.map_err(|error| CallFailed::Unreachable(error.to_string()))
        }
        .boxed()
    }
}

impl Net {
    pub(super) fn cut(&self, node: &str) {
        self.cut.lock().insert(NodeId::new(node));
    }

    pub(super) fn heal(&self, node: &str) {
        self.cut.lock().remove(&NodeId::new(node));
    }
}

/// Nodes with a folder each.
pub(super) struct Group {
    pub(super) net: Arc<Net>,
    folder: Option<TempDir>,
    pub(super) compact_entries: u64,
    pub(super) nodes: BTreeMap<&'static str, Arc<CouncilService>>,
}

impl Group {
    /// Nodes on disk.
    pub(super) fn on_disk() -> Group {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let nodes = BTreeMap::new();
        Group { net: Arc::default(), folder: Some(folder), compact_entries: 5_000, nodes }
    }

    /// Nodes in memory.
    pub(super) fn in_memory() -> Group {
        Group { folder: None, ..Group::on_disk() }
    }

    pub(super) fn folder(&self, node: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.path().join(node))
    }

    pub(super) fn transport(&self, node: &str) -> Arc<dyn RaftTransport> {
        Arc::new(Ends { net: Arc::clone(&self.net), own: NodeId::new(node) })
    }

    pub(super) fn settings(&self, node: &str) -> CouncilSettings {
        let mut settings = CouncilSettings::new(NodeId::new(node), self.folder(node));
        settings.compact_entries = self.compact_entries;
        settings
    }

    /// Starts a node, for the first time or again.
    pub(super) async fn start(&mut self, node: &'static str) -> Arc<CouncilService> {
        let starting = CouncilService::start(self.settings(node), self.transport(node));
        let service = starting.await.expect("the node starts");
        self.net.services.lock().insert(NodeId::new(node), Arc::downgrade(&service));
        self.nodes.insert(node, Arc::clone(&service));
        service
    }

    /// Starts a node on a disk of its own.
    pub(super) async fn start_on(&mut self, node: &'static str, disk: &Disk) {
        let settings = self.settings(node);
        let disk = disk.open();
        let starting = CouncilService::run(settings, self.transport(node), disk, Path::new("disk"));
        let service = starting.await.expect("the node starts");
        self.net.services.lock().insert(NodeId::new(node), Arc::downgrade(&service));
        self.nodes.insert(node, service);
    }

    /// Takes a node away: nobody hears of it any more from one moment to the next.
    pub(super) async fn kill(&mut self, node: &str) {
        self.net.services.lock().remove(&NodeId::new(node));
        self.net.cut(node);
        let service = self.nodes.remove(node).expect("the node runs");
        service.stop().await;
        drop(service);
        self.net.heal(node);
    }

    /// Three voters.
    pub(super) async fn three(mut self) -> Group {
        let first = self.start("a").await;
        first.form(create()).await.expect("formed");
        for node in ["b", "c"] {
            self.start(node).await;
        }
        let voters = self.voters(&["a", "b", "c"]);
        first.change_voters(voters).await.expect("three voters");
        self
    }

    pub(super) fn voters(&self, nodes: &[&str]) -> BTreeMap<VoterId, NodeId> {
        nodes.iter().map(|node| (self.nodes[*node].voter(), NodeId::new(*node))).collect()
    }

    /// The node that leads, has a quorum, and is known to.
    pub(super) async fn leader(&self) -> &'static str {
        self.leader_but("").await
    }

    /// The same, another one than this.
    pub(super) async fn leader_but(&self, old: &str) -> &'static str {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for (name, service) in &self.nodes {
                let leads = service.leader().borrow().as_ref().is_some_and(|l| l.is_me);
                if *name != old && leads && service.has_quorum() {
                    return name;
                }
            }
            assert!(Instant::now() < deadline, "nobody leads");
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Proposes where the leader is, as often as it takes. The command may be applied more than once.
    pub(super) async fn propose(&self, command: Command) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leader = self.leader().await;
            match self.nodes[leader].propose(command.clone()).await {
                Ok(outcome) => return outcome,
                Err(ProposeFailed::TooLarge(bytes)) => panic!("{bytes} bytes are too many"),
                Err(_) => assert!(Instant::now() < deadline, "nothing is committed"),
            }
        }
    }

    /// Waits until a node has applied this many commands.
    pub(super) async fn applied(&self, node: &str, count: u64) {
        let mut state = self.nodes[node].state();
        let reached = state.wait_for(|council| council.applied() >= count);
        timeout(PATIENCE, reached).await.expect("in time").expect("the node runs");
    }

    /// Ends all, in order.
    pub(super) async fn stop(mut self) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.kill(node).await;
        }
    }
}

/// A cluster of 16 partitions.
pub(super) fn create() -> CreateCluster {
    CreateCluster {
        id: ClusterId(7),
        partitions: 16,
        copies: 2,
        loss_policy: LossPolicy::Block,
        members: Vec::new(),
    }
}

/// A command whose every application can be counted.
pub(super) fn count() -> Command {
    Command::OpenSessions { count: 1 }
}

/// Waits until something is so; returns the longest time in which nobody looked.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let deadline = Instant::now() + PATIENCE;
    let (mut looked, mut longest) = (Instant::now(), Duration::ZERO);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(2)).await;
        longest = longest.max(looked.elapsed());
        looked = Instant::now();
    }
    longest
}

/// A disk that counts its syncs, can fail, and forgets what was not synced when the power goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Surface>>);

#[derive(Debug, Default)]
struct Surface {
    content: Vec<u8>,
    synced: Vec<u8>,
    /// Since the last sync.
    writes: Vec<(usize, Vec<u8>)>,
    syncs: u64,
    is_broken: bool,
}

impl Surface {
    fn check(&self) -> std::io::Result<()> {
        let broken = || std::io::Error::other("the disk is broken");
        if self.is_broken { Err(broken()) } else { Ok(()) }
    }
}

impl Disk {
    /// How often it was synced.
    pub(super) fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// Nothing can be written any more.
    pub(super) fn fail(&self) {
        self.0.lock().is_broken = true;
    }

    /// The disk after the power was lost: what was synced is there, of the rest only these writes.
    pub(super) fn after_power_loss(&self, survives: impl Fn(usize) -> bool) -> Disk {
        let surface = self.0.lock();
        let mut content = surface.synced.clone();
        for (number, (at, bytes)) in surface.writes.iter().enumerate() {
            if survives(number) {
                let end = at + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*at..end].copy_from_slice(bytes);
            }
        }
        let synced = content.clone();
        Disk(Arc::new(Mutex::new(Surface { content, synced, ..Surface::default() })))
    }

    /// The file on it.
    pub(super) fn open(&self) -> (Store, Loaded) {
        let database = redb::Builder::new().create_with_backend(self.clone()).expect("opened");
        Store::load(database).expect("loaded")
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.0.lock().content.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let offset = usize::try_from(offset).expect("a small file");
        out.copy_from_slice(&self.0.lock().content[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        let mut surface = self.0.lock();
        surface.check()?;
        let len = usize::try_from(len).expect("a small file");
        surface.content.resize(len, 0);
        // The length is made durable at once: the harder case for a reader of old content.
        surface.synced.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        let mut surface = self.0.lock();
        surface.check()?;
        surface.syncs += 1;
        for (at, bytes) in std::mem::take(&mut surface.writes) {
            let end = at + bytes.len();
            if end <= surface.synced.len() {
                surface.synced[at..end].copy_from_slice(&bytes);
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        let mut surface = self.0.lock();
        surface.check()?;
        let offset = usize::try_from(offset).expect("a small file");
        surface.content[offset..offset + data.len()].copy_from_slice(data);
        surface.writes.push((offset, data.to_vec()));
        Ok(())
    }
}
