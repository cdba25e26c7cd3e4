//! [`MapStore`]: one map's data in one partition. Every change goes through the few methods here, which keep the table, the
//! expiry index, the digest and the accounts in step.

use std::sync::Arc;

use isogrid_core::{
    Cause, Entry, Error, ErrorCode, Expiry, MapId, MapSettings, Result, Timestamp, Version,
};

use crate::content::{Content, Stored};
use crate::eviction::AccessClock;
use crate::hash::{KeyHash, KeyHasher};
use crate::journal::{Journal, Was};
use crate::raw::{NewValue, Record, RecordRef};
use crate::table::Place;
use crate::usage::{Ledger, MapUsage};

/// What the maps of a partition share.
pub(crate) struct Common {
    pub(crate) hasher: KeyHasher,
    /// The version of the last change.
    pub(crate) version: Version,
    /// An old record that the reply borrows from; lives until the next operation.
    pub(crate) displaced: Option<Record>,
    pub(crate) journal: Journal,
    pub(crate) key_bytes_max: usize,
    pub(crate) value_bytes_max: usize,
}

impl Common {
    /// Begins a call: what the last one left for its reply and its changes is forgotten.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.displaced = None;
        self.journal.begin();
    }

    /// The version of one more change.
    #[inline]
    pub(crate) fn next_version(&mut self) -> Version {
        assert!(self.version < Version::MAX, "a partition cannot live to see 2^48 changes");
        self.version = Version(self.version.0 + 1);
        self.version
    }
}

/// The key an operation is about, and the circumstances.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) hash: KeyHash,
    pub(crate) now: Timestamp,
    /// Whether the node is over its memory mark.
    pub(crate) over_mark: bool,
}

/// What an operation stores.
pub(crate) struct Write<'a> {
    pub(crate) value: NewValue<'a>,
    pub(crate) expires_at: Option<Timestamp>,
    /// Whether the reply carries the old record.
    pub(crate) keep_old: bool,
}

impl<'a> Write<'a> {
    #[inline]
    fn stored(&self, target: &Target<'a>, version: Version) -> Stored<'a> {
        let (key, hash) = (target.key, target.hash);
        Stored { key, hash, value: self.value, version, expires_at: self.expires_at }
    }
}

/// One map's data in one partition.
pub(crate) struct MapStore {
    id: MapId,
    pub(crate) content: Content,
    pub(crate) settings: MapSettings,
    pub(crate) clock: AccessClock,
    pub(crate) ledger: Ledger,
}

impl MapStore {
    /// A map without records.
    pub(crate) fn new(id: MapId, seed: u64) -> Self {
        let settings = MapSettings::default();
        MapStore {
            id,
            content: Content::default(),
            clock: AccessClock::new(settings.eviction, seed),
            settings,
            ledger: Ledger::new(Arc::default()),
        }
    }

    /// Changes the settings and the account.
    pub(crate) fn configure(
        &mut self,
        settings: &MapSettings,
        usage: Arc<MapUsage>,
        hasher: &KeyHasher,
    ) {
        if self.settings.indexes != settings.indexes {
            self.content.configure(&settings.indexes, hasher);
        }
        self.settings = settings.clone();
        self.clock.set_policy(settings.eviction);
        // The old ledger takes back what it reported.
        self.ledger = Ledger::new(usage);
        self.report();
    }

    /// The number of the map.
    pub(crate) fn id(&self) -> MapId {
        self.id
    }

    /// All bytes of the map in this partition.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.content.bytes()
    }

    /// How many records are there and have not expired.
    pub(crate) fn live_len(&self, now: Timestamp) -> usize {
        self.content.table.len() - self.content.expiry.due(now)
    }

    /// The earliest expiry.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.content.expiry.next().map(|(at, _)| at)
    }

    /// Whether writes must look at the map's limits.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.settings.entries_max != 0 || self.settings.bytes_max != 0
    }

    /// Brings the node-wide account up to date.
    pub(crate) fn report(&mut self) {
        self.ledger.report(self.content.table.len() as u64, self.bytes() as u64);
    }

    #[inline]
    pub(crate) fn changed(&mut self) {
        let (entries, bytes) = (self.content.table.len() as u64, self.bytes() as u64);
        if self.is_limited() {
            self.ledger.report(entries, bytes);
        } else {
            self.ledger.report_if_much(entries, bytes);
        }
    }

    /// The place of a live record, for an operation that may write: an expired one is removed first, as a change of its
    /// own.
    #[inline]
    pub(crate) fn live_place(&mut self, common: &mut Common, target: &Target<'_>) -> Option<Place> {
        let place = self.content.table.find(target.hash, target.key)?;
        if self.content.table.record(place).is_expired(target.now) {
            self.remove(common, place, target.hash, Cause::Expired);
            return None;
        }
        Some(place)
    }

    /// Stores a value for the target's key. `place` is where its live record lies, if there is one.
    pub(crate) fn store(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        place: Option<Place>,
        write: &Write<'_>,
    ) -> Result<Version> {
        if write.expires_at.is_some_and(|at| at <= target.now) {
            return Ok(self.vanish(common, target, place, write.keep_old));
        }
        let mut place = place;
        if self.content.indexes.is_some() {
            self.check_unique(common, target, place, &write.value)?;
        }
        if self.is_limited() || target.over_mark {
            self.make_room(common, target, place, write)?;
            // What was evicted may have moved the record.
            place = place.and_then(|_| self.content.table.find(target.hash, target.key));
        }
        let version = match place {
            Some(place) => self.update(common, target, place, write),
            None => self.insert(common, target, write)?,
        };
        self.changed();
        Ok(version)
    }

    /// A write whose expiry has passed: the record is gone at once, and no longer takes the place of an older one. The
    /// cause is the expiry, as it would be had the record been written a moment earlier: nobody asked for a removal.
    #[cold]
    fn vanish(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        place: Option<Place>,
        keep_old: bool,
    ) -> Version {
        match place {
            Some(place) => {
                let old = self.remove(common, place, target.hash, Cause::Expired);
                common.displaced = old.filter(|_| keep_old);
                common.version
            }
            None => {
                let version = common.next_version();
                common.journal.note(version, self.id, target.hash, Was::Nothing);
                version
            }
        }
    }

    #[inline]
    fn insert(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        write: &Write<'_>,
    ) -> Result<Version> {
        if self.content.table.reserve(target.hash, &common.hasher).is_err() {
            return Err(self.table_full());
        }
        let version = common.next_version();
        let place = self.content.add(&write.stored(target, version), self.clock.first());
        common.journal.note_put(version, self.id, target.hash, (place, Was::Absent));
        Ok(version)
    }

    /// Puts what another replica put: nothing is refused.
    pub(crate) fn replay_put(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        write: &Write<'_>,
    ) {
        match self.content.table.find(target.hash, target.key) {
            Some(place) => {
                self.update(common, target, place, write);
            }
            None => {
                self.content.table.reserve_deep(target.hash, &common.hasher);
                let version = common.next_version();
                let place = self.content.add(&write.stored(target, version), self.clock.first());
                common.journal.note_put(version, self.id, target.hash, (place, Was::Absent));
            }
        }
        self.changed();
    }

    #[cold]
    pub(crate) fn table_full(&self) -> Error {
        let detail = format!("{} entries in this partition", self.content.table.len());
        Error::new(ErrorCode::TableFull, detail)
    }

    pub(crate) fn update(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        place: Place,
        write: &Write<'_>,
    ) -> Version {
        let version = common.next_version();
        let keep_old = write.keep_old || common.journal.is_on();
        let stored = write.stored(target, version);
        let old = self.content.write_over(place, &stored, &mut self.clock, keep_old);
        if common.journal.is_on() {
            let was = Was::Replaced(old.expect("the old record was to be kept"));
            common.journal.note_put(version, self.id, target.hash, (place, was));
        } else {
            common.displaced = old.filter(|_| write.keep_old);
        }
        version
    }

    /// Changes when a record expires.
    pub(crate) fn set_expiry(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        place: Place,
        expires_at: Option<Timestamp>,
    ) -> Version {
        let old = self.content.table.record(place);
        // With a journal every write is a change, so that its version is the one of its log entry.
        if old.expires_at() == expires_at && !common.journal.is_on() {
            return old.version();
        }
        if expires_at.is_some_and(|at| at <= target.now) {
            return self.vanish(common, target, Some(place), false);
        }
        // Nothing appended: the value stays. This may cost eight bytes, which no limit refuses.
        let write = Write { value: NewValue::Appended(&[]), expires_at, keep_old: false };
        let version = self.update(common, target, place, &write);
        self.changed();
        version
    }

    /// Removes the record at a place, as one change. Returns it unless the journal has it.
    pub(crate) fn remove(
        &mut self,
        common: &mut Common,
        place: Place,
        hash: KeyHash,
        cause: Cause,
    ) -> Option<Record> {
        let version = common.next_version();
        let record = self.content.take(place, hash, &common.hasher);
        self.changed();
        if cause == Cause::Expired {
            self.ledger.usage().note_expired();
        }
        if common.journal.is_on() {
            common.journal.note(version, self.id, hash, Was::Removed(record, cause));
            return None;
        }
        Some(record)
    }

    /// Removes everything, as one change if there was anything.
    pub(crate) fn clear(&mut self, common: &mut Common) {
        if self.content.table.len() == 0 {
            return;
        }
        let version = common.next_version();
        let content = self.content.take_all();
        if common.journal.is_on() {
            let was = Was::Cleared(Box::new(content));
            common.journal.note(version, self.id, KeyHash(0), was);
        }
        self.changed();
    }

    /// Removes up to so many expired records, the earliest first. Says how many.
    pub(crate) fn expire(
        &mut self,
        common: &mut Common,
        now: Timestamp,
        records_max: usize,
    ) -> usize {
        let mut removed = 0;
        while removed < records_max && self.expire_one(common, now).is_some() {
            removed += 1;
        }
        self.content.tidy_states(now);
        self.report();
        removed
    }

    /// Removes the record that expired first, if one has. Says how many bytes that freed.
    pub(crate) fn expire_one(&mut self, common: &mut Common, now: Timestamp) -> Option<usize> {
        let (at, hash) = self.content.expiry.next().filter(|(at, _)| *at <= now)?;
        let hasher = common.hasher;
        let is_indexed = |record: RecordRef<'_>| {
            record.expires_at() == Some(at) && hasher.hash(record.key()) == hash
        };
        let place = self
            .content
            .table
            .find_where(hash, is_indexed)
            .expect("an indexed record is in the table");
        let before = self.bytes();
        self.remove(common, place, hash, Cause::Expired);
        Some(before - self.bytes())
    }
}

/// The old entry that a reply carries.
#[inline]
pub(crate) fn displaced(common: &Common, is_wanted: bool) -> Option<Entry<'_>> {
    let old = common.displaced.as_ref().or_else(|| common.journal.last_old());
    old.filter(|_| is_wanted).map(|record| record.borrow().entry())
}

/// When a write's record expires.
#[inline]
pub(crate) fn resolve_expiry(
    expiry: Expiry,
    now: Timestamp,
    present: Option<Timestamp>,
) -> Option<Timestamp> {
    match expiry {
        Expiry::Never => None,
        Expiry::Keep => present,
        Expiry::AfterMs(ms) => Some(now.plus_ms(ms)),
        Expiry::At(at) => Some(at),
    }
}

#[cfg(test)]
#[path = "map_store_test.rs"]
mod tests;
