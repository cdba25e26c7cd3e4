//! What a replica needs when its role changes: a place to begin from, and changes that were decided elsewhere and can
//! still be taken back.

use isogrid_core::{Effect, Entry, MapId, Timestamp, Version};

use crate::hash::KeyHash;
use crate::journal::Was;
use crate::map_store::{Target, Write};
use crate::partition::Partition;
use crate::raw::NewValue;

impl Partition {
    /// Says which version the data stand for, larger or smaller than the last one: a copy has brought them there.
    ///
    /// # Panics
    /// When changes could still be taken back, or the version cannot be stored.
    pub fn restart_at(&mut self, version: Version) {
        assert!(self.unsettled() == 0, "own changes are settled or taken back first");
        assert!(version <= Version::MAX, "a partition cannot live to see 2^48 changes");
        self.common.begin();
        self.common.journal.restart(version);
        self.common.version = version;
    }

    /// Applies the next effect of the log like [`Partition::apply`], but as a change of the own that can be taken back:
    /// what a new primary does with entries that are not committed yet. The journal must be on.
    ///
    /// # Panics
    /// When the version is not the next one.
    pub fn apply_journaled(&mut self, version: Version, effect: &Effect<'_>, hash: KeyHash) {
        assert!(version.0 == self.common.version.0 + 1, "entries are applied one by one");
        self.common.begin();
        match *effect {
            Effect::Put { map, key, value, expires_at } => {
                self.ensure_map(map);
                let target = Target { key, hash, now: Timestamp(0), over_mark: false };
                let value = NewValue::Whole(value);
                let write = Write { value, expires_at, keep_old: false };
                let store =
                    self.maps[map.0 as usize].as_deref_mut().expect("the map was made above");
                store.replay_put(&mut self.common, &target, &write);
            }
            Effect::Rename { map, from, to, value, expires_at } => {
                self.ensure_map(map);
                let target = Target { key: to, hash, now: Timestamp(0), over_mark: false };
                let store =
                    self.maps[map.0 as usize].as_deref_mut().expect("the map was made above");
                store.replay_rename(&mut self.common, from, &target, (value, expires_at));
            }
            Effect::Remove { map, key, cause } => {
                if let Some(store) =
                    self.maps.get_mut(map.0 as usize).and_then(Option::as_deref_mut)
                    && let Some(place) = store.content.table.find(hash, key)
                {
                    store.remove(&mut self.common, place, hash, cause);
                }
            }
            Effect::Clear { map } => {
                if let Some(store) =
                    self.maps.get_mut(map.0 as usize).and_then(Option::as_deref_mut)
                {
                    store.clear(&mut self.common);
                }
            }
            Effect::Nothing | Effect::EndSessions(_) => {}
        }
        if self.common.version < version {
            // Nothing was there to change, but the entry has its version all the same.
            self.common.version = version;
            self.common.journal.note(version, MapId(0), hash, Was::Nothing);
        }
    }

    /// A record as it lies there, expired or not, without noting a use.
    pub fn peek(&self, map: MapId, hash: KeyHash, key: &[u8]) -> Option<Entry<'_>> {
        Some(self.map(map)?.content.table.get(hash, key)?.entry())
    }
}
