//! Watchers: readers of the log on whatever replica serves them. What they see is committed, in order, without gap or
//! repetition; with the offset of the last entry they go on at any other replica.
//!
//! ```text
//!   watch(offset) ──► reader ──► read_watch ──► entries, last ──► advance_watch(last) ──► …
//!        └──► Compacted { oldest }: look at the data, then watch from there on
//! ```

use crate::readers::{ReaderId, Refused, WatchOffset};
use crate::replica::{Replica, RoleName};
use crate::time::Now;

impl Replica {
    /// The offset behind everything that is known to be committed here: to watch what comes, after a look at the data.
    ///
    /// # Errors
    /// This replica serves no watchers now.
    pub fn watch_offset(&self) -> Result<WatchOffset, Refused> {
        self.check_watchable()?;
        Ok(self.state().readers.offset(self.commit()))
    }

    /// Watches from an offset on, wherever that was read.
    ///
    /// # Errors
    /// This replica serves no watchers now, has not got so far yet, or no longer has what comes next.
    pub fn watch(&mut self, offset: WatchOffset, now: Now) -> Result<ReaderId, Refused> {
        if offset > self.watch_offset()? {
            return Err(Refused::Behind);
        }
        let state = self.state_mut();
        state.readers.resume(offset, &state.log, now.wall)
    }

    /// Appends to `out` the next committed entries, encoded. Returns the offset of the last one; the reader's own when there
    /// is none. The reader stays where it is until [`Replica::advance_watch`].
    ///
    /// # Errors
    /// This replica serves no watchers now, the reader was closed, or what comes next is gone.
    pub fn read_watch(
        &self,
        reader: ReaderId,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<WatchOffset, Refused> {
        self.check_watchable()?;
        let state = self.state();
        let readers = &state.readers;
        let last = readers.read_committed(reader, state.commit, &state.log, bytes_max, out)?;
        Ok(readers.offset(last))
    }

    /// Everything up to this entry was delivered.
    pub fn advance_watch(&mut self, reader: ReaderId, seq: u64, now: Now) {
        self.state_mut().readers.advance(reader, seq, now.wall);
    }

    /// The watcher has gone.
    pub fn close_watch(&mut self, reader: ReaderId) {
        self.state_mut().readers.remove(reader);
    }

    /// A primary shows nothing before its barrier (R9), a copy nothing before it is whole.
    fn check_watchable(&self) -> Result<(), Refused> {
        let is_ready = match self.role() {
            RoleName::Primary => self.is_open(),
            RoleName::Backup => self.is_complete(),
            RoleName::Learner => false,
        };
        if is_ready { Ok(()) } else { Err(Refused::NotReady) }
    }
}
