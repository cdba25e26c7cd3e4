//! What an index has between two keys, page by page.
//!
//! The next page begins at a key, which ends with the hash of a record's key, so it does not matter what came or went meanwhile or
//! on which replica the page is asked for: a record whose fields stay as they are comes exactly once, or once for each element of its
//! list that is asked for.

use std::ops::Bound;

use isogrid_core::{Error, ErrorCode, PageEntry, Result, Seek, Sought, Timestamp};
use isogrid_value::IndexKeys;

use super::Indexes;
use super::one::{Index, hash_in};
use crate::content::Content;
use crate::hash::KeyHasher;
use crate::raw::RecordRef;
use crate::scan::{PAGE_BYTES_MAX, PAGE_WORK_MAX};

impl Content {
    /// Collects one page.
    pub(crate) fn seek<'s>(
        &'s self,
        hasher: &KeyHasher,
        seek: &Seek<'_>,
        now: Timestamp,
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
            for record in self.records_of(hasher, (indexes, place), key.bytes()) {
                if !record.is_expired(now) {
                    let entry = record.entry();
                    bytes += record.key().len() + entry.value.len();
                    page.entries.push(PageEntry { key: record.key(), entry });
                }
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
        let index: &Index = &self.list[place];
        let (mut keys, mut own) = (IndexKeys::default(), Vec::new());
        self.reader.read(record.value(), &mut keys);
        keys.of(place).iter().any(|fields| {
            index.begin_key(fields, record.key(), &mut own);
            own.extend_from_slice(&hash_in(key).0.to_be_bytes());
            own == key
        })
    }
}

fn not_ready(why: String) -> Error {
    Error::new(ErrorCode::IndexNotReady, why)
}
