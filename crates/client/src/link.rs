//! The link to the grid: opening lanes, keeping them connected, and sending every operation the right way as the cluster
//! changes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use isogrid_core::{Error, ErrorCode, NodeId};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::addresses::Addresses;
use crate::admin;
use crate::builder::Settings;
use crate::clock::Clock;
use crate::control;
use crate::lane::LaneShared;
use crate::news::News;
use crate::nodes::{Group, Nodes};
use crate::numbers::Numbers;
use crate::retry::{Budget, Retry, random_share};
use crate::routes::Routes;
use crate::session::{self, Session};
use crate::topology::Changed;

/// How often a lane asks for a core that has none yet: a node hands out its cores in turn, but other clients may get in
/// between.
const CORE_ATTEMPTS_MAX: usize = 3;

/// The pauses between attempts to reconnect.
const RECONNECT_BASE: Duration = Duration::from_millis(10);
const RECONNECT_MAX: Duration = Duration::from_secs(1);

/// What all handles and tasks of a client share.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<Clock>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) lanes: Arc<LaneShared>,
    pub(crate) routes: Routes,
    pub(crate) numbers: Numbers,
    pub(crate) nodes: Mutex<Nodes>,
    pub(crate) addresses: Mutex<Addresses>,
    /// Asks for a write session, since there is none any more.
    pub(crate) session_wanted: Notify,
    news: News,
    /// The transport for calls beside the lanes.
    channel: Mutex<Channel>,
    /// Spreads readers over replicas that are equally near.
    salt: u64,
    tasks: Mutex<JoinSet<()>>,
    closed: watch::Sender<bool>,
}

impl Link {
    /// Connects to the first address that answers, learns the cluster from it, and starts the tasks that keep the link
    /// alive.
    pub(crate) async fn connect(settings: Settings) -> Result<Arc<Link>, Error> {
        let clock = Arc::new(Clock::default());
        let budget = Arc::new(Budget::new(&settings.retry));
        let lanes = Arc::new(LaneShared::of(&settings, &clock, &budget));
        let routes = Routes::new(Arc::clone(&lanes));
        let mut addresses = Addresses::new(&settings.seeds);
        let first = routes.take_lane().expect("there are no lanes yet");
        let (session, address) = open_first(&settings, &mut addresses, &routes, first).await?;
        let link = Arc::new(Link {
            numbers: Numbers::new(usize::from(session.welcome.partitions.get())),
            nodes: Mutex::default(),
            addresses: Mutex::new(addresses),
            session_wanted: Notify::new(),
            news: News::default(),
            channel: Mutex::new(session.channel.clone()),
            salt: (random_share() * u64::MAX as f64) as u64,
            tasks: Mutex::default(),
            closed: watch::Sender::new(false),
            routes,
            lanes,
            settings,
            clock,
            budget,
        });
        let wait = link.settings.connect_timeout;
        let begun = tokio::time::timeout(wait, control::begin(&link, session.channel.clone()));
        let following = begun.await.unwrap_or_else(|_| control::Begun::unknown());
        link.begin(first, session, &address, following).await;
        Ok(link)
    }

    /// Starts the tasks, and waits until the first node has its lanes.
    async fn begin(
        self: &Arc<Self>,
        first: usize,
        session: Session,
        address: &str,
        control: control::Begun,
    ) {
        let is_routed = control.is_routed() && !self.settings.is_gateway;
        let group = Group::new(is_routed.then(|| NodeId::new(&*session.welcome.node)));
        group.add(first);
        {
            let mut nodes = self.nodes.lock();
            match &group.node {
                Some(node) => nodes.add(node.clone(), &group),
                None => nodes.set_any(&group),
            }
        }
        self.spawn(Arc::clone(self).tick());
        let more = self.welcome(&group, first, &session, address);
        self.spawn(Arc::clone(self).supervise(Arc::clone(&group), first, Some(session)));
        // The first node's other lanes are opened before the first operation, so that operations need not move.
        let lanes = self.lanes_for(&group, more);
        let opened = lanes.into_iter().map(|lane| {
            let group = Arc::clone(&group);
            async move { (lane, self.try_open(&group, lane, &[address.to_owned()]).await) }
        });
        for (lane, opened) in futures::future::join_all(opened).await {
            if let Ok((session, address)) = &opened {
                self.welcome(&group, lane, session, address);
            }
            let session = opened.ok().map(|(session, _)| session);
            self.spawn(Arc::clone(self).supervise(Arc::clone(&group), lane, session));
        }
        self.refresh();
        self.spawn(control::run(Arc::clone(self), control));
    }

    /// Runs a task until the client is closed.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        // Those that have ended need no memory.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// All tasks, to be waited for.
    pub(crate) fn take_tasks(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.tasks.lock())
    }

    /// The transport for calls beside the lanes.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.lock().clone()
    }

    pub(crate) fn set_channel(&self, channel: Channel) {
        *self.channel.lock() = channel;
    }

    /// Asks all tasks to end; what waits then ends with an error.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    pub(crate) async fn until_closed(&self) {
        // Fails only when the sender is gone, and `self` owns it.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Runs the clock and ends the waiting of those whose time is over.
    async fn tick(self: Arc<Self>) {
        let sweep = |now_ms| {
            // Not `any`: every lane is swept.
            self.routes.lanes().filter(|lane| lane.sweep(now_ms)).count() > 0
        };
        tokio::select! {
            () = self.clock.run(sweep) => {}
            () = self.until_closed() => {}
        }
    }

    /// A node refused an operation and says what this client's table lacks.
    pub(crate) fn take_delta(self: &Arc<Self>, delta: &[u8]) {
        let is_newer = {
            let mut nodes = self.nodes.lock();
            nodes.is_routed() && nodes.topology.apply(delta)
        };
        if is_newer {
            self.refresh();
        }
    }

    /// Something about the cluster is new.
    pub(crate) fn changed(self: &Arc<Self>, changed: Changed) {
        if changed.peers {
            let nodes = self.nodes.lock();
            let mut addresses = self.addresses.lock();
            nodes.topology.peers().values().for_each(|peer| addresses.learn(&peer.address));
        }
        if changed.any() {
            self.refresh();
        }
    }

    /// Opens and cuts lanes as the topology says, and sends operations the new ways.
    pub(crate) fn refresh(self: &Arc<Self>) {
        let steps = {
            let mut nodes = self.nodes.lock();
            let steps = nodes.reconcile();
            for group in &steps.opened {
                self.open_lanes(group, 1);
            }
            let left = nodes.set_ways(&self.routes, &self.settings.zone, self.salt);
            let version = nodes.topology.table_version();
            self.lanes.table_version.store(version.0, Ordering::Relaxed);
            drop(nodes);
            for lane in left {
                self.routes.lane(lane).take_back();
            }
            steps
        };
        for lane in steps.cut {
            self.routes.lane(lane).cut();
        }
        self.news.tell();
    }

    /// Lanes to be opened to a node, within this client's bounds.
    fn lanes_for(&self, group: &Group, wanted: usize) -> Vec<usize> {
        let bound = self.settings.connections_max.unwrap_or(usize::MAX).max(1);
        let room = bound.saturating_sub(group.lanes().len());
        let lanes: Vec<usize> =
            (0..wanted.min(room)).map_while(|_| self.routes.take_lane()).collect();
        lanes.iter().for_each(|lane| group.add(*lane));
        lanes
    }

    /// Opens lanes in the background.
    fn open_lanes(self: &Arc<Self>, group: &Arc<Group>, wanted: usize) {
        for lane in self.lanes_for(group, wanted) {
            self.spawn(Arc::clone(self).supervise(Arc::clone(group), lane, None));
        }
    }

    /// A lane is connected: it may send. Says how many lanes the node's other cores could use.
    fn welcome(&self, group: &Group, lane: usize, session: &Session, address: &str) -> usize {
        let welcome = self.settings.bounded(&session.welcome);
        self.routes.welcomed(welcome.partitions, &welcome.limits);
        let more = group.reached(lane, (welcome.core, welcome.cores), address);
        let left = self.nodes.lock().set_ways(&self.routes, &self.settings.zone, self.salt);
        self.routes.lane(lane).connected(Arc::clone(&welcome.node), &welcome.limits);
        for left in left.into_iter().filter(|left| *left != lane) {
            self.routes.lane(left).take_back();
        }
        more
    }

    /// Keeps one lane connected until the client is closed or the node has gone.
    async fn supervise(
        self: Arc<Self>,
        group: Arc<Group>,
        index: usize,
        mut opened: Option<Session>,
    ) {
        let lane = Arc::clone(self.routes.lane(index));
        loop {
            let mut session = match opened.take() {
                Some(session) => session,
                None => tokio::select! {
                    session = self.reconnect(&group, index) => session,
                    () = self.until_closed() => return lane.close(),
                    () = group.until_retired() => break,
                },
            };
            if group.node.is_none() && group.lanes().first() == Some(&index) {
                self.set_channel(session.channel.clone());
                self.spawn(admin::learn_members(Arc::clone(&self), session.channel.clone()));
            }
            // A wish to give up an earlier connection is not for this one.
            let _ = lane.until_cut().now_or_never();
            let why = tokio::select! {
                why = session.pump(&lane, |delta| self.take_delta(delta)) => why,
                () = lane.until_cut() => Error::new(ErrorCode::ConnectionLost, "the node is down"),
                () = self.until_closed() => return lane.close(),
                () = group.until_retired() => break,
            };
            drop(session);
            tracing::warn!(lane = index, error = %why, "connection lost; reconnecting");
            lane.disconnected(why);
        }
        lane.disconnected(Error::new(ErrorCode::ConnectionLost, "the node has left the cluster"));
        lane.take_back();
        self.routes.give_back(index);
    }

    /// Tries the addresses of the group, again and again, until one answers. News of the cluster may be that the node is back,
    /// with requests for it close behind, so they end the pause.
    async fn reconnect(self: &Arc<Self>, group: &Arc<Group>, index: usize) -> Session {
        let pauses = Retry::exponential(RECONNECT_BASE, RECONNECT_MAX);
        let mut news = self.news.listen();
        let mut attempt = 1;
        loop {
            news.forget();
            let addresses = match &group.node {
                None => self.addresses.lock().in_order(),
                Some(_) => self.nodes.lock().addresses_of(group),
            };
            match self.try_open(group, index, &addresses).await {
                Ok((session, address)) => {
                    let more = self.welcome(group, index, &session, &address);
                    self.open_lanes(group, more);
                    let node = &session.welcome.node;
                    tracing::info!(lane = index, %node, %address, "connected");
                    return session;
                }
                Err(error) => self.routes.lane(index).disconnected(error),
            }
            attempt = if news.end(pauses.pause(attempt)).await { 1 } else { attempt + 1 };
        }
    }

    /// One round over addresses; fails with what the last one said.
    async fn try_open(
        &self,
        group: &Group,
        index: usize,
        addresses: &[String],
    ) -> Result<(Session, String), Error> {
        let lane = self.routes.lane(index);
        let mut last = Error::new(ErrorCode::CannotConnect, "the node has no address");
        for address in addresses {
            for attempt in 1..=CORE_ATTEMPTS_MAX {
                match open(&self.settings, lane, address).await {
                    Ok(session) => {
                        if let Err(error) = self.check(group, &session, address) {
                            last = error;
                            break;
                        }
                        let core = session.welcome.core;
                        if group.is_taken(core, index) && attempt < CORE_ATTEMPTS_MAX {
                            continue;
                        }
                        if group.node.is_none() {
                            self.addresses.lock().prefer(address);
                        }
                        return Ok((session, address.clone()));
                    }
                    Err(error) => {
                        last = error;
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    /// Whether the node that answered is the one that was meant: addresses change hands.
    fn check(&self, group: &Group, session: &Session, address: &str) -> Result<(), Error> {
        let Some(node) = &group.node else { return Ok(()) };
        let welcome = &session.welcome;
        if *welcome.node != *node.as_str() {
            let detail = format!("{address} is {} and not {node}", welcome.node);
            return Err(Error::new(ErrorCode::CannotConnect, detail));
        }
        let nodes = self.nodes.lock();
        let known = &nodes.topology.cluster;
        if !known.is_empty() && *known != welcome.cluster {
            return Err(Error::new(ErrorCode::WrongCluster, address));
        }
        Ok(())
    }
}

pub(crate) async fn open(
    settings: &Settings,
    lane: &Arc<crate::lane::Lane>,
    address: &str,
) -> Result<Session, Error> {
    session::open(lane, address, &settings.client_name, settings.connect_timeout).await
}

/// One round over the seeds; fails with what the last one said.
async fn open_first(
    settings: &Settings,
    addresses: &mut Addresses,
    routes: &Routes,
    lane: usize,
) -> Result<(Session, String), Error> {
    let mut last = Error::new(ErrorCode::EndpointInvalid, "no endpoint was given");
    for address in addresses.in_order() {
        match open(settings, routes.lane(lane), &address).await {
            Ok(session) => {
                addresses.prefer(&address);
                return Ok((session, address));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
