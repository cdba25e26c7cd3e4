//! [`Sessions`]: which requests this partition has executed, so that a retry gets its answer and is never executed again.
//!
//! ```text
//!  lookup ──▶ New ──▶ execute ──▶ append ──▶ record ··▶ settle (committed)
//!         └─▶ InProgress, Done, Stale, UnknownSession     └──▶ forget_after (truncated)
//! ```
//!
//! The table is made of log entries alone: after [`Sessions::settle`] it is the same on every replica, whatever was recorded
//! and taken back in between. An ended session is ended once its entry is settled.
//!
//! | module | what it holds |
//! |---|---|
//! | `open` | one open session |
//! | `record` | one executed request |
//! | `snapshot` | the table as bytes, and its digest |
//! | `hasher` | the hash of a session's number |

mod hasher;
mod open;
mod record;
mod snapshot;

use std::collections::{BTreeSet, HashMap, VecDeque};

use isogrid_core::{Effect, EndedSessions, LogPosition, RequestId, SessionId};

use crate::entry::{Answer, Entry, Tag};
use hasher::SessionHash;
use open::Session;
use record::Record;

/// The most unfinished requests of one session in one partition. Over it, the session's writes are refused.
pub const SESSION_RECORDS_MAX: usize = 64;

/// What an open session takes beside its records: its place in the table, with the table's spare room.
const SESSION_BYTES: usize = 2 * size_of::<(SessionId, Session)>();

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lookup<'a> {
    /// Nothing: execute it.
    New,
    /// It was executed, and the entry is not committed yet.
    InProgress {
        /// The entry.
        seq: u64,
    },
    /// It was executed and committed.
    Done {
        /// The entry.
        position: LogPosition,
        /// What it was answered.
        answer: Answer<'a>,
    },
    /// The client said that it waits for no answer any more; what became of it is forgotten.
    Stale,
    /// Its session has ended; what became of it is forgotten.
    UnknownSession,
}

/// An entry that ends sessions, not settled yet.
#[derive(Clone, Debug)]
struct Ending {
    seq: u64,
    watermark: SessionId,
    above: Vec<u8>,
}

impl Ending {
    /// Whether the session is among those above the watermark.
    fn names(&self, session: SessionId) -> bool {
        let (numbers, _) = self.above.as_chunks::<8>();
        numbers.binary_search_by_key(&session.0, |number| u64::from_le_bytes(*number)).is_ok()
    }
}

/// The executed requests of all open sessions.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    open: HashMap<SessionId, Session, SessionHash>,
    /// Every session below has ended.
    watermark: SessionId,
    /// Ended sessions from the watermark on.
    ended: BTreeSet<SessionId>,
    endings: VecDeque<Ending>,
    settled: u64,
    recorded: u64,
    bytes: usize,
}

impl Sessions {
    /// An empty table, for a log that begins after entry `base`.
    pub fn new(base: u64) -> Self {
        Sessions { settled: base, recorded: base, ..Sessions::default() }
    }

    /// What is known of a request, also from entries that are not committed. Only a committed answer is given away.
    #[inline]
    pub fn lookup(&self, id: RequestId, commit: u64) -> Lookup<'_> {
        let Some(session) = self.open.get(&id.session) else {
            return if self.has_ended(id.session) { Lookup::UnknownSession } else { Lookup::New };
        };
        if id.number < session.first_incomplete() {
            return Lookup::Stale;
        }
        match session.find(id.number) {
            None => Lookup::New,
            Some(record) if record.seq > commit => Lookup::InProgress { seq: record.seq },
            Some(record) => Lookup::Done { position: record.position(), answer: record.answer() },
        }
    }

    /// Whether a new request of this session would be one too many. `first_incomplete` is what comes with the request.
    #[inline]
    pub fn is_full(&self, session: SessionId, first_incomplete: u64) -> bool {
        self.open.get(&session).is_some_and(|session| {
            session.len() >= SESSION_RECORDS_MAX
                && session.open_records(first_incomplete) >= SESSION_RECORDS_MAX
        })
    }

    /// Takes in the next entry of the log: as the primary appends it, as a backup applies it. Entries without a request or
    /// an ending change nothing and can be left out.
    ///
    /// # Panics
    /// The entry, or a later one, was taken in before.
    #[inline]
    pub fn record(&mut self, entry: &Entry<'_>) {
        let seq = entry.position.seq;
        assert!(seq > self.recorded, "entry {seq} after {} is recorded twice", self.recorded);
        self.recorded = seq;
        if let Effect::EndSessions(ended) = &entry.effect {
            self.note_ending(seq, ended);
        }
        if let Some(tag) = &entry.request {
            self.add(tag, Record::new(tag.id.number, entry.position, entry.answer));
        }
    }

    /// All entries up to this one are committed and were recorded: they are never taken back.
    #[inline]
    pub fn settle(&mut self, seq: u64) {
        self.settled = self.settled.max(seq);
        self.recorded = self.recorded.max(seq);
        while self.endings.front().is_some_and(|ending| ending.seq <= self.settled) {
            self.end_sessions();
        }
    }

    /// Takes back the entries after this one: they were truncated.
    ///
    /// # Panics
    /// Some of them are settled.
    pub fn forget_after(&mut self, seq: u64) {
        assert!(seq >= self.settled, "entries after {seq} are settled up to {}", self.settled);
        self.recorded = self.recorded.min(seq);
        while self.endings.back().is_some_and(|ending| ending.seq > seq) {
            self.endings.pop_back();
        }
        self.bytes = 0;
        self.open.retain(|_, session| {
            session.forget_after(seq);
            let blank = session.is_blank();
            if !blank {
                self.bytes += SESSION_BYTES + session.bytes();
            }
            !blank
        });
    }

    /// Whether the session has ended: its requests are never executed.
    pub fn has_ended(&self, session: SessionId) -> bool {
        session < self.watermark || self.ended.contains(&session)
    }

    /// What of this the log does not say yet, entries that are not settled included: the sessions that have ended and are not
    /// known to have, beside the watermark. `None` when it says everything.
    pub fn unknown_endings(
        &self,
        watermark: SessionId,
        above: &[SessionId],
    ) -> Option<Vec<SessionId>> {
        let known =
            self.endings.iter().map(|ending| ending.watermark).fold(self.watermark, Ord::max);
        let is_known = |session: &SessionId| {
            *session < known
                || self.ended.contains(session)
                || self.endings.iter().any(|ending| ending.names(*session))
        };
        let unknown: Vec<SessionId> =
            above.iter().copied().filter(|session| !is_known(session)).collect();
        (watermark > known || !unknown.is_empty()).then_some(unknown)
    }

    /// How many sessions are open here.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether no session is open here.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// About how much memory the records take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last entry that is settled.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// The last entry that was taken in.
    pub fn recorded(&self) -> u64 {
        self.recorded
    }

    #[inline]
    fn add(&mut self, tag: &Tag, record: Record) {
        let id = tag.id.session;
        let Some(session) = self.open.get_mut(&id) else { return self.open_with(tag, record) };
        self.bytes -= session.bytes();
        session.forget_finished(self.settled);
        session.add(tag, record);
        self.bytes += session.bytes();
    }

    /// The first record of a session.
    #[cold]
    fn open_with(&mut self, tag: &Tag, record: Record) {
        if self.has_ended(tag.id.session) {
            return;
        }
        let mut session = Session::default();
        session.add(tag, record);
        self.bytes += SESSION_BYTES + session.bytes();
        self.open.insert(tag.id.session, session);
    }

    #[cold]
    fn note_ending(&mut self, seq: u64, ended: &EndedSessions<'_>) {
        let ending = Ending { seq, watermark: ended.watermark, above: ended.above.to_vec() };
        self.endings.push_back(ending);
    }

    /// The oldest ending becomes effective.
    #[cold]
    fn end_sessions(&mut self) {
        let Some(ending) = self.endings.pop_front() else { return };
        let ended = EndedSessions { watermark: ending.watermark, above: &ending.above };
        for session in ended.iter() {
            if session >= self.watermark {
                self.ended.insert(session);
            }
            self.drop_session(session);
        }
        if ended.watermark > self.watermark {
            self.watermark = ended.watermark;
            self.ended = self.ended.split_off(&self.watermark);
            let below: Vec<SessionId> =
                self.open.keys().copied().filter(|id| *id < self.watermark).collect();
            for session in below {
                self.drop_session(session);
            }
        }
    }

    fn drop_session(&mut self, session: SessionId) {
        if let Some(session) = self.open.remove(&session) {
            self.bytes -= SESSION_BYTES + session.bytes();
        }
    }
}

#[cfg(test)]
#[path = "session_test.rs"]
mod tests;
