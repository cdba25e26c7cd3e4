//! Making room: what a write does when its map is at a limit or the node over its memory mark, and which record goes.

use isogrid_core::{Cause, Error, ErrorCode, Eviction, Result, Timestamp};

use crate::eviction::SAMPLE_LEN;
use crate::expiry::EXPIRY_ENTRY_BYTES;
use crate::map_store::{Common, MapStore, Target, Write};
use crate::raw::NewValue;
use crate::shape::Shape;
use crate::table::Place;
use crate::usage::Pressure;

impl MapStore {
    /// Lets a write happen or refuses it. Nothing but evictions has happened when it is refused.
    #[cold]
    pub(crate) fn make_room(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        place: Option<Place>,
        write: &Write<'_>,
    ) -> Result<()> {
        let growth = self.growth(target, place, write);
        self.make_room_of(common, target, &[target.key], growth)
    }

    /// Lets a write that adds so much happen or refuses it; what it is about is spared.
    pub(crate) fn make_room_of(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        spared: &[&[u8]],
        growth: Growth,
    ) -> Result<()> {
        if target.over_mark {
            self.make_memory(common, target.now, spared, growth)?;
        }
        if self.is_limited() {
            self.keep_limits(common, target.now, spared, growth)?;
        }
        Ok(())
    }

    /// The bytes a write adds, and whether it adds an entry. The table's own growth is included.
    fn growth(&self, target: &Target<'_>, place: Option<Place>, write: &Write<'_>) -> Growth {
        let old = place.map(|place| self.content.table.record(place));
        let kept = match write.value {
            NewValue::Whole(_) => 0,
            NewValue::Appended(_) => old.map_or(0, |old| old.shape().value_len()),
        };
        let (NewValue::Whole(value) | NewValue::Appended(value)) = write.value;
        let expires = write.expires_at.is_some();
        let shape = Shape::new(target.key.len(), kept + value.len(), expires);
        let mut added = shape.allocation() + usize::from(expires) * EXPIRY_ENTRY_BYTES;
        let mut removed = 0;
        if let (Some(indexes), NewValue::Whole(value)) = (&self.content.indexes, write.value) {
            added += indexes.bytes_of(value);
            removed += old.map_or(0, |old| indexes.bytes_of(old.value()));
        }
        match old {
            Some(old) => {
                let had_expiry = old.shape().expires();
                removed += old.allocation() + usize::from(had_expiry) * EXPIRY_ENTRY_BYTES;
            }
            None => added += self.content.table.growth_bytes(target.hash),
        }
        Growth { bytes: added.saturating_sub(removed), is_entry: old.is_none() }
    }

    /// Over the node's memory mark: frees what the write needs and one record more, so that the node gets below the mark.
    fn make_memory(
        &mut self,
        common: &mut Common,
        now: Timestamp,
        spared: &[&[u8]],
        growth: Growth,
    ) -> Result<()> {
        if growth.bytes == 0 {
            return Ok(());
        }
        let mut freed = 0;
        while freed < growth.bytes {
            match self.evict_one(common, now, spared, Pressure::Memory) {
                Some(bytes) => freed += bytes,
                None => return Err(memory_full(growth)),
            }
        }
        let one_more = self.evict_one(common, now, spared, Pressure::Memory);
        let has_freed = freed > 0 || one_more.is_some();
        // Without a policy nobody may make room, and then every write that may need memory is refused alike.
        if !has_freed && self.settings.eviction == Eviction::None {
            return Err(memory_full(growth));
        }
        Ok(())
    }

    /// At a limit of the map: evicts until the write fits. With a policy the write goes on even if nothing else is left
    /// here: other partitions hold the excess then, the node sees it in the map's usage and evicts there.
    fn keep_limits(
        &mut self,
        common: &mut Common,
        now: Timestamp,
        spared: &[&[u8]],
        growth: Growth,
    ) -> Result<()> {
        let bytes_max = self.settings.bytes_max;
        if bytes_max != 0 && growth.bytes as u64 > bytes_max {
            let detail =
                format!("the write needs {} bytes, the map may have {bytes_max}", growth.bytes);
            return Err(Error::new(ErrorCode::MapFull, detail));
        }
        while let Some(limit) = self.exceeded_limit(growth) {
            if self.evict_one(common, now, spared, Pressure::Limit).is_some() {
                continue;
            }
            if self.settings.eviction == Eviction::None {
                return Err(Error::new(ErrorCode::MapFull, limit));
            }
            break;
        }
        Ok(())
    }

    /// The limit that the write would exceed, in words.
    fn exceeded_limit(&self, growth: Growth) -> Option<String> {
        let usage = self.ledger.usage();
        let (entries_max, bytes_max) = (self.settings.entries_max, self.settings.bytes_max);
        if entries_max != 0 && growth.is_entry && usage.entries() >= entries_max {
            return Some(format!("entries_max is {entries_max}"));
        }
        let bytes = usage.bytes().saturating_add(growth.bytes as u64);
        if bytes_max != 0 && growth.bytes != 0 && bytes > bytes_max {
            return Some(format!("bytes_max is {bytes_max}, the write needs {}", growth.bytes));
        }
        None
    }

    /// Removes one record to make room: an expired one if there is any, else, if the map has a policy, the coldest of a
    /// sample that has not a key to spare. Says how many bytes that freed.
    pub(crate) fn evict_one(
        &mut self,
        common: &mut Common,
        now: Timestamp,
        spared: &[&[u8]],
        pressure: Pressure,
    ) -> Option<usize> {
        if let Some(bytes) = self.expire_one(common, now) {
            return Some(bytes);
        }
        if !self.clock.is_tracking() {
            return None;
        }
        let mut places = [Place::NONE; SAMPLE_LEN];
        let random = self.clock.random();
        let found = self.content.table.sample(random, &mut places);
        let victim = places[..found]
            .iter()
            .filter(|place| !spared.contains(&self.content.table.record(**place).key()))
            .max_by_key(|place| self.clock.coldness(self.content.table.record(**place).access()))?;
        let hash = common.hasher.hash(self.content.table.record(*victim).key());
        let before = self.bytes();
        self.remove(common, *victim, hash, Cause::Evicted);
        self.ledger.usage().note_evicted(pressure);
        Some(before - self.bytes())
    }
}

/// What a write adds to a map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    pub(crate) bytes: usize,
    pub(crate) is_entry: bool,
}

fn memory_full(growth: Growth) -> Error {
    Error::new(ErrorCode::MemoryFull, format!("the write needs {} bytes", growth.bytes))
}

#[cfg(test)]
#[path = "room_test.rs"]
mod tests;
