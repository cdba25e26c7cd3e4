//! What an index has between two keys, page by page.
//!
//! The next page begins at a key, which ends with the hash of a record's key, so it does not matter what came or went meanwhile or
//! on which replica the page is asked for: a record whose fields stay as they are comes exactly once, or once for each element of its
//! list that is asked for.

use std::collections::BTreeSet;
use std::ops::Bound;

use isogrid_core::{Error, ErrorCode, PageEntry, Result, Seek, Sought, Timestamp, Version, View};
use isogrid_value::IndexKeys;

use super::Indexes;
use super::one::{Index, hash_in};
use crate::content::Content;
use crate::hash::{KeyHash, KeyHasher};
use crate::map_store::Common;
use crate::raw::RecordRef;
use crate::scan::{PAGE_BYTES_MAX, PAGE_WORK_MAX};

impl Content {
    /// Collects one page of the state that is asked for.
    pub(crate) fn seek<'s>(
        &'s mut self,
        common: &Common,
        seek: &Seek<'_>,
        now: Timestamp,
    ) -> Result<Sought<'s>> {
        let at = self.show(seek.view, common.version, now)?;
        let found = match seek.view {
            View::Done(_) => Ok(Sought::default()),
            _ => self.sought(&common.hasher, seek, (now, at)),
        };
        let goes_on = match &found {
            Ok(page) => page.next.is_some(),
            // Nothing was begun. A state that is being read is asked for again.
            Err(_) => seek.view != View::Begin,
        };
        let at = self.next_moment(seek.view, common.version, goes_on);
        found.map(|page| Sought { at, ..page })
    }

    fn sought<'s>(
        &'s self,
        hasher: &KeyHasher,
        seek: &Seek<'_>,
        (now, at): (Timestamp, Option<Version>),
    ) -> Result<Sought<'s>> {
        let indexes = self.indexes.as_deref();
        let place = indexes
            .and_then(|all| all.list.iter().position(|index| index.definition.name == seek.index));
        let (Some(indexes), Some(place)) = (indexes, place) else {
            return Err(not_ready(format!("there is no index {:?}", seek.index)));
        };
        let index = &indexes.list[place];
        if index.covered.is_some() {
            return Err(not_ready(format!("{:?} is being built", seek.index)));
        }
        let mut page = Sought::default();
        if !seek.to.is_empty() && seek.from >= seek.to {
            return Ok(page);
        }
        let to = if seek.to.is_empty() { Bound::Unbounded } else { Bound::Excluded(seek.to) };
        let is_meant = |record: &RecordRef<'_>| {
            !record.is_expired(now) && at.is_none_or(|at| record.version() <= at)
        };
        let (mut bytes, mut work) = (0, 0);
        for key in index.tree.range::<[u8], _>((Bound::Included(seek.from), to)).map(|one| one.0) {
            let is_full = page.entries.len() >= seek.entries_max.max(1) as usize
                || bytes >= PAGE_BYTES_MAX
                || work >= PAGE_WORK_MAX;
            if is_full {
                page.next = Some(key.bytes());
                break;
            }
            work += 1;
            let records = self.records_of(hasher, (indexes, place), key.bytes());
            for record in records.filter(is_meant) {
                bytes += record.key_and_value().len();
                page.entries.push(PageEntry { key: record.key(), entry: record.entry() });
            }
        }
        if let (Some(at), Some(held)) = (at, &self.held) {
            let end = page.next.unwrap_or(seek.to);
            let gone = held.gone(at, KeyHash(0), None).filter(|(_, record)| is_meant(record));
            for (hash, record) in gone {
                let found = indexes.keys_between(place, (hash, record), (seek.from, end));
                let entry = PageEntry { key: record.key(), entry: record.entry() };
                page.entries.extend(std::iter::repeat_n(entry, found));
            }
        }
        Ok(page)
    }

    /// The records that a key is of: one, unless two have the same hash.
    fn records_of<'s>(
        &'s self,
        hasher: &KeyHasher,
        (indexes, place): (&Indexes, usize),
        key: &[u8],
    ) -> impl Iterator<Item = RecordRef<'s>> {
        let first = self.nth_of_hash(hasher, key, 0);
        let second = self.nth_of_hash(hasher, key, 1);
        let more: Vec<RecordRef<'s>> = match second {
            None => Vec::new(),
            Some(_) => {
                let all = (0..).map_while(|nth| self.nth_of_hash(hasher, key, nth));
                all.filter(|record| indexes.has_key(place, *record, key)).collect()
            }
        };
        first.filter(|_| second.is_none()).into_iter().chain(more)
    }

    /// Of the records whose hash ends a key, the one with this number.
    pub(super) fn nth_of_hash(
        &self,
        hasher: &KeyHasher,
        key: &[u8],
        nth: usize,
    ) -> Option<RecordRef<'_>> {
        let hash = hash_in(key);
        let mut seen = 0;
        let found = self.table.find_where(hash, |record| {
            let is_of_it = hasher.hash(record.key()) == hash;
            seen += usize::from(is_of_it);
            is_of_it && seen > nth
        });
        found.map(|place| self.table.record(place))
    }
}

impl Indexes {
    /// Whether a record has this key in an index.
    #[cold]
    fn has_key(&self, place: usize, record: RecordRef<'_>, key: &[u8]) -> bool {
        self.keys_of(place, (hash_in(key), record)).contains(key)
    }

    /// How many keys a record has in an index from one on and before another; an empty one is no end.
    fn keys_between(
        &self,
        place: usize,
        record: (KeyHash, RecordRef<'_>),
        (from, to): (&[u8], &[u8]),
    ) -> usize {
        let is_between =
            |key: &&Vec<u8>| from <= key.as_slice() && (to.is_empty() || key.as_slice() < to);
        self.keys_of(place, record).iter().filter(is_between).count()
    }

    /// The keys of a record in an index.
    fn keys_of(&self, place: usize, (hash, record): (KeyHash, RecordRef<'_>)) -> BTreeSet<Vec<u8>> {
        let index: &Index = &self.list[place];
        let mut keys = IndexKeys::default();
        self.reader.read(record.value(), &mut keys);
        let whole = |fields: &[u8]| {
            let mut key = Vec::new();
            index.begin_key(fields, record.key(), &mut key);
            key.extend_from_slice(&hash.0.to_be_bytes());
            key
        };
        keys.of(place).iter().map(whole).collect()
    }
}

fn not_ready(why: String) -> Error {
    Error::new(ErrorCode::IndexNotReady, why)
}
