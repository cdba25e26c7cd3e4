//! [`MapStore`]: one map's data in one partition. Every change goes through the few methods here, which keep the table, the
//! expiry index, the digest and the accounts in step.

use std::sync::Arc;

use isogrid_core::{Error, ErrorCode, Expiry, MapSettings, Result, Timestamp, Version};

use crate::digest;
use crate::eviction::AccessClock;
use crate::expiry::{EXPIRY_ENTRY_BYTES, ExpiryIndex};
use crate::hash::{KeyHash, KeyHasher};
use crate::raw::{Fields, NewValue, Record, RecordRef};
use crate::shape::Shape;
use crate::table::{Place, Table};
use crate::usage::{Ledger, MapUsage};

/// What the maps of a partition share.
pub(crate) struct Common {
    pub(crate) hasher: KeyHasher,
    /// The version of the last change.
    pub(crate) version: Version,
    /// An old record that the reply borrows from; lives until the next operation.
    pub(crate) displaced: Option<Record>,
    pub(crate) key_bytes_max: usize,
    pub(crate) value_bytes_max: usize,
}

impl Common {
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

/// One map's data in one partition.
pub(crate) struct MapStore {
    pub(crate) table: Table,
    expiry: ExpiryIndex,
    digest: u128,
    pub(crate) settings: MapSettings,
    pub(crate) clock: AccessClock,
    pub(crate) ledger: Ledger,
}

impl MapStore {
    /// A map without records.
    pub(crate) fn new(settings: &MapSettings, usage: Arc<MapUsage>, seed: u64) -> Self {
        MapStore {
            table: Table::default(),
            expiry: ExpiryIndex::default(),
            digest: 0,
            settings: settings.clone(),
            clock: AccessClock::new(settings.eviction, seed),
            ledger: Ledger::new(usage),
        }
    }

    /// Changes the settings and the account.
    pub(crate) fn configure(&mut self, settings: &MapSettings, usage: Arc<MapUsage>) {
        self.settings = settings.clone();
        self.clock.set_policy(settings.eviction);
        // The old ledger takes back what it reported.
        self.ledger = Ledger::new(usage);
        self.report();
    }

    /// All bytes of the map in this partition.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes() + self.expiry.bytes()
    }

    /// The digest of the map, whatever its number is.
    pub(crate) fn digest(&self) -> u128 {
        self.digest
    }

    /// How many records are there and have not expired.
    pub(crate) fn live_len(&self, now: Timestamp) -> usize {
        self.table.len() - self.expiry.due(now)
    }

    /// The earliest expiry.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.expiry.next().map(|(at, _)| at)
    }

    /// Whether writes must look at the map's limits.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.settings.entries_max != 0 || self.settings.bytes_max != 0
    }

    /// Brings the node-wide account up to date.
    pub(crate) fn report(&mut self) {
        self.ledger.report(self.table.len() as u64, self.bytes() as u64);
    }

    #[inline]
    fn changed(&mut self) {
        let (entries, bytes) = (self.table.len() as u64, self.bytes() as u64);
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
        let place = self.table.find(target.hash, target.key)?;
        if self.table.record(place).is_expired(target.now) {
            self.remove(common, place, target.hash);
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
        if self.is_limited() || target.over_mark {
            self.make_room(common, target, place, write)?;
            // What was evicted may have moved the record.
            place = place.and_then(|_| self.table.find(target.hash, target.key));
        }
        let version = match place {
            Some(place) => self.update(common, target, place, write),
            None => self.insert(common, target, write)?,
        };
        self.changed();
        Ok(version)
    }

    /// A write whose expiry has passed: the record is gone at once, and no longer takes the place of an older one.
    #[cold]
    fn vanish(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        place: Option<Place>,
        keep_old: bool,
    ) -> Version {
        let Some(place) = place else { return common.next_version() };
        let old = self.remove(common, place, target.hash);
        common.displaced = keep_old.then_some(old);
        common.version
    }

    #[inline]
    fn insert(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        write: &Write<'_>,
    ) -> Result<Version> {
        if self.table.reserve(target.hash, &common.hasher).is_err() {
            return Err(self.table_full());
        }
        let version = common.next_version();
        let (NewValue::Whole(value) | NewValue::Appended(value)) = write.value;
        let record = Record::new(&Fields {
            key: target.key,
            value: [value, &[]],
            version,
            expires_at: write.expires_at,
            access: self.clock.first(),
        });
        self.digest = self.digest.wrapping_add(digest::of_record(record.borrow()));
        self.table.insert(target.hash, record);
        if let Some(at) = write.expires_at {
            self.expiry.add(at, target.hash);
        }
        Ok(version)
    }

    #[cold]
    fn table_full(&self) -> Error {
        let detail = format!("{} entries in this partition", self.table.len());
        Error::new(ErrorCode::TableFull, detail)
    }

    fn update(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        place: Place,
        write: &Write<'_>,
    ) -> Version {
        let version = common.next_version();
        let mut record = self.table.record_mut(place);
        let old = record.to_ref();
        let old_expiry = old.expires_at();
        let old_digest = digest::of_record(old);
        let access = self.clock.used(old.access());
        let in_place =
            !write.keep_old && record.overwrite(write.value, version, write.expires_at, access);
        if !in_place {
            let old = record.into_ref();
            let value = match write.value {
                NewValue::Whole(value) => [value, &[]],
                NewValue::Appended(value) => [old.value(), value],
            };
            let expires_at = write.expires_at;
            let key = target.key;
            let fresh = Record::new(&Fields { key, value, version, expires_at, access });
            let old = self.table.replace(place, fresh);
            common.displaced = write.keep_old.then_some(old);
        }
        let new_digest = digest::of_record(self.table.record(place));
        self.digest = self.digest.wrapping_sub(old_digest).wrapping_add(new_digest);
        if old_expiry != write.expires_at {
            self.move_expiry(target.hash, old_expiry, write.expires_at);
        }
        version
    }

    fn move_expiry(&mut self, hash: KeyHash, old: Option<Timestamp>, new: Option<Timestamp>) {
        if let Some(at) = old {
            self.expiry.remove(at, hash);
        }
        if let Some(at) = new {
            self.expiry.add(at, hash);
        }
    }

    /// Changes when a record expires.
    pub(crate) fn set_expiry(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        place: Place,
        expires_at: Option<Timestamp>,
    ) -> Version {
        let old = self.table.record(place);
        if old.expires_at() == expires_at {
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

    /// Removes the record at a place, as one change.
    pub(crate) fn remove(&mut self, common: &mut Common, place: Place, hash: KeyHash) -> Record {
        common.next_version();
        let record = self.table.remove(place, &common.hasher);
        self.digest = self.digest.wrapping_sub(digest::of_record(record.borrow()));
        if let Some(at) = record.borrow().expires_at() {
            self.expiry.remove(at, hash);
        }
        self.changed();
        record
    }

    /// Removes everything, as one change if there was anything.
    pub(crate) fn clear(&mut self, common: &mut Common) {
        if self.table.len() == 0 {
            return;
        }
        common.next_version();
        self.table = Table::default();
        self.expiry = ExpiryIndex::default();
        self.digest = 0;
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
        self.report();
        removed
    }

    /// Removes the record that expired first, if one has. Says how many bytes that freed.
    pub(crate) fn expire_one(&mut self, common: &mut Common, now: Timestamp) -> Option<usize> {
        let (at, hash) = self.expiry.next().filter(|(at, _)| *at <= now)?;
        let hasher = common.hasher;
        let is_indexed = |record: RecordRef<'_>| {
            record.expires_at() == Some(at) && hasher.hash(record.key()) == hash
        };
        let place =
            self.table.find_where(hash, is_indexed).expect("an indexed record is in the table");
        let before = self.bytes();
        self.remove(common, place, hash);
        Some(before - self.bytes())
    }

    /// The bytes a write adds, and whether it adds an entry. The table's own growth is included.
    pub(crate) fn growth(
        &self,
        target: &Target<'_>,
        place: Option<Place>,
        write: &Write<'_>,
    ) -> Growth {
        let old = place.map(|place| self.table.record(place));
        let kept = match write.value {
            NewValue::Whole(_) => 0,
            NewValue::Appended(_) => old.map_or(0, |old| old.shape().value_len()),
        };
        let (NewValue::Whole(value) | NewValue::Appended(value)) = write.value;
        let expires = write.expires_at.is_some();
        let shape = Shape::new(target.key.len(), kept + value.len(), expires);
        let mut added = shape.allocation() + usize::from(expires) * EXPIRY_ENTRY_BYTES;
        let mut removed = 0;
        match old {
            Some(old) => {
                let had_expiry = old.shape().expires();
                removed = old.allocation() + usize::from(had_expiry) * EXPIRY_ENTRY_BYTES;
            }
            None => added += self.table.growth_bytes(target.hash),
        }
        Growth { bytes: added.saturating_sub(removed), is_entry: old.is_none() }
    }
}

/// What a write adds to a map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    pub(crate) bytes: usize,
    pub(crate) is_entry: bool,
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
