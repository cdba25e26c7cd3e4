//! The link to the grid: opening lanes, keeping them connected, remembering who can be asked.

use std::sync::Arc;

use futures::future::join_all;
use isogrid_core::{Error, ErrorCode};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::addresses::Addresses;
use crate::admin;
use crate::builder::Settings;
use crate::clock::Clock;
use crate::lane::Lane;
use crate::retry::{Budget, Retry};
use crate::routes::Routes;
use crate::session::{self, Session};

/// How often missing lanes are asked for again while connecting: a node hands out its cores in turn, but other clients
/// may get in between.
const CONNECT_ROUNDS_MAX: usize = 3;

/// The pauses between attempts to reconnect.
const RECONNECT_BASE_MS: u64 = 10;
const RECONNECT_MAX_MS: u64 = 1_000;

/// What all handles and tasks of a client share.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<Clock>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) routes: Routes,
    pub(crate) addresses: Mutex<Addresses>,
    /// The transport for calls beside the sessions.
    channel: Mutex<Channel>,
    closed: watch::Sender<bool>,
}

/// A lane with its first session.
struct Opened {
    lane: Arc<Lane>,
    session: Session,
}

impl Link {
    /// Connects to the first address that answers and starts the tasks that keep the link alive.
    pub(crate) async fn connect(
        settings: Settings,
    ) -> Result<(Arc<Link>, Vec<JoinHandle<()>>), Error> {
        let clock = Arc::new(Clock::default());
        let budget = Arc::new(Budget::new(&settings.retry));
        let new_lane = || Arc::new(Lane::new(Arc::clone(&clock), Arc::clone(&budget)));
        let mut addresses = Addresses::new(&settings.seeds);
        let first = open_first(&settings, &mut addresses, new_lane()).await?;
        let address = addresses.current().to_owned();
        let opened = open_others(&settings, &address, first, new_lane).await;

        let lanes: Vec<Arc<Lane>> = opened.iter().map(|o| Arc::clone(&o.lane)).collect();
        let core_of_lane: Vec<usize> = opened.iter().map(|o| o.session.welcome.core).collect();
        let welcome = settings.bounded(&opened[0].session.welcome);
        let link = Arc::new(Link {
            routes: Routes::new(&welcome, lanes, core_of_lane),
            addresses: Mutex::new(addresses),
            channel: Mutex::new(opened[0].session.channel.clone()),
            closed: watch::Sender::new(false),
            settings,
            clock,
            budget,
        });
        let mut tasks = vec![tokio::spawn(Arc::clone(&link).tick())];
        for (index, Opened { lane, session }) in opened.into_iter().enumerate() {
            lane.connected(Arc::clone(&session.welcome.node), &welcome.limits);
            tasks.push(tokio::spawn(Arc::clone(&link).supervise(index, lane, session)));
        }
        Ok((link, tasks))
    }

    /// The transport for calls beside the sessions.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.lock().clone()
    }

    /// Asks all tasks to end; what waits then ends with an error.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    async fn until_closed(&self) {
        // Fails only when the sender is gone, and `self` owns it.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Runs the clock and ends the waiting of those whose time is over.
    async fn tick(self: Arc<Self>) {
        let sweep = |now_ms| {
            // Not `any`: every lane is swept.
            self.routes.lanes().iter().filter(|lane| lane.sweep(now_ms)).count() > 0
        };
        tokio::select! {
            () = self.clock.run(sweep) => {}
            () = self.until_closed() => {}
        }
    }

    /// Keeps one lane connected until the client is closed.
    async fn supervise(self: Arc<Self>, index: usize, lane: Arc<Lane>, mut session: Session) {
        loop {
            if index == 0 {
                *self.channel.lock() = session.channel.clone();
                tokio::spawn(admin::learn_members(Arc::clone(&self), session.channel.clone()));
            }
            let why = tokio::select! {
                why = session.pump(&lane) => why,
                () = self.until_closed() => break,
            };
            drop(session);
            tracing::warn!(lane = index, error = %why, "connection lost; reconnecting");
            lane.disconnected(why);
            session = tokio::select! {
                session = self.reconnect(&lane) => session,
                () = self.until_closed() => break,
            };
            let welcome = self.settings.bounded(&session.welcome);
            self.routes.reroute(index, &welcome);
            lane.connected(Arc::clone(&welcome.node), &welcome.limits);
            tracing::info!(lane = index, node = %welcome.node, "connected again");
        }
        lane.close();
    }

    /// Tries every known address, again and again, until one answers.
    async fn reconnect(&self, lane: &Arc<Lane>) -> Session {
        let pauses = Retry::exponential(
            std::time::Duration::from_millis(RECONNECT_BASE_MS),
            std::time::Duration::from_millis(RECONNECT_MAX_MS),
        );
        for attempt in 1.. {
            let addresses = self.addresses.lock().in_order();
            for address in addresses {
                match open(&self.settings, lane, &address).await {
                    Ok(session) => {
                        self.addresses.lock().prefer(&address);
                        return session;
                    }
                    Err(error) => lane.disconnected(error),
                }
            }
            tokio::time::sleep(pauses.pause(attempt)).await;
        }
        unreachable!("the attempts never end")
    }
}

async fn open(settings: &Settings, lane: &Arc<Lane>, address: &str) -> Result<Session, Error> {
    session::open(lane, address, &settings.client_name, settings.connect_timeout).await
}

/// One round over the seeds; fails with what the last one said.
async fn open_first(
    settings: &Settings,
    addresses: &mut Addresses,
    lane: Arc<Lane>,
) -> Result<Opened, Error> {
    let mut last = Error::new(ErrorCode::EndpointInvalid, "no endpoint was given");
    for address in addresses.in_order() {
        match open(settings, &lane, &address).await {
            Ok(session) => {
                addresses.prefer(&address);
                return Ok(Opened { lane, session });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Opens lanes until every core of the node has one; a node that gives the same core again and again is left at that.
async fn open_others(
    settings: &Settings,
    address: &str,
    first: Opened,
    new_lane: impl Fn() -> Arc<Lane>,
) -> Vec<Opened> {
    let cores = first.session.welcome.cores;
    let wanted = settings.connections_max.map_or(cores, |most| most.clamp(1, cores));
    let mut opened = vec![first];
    for _ in 0..CONNECT_ROUNDS_MAX {
        let missing = wanted.saturating_sub(opened.len());
        let attempts = (0..missing).map(|_| async {
            let lane = new_lane();
            let session = open(settings, &lane, address).await?;
            Ok::<_, Error>(Opened { lane, session })
        });
        for more in join_all(attempts).await.into_iter().flatten() {
            let core = more.session.welcome.core;
            if opened.iter().all(|known| known.session.welcome.core != core) {
                opened.push(more);
            }
        }
    }
    opened
}
