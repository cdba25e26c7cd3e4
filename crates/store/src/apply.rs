//! Changes that were decided elsewhere: a backup applies the effects of the log, a learner loads copied records. No
//! condition, no limit, no eviction and no journal: what stands here afterwards is what stands there.
//!
//! While records are copied, effects of the log and copied records arrive in any order relative to each other. The larger
//! version wins, so they meet in the same data, with one exception: a removal leaves nothing here that could win over an
//! older copy. Whoever copies keeps the keys that the log removed until the copy has passed them.

use isogrid_core::{Effect, Entry, MapId, MapSettings, Version};

use crate::content::Stored;
use crate::hash::{KeyHash, KeyHasher};
use crate::map_store::MapStore;
use crate::partition::Partition;
use crate::raw::{NewValue, RecordRef};

impl Partition {
    /// Applies the next effect of the log. `hash` is the hash of its key, of the new one for a rename, and is not looked at
    /// if it has none. The last version is then at least the given one, whatever the effect.
    ///
    /// # Panics
    /// When changes of this partition's own could still be taken back.
    pub fn apply(&mut self, version: Version, effect: &Effect<'_>, hash: KeyHash) {
        self.change_from_elsewhere(version, effect, hash, |_| true);
        self.common.version = self.common.version.max(version);
        self.settle(version);
    }

    /// Applies an effect to what is older than it: a put or a removal unless the present record is as new, a rename at each of
    /// its keys likewise, a clear to all records that are older. The last version stays. Says whether anything changed.
    ///
    /// # Panics
    /// As [`Partition::apply`] does.
    pub fn apply_if_newer(&mut self, version: Version, effect: &Effect<'_>, hash: KeyHash) -> bool {
        self.change_from_elsewhere(version, effect, hash, |present| present.version() < version)
    }

    /// Puts a copied record, unless the present one is as new. The last version stays. Says whether anything changed.
    ///
    /// # Panics
    /// As [`Partition::apply`] does.
    pub fn load(&mut self, map: MapId, hash: KeyHash, key: &[u8], entry: &Entry<'_>) -> bool {
        let (value, expires_at) = (entry.value, entry.expires_at);
        self.apply_if_newer(entry.version, &Effect::Put { map, key, value, expires_at }, hash)
    }

    /// Removes a record, whatever its version is, because the replica that this one copies does not have it. The last
    /// version stays. Says whether there was one.
    ///
    /// # Panics
    /// As [`Partition::apply`] does.
    pub fn remove_copied(&mut self, map: MapId, hash: KeyHash, key: &[u8]) -> bool {
        let cause = isogrid_core::Cause::Deleted;
        let effect = Effect::Remove { map, key, cause };
        self.change_from_elsewhere(Version(0), &effect, hash, |_| true)
    }

    /// Empties the partition, to begin anew with version zero. Settings and accounts of the maps stay.
    pub fn forget_everything(&mut self) {
        self.common.begin();
        self.common.version = Version(0);
        self.common.journal.restart(Version(0));
        for store in self.maps.iter_mut().flatten() {
            drop(store.content.take_all());
            store.report();
        }
    }

    /// The version of the record with this key, expired ones included.
    pub fn version_of_key(&self, map: MapId, hash: KeyHash, key: &[u8]) -> Option<Version> {
        Some(self.map(map)?.content.table.get(hash, key)?.version())
    }

    /// Applies an effect to what may go.
    fn change_from_elsewhere(
        &mut self,
        version: Version,
        effect: &Effect<'_>,
        hash: KeyHash,
        may_go: impl Fn(RecordRef<'_>) -> bool,
    ) -> bool {
        self.common.begin();
        assert!(self.unsettled() == 0, "own changes are settled or taken back first");
        let hasher = self.common.hasher;
        match *effect {
            Effect::Put { map, key, value, expires_at } => {
                self.ensure_map(map);
                let value = NewValue::Whole(value);
                let stored = Stored { key, hash, value, version, expires_at };
                self.store_mut(map).is_some_and(|store| store.set(&stored, &hasher, may_go))
            }
            Effect::Remove { map, key, .. } => {
                self.store_mut(map).is_some_and(|store| store.remove_if(hash, key, &hasher, may_go))
            }
            Effect::Rename { map, from, to, value, expires_at } => {
                self.ensure_map(map);
                let value = NewValue::Whole(value);
                let stored = Stored { key: to, hash, value, version, expires_at };
                self.store_mut(map).is_some_and(|store| {
                    let is_gone = store.remove_if(hasher.hash(from), from, &hasher, &may_go);
                    store.set(&stored, &hasher, &may_go) || is_gone
                })
            }
            Effect::Clear { map } => {
                self.store_mut(map).is_some_and(|store| store.clear_if(&hasher, may_go))
            }
            Effect::Nothing | Effect::EndSessions(_) => false,
        }
    }

    /// A map that is named is there, with default settings until it is configured.
    pub(crate) fn ensure_map(&mut self, map: MapId) {
        if self.map(map).is_none() {
            self.configure(map, &MapSettings::default(), Default::default());
        }
    }

    fn store_mut(&mut self, map: MapId) -> Option<&mut MapStore> {
        self.maps.get_mut(map.0 as usize)?.as_deref_mut()
    }
}

impl MapStore {
    /// Sets a record if the present one may go or there is none.
    fn set(
        &mut self,
        stored: &Stored<'_>,
        hasher: &KeyHasher,
        may_go: impl Fn(RecordRef<'_>) -> bool,
    ) -> bool {
        match self.content.table.find(stored.hash, stored.key) {
            Some(place) => {
                if !may_go(self.content.table.record(place)) {
                    return false;
                }
                self.content.write_over(place, stored, &mut self.clock, false);
            }
            None => {
                self.content.table.reserve_deep(stored.hash, hasher);
                self.content.add(stored, self.clock.first());
            }
        }
        self.changed();
        true
    }

    /// Removes a record if it is there and may go.
    fn remove_if(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        hasher: &KeyHasher,
        may_go: impl Fn(RecordRef<'_>) -> bool,
    ) -> bool {
        let place = self.content.table.find(hash, key);
        let Some(place) = place.filter(|place| may_go(self.content.table.record(*place))) else {
            return false;
        };
        self.content.take(place, hash, hasher);
        self.changed();
        true
    }

    /// Removes all records that may go.
    fn clear_if(&mut self, hasher: &KeyHasher, may_go: impl Fn(RecordRef<'_>) -> bool) -> bool {
        let before = self.content.table.len();
        if self.content.table.records().all(&may_go) {
            drop(self.content.take_all());
        } else {
            let going = self.content.table.records().filter(|record| may_go(*record));
            let going: Vec<_> =
                going.map(|record| (hasher.hash(record.key()), record.version())).collect();
            for (hash, version) in going {
                // Copied records can share a version, so it does not find one alone.
                let place = self.content.table.find_where(hash, |record| {
                    record.version() == version && hasher.hash(record.key()) == hash
                });
                self.content.take(place.expect("the record was here"), hash, hasher);
            }
        }
        self.changed();
        self.content.table.len() < before
    }
}

#[cfg(test)]
#[path = "apply_test.rs"]
mod tests;
