//! A record moves to another key, as one change: what stood at both keys is kept together, and is taken back together.

use isogrid_core::{Reply, Result, Timestamp, Version};

use crate::content::Stored;
use crate::expiry::EXPIRY_ENTRY_BYTES;
use crate::hash::{KeyHash, KeyHasher};
use crate::journal::Was;
use crate::map_store::{Common, MapStore, Target, Write};
use crate::raw::{NewValue, Record, RecordRef};
use crate::room::Growth;
use crate::shape::Shape;
use crate::table::Place;

/// What a rename took away.
pub(crate) struct Moved {
    /// The record under its old key.
    pub(crate) from: Record,
    /// What stood at the new key.
    pub(crate) over: Option<Record>,
}

impl Moved {
    /// How many bytes are kept.
    pub(crate) fn bytes(&self) -> usize {
        let over = self.over.as_ref().map_or(0, |record| record.borrow().allocation());
        self.from.borrow().allocation() + over
    }
}

impl MapStore {
    /// Moves the record of the target's key to another key.
    pub(crate) fn rename(
        &mut self,
        common: &mut Common,
        from: &Target<'_>,
        to: &[u8],
        if_absent: bool,
    ) -> Reply<'_> {
        let Some(source) = self.live_place(common, from) else { return Reply::Missing };
        let to = Target { key: to, hash: common.hasher.hash(to), ..*from };
        let is_same = to.key == from.key;
        let place = if is_same { Some(source) } else { self.live_place(common, &to) };
        if if_absent && place.is_some() {
            return self.conflict(place);
        }
        if is_same {
            return Reply::Written { version: self.write_again(common, from, source), old: None };
        }
        if let Err(error) = self.check_rename(common, from, &to) {
            return Reply::Failed(error);
        }
        match self.move_record(common, from, &to) {
            Ok(version) => Reply::Written { version, old: None },
            Err(error) => Reply::Failed(error),
        }
    }

    /// A rename to the same key is a write like every rename, and leaves value and expiry as they are.
    fn write_again(&mut self, common: &mut Common, target: &Target<'_>, place: Place) -> Version {
        let expires_at = self.content.table.record(place).expires_at();
        let write = Write { value: NewValue::Appended(&[]), expires_at, keep_old: false };
        let version = self.update(common, target, place, &write);
        self.changed();
        version
    }

    /// Refuses a new key whose partition key has another record with what is unique of this one.
    fn check_rename(&mut self, common: &Common, from: &Target<'_>, to: &Target<'_>) -> Result<()> {
        if !self.content.indexes.as_ref().is_some_and(|indexes| indexes.is_any_unique()) {
            return Ok(());
        }
        // What had expired at the new key is gone, and may have moved the record.
        let source = self.content.table.get(from.hash, from.key);
        let value = source.map(|record| record.value().to_vec()).unwrap_or_default();
        let checked =
            self.content.check_unique(&common.hasher, &[from.key, to.key], &value, from.now);
        self.changed();
        checked
    }

    fn move_record(
        &mut self,
        common: &mut Common,
        from: &Target<'_>,
        to: &Target<'_>,
    ) -> Result<Version> {
        if self.is_limited() || from.over_mark {
            let growth = self.growth_of_rename(from, to);
            self.make_room_of(common, from, &[from.key, to.key], growth)?;
        }
        let source = self.take_out(from, &common.hasher).expect("the record was found, and spared");
        let over = self.take_out(to, &common.hasher);
        if self.content.table.reserve(to.hash, &common.hasher).is_err() {
            let full = self.table_full();
            self.put_back(&common.hasher, to.hash, Moved { from: source, over });
            return Err(full);
        }
        let version = common.next_version();
        let (access, expires_at) =
            (self.clock.used(source.borrow().access()), source.borrow().expires_at());
        let value = NewValue::Whole(source.borrow().value());
        let stored = Stored { key: to.key, hash: to.hash, value, version, expires_at };
        let place = self.content.add(&stored, access);
        let was = Was::Renamed(Box::new(Moved { from: source, over }));
        common.journal.note_put(version, self.id(), to.hash, (place, was));
        self.changed();
        Ok(version)
    }

    /// The bytes that a rename adds when the new key is longer, or the table must grow for it.
    fn growth_of_rename(&self, from: &Target<'_>, to: &Target<'_>) -> Growth {
        let table = &self.content.table;
        let record = |target: &Target<'_>| table.get(target.hash, target.key);
        let bytes_of = |record: RecordRef<'_>| {
            record.allocation() + usize::from(record.shape().expires()) * EXPIRY_ENTRY_BYTES
        };
        let (source, over) = (record(from), record(to));
        let added = source.map_or(0, |source| {
            let (value_len, expires) = (source.shape().value_len(), source.shape().expires());
            let shape = Shape::new(to.key.len(), value_len, expires);
            shape.allocation() + usize::from(expires) * EXPIRY_ENTRY_BYTES
        });
        let grown = if over.is_some() { 0 } else { table.growth_bytes(to.hash) };
        let removed = source.map_or(0, bytes_of) + over.map_or(0, bytes_of);
        Growth { bytes: (added + grown).saturating_sub(removed), is_entry: false }
    }

    fn take_out(&mut self, target: &Target<'_>, hasher: &KeyHasher) -> Option<Record> {
        let place = self.content.table.find(target.hash, target.key)?;
        Some(self.content.take(place, target.hash, hasher))
    }

    /// What a rename took away is there again.
    pub(crate) fn put_back(&mut self, hasher: &KeyHasher, to: KeyHash, moved: Moved) {
        if let Some(over) = moved.over {
            self.content.add_back(to, over, hasher);
        }
        let from = hasher.hash(moved.from.borrow().key());
        self.content.add_back(from, moved.from, hasher);
    }

    /// Renames what another replica renamed: nothing is refused.
    pub(crate) fn replay_rename(
        &mut self,
        common: &mut Common,
        from: &[u8],
        to: &Target<'_>,
        (value, expires_at): (&[u8], Option<Timestamp>),
    ) {
        let from = Target { key: from, hash: common.hasher.hash(from), ..*to };
        let source = self.take_out(&from, &common.hasher);
        let Some(source) = source else {
            // Its key had no record here: what is left of the effect is a put.
            let write = Write { value: NewValue::Whole(value), expires_at, keep_old: false };
            return self.replay_put(common, to, &write);
        };
        let over = self.take_out(to, &common.hasher);
        self.content.table.reserve_deep(to.hash, &common.hasher);
        let version = common.next_version();
        let access = self.clock.used(source.borrow().access());
        let value = NewValue::Whole(value);
        let stored = Stored { key: to.key, hash: to.hash, value, version, expires_at };
        let place = self.content.add(&stored, access);
        let was = Was::Renamed(Box::new(Moved { from: source, over }));
        common.journal.note_put(version, self.id(), to.hash, (place, was));
        self.changed();
    }
}

#[cfg(test)]
#[path = "rename_test.rs"]
mod tests;
