//! What a read shows, and whether that is committed: every record carries the number of its entry as its version, so only
//! removals that are not committed have to be remembered.

use std::collections::{BTreeMap, VecDeque};

use isogrid_core::{Effect, MapId, Op, Reply, Target, Version};
use isogrid_store::KeyHash;

/// The version of the record that a reply shows.
pub(crate) fn version_shown(reply: &Reply<'_>) -> Option<Version> {
    match reply {
        Reply::Found(entry) => Some(entry.version),
        _ => None,
    }
}

/// Removals that are not committed yet.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    order: VecDeque<(u64, MapId, KeyHash)>,
    newest: BTreeMap<(MapId, KeyHash), u64>,
    clears: BTreeMap<MapId, u64>,
}

impl Removals {
    /// Notes an entry.
    #[inline]
    pub(crate) fn note(
        &mut self,
        seq: u64,
        effect: &Effect<'_>,
        hash: impl FnOnce(&[u8]) -> KeyHash,
    ) {
        match effect {
            Effect::Remove { map, key, .. } | Effect::Rename { map, from: key, .. } => {
                let hash = hash(key);
                self.order.push_back((seq, *map, hash));
                self.newest.insert((*map, hash), seq);
            }
            Effect::Clear { map } => {
                self.clears.insert(*map, seq);
            }
            Effect::Nothing | Effect::Put { .. } | Effect::EndSessions(_) => {}
        }
    }

    /// Forgets what is committed.
    #[inline]
    pub(crate) fn settle(&mut self, commit: u64) {
        while self.order.front().is_some_and(|(seq, ..)| *seq <= commit) {
            let Some((seq, map, hash)) = self.order.pop_front() else { break };
            if self.newest.get(&(map, hash)) == Some(&seq) {
                self.newest.remove(&(map, hash));
            }
        }
        if !self.clears.is_empty() {
            self.clears.retain(|_, seq| *seq > commit);
        }
    }

    /// The removal that makes a key absent, if it is not committed; zero otherwise.
    pub(crate) fn of(&self, map: MapId, hash: KeyHash) -> u64 {
        let removed = self.newest.get(&(map, hash)).copied().unwrap_or(0);
        removed.max(self.clears.get(&map).copied().unwrap_or(0))
    }
}

/// The newest entry whose commit makes a reply true.
pub(crate) fn newest_shown(
    op: &Op<'_>,
    reply: &Reply<'_>,
    last: u64,
    present: impl FnOnce() -> Option<Version>,
    removed: impl FnOnce() -> u64,
) -> u64 {
    match (op.target(), reply) {
        (Target::Partition(_), _) => last,
        (_, Reply::Found(entry)) => entry.version.0,
        (_, Reply::Flag(true)) => present().map_or(0, |version| version.0),
        (_, _) => removed(),
    }
}

#[cfg(test)]
#[path = "shown_test.rs"]
mod tests;
