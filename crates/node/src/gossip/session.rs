//! A session: one run of chitchat, from its start to its death. It publishes what is new of this node, looks at what
//! chitchat knows of the others, and calls seeds.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, spawn_chitchat,
};
use isogrid_core::NodeId;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;

use super::lives::{Look, Observed, REJOIN};
use super::news::{clock_value, fits, values};
use super::seeds::{CALL_PAUSE, Known, calls};
use super::seen::Seen;
use super::socket::UdpTransport;
use super::{DEAD_GRACE, RESTART_BITS, Shared};

/// How often the wall clock is published.
const CLOCK_PAUSE: Duration = Duration::from_secs(1);

/// The least and the most time between two looks.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(10);
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(100);

/// How long chitchat may hold its state to itself.
const LOCK_MAX: Duration = Duration::from_secs(2);

/// So many gossip rounds without a heartbeat of our own and chitchat is held for dead. Counted in looks, not in time: a
/// process that was stopped and goes on is not dead.
const SILENT_ROUNDS_MAX: u32 = 20;

/// How many looks there are in a gossip round.
const LOOKS_PER_ROUND: u32 = 4;

/// Runs chitchat until this node stops or chitchat dies. `restarts` is how often it died before.
pub(super) async fn run(shared: Arc<Shared>, restarts: u64) -> Result<(), String> {
    let handle = Arc::new(start(&shared, restarts).await?);
    *shared.chitchat.lock() = Some(Arc::clone(&handle));
    let mut ended = std::pin::pin!(handle.termination_watcher());
    let pause = shared.settings.interval / LOOKS_PER_ROUND;
    let mut looks = interval(pause.clamp(LOOK_PAUSE_MIN, LOOK_PAUSE_MAX));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut session = Session::new(Arc::clone(&shared), Arc::clone(&handle));
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => {
                // It has nothing left to do; a failure to stop is one to have been running.
                let _ = handle.initiate_shutdown();
                let _ = timeout(LOCK_MAX, &mut ended).await;
                return Ok(());
            }
            end = &mut ended => {
                return Err(end.err().map_or_else(|| "it stopped".into(), |e| e.to_string()));
            }
            () = shared.changed.notified() => session.publish().await?,
            _ = looks.tick() => {
                if let Some(next) = session.look().await? {
                    looks.reset_after(next);
                }
            }
        }
    }
}

async fn start(shared: &Arc<Shared>, restarts: u64) -> Result<ChitchatHandle, String> {
    let settings = &shared.settings;
    // A chitchat that starts again counts its versions and heartbeats from one: to the others it must be another life.
    let restarts = restarts.min((1 << RESTART_BITS) - 1);
    let generation = settings.generation << RESTART_BITS | restarts;
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new(settings.node.as_str(), generation, settings.advertise),
        cluster_id: settings.cluster.clone(),
        gossip_interval: settings.interval,
        listen_addr: shared.bound,
        // We call them ourselves: `seeds`.
        seed_nodes: Vec::new(),
        failure_detector_config: FailureDetectorConfig {
            phi_threshold: settings.phi,
            initial_interval: settings.initial_interval,
            dead_node_grace_period: DEAD_GRACE,
            ..FailureDetectorConfig::default()
        },
        // Nothing is ever deleted.
        marked_for_deletion_grace_period: DEAD_GRACE,
        catchup_callback: None,
        extra_liveness_predicate: None,
    };
    let said = own_values(shared).into_iter().map(|(key, value)| (key.to_owned(), value));
    let transport = UdpTransport(Arc::clone(shared));
    spawn_chitchat(config, said.collect(), &transport).await.map_err(|error| error.to_string())
}

/// What this node says of itself, without what is too long: it would stop all that comes after it.
fn own_values(shared: &Shared) -> Vec<(&'static str, String)> {
    let own = shared.own.lock();
    let mut said = values(&own.news, own.is_leaving);
    drop(own);
    said.retain(|(key, value)| {
        let fits = fits(value);
        if !fits && let Some(count) = shared.counters.refused_values.event(Instant::now()) {
            warn!(key, bytes = value.len(), count, "a value is too long to be gossiped");
        }
        fits
    });
    said
}

struct Session {
    shared: Arc<Shared>,
    chitchat: Arc<ChitchatHandle>,
    started: Instant,
    next_clock: Instant,
    next_call: Instant,
    turn: usize,
    /// How often the clock was shown to somebody.
    shown: usize,
    /// Our own heartbeat, and for how many looks it has been the same.
    heartbeat: (u64, u32),
}

impl Session {
    fn new(shared: Arc<Shared>, chitchat: Arc<ChitchatHandle>) -> Self {
        let started = Instant::now();
        let (next_clock, next_call) = (started, started);
        let (turn, shown, heartbeat) = (0, 0, (0, 0));
        Session { shared, chitchat, started, next_clock, next_call, turn, shown, heartbeat }
    }

    /// Tells what is new of this node. Whoever leaves tells everybody at once.
    async fn publish(&mut self) -> Result<(), String> {
        let said = own_values(&self.shared);
        self.with(|chitchat| {
            let own = chitchat.self_node_state();
            for (key, value) in &said {
                own.set(key, value);
            }
        })
        .await?;
        if self.shared.own.lock().is_leaving {
            let members = Arc::clone(&self.shared.members.borrow());
            self.call(members.values().filter(|seen| seen.is_live).map(|seen| seen.address));
        }
        Ok(())
    }

    /// Looks at what chitchat knows by now, and does what is due. Returns when to look next, if not as usual.
    async fn look(&mut self) -> Result<Option<Duration>, String> {
        let now = Instant::now();
        let is_clock_due = now >= self.next_clock;
        if is_clock_due {
            self.next_clock = now + CLOCK_PAUSE;
        }
        let is_fresh = now.saturating_duration_since(self.started) < REJOIN;
        let shared = Arc::clone(&self.shared);
        let (heartbeat, members) = self
            .with(|chitchat| {
                let look = Look { now, wall: crate::clock::now(), is_fresh };
                if is_clock_due {
                    let (key, value) = clock_value(look.wall);
                    chitchat.self_node_state().set(key, value);
                }
                let heartbeat = u64::from(chitchat.self_node_state().heartbeat());
                (heartbeat, take_all(&shared, chitchat, look))
            })
            .await?;
        tell(&self.shared, members);
        if is_clock_due {
            self.show_clock();
        }
        self.call_seeds(now);
        self.check_pulse(heartbeat)?;
        // Nodes whose looks keep step would read each other's clocks late by always the same: change step now and then.
        Ok(is_clock_due.then(|| Duration::from_millis(1 + heartbeat.wrapping_mul(7_919) % 50)))
    }

    /// Runs something on chitchat's state.
    async fn with<T>(&self, run: impl FnOnce(&mut Chitchat) -> T) -> Result<T, String> {
        let chitchat = self.chitchat.chitchat();
        match timeout(LOCK_MAX, chitchat.lock()).await {
            Ok(mut chitchat) => Ok(run(&mut chitchat)),
            Err(_) => Err("it holds its state and does not let go".into()),
        }
    }

    fn check_pulse(&mut self, heartbeat: u64) -> Result<(), String> {
        let (last, looks) = self.heartbeat;
        self.heartbeat = if heartbeat == last { (last, looks + 1) } else { (heartbeat, 0) };
        if self.heartbeat.1 < SILENT_ROUNDS_MAX * self.looks_per_round() {
            return Ok(());
        }
        Err("its heart has stopped".into())
    }

    fn looks_per_round(&self) -> u32 {
        let pause =
            (self.shared.settings.interval / LOOKS_PER_ROUND).clamp(LOOK_PAUSE_MIN, LOOK_PAUSE_MAX);
        let looks = self.shared.settings.interval.as_micros() / pause.as_micros();
        u32::try_from(looks).unwrap_or(u32::MAX / SILENT_ROUNDS_MAX).max(1)
    }

    /// Calls one live node, each time another, while the clock is fresh: the reading that came the quickest is the best.
    fn show_clock(&mut self) {
        let members = Arc::clone(&self.shared.members.borrow());
        let live: Vec<SocketAddr> =
            members.values().filter(|seen| seen.is_live).map(|seen| seen.address).collect();
        self.shown = self.shown.wrapping_add(1);
        self.call(live.get(self.shown % live.len().max(1)).copied().into_iter());
    }

    fn call_seeds(&mut self, now: Instant) {
        if now < self.next_call {
            return;
        }
        let members = Arc::clone(&self.shared.members.borrow());
        let live: BTreeSet<SocketAddr> =
            members.values().filter(|seen| seen.is_live).map(|seen| seen.address).collect();
        let is_alone = live.is_empty();
        self.next_call = now + if is_alone { self.shared.settings.interval } else { CALL_PAUSE };
        let mut once = self.shared.also_try.lock().clone();
        once.extend(members.values().map(|seen| seen.address));
        let seeds = self.shared.seeds.lock().clone();
        let own = self.shared.settings.advertise;
        let known = Known { own, seeds: &seeds, members: &once, live: &live };
        self.turn = self.turn.wrapping_add(1);
        self.call(calls(&known, self.turn).into_iter());
    }

    fn call(&self, addresses: impl Iterator<Item = SocketAddr>) {
        for address in addresses {
            // It fails when chitchat is dead, which the session is about to learn.
            let _ = self.chitchat.gossip(address);
        }
    }
}

/// Takes in all that chitchat knows of others.
fn take_all(shared: &Shared, chitchat: &Chitchat, look: Look) -> BTreeMap<NodeId, Seen> {
    let live: HashSet<&ChitchatId> = chitchat.live_nodes().collect();
    let own = chitchat.self_chitchat_id();
    let mut lives = shared.lives.lock();
    for (id, state) in chitchat.node_states().iter().filter(|(id, _)| *id != own) {
        let value = |key: &str| state.get(key);
        let (heartbeat, version) = (u64::from(state.heartbeat()), state.max_version());
        let is_live = live.contains(id);
        let observed = Observed { id, heartbeat, version, is_live, value: &value };
        if lives.take(&observed, look)
            && let Some(count) = shared.counters.namesakes.event(look.now)
        {
            let address = id.gossip_advertise_addr;
            warn!(node = %id.node_id, %address, count, "another node bears this node's name");
        }
    }
    lives.finish(look)
}

/// Shows the members to whoever asks, and wakes those who wait if something is new.
fn tell(shared: &Shared, members: BTreeMap<NodeId, Seen>) {
    shared.members.send_if_modified(|shown| {
        let is_news = shown.len() != members.len()
            || members.iter().zip(shown.iter()).any(|((node, seen), (shown_node, before))| {
                node != shown_node || seen.is_news_after(before)
            });
        *shown = Arc::new(members);
        is_news
    });
}
