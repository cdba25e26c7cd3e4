//! What a backup of the cluster takes of a partition: its records page by page while the log goes on, and the log's entries
//! behind the place where the pages began. Records at a range of positions and all entries of that range make an exact image
//! again, because an entry says what stands there afterwards.

use isogrid_core::{Effect, LogPosition, version_of};
use isogrid_store::WalkCursor;

use crate::entry::{Answer, DecodeError, Entries, Entry};
use crate::image::put_record;
use crate::log::Match;
use crate::replica::Replica;

/// What a backup has of a partition already: everything up to a committed position of one history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// How often the history was declared lost before.
    pub loss_generation: u32,
    /// Where.
    pub position: LogPosition,
}

/// How a backup of a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpMode {
    /// With all records.
    Whole,
    /// With the records that were written after this version, and the versions of all others.
    Changes {
        /// What the backup has.
        after: u64,
    },
    /// With no records: the log reaches back to what the backup has.
    Entries,
}

/// One page of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DumpPage {
    /// The records as encoded entries.
    pub records: Vec<u8>,
    /// The versions of records that the backup has, ascending.
    pub kept: Vec<u64>,
    /// What the page shows, committed or not.
    pub as_of: LogPosition,
    /// Where the next page begins.
    pub next: Option<WalkCursor>,
}

impl Replica {
    /// How a backup goes on that has this of the partition.
    pub fn dump_mode(&self, held: Option<Held>) -> DumpMode {
        let Some(held) = held else { return DumpMode::Whole };
        let seq = held.position.seq;
        // Within one history nothing committed is ever replaced, so its versions say what the backup has.
        if held.loss_generation != self.loss_generation() || seq > self.commit() {
            return DumpMode::Whole;
        }
        match self.log().matches(held.position) {
            Match::Yes => DumpMode::Entries,
            Match::No => DumpMode::Whole,
            Match::TooOld => DumpMode::Changes { after: seq },
        }
    }

    /// One page of the records. Whoever takes it waits until what it shows is committed.
    pub fn dump_page(&self, from: WalkCursor, bytes_max: usize, mode: DumpMode) -> DumpPage {
        let walked = self.store().walk(from, bytes_max);
        let mut page =
            DumpPage { as_of: self.log().last(), next: walked.next, ..DumpPage::default() };
        for record in &walked.records {
            match mode {
                DumpMode::Changes { after } if record.entry.version <= version_of(after) => {
                    page.kept.push(record.entry.version.0);
                }
                _ => put_record(&mut page.records, record.map, record.key, &record.entry),
            }
        }
        page.kept.sort_unstable();
        page
    }
}

/// Appends entries without the requests that they answered: what they changed is what a backup keeps.
///
/// # Errors
/// The bytes are no entries.
pub fn without_requests(entries: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    for encoded in Entries::new(entries) {
        let entry = encoded?.entry;
        let effect = match entry.effect {
            Effect::EndSessions(_) => Effect::Nothing,
            effect => effect,
        };
        Entry { request: None, answer: Answer::None, effect, ..entry }.encode(out);
    }
    Ok(())
}

#[cfg(test)]
#[path = "dump_test.rs"]
mod tests;
