//! [`Lives`]: from chitchat's entries, one for each life of each node, to one [`Seen`] per node.
//!
//! Chitchat keeps a life for as long as its failure detector does, so a node that was restarted is there twice for some
//! time, and a node whose address changed as well. The newest life wins. A life counts once its heartbeat was seen to
//! advance: what others still tell of the dead is no sign of life.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chitchat::ChitchatId;
use isogrid_core::{NodeId, Timestamp};

use super::clock::Offsets;
use super::news;
use super::seen::Seen;
use super::{DEAD_GRACE, RESTART_BITS};

/// How long a life that chitchat does not know of is still held for alive: gossip that was started again has forgotten
/// everybody and hears of them within a round or two.
pub(super) const REJOIN: Duration = Duration::from_secs(2);

/// How long after the first look an earlier life of this node may still seem alive to others.
const NAMESAKE_AFTER: Duration = Duration::from_secs(20);

/// The moment of a look, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) now: Instant,
    pub(super) wall: Timestamp,
    /// Whether chitchat was started just now, so that its failure detector has not yet heard enough.
    pub(super) is_fresh: bool,
}

/// A life as chitchat has it.
pub(super) struct Observed<'a> {
    pub(super) id: &'a ChitchatId,
    pub(super) heartbeat: u64,
    pub(super) version: u64,
    pub(super) is_live: bool,
    pub(super) value: &'a dyn Fn(&str) -> Option<&'a str>,
}

struct Life {
    node: NodeId,
    heartbeat: u64,
    version: u64,
    offsets: Offsets,
    looked_at: Instant,
    /// When the heartbeat last advanced; `None` while it never has.
    heard: Option<Instant>,
    /// What it says of itself, once it does.
    seen: Option<Seen>,
}

/// All lives of all other nodes.
pub(super) struct Lives {
    own: NodeId,
    generation: u64,
    first_look: Option<Instant>,
    by_id: BTreeMap<ChitchatId, Life>,
}

impl Lives {
    pub(super) fn new(own: NodeId, generation: u64) -> Self {
        Lives { own, generation, first_look: None, by_id: BTreeMap::new() }
    }

    /// Takes in what chitchat knows of a life. Returns whether it is that of another node which bears this node's name.
    pub(super) fn take(&mut self, observed: &Observed<'_>, look: Look) -> bool {
        let first_look = *self.first_look.get_or_insert(look.now);
        if *observed.id.node_id == *self.own.as_str() {
            let is_other = observed.id.generation_id >> RESTART_BITS != self.generation;
            let is_late = look.now.saturating_duration_since(first_look) > NAMESAKE_AFTER;
            return is_other && is_late && observed.is_live;
        }
        match self.by_id.get_mut(observed.id) {
            Some(life) => life.take(observed, look),
            None => {
                let mut life = Life {
                    node: NodeId::new(&*observed.id.node_id),
                    heartbeat: observed.heartbeat,
                    version: 0,
                    offsets: Offsets::default(),
                    looked_at: look.now,
                    heard: None,
                    seen: None,
                };
                life.take(observed, look);
                self.by_id.insert(observed.id.clone(), life);
            }
        }
        false
    }

    /// After all were taken in: forgets who is gone, and returns who is there.
    pub(super) fn finish(&mut self, look: Look) -> BTreeMap<NodeId, Seen> {
        self.by_id.retain(|_, life| life.is_remembered(look.now));
        let mut members = BTreeMap::new();
        // In the order of generations: a later life takes the place of an earlier one.
        for life in self.by_id.values() {
            if let (Some(seen), Some(_)) = (&life.seen, life.heard) {
                members.insert(life.node.clone(), seen.clone());
            }
        }
        members
    }
}

impl Life {
    fn take(&mut self, observed: &Observed<'_>, look: Look) {
        self.looked_at = look.now;
        if observed.heartbeat > self.heartbeat {
            self.heartbeat = observed.heartbeat;
            self.heard = Some(look.now);
        }
        if observed.version != self.version || self.seen.is_none() {
            self.version = observed.version;
            self.read(observed, look);
        }
        if let Some(seen) = &mut self.seen {
            seen.heard = self.heard.unwrap_or(look.now);
            let is_live = observed.is_live || (look.is_fresh && seen.is_live);
            seen.is_live = is_live && !seen.is_leaving;
        }
    }

    fn read(&mut self, observed: &Observed<'_>, look: Look) {
        let address = observed.id.gossip_advertise_addr;
        let Some(read) = news::read(&self.node, address, observed.value) else { return };
        let before = self.seen.as_ref();
        let clock = read.clock.unwrap_or_default();
        if read.clock.is_some() && before.is_none_or(|seen| seen.clock != clock) {
            self.offsets.add(clock, look.wall);
        }
        // The same allocation as long as it says the same: whoever compares is quick.
        let news = match before {
            Some(seen) if *seen.news == read.news => Arc::clone(&seen.news),
            _ => Arc::new(read.news),
        };
        let is_live = before.is_some_and(|seen| seen.is_live);
        self.seen = Some(Seen {
            news,
            address,
            heard: look.now,
            is_live,
            is_leaving: read.is_leaving,
            clock,
            clock_offset_ms: self.offsets.best(),
        });
    }

    /// A life that chitchat has not shown in this look is one that it has forgotten after its own time, or gossip was
    /// started again.
    fn is_remembered(&mut self, now: Instant) -> bool {
        if self.looked_at == now {
            return true;
        }
        let Some(heard) = self.heard else { return false };
        let silent = now.saturating_duration_since(heard);
        if silent > REJOIN
            && let Some(seen) = &mut self.seen
        {
            seen.is_live = false;
        }
        silent < DEAD_GRACE
    }
}

#[cfg(test)]
#[path = "lives_test.rs"]
mod tests;
