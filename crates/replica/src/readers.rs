//! [`Readers`]: everybody who follows the log: backups, learners, the disk, watchers, indexes. Each is a cursor in it with
//! a lag. A reader never blocks the partition: who falls out of the window is told so.

use isogrid_core::Timestamp;

use crate::log::Log;

/// The name of a reader within its partition. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReaderId(pub u32);

/// What a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderKind {
    /// A copy of the partition.
    Backup,
    /// A copy that is being made.
    Learner,
    /// The log on disk.
    Disk,
    /// A client that watches for changes.
    Watcher,
    /// A secondary index.
    Index,
    /// Anything else: write-behind, an archive, another cluster.
    Other,
}

/// Where a reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// What it is.
    pub kind: ReaderKind,
    /// Whether the window keeps what it has not passed, within its bound.
    pub required: bool,
    /// The last entry it is done with.
    pub passed: u64,
    /// When it last got further, or began.
    pub advanced_at: Timestamp,
    /// The history that `passed` counts in.
    loss_generation: u32,
}

/// A place in a partition's stream of changes, which a watcher can come back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchOffset {
    /// How often the partition has lost its history: numbers of different generations do not compare.
    pub loss_generation: u32,
    /// The last entry that was seen.
    pub seq: u64,
}

/// How far a reader is behind the end of the log. Of a reader that fell out of the window, bytes and milliseconds are those
/// of the window: at least so much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// In entries.
    pub ops: u64,
    /// In bytes of entries.
    pub bytes: u64,
    /// The age of the oldest entry not passed.
    pub ms: u64,
}

/// Why a reader gets no entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such reader.
    Closed,
    /// This replica serves no watchers now: it does not lead yet, or is not whole.
    NotReady,
    /// This replica has not got so far yet as the watcher has: another has, or this one later.
    Behind,
    /// It fell out of the window: this many entries that it did not get are gone. It must be placed anew.
    Lagged {
        /// How many.
        missed: u64,
    },
    /// The watcher's next change is gone; the stream can be followed from here on, after a look at the data.
    Compacted {
        /// The oldest place to follow from.
        oldest: WatchOffset,
    },
}

/// The readers of a partition's log. There are few, in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Readers {
    loss_generation: u32,
    next: u32,
    cursors: Vec<(ReaderId, Cursor)>,
    left: Option<Left>,
}

/// Where the furthest behind of those stood who left lately, or would stand if they had been readers here: they may come
/// back, and go on from there.
#[derive(Clone, Copy, Debug)]
struct Left {
    passed: u64,
    /// When the last of them left, as far as it was looked.
    since: Option<Timestamp>,
}

impl Readers {
    /// No readers yet.
    pub fn new(loss_generation: u32) -> Self {
        Readers { loss_generation, ..Readers::default() }
    }

    /// Adds a reader that is done with everything up to `passed`.
    pub fn open(
        &mut self,
        kind: ReaderKind,
        required: bool,
        passed: u64,
        now: Timestamp,
    ) -> ReaderId {
        let id = ReaderId(self.next);
        self.next += 1;
        let loss_generation = self.loss_generation;
        self.cursors
            .push((id, Cursor { kind, required, passed, advanced_at: now, loss_generation }));
        id
    }

    /// Adds a watcher that goes on from where it was, on whatever replica that was.
    ///
    /// # Errors
    /// What comes after the offset is gone, or it is of another history.
    pub fn resume(
        &mut self,
        offset: WatchOffset,
        log: &Log,
        now: Timestamp,
    ) -> Result<ReaderId, Refused> {
        let of_this_history = offset.loss_generation == self.loss_generation
            && (log.base().seq..=log.last().seq).contains(&offset.seq);
        if !of_this_history {
            return Err(Refused::Compacted { oldest: self.oldest(log) });
        }
        Ok(self.open(ReaderKind::Watcher, false, offset.seq, now))
    }

    /// Takes a reader away. Returns where it stood.
    pub fn remove(&mut self, id: ReaderId) -> Option<Cursor> {
        let index = self.index_of(id)?;
        let (_, cursor) = self.cursors.remove(index);
        self.expect_back(cursor.passed);
        Some(cursor)
    }

    /// Where a reader stands.
    pub fn get(&self, id: ReaderId) -> Option<&Cursor> {
        self.index_of(id).map(|index| &self.cursors[index].1)
    }

    /// All readers, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (ReaderId, &Cursor)> {
        self.cursors.iter().map(|(id, cursor)| (*id, cursor))
    }

    /// Whether the window keeps what the reader has not passed.
    pub fn set_required(&mut self, id: ReaderId, required: bool) {
        if let Some(cursor) = self.get_mut(id) {
            cursor.required = required;
        }
    }

    /// The reader is done with everything up to `passed`. It never goes back by this.
    pub fn advance(&mut self, id: ReaderId, passed: u64, now: Timestamp) {
        if let Some(cursor) = self.get_mut(id)
            && cursor.passed < passed
        {
            cursor.passed = passed;
            cursor.advanced_at = now;
        }
    }

    /// Places a reader anew, also further back: its log matched less than was thought, or it got a snapshot.
    pub fn place(&mut self, id: ReaderId, passed: u64, now: Timestamp) {
        let loss_generation = self.loss_generation;
        if let Some(cursor) = self.get_mut(id) {
            *cursor = Cursor { passed, advanced_at: now, loss_generation, ..*cursor };
        }
    }

    /// The partition lost history: no reader's place counts any more until it is placed anew.
    pub fn lose_history(&mut self, loss_generation: u32) {
        debug_assert!(loss_generation > self.loss_generation, "generations grow");
        self.loss_generation = loss_generation;
        self.left = None;
    }

    /// Somebody who is done with everything up to `passed` is away, and may come back.
    pub fn expect_back(&mut self, passed: u64) {
        let passed = self.left.map_or(passed, |left| left.passed.min(passed));
        self.left = Some(Left { passed, since: None });
    }

    /// The entry that all required readers have passed; `None` when no reader is required.
    pub fn min_required(&self) -> Option<u64> {
        self.cursors
            .iter()
            .filter(|(_, cursor)| cursor.required)
            .map(|(_, cursor)| cursor.passed)
            .min()
    }

    /// The entry that all readers have passed, required or not, and all who left less than `age_ms_max` ago; `None` when there
    /// are none.
    pub fn min_wanted(&mut self, now: Timestamp, age_ms_max: u64) -> Option<u64> {
        let is_over = |left: &mut Left| now.ms_since(*left.since.get_or_insert(now)) > age_ms_max;
        self.left.take_if(is_over);
        let left = self.left.map(|left| left.passed);
        self.cursors.iter().map(|(_, cursor)| cursor.passed).chain(left).min()
    }

    /// Readers that can no longer go on: the window begins after their place, or history was lost.
    pub fn fallen(&self, log: &Log) -> impl Iterator<Item = ReaderId> {
        let base = log.base().seq;
        self.cursors
            .iter()
            .filter(move |(_, cursor)| self.has_fallen(cursor, base))
            .map(|(id, _)| *id)
    }

    /// How far a reader is behind the end of the log.
    pub fn lag(&self, id: ReaderId, log: &Log, now: Timestamp) -> Option<Lag> {
        let passed = self.get(id)?.passed;
        let oldest = log.hlc_of(passed.max(log.base().seq) + 1);
        Some(Lag {
            ops: log.last().seq.saturating_sub(passed),
            bytes: log.bytes_after(passed),
            ms: oldest.map_or(0, |hlc| now.ms_since(hlc.timestamp())),
        })
    }

    /// Appends to `out` the bytes of the next committed entries, as [`Log::read_batch`] does. Returns the number of the last
    /// one, the reader's own place when there is none. The reader stays where it is until [`Readers::advance`]: what was not
    /// delivered is read again.
    ///
    /// # Errors
    /// The reader has fallen out of the window, or was removed.
    pub fn read_committed(
        &self,
        id: ReaderId,
        commit: u64,
        log: &Log,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<u64, Refused> {
        let cursor = self.get(id).ok_or(Refused::Closed)?;
        if self.has_fallen(cursor, log.base().seq) {
            return Err(match cursor.kind {
                ReaderKind::Watcher => Refused::Compacted { oldest: self.oldest(log) },
                _ => Refused::Lagged { missed: log.base().seq.saturating_sub(cursor.passed) },
            });
        }
        let last = log.read_through(cursor.passed, commit, bytes_max, out);
        Ok(last.expect("the reader stands within the window"))
    }

    /// The offset of an entry in the present history.
    pub fn offset(&self, seq: u64) -> WatchOffset {
        WatchOffset { loss_generation: self.loss_generation, seq }
    }

    fn oldest(&self, log: &Log) -> WatchOffset {
        self.offset(log.base().seq)
    }

    fn has_fallen(&self, cursor: &Cursor, base: u64) -> bool {
        cursor.passed < base || cursor.loss_generation != self.loss_generation
    }

    fn index_of(&self, id: ReaderId) -> Option<usize> {
        self.cursors.binary_search_by_key(&id, |(id, _)| *id).ok()
    }

    fn get_mut(&mut self, id: ReaderId) -> Option<&mut Cursor> {
        self.index_of(id).map(|index| &mut self.cursors[index].1)
    }
}

#[cfg(test)]
#[path = "readers_test.rs"]
mod tests;
