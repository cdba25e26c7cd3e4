//! [`Collector`]: one partition on its way into a backup. It takes what the partition's primary tells, makes objects of it, and
//! ends them exactly at the cut.
//!
//! ```text
//!   begin ──► pages and entries ──► based ──► held ──► an entry behind the cut has come ──► finish
//!     ▲                                                            │
//!     └───────── the primary is another one: all anew ◄────────────┘
//! ```

use isogrid_core::{Effect, Hlc, LogPosition};
use isogrid_replica::entry::Entries;

use crate::block::{self, Kind};
use crate::error::{Error, Result};
use crate::manifest::{Mode, Part};

/// Entries that certainly are before the cut are put into a block when they have so many bytes.
const ENTRIES_BYTES: usize = 256 << 10;

/// How a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// With what.
    pub mode: Mode,
    /// Its entries follow this one.
    pub from: LogPosition,
    /// How often its history was declared lost before.
    pub loss_generation: u32,
}

/// A page of records.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Records as encoded entries.
    pub records: &'a [u8],
    /// Versions of those that the parent has, ascending.
    pub kept: &'a [u64],
    /// What the page shows, committed or not.
    pub as_of: LogPosition,
    /// Whether it is the last one.
    pub is_last: bool,
}

/// One partition on its way into a backup.
#[derive(Clone, Debug)]
pub struct Collector {
    part: Part,
    has_base: bool,
    /// What its pages show: it counts only if this entry follows.
    as_of: LogPosition,
    /// The last entry in a block, or the one that the entries follow.
    sealed: LogPosition,
    /// The newest entry that has come.
    last: LogPosition,
    newest: Hlc,
    /// Entries that are in no block yet.
    entries: Vec<u8>,
    /// No entry goes into a block: the cut is being chosen.
    is_held: bool,
    has_changes: bool,
    object: Vec<u8>,
}

impl Collector {
    /// A partition begins, or begins anew.
    pub fn new(partition: u32, begun: Begun) -> Self {
        let from = begun.from;
        let part = Part {
            partition,
            mode: begun.mode,
            loss_generation: begun.loss_generation,
            from: from.into(),
            ..Part::default()
        };
        Collector {
            part,
            has_base: begun.mode == Mode::Entries,
            as_of: LogPosition::START,
            sealed: from,
            last: from,
            newest: Hlc::default(),
            entries: Vec::new(),
            is_held: false,
            has_changes: false,
            object: Vec::new(),
        }
    }

    fn disorder(&self, what: &'static str) -> Error {
        Error::Disorder { partition: self.part.partition, what }
    }

    /// A page of records.
    ///
    /// # Errors
    /// No page was to come, or the bytes are no records.
    pub fn page(&mut self, page: Page<'_>) -> Result<()> {
        if self.has_base {
            return Err(self.disorder("a page after the last one"));
        }
        for record in Entries::new(page.records) {
            if record.is_err() {
                return Err(self.disorder("records that cannot be read"));
            }
            self.part.records += 1;
        }
        if !page.records.is_empty() {
            block::put(Kind::Records, page.records, &mut self.object);
        }
        if !page.kept.is_empty() {
            self.part.kept += page.kept.len() as u64;
            let mut versions = Vec::new();
            block::put_versions(page.kept, &mut versions);
            block::put(Kind::Kept, &versions, &mut self.object);
        }
        self.as_of = self.as_of.max(page.as_of);
        self.has_base = page.is_last;
        Ok(())
    }

    /// Committed entries.
    ///
    /// # Errors
    /// They do not follow what came before.
    pub fn entries(&mut self, entries: &[u8]) -> Result<()> {
        for encoded in Entries::new(entries) {
            let entry = encoded.map_err(|_| self.disorder("entries that cannot be read"))?.entry;
            let follows = entry.position.seq == self.last.seq + 1
                && entry.position.epoch >= self.last.epoch
                && entry.hlc > self.newest;
            if !follows {
                return Err(self.disorder("an entry that does not follow the one before"));
            }
            (self.last, self.newest) = (entry.position, entry.hlc);
        }
        self.entries.extend_from_slice(entries);
        if !self.is_held && self.entries.len() >= ENTRIES_BYTES {
            self.seal(Hlc(u64::MAX));
        }
        Ok(())
    }

    /// Moves the entries up to a clock into a block.
    fn seal(&mut self, clock: Hlc) {
        let mut length = 0;
        for encoded in Entries::new(&self.entries).flatten() {
            if encoded.entry.hlc > clock {
                break;
            }
            length += encoded.bytes.len();
            self.sealed = encoded.entry.position;
            self.part.entries += 1;
            self.has_changes |= encoded.entry.effect != Effect::Nothing;
        }
        if length > 0 {
            block::put(Kind::Entries, &self.entries[..length], &mut self.object);
            self.entries.drain(..length);
        }
    }

    /// Whether all pages have come.
    pub fn is_based(&self) -> bool {
        self.has_base
    }

    /// From now on entries may be behind the cut, until it is chosen or given up.
    pub fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// Whether everything up to this clock has come: something behind it has, and all that the pages show.
    pub fn reaches(&self, clock: Hlc) -> bool {
        // A position with the number and another epoch is of another history: then the pages never count.
        self.has_base && self.newest > clock && self.last.seq >= self.as_of.seq
    }

    /// Bytes that wait to be put into an object.
    pub fn buffered(&self) -> usize {
        self.object.len()
    }

    /// What is to be put as the next object.
    pub fn take_object(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.object)
    }

    /// What it has so far; objects that were put are added here.
    pub fn part_mut(&mut self) -> &mut Part {
        &mut self.part
    }

    /// Cuts. What is to be put as the last object, if anything is, can be taken afterwards.
    ///
    /// # Errors
    /// It does not reach the cut.
    pub fn finish(&mut self, clock: Hlc) -> Result<()> {
        if !self.reaches(clock) {
            return Err(self.disorder("the cut is not reached"));
        }
        self.seal(clock);
        let is_idle = self.part.mode == Mode::Entries && !self.has_changes;
        if is_idle && self.part.objects.is_empty() {
            // Entries that change nothing: the cut goes on, and nothing is kept.
            self.object.clear();
            self.part.entries = 0;
        }
        self.part.cut = self.sealed.into();
        Ok(())
    }
}

#[cfg(test)]
#[path = "collect_test.rs"]
mod tests;
