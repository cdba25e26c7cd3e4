//! The journal: what the last call changed ([`Changes`]), and how to take changes back that are not settled yet.
//!
//! ```text
//!  settled | 7 put: was record | 8 remove: was record | 9 put: was absent |
//!          '------------------- undo_after(6) ----------------------------'
//!                                                     '-- last call ------'
//! ```
//!
//! One list serves both. A change keeps the record that it displaced, so nothing is copied: what a put wrote is read from
//! the table, and what a removal took is read from the entry itself.

use std::collections::VecDeque;

use isogrid_core::{Cause, Effect, MapId, Reply, Version};

use crate::content::Content;
use crate::hash::KeyHash;
use crate::map_store::MapStore;
use crate::raw::{Record, RecordRef};
use crate::rename::Moved;
use crate::table::Place;

/// An empty journal that has room for more entries than this gives its memory back.
const IDLE_CAPACITY_MAX: usize = 1 << 12;

/// What stood there before a change.
pub(crate) enum Was {
    /// A write that expired at once found nothing: nothing has changed.
    Nothing,
    /// A put found nothing.
    Absent,
    /// A put found this record.
    Replaced(Record),
    /// A removal took this record.
    Removed(Record, Cause),
    /// A rename moved this record, and perhaps put it over another.
    Renamed(Box<Moved>),
    /// A clear took all of the map.
    Cleared(Box<Content>),
}

impl Was {
    /// How many bytes are kept for it.
    fn bytes(&self) -> usize {
        match self {
            Was::Nothing | Was::Absent => 0,
            Was::Replaced(record) | Was::Removed(record, _) => record.borrow().allocation(),
            Was::Renamed(moved) => moved.bytes(),
            Was::Cleared(content) => content.bytes(),
        }
    }
}

/// One change that can be taken back.
pub(crate) struct Undo {
    pub(crate) version: Version,
    pub(crate) hash: KeyHash,
    pub(crate) map: MapId,
    pub(crate) was: Was,
}

/// The changes that are not settled, the oldest first.
#[derive(Default)]
pub(crate) struct Journal {
    is_on: bool,
    /// How many of the last entries are of the last call.
    recent: usize,
    /// Where the last call wrote, if it did.
    written: Place,
    entries: VecDeque<Undo>,
    /// Changes up to this one cannot be taken back.
    settled: Version,
}

impl Journal {
    /// Whether changes are recorded.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Begins to record, or stops and forgets.
    pub(crate) fn switch(&mut self, on: bool, version: Version) {
        if self.is_on != on {
            *self = Journal { is_on: on, settled: version, ..Journal::default() };
        }
    }

    /// Begins a call.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.recent = 0;
    }

    /// Records a change of this call, unless the journal is off.
    #[inline]
    pub(crate) fn note(&mut self, version: Version, map: MapId, hash: KeyHash, was: Was) {
        if self.is_on {
            self.recent += 1;
            self.entries.push_back(Undo { version, hash, map, was });
        }
    }

    /// Records a put, the last change of this call.
    #[inline]
    pub(crate) fn note_put(
        &mut self,
        version: Version,
        map: MapId,
        hash: KeyHash,
        (place, was): (Place, Was),
    ) {
        if self.is_on {
            self.written = place;
            self.note(version, map, hash, was);
        }
    }

    /// The record that the last change of this call displaced.
    pub(crate) fn last_old(&self) -> Option<&Record> {
        let last = self.entries.back().filter(|_| self.recent > 0)?;
        match &last.was {
            Was::Replaced(record) | Was::Removed(record, _) => Some(record),
            Was::Nothing | Was::Absent | Was::Renamed(_) | Was::Cleared(_) => None,
        }
    }

    /// The last change after a version, which is to be taken back now.
    pub(crate) fn pop_after(&mut self, version: Version) -> Option<Undo> {
        let last = self.entries.pop_back_if(|undo| undo.version > version)?;
        self.recent = self.recent.saturating_sub(1);
        Some(last)
    }

    /// Forgets how to take back changes up to a version.
    pub(crate) fn settle(&mut self, version: Version) {
        if self.entries.front().is_some_and(|oldest| oldest.version <= version) {
            let settled = self.entries.partition_point(|undo| undo.version <= version);
            drop(self.entries.drain(..settled));
        }
        self.settled = self.settled.max(version);
        self.recent = self.recent.min(self.entries.len());
        if self.entries.is_empty() && self.entries.capacity() > IDLE_CAPACITY_MAX {
            self.entries = VecDeque::new();
        }
    }

    /// Forgets everything: the partition begins anew with this version.
    pub(crate) fn restart(&mut self, version: Version) {
        *self = Journal { is_on: self.is_on, settled: version, ..Journal::default() };
    }

    /// Whether the changes after a version can all be taken back.
    pub(crate) fn reaches(&self, version: Version) -> bool {
        self.is_on && version >= self.settled
    }

    /// How many changes are not settled.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes of records are kept. Counted when it is asked for: every put would pay for a running sum.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.iter().map(|undo| undo.was.bytes()).sum()
    }

    /// What the last call changed.
    #[inline]
    pub(crate) fn changes<'s>(&'s self, maps: &'s [Option<Box<MapStore>>]) -> Changes<'s> {
        let next = self.entries.len() - self.recent;
        Changes { entries: &self.entries, next, written: self.written, maps }
    }
}

/// What one call changed, in order: the version and the effect of each change. Versions are consecutive, and each has
/// exactly one effect. Clone it to read it twice.
#[derive(Clone)]
pub struct Changes<'s> {
    /// The journal, and how much of it has been read: most calls make one change, and an iterator over a ring begins with
    /// two halves.
    entries: &'s VecDeque<Undo>,
    next: usize,
    /// Where the put among them wrote.
    written: Place,
    maps: &'s [Option<Box<MapStore>>],
}

impl Default for Changes<'_> {
    fn default() -> Self {
        const NONE: &VecDeque<Undo> = &VecDeque::new();
        Changes { entries: NONE, next: 0, written: Place::NONE, maps: &[] }
    }
}

impl<'s> Changes<'s> {
    #[inline]
    fn effect(&self, undo: &'s Undo) -> Effect<'s> {
        let map = undo.map;
        match &undo.was {
            Was::Nothing => Effect::Nothing,
            Was::Removed(record, cause) => {
                Effect::Remove { map, key: record.borrow().key(), cause: *cause }
            }
            Was::Cleared(_) => Effect::Clear { map },
            Was::Absent | Was::Replaced(_) => {
                let record = self.written(undo);
                let (key, value) = (record.key(), record.value());
                Effect::Put { map, key, value, expires_at: record.expires_at() }
            }
            Was::Renamed(moved) => {
                let record = self.written(undo);
                let (from, to, value) = (moved.from.borrow().key(), record.key(), record.value());
                Effect::Rename { map, from, to, value, expires_at: record.expires_at() }
            }
        }
    }

    /// The record that a change of the last call wrote.
    #[inline]
    fn written(&self, undo: &Undo) -> RecordRef<'s> {
        let maps = self.maps;
        let store = maps[undo.map.0 as usize].as_deref().expect("a journaled map is here");
        // A call makes room first and writes last, so nothing has moved since.
        let record = store.content.table.record(self.written);
        debug_assert!(record.version() == undo.version, "a call puts one record, at last");
        record
    }
}

impl<'s> Iterator for Changes<'s> {
    type Item = (Version, Effect<'s>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let undo = self.entries.get(self.next)?;
        self.next += 1;
        Some((undo.version, self.effect(undo)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.entries.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Changes<'_> {}

/// An operation's answer together with what it changed; both borrow from the records.
pub struct Executed<'s> {
    /// The answer.
    pub reply: Reply<'s>,
    /// What changed, in order. A failed write may have made room before it failed, and any write may have removed an
    /// expired record.
    pub changes: Changes<'s>,
}

#[cfg(test)]
#[path = "journal_test.rs"]
mod tests;
