//! [`Indexes`]: what is kept beside the records of one map in one partition so that some are found by their fields.
//!
//! An index is a tree of keys, made of a record's fields and ended by the hash of the record's key: enough to find the record, and
//! a key of its own for each record. One that is new covers the records whose hash is smaller than where its building has come
//! to, and all changes of these; so nothing is ever there twice, and no change is missed.
//!
//! ```text
//!   fields, as bytes that sort as they do │ of a unique one: hash of the partition key │ hash of the key
//! ```

mod one;
mod seek;
mod short;
mod unique;

use isogrid_core::MapIndex;
use isogrid_value::{IndexKeys, IndexReader};

use crate::hash::{KeyHash, KeyHasher};
use crate::raw::RecordRef;
use crate::scan::in_hash_order;
use crate::table::Table;
use one::Index;

/// How an index stands in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexState {
    /// Its name.
    pub name: String,
    /// How many keys it has.
    pub entries: u64,
    /// How many bytes it takes.
    pub bytes: u64,
    /// About how many records it covers.
    pub built: u64,
    /// How many records there are.
    pub records: u64,
}

/// The indexes of one map in one partition.
#[derive(Default)]
pub(crate) struct Indexes {
    reader: IndexReader,
    list: Vec<Index>,
    /// The keys of the value that is there, and of the one that takes its place.
    old: IndexKeys,
    new: IndexKeys,
    /// A key on its way into a tree, or out of it.
    key: Vec<u8>,
}

impl Indexes {
    /// These indexes, with what is known of them. Those that were not there cover nothing yet.
    pub(crate) fn of(definitions: &[MapIndex], known: Option<Box<Indexes>>) -> Option<Box<Self>> {
        if definitions.is_empty() {
            return None;
        }
        let mut known = known.map(|known| known.list).unwrap_or_default();
        let index = |definition: &MapIndex| {
            let place = known.iter().position(|index| index.definition == *definition);
            place.map_or_else(|| Index::new(definition.clone()), |place| known.swap_remove(place))
        };
        let list = definitions.iter().map(index).collect();
        let reader = IndexReader::new(definitions);
        Some(Box::new(Indexes { reader, list, ..Indexes::default() }))
    }

    /// The same where there are no records.
    pub(crate) fn emptied(&self) -> Box<Self> {
        let definitions: Vec<_> = self.list.iter().map(|one| one.definition.clone()).collect();
        let mut empty = Indexes { reader: IndexReader::new(&definitions), ..Indexes::default() };
        empty.list = definitions.into_iter().map(Index::new).collect();
        empty.list.iter_mut().for_each(|index| index.covered = None);
        Box::new(empty)
    }

    /// All bytes of the trees.
    pub(crate) fn bytes(&self) -> usize {
        self.list.iter().map(Index::bytes).sum()
    }

    /// A record has come.
    pub(crate) fn add(&mut self, hash: KeyHash, record: RecordRef<'_>) {
        self.reader.read(record.value(), &mut self.new);
        for (place, index) in self.list.iter_mut().enumerate().filter(|(_, one)| one.covers(hash)) {
            index.add(self.new.of(place), (hash, record.key()), &mut self.key);
        }
    }

    /// A record goes.
    pub(crate) fn remove(&mut self, hash: KeyHash, record: RecordRef<'_>) {
        self.reader.read(record.value(), &mut self.old);
        for (place, index) in self.list.iter_mut().enumerate().filter(|(_, one)| one.covers(hash)) {
            index.remove(self.old.of(place), (hash, record.key()), &mut self.key);
        }
    }

    /// A record is about to become another with the same key.
    pub(crate) fn begin_change(&mut self, old: RecordRef<'_>) {
        self.reader.read(old.value(), &mut self.old);
    }

    /// It has become this one. A tree whose fields are as they were is not touched.
    pub(crate) fn end_change(&mut self, hash: KeyHash, new: RecordRef<'_>) {
        self.reader.read(new.value(), &mut self.new);
        for (place, index) in self.list.iter_mut().enumerate().filter(|(_, one)| one.covers(hash)) {
            let (old, new_keys) = (self.old.of(place), self.new.of(place));
            if old != new_keys {
                index.remove(old, (hash, new.key()), &mut self.key);
                index.add(new_keys, (hash, new.key()), &mut self.key);
            }
        }
    }

    /// Lets the first index that does not cover all records cover so many more, or a few more than that. Says how many it looked
    /// at; none when all are done.
    pub(crate) fn build(
        &mut self,
        table: &Table,
        hasher: &KeyHasher,
        records_max: usize,
    ) -> Option<usize> {
        let place = self.list.iter().position(|index| index.covered.is_some())?;
        let from = self.list[place].covered.unwrap_or_default();
        let mut looked_at = 0;
        for (_, segment) in table.segments_from(from) {
            let records = in_hash_order(segment, from, hasher, |_| true);
            let Some(&(first, _)) = records.first() else { continue };
            if looked_at >= records_max {
                self.list[place].covered = Some(first);
                return Some(looked_at);
            }
            looked_at += records.len();
            for (hash, record) in records {
                self.reader.read(record.value(), &mut self.new);
                let whose = (hash, record.key());
                self.list[place].add(self.new.of(place), whose, &mut self.key);
            }
        }
        self.list[place].covered = None;
        Some(looked_at)
    }

    /// How they stand, where there are so many records.
    pub(crate) fn states(&self, records: usize) -> Vec<IndexState> {
        let state = |index: &Index| {
            // Hashes are spread evenly.
            let share = |to: KeyHash| (records as u128 * u128::from(to.0)) >> 64;
            let built = index.covered.map_or(records as u64, |to| share(to) as u64);
            IndexState {
                name: index.definition.name.clone(),
                entries: index.entries as u64,
                bytes: index.bytes() as u64,
                built,
                records: records as u64,
            }
        };
        self.list.iter().map(state).collect()
    }

    /// The bytes that a record with this value adds to the trees.
    pub(crate) fn bytes_of(&self, value: &[u8]) -> usize {
        let mut keys = IndexKeys::default();
        self.reader.read(value, &mut keys);
        let places = self.list.iter().enumerate();
        places.map(|(place, index)| index.bytes_of(keys.of(place))).sum()
    }
}

#[cfg(test)]
#[path = "index_test.rs"]
pub(crate) mod tests;
