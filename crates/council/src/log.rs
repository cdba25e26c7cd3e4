//! The raft's log. All kept entries are in memory as well, for reading; the writer's thread makes them durable.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use parking_lot::Mutex;

use crate::record::{Place, Record, encode};
use crate::settings::APPEND_BYTES_MAX;
use crate::store::{Loaded, Write};
use crate::types::{Entry, LogId, Types, Vote};
use crate::writer::Writer;

/// What is in memory.
#[derive(Debug, Default)]
struct Kept {
    /// Entries and their encoded sizes, by index.
    entries: BTreeMap<u64, (Entry, usize)>,
    /// The last entry that was dropped at the front.
    purged: Option<LogId>,
    /// The last vote that is durable.
    vote: Option<Vote>,
    committed: Option<LogId>,
}

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    kept: Arc<Mutex<Kept>>,
    writer: Writer,
}

/// Reads the log.
#[derive(Clone, Debug)]
pub(crate) struct LogReader(Arc<Mutex<Kept>>);

impl Log {
    /// The log as it was on disk.
    pub(super) fn new(loaded: Loaded, writer: Writer) -> Log {
        let kept = Kept {
            entries: loaded.entries,
            purged: loaded.purged.map(LogId::from),
            vote: loaded.vote.map(Vote::from),
            committed: loaded.committed.map(LogId::from),
        };
        Log { kept: Arc::new(Mutex::new(kept)), writer }
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let kept = self.kept.lock();
        let last = kept.entries.last_key_value().map(|(_, (entry, _))| entry.log_id);
        Ok(LogState { last_purged_log_id: kept.purged, last_log_id: last.or(kept.purged) })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader(Arc::clone(&self.kept))
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.writer.write(Write::Vote(vote.into())).await?;
        self.kept.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.kept.lock().committed = committed;
        self.writer.queue(Write::Committed(committed.as_ref().map(Place::from))).await
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.kept.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut rows = Vec::new();
        let mut read = Vec::new();
        for entry in entries {
            let bytes = encode(&Record::from(&entry))?;
            read.push((entry.log_id.index(), (entry, bytes.len())));
            rows.push((read[read.len() - 1].0, bytes));
        }
        self.kept.lock().entries.extend(read);
        self.writer.append(Write::Append(rows), flushed).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index() + 1);
        self.kept.lock().entries.split_off(&from);
        self.writer.queue(Write::TruncateFrom(from)).await
    }

    async fn purge(&mut self, last: LogId) -> io::Result<()> {
        {
            let mut kept = self.kept.lock();
            kept.entries = kept.entries.split_off(&(last.index() + 1));
            kept.purged = Some(last);
        }
        self.writer.queue(Write::PurgeTo((&last).into())).await
    }
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        if is_empty(&range) {
            return Ok(Vec::new());
        }
        let kept = self.0.lock();
        Ok(kept.entries.range(range).map(|(_, (entry, _))| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.lock().vote)
    }

    /// What goes in one message: at least one entry, and no more bytes than a message should have.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let kept = self.0.lock();
        let mut bytes = 0;
        let fits = |(_, (entry, size)): (&u64, &(Entry, usize))| {
            let is_first = bytes == 0;
            bytes += size;
            (is_first || bytes <= APPEND_BYTES_MAX).then(|| entry.clone())
        };
        Ok(kept.entries.range(start..end.max(start)).map_while(fits).collect())
    }
}

/// Whether nothing can be in a range. A map refuses a reversed one.
fn is_empty(range: &impl RangeBounds<u64>) -> bool {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    match range.end_bound() {
        Bound::Included(end) => start > *end,
        Bound::Excluded(end) => start >= *end,
        Bound::Unbounded => false,
    }
}
