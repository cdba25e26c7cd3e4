//! Changes that can be taken back: what a primary needs as long as it does not know whether they will stand.

use isogrid_core::{MapId, Op, Reply, Version};

use crate::hash::{KeyHash, KeyHasher};
use crate::journal::{Changes, Executed, Was};
use crate::map_store::{MapStore, displaced};
use crate::partition::{Context, Partition};

/// A reply to a write without what it borrows.
enum Detached {
    Whole(Reply<'static>),
    /// With whether there is an old entry.
    Written(Version, bool),
    /// With whether there is an old entry.
    Deleted(Version, bool),
    /// With whether there is a present entry.
    Conflict(bool),
}

impl Partition {
    /// Switches the journal. While it is on, `execute`, `expire` and `evict` record what they change, and changes can be
    /// taken back until they are settled. Switching it off forgets all that.
    pub fn journal(&mut self, on: bool) {
        self.common.journal.switch(on, self.common.version);
    }

    /// What the last `execute`, `expire` or `evict` changed. Empty when the journal is off.
    #[inline]
    pub fn changes(&self) -> Changes<'_> {
        self.common.journal.changes(&self.maps)
    }

    /// Executes one operation like [`Partition::execute`], and gives the reply and the changes side by side.
    #[inline]
    pub fn execute_journaled<'s>(
        &'s mut self,
        map: MapId,
        op: &Op<'_>,
        hash: KeyHash,
        context: &Context,
    ) -> Executed<'s> {
        if op.is_read() {
            let reply = self.execute(map, op, hash, context);
            return Executed { reply, changes: Changes::default() };
        }
        let detached = detach(self.execute(map, op, hash, context));
        let this: &'s Self = self;
        let reply = match detached {
            Detached::Whole(reply) => reply,
            Detached::Written(version, has_old) => {
                Reply::Written { version, old: displaced(&this.common, has_old) }
            }
            Detached::Deleted(version, has_old) => {
                Reply::Deleted { version, old: displaced(&this.common, has_old) }
            }
            Detached::Conflict(false) => Reply::Conflict { current: None },
            Detached::Conflict(true) => Reply::Conflict { current: this.present(map, op, hash) },
        };
        Executed { reply, changes: this.changes() }
    }

    fn present(&self, map: MapId, op: &Op<'_>, hash: KeyHash) -> Option<isogrid_core::Entry<'_>> {
        let (key, hash) = match (op.second_key(), op.target()) {
            (Some(second), _) => (second, self.common.hasher.hash(second)),
            (None, isogrid_core::Target::Key(key)) => (key, hash),
            (None, isogrid_core::Target::Partition(_)) => return None,
        };
        Some(self.map(map)?.content.table.get(hash, key)?.entry())
    }

    /// Takes back all changes after a version, the newest first: records, digest, expiries and accounts are then as they
    /// were, and the last version is the given one. How often records were used, and how much the tables have grown
    /// meanwhile, stays.
    ///
    /// # Panics
    /// When a change after the version was settled, or made without the journal.
    pub fn undo_after(&mut self, version: Version) {
        let reaches = self.common.journal.reaches(version) || version >= self.common.version;
        assert!(reaches, "version {version} is settled: what came after it stays");
        self.common.begin();
        while let Some(undo) = self.common.journal.pop_after(version) {
            if matches!(undo.was, Was::Nothing) {
                // Nobody says that there is such a map.
                continue;
            }
            let store = self.maps[undo.map.0 as usize].as_deref_mut();
            let store = store.expect("a journaled map is here");
            store.take_back(&self.common.hasher, undo.hash, undo.version, undo.was);
        }
        self.common.version = version;
        for store in self.maps.iter_mut().flatten() {
            // What comes back has the versions of states that were read.
            store.content.held = None;
            store.report();
        }
    }

    /// Lets changes stand up to and including a version: they cannot be taken back any more, and what was kept for that is
    /// freed.
    pub fn settle(&mut self, version: Version) {
        let version = version.min(self.common.version);
        self.common.journal.settle(version);
    }

    /// How many changes could be taken back.
    pub fn unsettled(&self) -> usize {
        self.common.journal.len()
    }

    /// How many bytes of old records are kept to take changes back. They are on no map's account.
    pub fn unsettled_bytes(&self) -> usize {
        self.common.journal.bytes()
    }

    /// Sets the version of the last change, so that the next change gets the one after it: entries of the log that change
    /// no data have a version too.
    ///
    /// # Panics
    /// When the last version is larger already, or the version cannot be stored.
    pub fn set_version(&mut self, version: Version) {
        assert!(version >= self.common.version, "versions do not go back");
        assert!(version <= Version::MAX, "a partition cannot live to see 2^48 changes");
        self.common.version = version;
    }
}

impl MapStore {
    /// Takes back one change, after all that came later.
    fn take_back(&mut self, hasher: &KeyHasher, hash: KeyHash, version: Version, was: Was) {
        let written = |store: &MapStore| {
            store.content.find_version(hash, version).expect("later changes were taken back")
        };
        match was {
            Was::Nothing => {}
            Was::Absent => {
                let place = written(self);
                self.content.take(place, hash, hasher);
            }
            Was::Replaced(record) => {
                let place = written(self);
                self.content.replace(place, hash, record);
            }
            Was::Removed(record, _) => self.content.add_back(hash, record, hasher),
            Was::Renamed(moved) => {
                let place = written(self);
                self.content.take(place, hash, hasher);
                self.put_back(hasher, hash, *moved);
            }
            Was::Cleared(content) => {
                self.content = *content;
                // The map may have got others meanwhile.
                self.content.configure(&self.settings.indexes, hasher);
            }
        }
    }
}

/// Takes out of a write's reply what is borrowed, so that the partition can be looked at beside it.
#[inline]
fn detach(reply: Reply<'_>) -> Detached {
    Detached::Whole(match reply {
        Reply::Written { version, old } => return Detached::Written(version, old.is_some()),
        Reply::Deleted { version, old } => return Detached::Deleted(version, old.is_some()),
        Reply::Conflict { current } => return Detached::Conflict(current.is_some()),
        Reply::Integer { value, version } => Reply::Integer { value, version },
        Reply::Float { value, version } => Reply::Float { value, version },
        Reply::Missing => Reply::Missing,
        Reply::Flag(flag) => Reply::Flag(flag),
        Reply::Count(count) => Reply::Count(count),
        Reply::Failed(error) => Reply::Failed(error),
        Reply::Found(_) | Reply::Page(_) | Reply::Sought(_) => {
            unreachable!("a write does not answer like a read")
        }
    })
}

#[cfg(test)]
#[path = "undo_test.rs"]
mod tests;
