//! [`Content`]: the records of one map in one partition, with their expiry index, their digest and the indexes of their fields.
//! The few methods here keep all in step; what a change means, and which version it has, is decided above.

use isogrid_core::{MapIndex, Timestamp, Version};

use crate::digest;
use crate::eviction::AccessClock;
use crate::expiry::ExpiryIndex;
use crate::hash::{KeyHash, KeyHasher};
use crate::held::Held;
use crate::index::Indexes;
use crate::raw::{Fields, NewValue, Record, RecordRef};
use crate::table::{Place, Table};

/// A record as a change leaves it.
pub(crate) struct Stored<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) hash: KeyHash,
    pub(crate) value: NewValue<'a>,
    pub(crate) version: Version,
    pub(crate) expires_at: Option<Timestamp>,
}

/// The records of one map in one partition.
#[derive(Default)]
pub(crate) struct Content {
    pub(crate) table: Table,
    pub(crate) expiry: ExpiryIndex,
    digest: u128,
    pub(crate) indexes: Option<Box<Indexes>>,
    /// What is being read page by page.
    pub(crate) held: Option<Box<Held>>,
}

impl Content {
    /// All bytes of the map in this partition.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        let indexes = self.indexes.as_ref().map_or(0, |indexes| indexes.bytes());
        self.table.bytes() + self.expiry.bytes() + indexes
    }

    /// Has these indexes from now on. New ones are still to be built.
    pub(crate) fn configure(&mut self, indexes: &[MapIndex], hasher: &KeyHasher) {
        self.indexes = Indexes::of(indexes, self.indexes.take());
        if self.table.len() == 0 {
            while self.build(hasher, usize::MAX).is_some() {}
        }
    }

    /// Goes on building an index, for about so many records. Says how many it looked at; none when nothing is to be built.
    pub(crate) fn build(&mut self, hasher: &KeyHasher, records_max: usize) -> Option<usize> {
        self.indexes.as_mut()?.build(&self.table, hasher, records_max)
    }

    /// Takes all records out.
    pub(crate) fn take_all(&mut self) -> Content {
        self.held = None;
        let indexes = self.indexes.as_ref().map(|indexes| indexes.emptied());
        std::mem::replace(self, Content { indexes, ..Content::default() })
    }

    /// The digest of the map, whatever its number is.
    pub(crate) fn digest(&self) -> u128 {
        self.digest
    }

    /// The place of the record that a change with this version wrote, as long as no later change took it away. No two
    /// records of a partition have the same version.
    pub(crate) fn find_version(&self, hash: KeyHash, version: Version) -> Option<Place> {
        self.table.find_where(hash, |record| record.version() == version)
    }

    /// Adds a record whose key is not here, after the table has made room for its hash.
    #[inline]
    pub(crate) fn add(&mut self, stored: &Stored<'_>, access: u16) -> Place {
        let (NewValue::Whole(value) | NewValue::Appended(value)) = stored.value;
        let record = Record::new(&Fields {
            key: stored.key,
            value: [value, &[]],
            version: stored.version,
            expires_at: stored.expires_at,
            access,
        });
        self.insert(stored.hash, record)
    }

    /// Adds a record whose key is not here, however deep the directory becomes: it was here before, or is on another
    /// replica, whose directory is no deeper.
    pub(crate) fn add_back(&mut self, hash: KeyHash, record: Record, hasher: &KeyHasher) {
        self.table.reserve_deep(hash, hasher);
        self.insert(hash, record);
    }

    #[inline]
    fn insert(&mut self, hash: KeyHash, record: Record) -> Place {
        self.digest = self.digest.wrapping_add(digest::of_record(record.borrow()));
        let expires_at = record.borrow().expires_at();
        if let Some(indexes) = &mut self.indexes {
            indexes.add(hash, record.borrow());
        }
        let place = self.table.insert(hash, record);
        if let Some(at) = expires_at {
            self.expiry.add(at, hash);
        }
        place
    }

    /// Writes over the record of the same key, in its place if it can. Returns the old record, or a copy of it, if it is to
    /// be kept; if not, perhaps.
    #[inline]
    pub(crate) fn write_over(
        &mut self,
        place: Place,
        stored: &Stored<'_>,
        clock: &mut AccessClock,
        keep_old: bool,
    ) -> Option<Record> {
        let (version, expires_at) = (stored.version, stored.expires_at);
        let mut record = self.table.record_mut(place);
        let old = record.to_ref();
        let old_expiry = old.expires_at();
        let old_digest = digest::of_record(old);
        if let Some(indexes) = &mut self.indexes {
            indexes.begin_change(old);
        }
        if let Some(held) = &mut self.held {
            held.keep(stored.hash, old);
        }
        let access = clock.used(old.access());
        let value = stored.value;
        let old = if keep_old {
            let copy = record.copy_and_overwrite(value, version, expires_at, access);
            copy.or_else(|| Some(self.write_anew(place, stored, access)))
        } else if record.overwrite(value, version, expires_at, access) {
            None
        } else {
            Some(self.write_anew(place, stored, access))
        };
        let new_digest = digest::of_record(self.table.record(place));
        if let Some(indexes) = &mut self.indexes {
            indexes.end_change(stored.hash, self.table.record(place));
        }
        self.change_index((old_digest, old_expiry), (new_digest, expires_at), stored.hash);
        old
    }

    /// Writes a new record in the place of one with the same key.
    fn write_anew(&mut self, place: Place, stored: &Stored<'_>, access: u16) -> Record {
        let value = match stored.value {
            NewValue::Whole(value) => [value, &[]],
            NewValue::Appended(value) => [self.table.record(place).value(), value],
        };
        let (key, version, expires_at) = (stored.key, stored.version, stored.expires_at);
        let fresh = Record::new(&Fields { key, value, version, expires_at, access });
        self.table.replace(place, fresh)
    }

    /// Puts another record with the same key at a place.
    pub(crate) fn replace(&mut self, place: Place, hash: KeyHash, record: Record) -> Record {
        let index_of = |record: RecordRef<'_>| (digest::of_record(record), record.expires_at());
        let new = index_of(record.borrow());
        if let Some(indexes) = &mut self.indexes {
            indexes.begin_change(self.table.record(place));
            indexes.end_change(hash, record.borrow());
        }
        let old = self.table.replace(place, record);
        self.change_index(index_of(old.borrow()), new, hash);
        old
    }

    #[inline]
    fn change_index(
        &mut self,
        (old_digest, old_expiry): (u128, Option<Timestamp>),
        (new_digest, new_expiry): (u128, Option<Timestamp>),
        hash: KeyHash,
    ) {
        self.digest = self.digest.wrapping_sub(old_digest).wrapping_add(new_digest);
        if old_expiry == new_expiry {
            return;
        }
        if let Some(at) = old_expiry {
            self.expiry.remove(at, hash);
        }
        if let Some(at) = new_expiry {
            self.expiry.add(at, hash);
        }
    }

    /// Takes the record at a place out.
    pub(crate) fn take(&mut self, place: Place, hash: KeyHash, hasher: &KeyHasher) -> Record {
        let record = self.table.remove(place, hasher);
        if let Some(held) = &mut self.held {
            held.keep(hash, record.borrow());
        }
        if let Some(indexes) = &mut self.indexes {
            indexes.remove(hash, record.borrow());
        }
        self.digest = self.digest.wrapping_sub(digest::of_record(record.borrow()));
        if let Some(at) = record.borrow().expires_at() {
            self.expiry.remove(at, hash);
        }
        record
    }
}
