//! [`Image`]: the records of one partition at a cut, put together from a backup and those it builds on.

use std::collections::{HashMap, HashSet};

use isogrid_core::{Effect, Hlc, LogPosition, Timestamp};
use isogrid_replica::entry::Entries;

use crate::block::{self, Block, Kind};
use crate::manifest::{Mode, Part};

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its value.
    pub value: Vec<u8>,
    /// The version it had in the cluster.
    pub version: u64,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// The records of one partition, by the number of their map and their key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    records: HashMap<(u32, Vec<u8>), Record>,
}

impl Image {
    /// Takes in what one backup has of the partition; its parent's comes before. Says what is wrong with it.
    ///
    /// # Errors
    /// The blocks are not what the manifest says.
    pub fn take(&mut self, part: &Part, blocks: &[Block], clock: Hlc) -> Result<(), String> {
        match part.mode {
            Mode::Whole => self.records.clear(),
            Mode::Changes => self.keep(part, blocks)?,
            Mode::Entries => {}
        }
        let mut records = 0;
        for block in of_kind(blocks, Kind::Records) {
            for encoded in Entries::new(&block.contents) {
                let entry = encoded.map_err(|error| error.to_string())?.entry;
                self.apply(entry.position.seq, &entry.effect);
                records += 1;
            }
        }
        if records != part.records {
            return Err(format!("{records} records, written were {}", part.records));
        }
        self.replay(part, blocks, clock)
    }

    /// Keeps the records of the parent that are still there.
    fn keep(&mut self, part: &Part, blocks: &[Block]) -> Result<(), String> {
        let mut kept = HashSet::new();
        for block in of_kind(blocks, Kind::Kept) {
            kept.extend(block::versions(&block.contents)?);
        }
        self.records.retain(|_, record| kept.remove(&record.version));
        // One that was overwritten or removed since its page was told may be missing in no parent either.
        if let Some(version) = kept.iter().next() {
            return Err(format!("the parent lacks the record of version {version}"));
        }
        let blocks = of_kind(blocks, Kind::Kept).map(|block| block::versions(&block.contents));
        let count: usize = blocks.flatten().map(|versions| versions.len()).sum();
        if count as u64 != part.kept {
            return Err(format!("{count} kept records, written were {}", part.kept));
        }
        Ok(())
    }

    fn replay(&mut self, part: &Part, blocks: &[Block], clock: Hlc) -> Result<(), String> {
        let (mut last, mut newest, mut count) = (LogPosition::from(part.from), Hlc::default(), 0);
        for block in of_kind(blocks, Kind::Entries) {
            for encoded in Entries::new(&block.contents) {
                let entry = encoded.map_err(|error| error.to_string())?.entry;
                let position = entry.position;
                if position.seq != last.seq + 1
                    || position.epoch < last.epoch
                    || entry.hlc <= newest
                {
                    return Err(format!("entry {position} does not follow {last}"));
                }
                if entry.hlc > clock {
                    return Err(format!("entry {position} is behind the cut"));
                }
                self.apply(position.seq, &entry.effect);
                (last, newest) = (position, entry.hlc);
                count += 1;
            }
        }
        let is_at_cut = count == 0 && part.mode == Mode::Entries || last == part.cut.into();
        if count != part.entries || !is_at_cut {
            return Err(format!(
                "entries end at {last}, the cut is {}",
                LogPosition::from(part.cut)
            ));
        }
        Ok(())
    }

    fn apply(&mut self, seq: u64, effect: &Effect<'_>) {
        match effect {
            Effect::Put { map, key, value, expires_at } => {
                let record =
                    Record { value: value.to_vec(), version: seq, expires_at: *expires_at };
                self.records.insert((map.0, key.to_vec()), record);
            }
            Effect::Remove { map, key, .. } => {
                self.records.remove(&(map.0, key.to_vec()));
            }
            Effect::Rename { map, from, to, value, expires_at } => {
                self.records.remove(&(map.0, from.to_vec()));
                let record =
                    Record { value: value.to_vec(), version: seq, expires_at: *expires_at };
                self.records.insert((map.0, to.to_vec()), record);
            }
            Effect::Clear { map } => self.records.retain(|(of, _), _| of != &map.0),
            Effect::Nothing | Effect::EndSessions(_) => {}
        }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Map, key and record, of all.
    pub fn into_records(self) -> impl Iterator<Item = (u32, Vec<u8>, Record)> {
        self.records.into_iter().map(|((map, key), record)| (map, key, record))
    }
}

fn of_kind(blocks: &[Block], kind: Kind) -> impl Iterator<Item = &Block> {
    blocks.iter().filter(move |block| block.kind == kind)
}

#[cfg(test)]
#[path = "image_test.rs"]
mod tests;
