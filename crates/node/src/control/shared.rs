//! [`Control`]: what its tasks share. All of it changes here: the view in one place and in one order, the leader that is
//! believed in, the cluster that is joined.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use isogrid_cluster::{ClusterId, Millis};
use isogrid_core::table::DeltaRefused;
use isogrid_core::{Error, NodeId, PartitionId, SessionId, TableVersion};
use isogrid_replica::Proposal;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::faces::Faces;
use super::news::{Leader, News};
use super::settings::ControlSettings;
use super::spread::Reach;
use super::stewardship::Stewardship;
use super::view::View;
use super::{batch, bootstrap, heartbeat, neighbours, register, spread, stewardship, voters};

/// From when on a node that no leader answers sends clients to others. Longer than it takes to elect another leader, or clients
/// would run from node to node while nobody can tell them anything new.
const CUT_OFF: Duration = Duration::from_millis(1_500);

/// This node as a member of a cluster.
pub(crate) struct Control {
    pub(super) settings: ControlSettings,
    pub(super) faces: Faces,
    view: watch::Sender<Arc<View>>,
    /// Held while a view is made and the engine is told of it, so that the engine hears of views in their order. Nothing
    /// that is called under it calls control.
    changing: Mutex<()>,
    pub(super) own: Mutex<Own>,
    /// What only the council's leader has.
    pub(super) stewardship: Mutex<Option<Stewardship>>,
    /// How far news have reached every other node, as far as the leader knows.
    pub(super) reach: Mutex<BTreeMap<NodeId, Reach>>,
    pub(super) wake: Wake,
    failed: watch::Sender<Option<Error>>,
    pub(super) stopping: CancellationToken,
}

/// What this node has made up its mind about. Short and sync.
#[derive(Default)]
pub(super) struct Own {
    /// The cluster that it joins or belongs to.
    pub(super) cluster: Option<ClusterId>,
    /// Whom it names to form the cluster.
    pub(super) names: Option<NodeId>,
    /// Whom to ask instead of the leader it knows, which did not lead.
    pub(super) detour: Option<NodeId>,
    /// The council does not count this life among those that serve.
    pub(super) must_register: bool,
    /// This life has said once that it stays, where nodes leave whenever they end.
    pub(super) has_stayed: bool,
    /// Of these the council wants to know how far the logs reach.
    pub(super) suspect: BTreeSet<PartitionId>,
    /// Sessions that were kept alive and not told to the leader yet.
    pub(super) sessions: BTreeSet<SessionId>,
    /// Who is known to have newer news.
    pub(super) ahead: Option<NodeId>,
    /// When the council's leader last answered a heartbeat.
    pub(super) answered: Option<Instant>,
    /// Who votes in the council, by the leader's last answer.
    pub(super) voters: BTreeSet<NodeId>,
    /// Those of them that live with the log that votes.
    pub(super) voters_present: BTreeSet<NodeId>,
}

/// What tasks wake each other with.
#[derive(Default)]
pub(super) struct Wake {
    /// Something to publish has changed.
    pub(super) publish: Notify,
    /// This life is to be registered.
    pub(super) register: Notify,
    /// The leader is to be told at once.
    pub(super) heartbeat: Notify,
    /// The steward should look.
    pub(super) steward: Notify,
    /// Somebody has newer news.
    pub(super) pull: Notify,
}

impl Control {
    /// Starts control: it forms or joins a cluster, and goes on until `stopping`. To be called within the runtime of the
    /// first core.
    pub(crate) fn start(
        settings: ControlSettings,
        faces: Faces,
        proposals: mpsc::Receiver<Proposal>,
        stopping: CancellationToken,
    ) -> Arc<Control> {
        let known = settings.identity.known_cluster();
        let control = Arc::new(Control {
            settings,
            faces,
            view: watch::Sender::new(Arc::new(View::empty())),
            changing: Mutex::new(()),
            own: Mutex::new(Own { must_register: true, ..Own::default() }),
            stewardship: Mutex::new(None),
            reach: Mutex::default(),
            wake: Wake::default(),
            failed: watch::Sender::new(None),
            stopping,
        });
        if let Some(cluster) = known {
            control.join(cluster);
        }
        control.publish();
        control.spawn(neighbours::follow(Arc::clone(&control)));
        control.spawn(neighbours::publish(Arc::clone(&control)));
        control.spawn(spread::follow_council(Arc::clone(&control)));
        control.spawn(spread::follow_leader(Arc::clone(&control)));
        control.spawn(spread::push(Arc::clone(&control)));
        control.spawn(spread::pull(Arc::clone(&control)));
        control.spawn(bootstrap::run(Arc::clone(&control)));
        control.spawn(register::run(Arc::clone(&control)));
        control.spawn(register::report(Arc::clone(&control)));
        control.spawn(heartbeat::run(Arc::clone(&control)));
        control.spawn(stewardship::run(Arc::clone(&control)));
        control.spawn(voters::run(Arc::clone(&control)));
        control.spawn(batch::run(Arc::clone(&control), proposals));
        control
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        tokio::spawn(async move {
            tokio::select! { () = work => {}, () = stopping.cancelled() => {} }
        });
    }

    /// All that is known of what was committed.
    pub(crate) fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// The present view.
    pub(crate) fn now_known(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// Why this node cannot be a member, once it cannot: the process must end then.
    pub(crate) fn failed(&self) -> watch::Receiver<Option<Error>> {
        self.failed.subscribe()
    }

    /// This node cannot be a member.
    pub(super) fn fail(&self, why: Error) {
        error!(error = %why, "this node cannot be a member of its cluster");
        self.failed.send_replace(Some(why));
    }

    /// This node's name.
    pub(super) fn node(&self) -> &NodeId {
        &self.settings.member.id
    }

    /// The cluster that this node belongs to or joins.
    pub(super) fn cluster(&self) -> Option<ClusterId> {
        self.own.lock().cluster
    }

    /// This node belongs to that cluster from now on.
    pub(super) fn join(&self, cluster: ClusterId) {
        if self.own.lock().cluster.replace(cluster) == Some(cluster) {
            return;
        }
        if let Err(why) = self.settings.identity.remember_cluster(cluster) {
            return self.fail(why);
        }
        self.faces.peers.set_cluster(cluster);
        self.wake.publish.notify_one();
        self.wake.register.notify_one();
    }

    /// The monotonic clock, as the cluster's decisions want it.
    pub(super) fn millis(&self) -> Millis {
        Millis(self.faces.engine.now().ticks.0 / 1_000)
    }

    /// Changes the view. The change says whether there is another one now.
    fn change(&self, change: impl FnOnce(&mut View) -> bool) {
        let _changing = self.changing.lock();
        let mut next = View::clone(&self.view.borrow());
        if !change(&mut next) {
            return;
        }
        let next = Arc::new(next);
        // Who waits for something to be known, a map say, finds it in the engine.
        self.faces.engine.learn(&next);
        let before = self.view.send_replace(Arc::clone(&next));
        if before.table.version() != next.table.version() {
            // A new primary reads under the council's lease, where the policy asks for one: it counts from a heartbeat.
            self.wake.heartbeat.notify_one();
        }
        self.wake.publish.notify_one();
    }

    /// Takes in news, whoever they are from.
    pub(super) fn take(&self, news: &News) {
        let own = self.own.lock().cluster;
        if own.is_some_and(|own| own != news.cluster_id()) {
            return warn!(cluster = ?news.cluster_id(), "news of another cluster are not listened to");
        }
        self.join(news.cluster_id());
        self.change(|view| match view.after(news) {
            Ok(Some(next)) => {
                *view = next;
                true
            }
            Ok(None) => false,
            Err(DeltaRefused::Gap { .. } | DeltaRefused::Stale) => {
                self.wake.pull.notify_one();
                false
            }
            Err(error) => {
                error!(%error, "news break a rule of tables: this is a defect of their sender");
                false
            }
        });
    }

    /// News came over the link of a node.
    pub(crate) fn hear_news(&self, from: &NodeId, news: &News) {
        let before = self.now_known().table.version();
        self.take(news);
        let has_gap = news.delta.since > before && self.now_known().table.version() == before;
        if has_gap {
            self.told_of_newer(from, news.delta.version);
        }
    }

    /// A node knows this version of the table: if this one does not, it asks for what is new.
    pub(crate) fn told_of_newer(&self, node: &NodeId, table: TableVersion) {
        if table > self.now_known().table.version() {
            self.own.lock().ahead = Some(node.clone());
            self.wake.pull.notify_one();
        }
    }

    /// Somebody says who leads the council. The highest term is believed.
    pub(super) fn hear_leader(&self, leader: &Leader) {
        if self.now_known().leader.as_ref().is_some_and(|known| known >= leader) {
            return;
        }
        self.change(|view| {
            let is_newer = view.leader.as_ref() < Some(leader);
            if is_newer {
                view.leader = Some(leader.clone());
            }
            is_newer
        });
        self.own.lock().detour = None;
        self.wake.heartbeat.notify_one();
    }

    /// Whether a leader of the council, with a majority behind it, has answered this node a moment ago.
    pub(super) fn has_leader(&self) -> bool {
        let recently = self.settings.pace.heartbeat * 2 + self.settings.pace.heartbeat_timeout;
        self.own.lock().answered.is_some_and(|at| at.elapsed() < recently)
    }

    /// Whether no such leader has answered for so long that others may have taken over what this node leads. A node that never
    /// had an answer is not cut off: it starts.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.own.lock().answered.is_some_and(|at| at.elapsed() > CUT_OFF)
    }

    /// The council has registered this life: by tables from this version on it takes part.
    pub(super) fn registered(&self, table: TableVersion) {
        self.own.lock().must_register = false;
        self.change(|view| view.registered.replace(table) != Some(table));
        self.wake.heartbeat.notify_one();
    }

    /// The council does not count this life among those that serve.
    pub(super) fn must_register(&self) {
        self.own.lock().must_register = true;
        self.wake.register.notify_one();
    }
}
