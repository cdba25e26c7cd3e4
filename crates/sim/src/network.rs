//! The network between the nodes: latency, loss, duplicates, reordering, bandwidth; cuts in one or both directions, and
//! links that hold everything back and then let it go at once.
//!
//! It knows neither the queue nor the nodes. [`Network::send`] hands each copy of a message, with the time of its arrival,
//! to a closure, which puts it into the queue; when that time has come, [`Network::arrives`] says whether the link still
//! stands.

mod links;
mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use links::{Disturbance, LinkEffect, Links};
pub use settings::{LinkSettings, NetworkCounts};

use crate::random::Random;
use crate::time::SimTime;

/// A node by its number in the simulation. Written `n2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub u16);

impl fmt::Display for NodeIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad`, so that columns of a table line up.
        f.pad(&format!("n{}", self.0))
    }
}

impl FromStr for NodeIndex {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix('n').filter(|digits| !digits.starts_with('+'));
        let number = number.and_then(|digits| digits.parse().ok());
        number.map(NodeIndex).ok_or_else(|| format!("{text:?} is not a node, like n2"))
    }
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<P> {
    /// Who sent it.
    pub from: NodeIndex,
    /// Who gets it.
    pub to: NodeIndex,
    /// When it was sent.
    pub sent_at: SimTime,
    /// Its size: what it takes of the link's bandwidth.
    pub bytes: u64,
    /// What it says.
    pub payload: P,
}

/// A disturbance that is in force, to end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DisturbanceId(u64);

/// One direction between two nodes.
#[derive(Clone, Debug)]
struct Link<P> {
    /// A stream of its own: what happens on one link does not change another.
    random: Random,
    /// The settings with all disturbances worked in.
    now: LinkSettings,
    is_cut: bool,
    is_clogged: bool,
    /// When the last message has left the sender.
    busy_until: SimTime,
    /// When the last message in order arrives: the next one does not overtake it.
    last_arrival: SimTime,
    held: Vec<Envelope<P>>,
}

/// The network. Cloning it gives one with the same future.
#[derive(Clone, Debug)]
pub struct Network<P> {
    random: Random,
    settings: LinkSettings,
    own_settings: BTreeMap<(NodeIndex, NodeIndex), LinkSettings>,
    links: BTreeMap<(NodeIndex, NodeIndex), Link<P>>,
    disturbances: BTreeMap<DisturbanceId, Disturbance>,
    disturbances_ever: u64,
    counts: NetworkCounts,
}

impl<P: Clone> Network<P> {
    /// The most messages that a clogged link holds; more are lost.
    pub const HELD_LEN_MAX: usize = 100_000;

    /// A network whose links all have these settings.
    pub fn new(settings: LinkSettings, random: Random) -> Self {
        Network {
            random,
            settings,
            own_settings: BTreeMap::new(),
            links: BTreeMap::new(),
            disturbances: BTreeMap::new(),
            disturbances_ever: 0,
            counts: NetworkCounts::default(),
        }
    }

    /// Gives one direction of a link settings of its own.
    pub fn set_link(&mut self, from: NodeIndex, to: NodeIndex, settings: LinkSettings) {
        self.own_settings.insert((from, to), settings);
        self.work_in_disturbances();
    }

    /// What the network did so far.
    pub fn counts(&self) -> NetworkCounts {
        self.counts
    }

    /// Sends a message. `deliver` is called once for each copy that will arrive, with the time of its arrival.
    pub fn send(&mut self, envelope: Envelope<P>, deliver: &mut impl FnMut(SimTime, Envelope<P>)) {
        assert_ne!(envelope.from, envelope.to, "a node does not need a network to itself");
        self.counts.sent += 1;
        self.counts.bytes += envelope.bytes;
        let link = self.link(envelope.from, envelope.to);
        // Always the same draws, so that a changed rate leaves the fate of later messages as it was.
        let mut latency = link.now.draw_latency(&mut link.random);
        let is_lost = link.random.chance(link.now.loss);
        let is_doubled = link.random.chance(link.now.duplicate);
        let is_reordered = link.random.chance(link.now.reorder);
        let later = link.random.delay(link.now.reorder_by);
        if link.is_cut {
            self.counts.cut += 1;
            return;
        }
        if is_lost {
            self.counts.lost += 1;
            return;
        }
        if link.is_clogged {
            self.hold(envelope);
            return;
        }
        let left = link.now.leaves_at(envelope.bytes, link.busy_until.max(envelope.sent_at));
        link.busy_until = left;
        if is_reordered {
            latency += later;
        }
        let mut arrival = left + latency;
        if !is_reordered {
            arrival = arrival.max(link.last_arrival);
            link.last_arrival = arrival;
        }
        self.counts.reordered += u64::from(is_reordered);
        self.counts.duplicated += u64::from(is_doubled);
        if is_doubled {
            deliver(arrival + later, envelope.clone());
        }
        deliver(arrival, envelope);
    }

    /// A message's time has come: whether it gets through. Messages on their way are lost when their link is cut.
    pub fn arrives(&mut self, envelope: &Envelope<P>) -> bool {
        let is_cut = self.link(envelope.from, envelope.to).is_cut;
        self.counts.cut += u64::from(is_cut);
        self.counts.delivered += u64::from(!is_cut);
        !is_cut
    }

    /// Whether messages from one node reach the other at present (they may still be lost by chance, or held).
    pub fn is_connected(&mut self, from: NodeIndex, to: NodeIndex) -> bool {
        from == to || !self.link(from, to).is_cut
    }

    /// Begins a disturbance. Several overlap without harm: each ends for itself.
    pub fn disturb(&mut self, disturbance: Disturbance) -> DisturbanceId {
        self.disturbances_ever += 1;
        let id = DisturbanceId(self.disturbances_ever);
        self.disturbances.insert(id, disturbance);
        self.work_in_disturbances();
        id
    }

    /// Ends a disturbance. What clogged links held is delivered in one burst. Ending it twice does nothing.
    pub fn calm(
        &mut self,
        id: DisturbanceId,
        now: SimTime,
        deliver: &mut impl FnMut(SimTime, Envelope<P>),
    ) {
        if self.disturbances.remove(&id).is_some() {
            self.work_in_disturbances();
            self.release(now, deliver);
        }
    }

    /// Ends all disturbances.
    pub fn calm_all(&mut self, now: SimTime, deliver: &mut impl FnMut(SimTime, Envelope<P>)) {
        self.disturbances.clear();
        self.work_in_disturbances();
        self.release(now, deliver);
    }

    /// Drops what clogged links hold from and to this node: its process is gone, and its connections with it.
    pub fn forget(&mut self, node: NodeIndex) {
        for ((from, to), link) in &mut self.links {
            if *from == node || *to == node {
                self.counts.lost += link.held.len() as u64;
                link.held.clear();
            }
        }
    }

    fn link(&mut self, from: NodeIndex, to: NodeIndex) -> &mut Link<P> {
        self.links.entry((from, to)).or_insert_with(|| {
            let number = u64::from(from.0) << 16 | u64::from(to.0);
            let mut link = Link {
                random: self.random.fork_numbered("link", number),
                now: self.settings,
                is_cut: false,
                is_clogged: false,
                busy_until: SimTime::ZERO,
                last_arrival: SimTime::ZERO,
                held: Vec::new(),
            };
            let settings = self.own_settings.get(&(from, to)).unwrap_or(&self.settings);
            link.set_condition(settings, (from, to), &self.disturbances);
            link
        })
    }

    fn hold(&mut self, envelope: Envelope<P>) {
        let link = self.link(envelope.from, envelope.to);
        if link.held.len() >= Self::HELD_LEN_MAX {
            self.counts.lost += 1;
            return;
        }
        link.held.push(envelope);
        self.counts.held += 1;
    }

    fn work_in_disturbances(&mut self) {
        for (ends, link) in &mut self.links {
            let settings = self.own_settings.get(ends).unwrap_or(&self.settings);
            link.set_condition(settings, *ends, &self.disturbances);
        }
    }

    fn release(&mut self, now: SimTime, deliver: &mut impl FnMut(SimTime, Envelope<P>)) {
        for link in self.links.values_mut().filter(|link| !link.is_clogged) {
            if link.held.is_empty() {
                continue;
            }
            let arrival = (now + link.now.latency_least).max(link.last_arrival);
            link.last_arrival = arrival;
            for envelope in link.held.drain(..) {
                deliver(arrival, envelope);
            }
        }
    }
}

impl<P> Link<P> {
    fn set_condition(
        &mut self,
        settings: &LinkSettings,
        (from, to): (NodeIndex, NodeIndex),
        disturbances: &BTreeMap<DisturbanceId, Disturbance>,
    ) {
        self.now = *settings;
        self.is_cut = false;
        self.is_clogged = false;
        for disturbance in disturbances.values().filter(|d| d.links.contain(from, to)) {
            match disturbance.effect {
                LinkEffect::Cut => self.is_cut = true,
                LinkEffect::Clog => self.is_clogged = true,
                LinkEffect::Loss(rate) => self.now.loss = self.now.loss.max(rate),
                LinkEffect::Duplicate(rate) => self.now.duplicate = self.now.duplicate.max(rate),
                LinkEffect::Reorder(rate) => self.now.reorder = self.now.reorder.max(rate),
                LinkEffect::Delay(by) => self.now.delay_all(by),
                LinkEffect::Bandwidth(bytes_per_second) => {
                    self.now.bytes_per_second = self.now.bytes_per_second.min(bytes_per_second);
                }
            }
        }
    }
}

impl LinkSettings {
    fn draw_latency(&self, random: &mut Random) -> Duration {
        (self.latency_least + random.delay(self.latency_mean_extra)).min(self.latency_most)
    }

    /// When a message that begins to leave at `start` has left.
    fn leaves_at(&self, bytes: u64, start: SimTime) -> SimTime {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.max(1));
        start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn delay_all(&mut self, by: Duration) {
        self.latency_least += by;
        self.latency_most += by;
    }
}

#[cfg(test)]
#[path = "network/network_test.rs"]
mod tests;
