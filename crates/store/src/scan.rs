//! One page of a scan, in the order of the key hashes.
//!
//! The cursor is the next hash. A hash never changes, so it does not matter whether the table grew between two pages,
//! shrank, or lies on another replica: a key that is present throughout is returned exactly once. Keys with the same hash
//! are returned in the same page, since no cursor could stand between them.
//!
//! Whoever wants all pages of one state says so with the first: see [`Held`](crate::held::Held).

use isogrid_core::{Page, PageEntry, Result, Scan, Timestamp, Version, View};
use isogrid_value::Predicate;

use crate::content::Content;
use crate::glob::Glob;
use crate::hash::{KeyHash, KeyHasher};
use crate::map_store::Common;
use crate::raw::RecordRef;
use crate::segment::Segment;

/// How much a page may look at, in records, before it ends with what it found.
pub(crate) const PAGE_WORK_MAX: u64 = 16 << 10;

/// A page of so many records is large.
const LARGE_PAGE: usize = 512;

/// How many bytes of keys and values a page may hold, unless its first entries alone have more.
pub(crate) const PAGE_BYTES_MAX: usize = 1 << 20;

/// So many steps of a glob cost as much as looking at a record.
const GLOB_STEPS_PER_RECORD: u64 = 256;

/// To look into a value costs as much as to look at so many records, and more the longer it is and the more is asked of it: the
/// partition is held up meanwhile.
const VALUE_WORK: u64 = 16;
const VALUE_BYTES_PER_RECORD: u64 = 32;

/// What a page returns of the records it looks at.
pub(crate) struct Filter<'a> {
    prefix: &'a [u8],
    glob: Option<Glob>,
    predicate: Option<Predicate>,
    /// What the predicate asks of a key, if it asks nothing else: so much more each record costs.
    key_nodes: u64,
}

/// What looking at records has cost beside the records themselves.
#[derive(Default)]
struct Cost {
    glob_steps: u64,
    values: u64,
}

impl Cost {
    /// In records.
    fn records(&self) -> u64 {
        self.glob_steps / GLOB_STEPS_PER_RECORD + self.values
    }
}

impl<'a> Filter<'a> {
    /// Reads the filter of a scan.
    pub(crate) fn new(scan: &Scan<'a>) -> Result<Self> {
        let glob = if scan.glob.is_empty() { None } else { Some(Glob::new(scan.glob)?) };
        let predicate =
            if scan.filter.is_empty() { None } else { Some(Predicate::decode(scan.filter)?) };
        let of_keys = predicate.as_ref().filter(|predicate| !predicate.reads_values());
        let key_nodes = of_keys.map_or(0, |predicate| predicate.nodes() as u64);
        Ok(Filter { prefix: scan.prefix, glob, predicate, key_nodes })
    }

    /// Whether a record may be meant, by as much of its key as is looked at in no time.
    fn may_accept(&self, record: &RecordRef<'_>) -> bool {
        let key = record.key();
        key.starts_with(self.prefix)
            && self
                .predicate
                .as_ref()
                .is_none_or(|predicate| predicate.reads_values() || predicate.accepts(key, &[]))
    }

    fn accepts(&self, record: &RecordRef<'_>, cost: &mut Cost) -> bool {
        let key = record.key();
        key.starts_with(self.prefix)
            && self.glob.as_ref().is_none_or(|glob| glob.matches(key, &mut cost.glob_steps))
            && self.predicate.as_ref().is_none_or(|predicate| {
                let value = record.entry().value;
                if predicate.reads_values() {
                    cost.values += VALUE_WORK
                        + predicate.nodes() as u64
                        + value.len() as u64 / VALUE_BYTES_PER_RECORD;
                }
                predicate.accepts(key, value)
            })
    }
}

impl Content {
    /// Collects one page of the state that is asked for.
    pub(crate) fn scan<'s>(
        &'s mut self,
        common: &Common,
        scan: &Scan<'_>,
        now: Timestamp,
    ) -> Result<Page<'s>> {
        let filter = Filter::new(scan)?;
        let at = self.show(scan.view, common.version, now)?;
        let mut page = match scan.view {
            View::Done(_) => Page::default(),
            _ => self.page(&common.hasher, scan, filter, (now, at)),
        };
        page.at = self.next_moment(scan.view, common.version, page.next.is_some());
        Ok(page)
    }

    fn page<'s>(
        &'s self,
        hasher: &KeyHasher,
        scan: &Scan<'_>,
        filter: Filter<'_>,
        (now, at): (Timestamp, Option<Version>),
    ) -> Page<'s> {
        let mut pager = Pager {
            filter,
            entries_max: scan.entries_max.max(1) as usize,
            with_values: scan.with_values,
            now,
            page: Page::default(),
            bytes: 0,
            work: 0,
            cost: Cost::default(),
        };
        let cursor = KeyHash(scan.cursor);
        let mut segments = self.table.segments_from(cursor).peekable();
        if segments.peek().is_none() {
            let gone = self.with_gone(Vec::new(), at, (cursor, None));
            pager.take_all(&gone);
        }
        while let Some((first, segment)) = segments.next() {
            if pager.is_good_enough() {
                pager.page.next = Some(first.0);
                return pager.page;
            }
            // What is left out before it has a place in the order cannot end a page: then all of a segment is looked at.
            let is_worked_out = pager.is_worked_out();
            let records = in_hash_order(segment, cursor, hasher, |record| {
                at.is_none_or(|at| record.version() <= at)
                    && (is_worked_out || pager.filter.may_accept(record))
            });
            let end = segments.peek().map(|(first, _)| *first);
            let records = self.with_gone(records, at, (first.max(cursor), end));
            if !pager.take_all(&records) {
                return pager.page;
            }
            pager.work += segment.len() as u64 * (1 + pager.filter.key_nodes);
        }
        pager.page
    }

    /// The records of a state from one hash on and before another: of those that are here, and those that are gone.
    fn with_gone<'s>(
        &'s self,
        mut records: Vec<(KeyHash, RecordRef<'s>)>,
        at: Option<Version>,
        (from, end): (KeyHash, Option<KeyHash>),
    ) -> Vec<(KeyHash, RecordRef<'s>)> {
        let (Some(at), Some(held)) = (at, &self.held) else { return records };
        let here = records.len();
        records.extend(held.gone(at, from, end));
        if records.len() > here {
            put_in_order(&mut records);
        }
        records
    }
}

/// The records of a segment from a hash on that are wanted.
pub(crate) fn in_hash_order<'s>(
    segment: &'s Segment,
    from: KeyHash,
    hasher: &KeyHasher,
    is_wanted: impl Fn(&RecordRef<'s>) -> bool,
) -> Vec<(KeyHash, RecordRef<'s>)> {
    segment.buckets().iter().for_each(crate::bucket::Bucket::prefetch_all);
    let wanted = segment.records().filter(is_wanted);
    let hashed = wanted.map(|record| (hasher.hash(record.key()), record));
    let mut records: Vec<_> = hashed.filter(|(hash, _)| *hash >= from).collect();
    put_in_order(&mut records);
    records
}

/// Equal hashes by key, so that a page is the same on every replica.
fn put_in_order(records: &mut [(KeyHash, RecordRef<'_>)]) {
    records.sort_unstable_by(|(one_hash, one), (other_hash, other)| {
        one_hash.cmp(other_hash).then_with(|| one.key().cmp(other.key()))
    });
}

/// A page that is being filled.
struct Pager<'f, 's> {
    filter: Filter<'f>,
    entries_max: usize,
    with_values: bool,
    now: Timestamp,
    page: Page<'s>,
    bytes: usize,
    work: u64,
    cost: Cost,
}

impl<'s> Pager<'_, 's> {
    /// Whether it has looked at as many records as a page may.
    fn is_worked_out(&self) -> bool {
        self.work + self.cost.records() > PAGE_WORK_MAX
    }

    /// Whether a large page ends before the next segment. One that ends within a segment has to put all of it in order again for the
    /// page behind it.
    fn is_good_enough(&self) -> bool {
        self.entries_max >= LARGE_PAGE && self.page.entries.len() * 2 >= self.entries_max
    }

    /// Adds what matches among records that are in order. Says whether all had room; where not, the next page begins.
    fn take_all(&mut self, records: &[(KeyHash, RecordRef<'s>)]) -> bool {
        for group in records.chunk_by(|(one, _), (other, _)| one == other) {
            if !self.take(group) {
                self.page.next = Some(group[0].0.0);
                return false;
            }
        }
        true
    }

    /// Adds what matches among records with one hash, or says that the page ended before them. The first group of a page
    /// is always taken, so that a scan always gets on.
    fn take(&mut self, group: &[(KeyHash, RecordRef<'s>)]) -> bool {
        if self.page.entries.len() >= self.entries_max || self.is_worked_out() {
            return false;
        }
        let before = (self.page.entries.len(), self.bytes);
        for &(_, record) in group {
            let is_wanted =
                !record.is_expired(self.now) && self.filter.accepts(&record, &mut self.cost);
            if is_wanted {
                let mut entry = record.entry();
                if !self.with_values {
                    entry.value = &[];
                }
                self.bytes += record.key().len() + entry.value.len();
                self.page.entries.push(PageEntry { key: record.key(), entry });
            }
        }
        if self.bytes > PAGE_BYTES_MAX && before.0 > 0 {
            self.page.entries.truncate(before.0);
            self.bytes = before.1;
            return false;
        }
        true
    }
}

#[cfg(test)]
#[path = "scan_test.rs"]
mod tests;
