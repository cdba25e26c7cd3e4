//! [`Log`]: the newest part of a partition's history, in memory: a window of encoded entries without a gap, and the
//! position just before it.
//!
//! ```text
//!        base │ first ............ commit ......... last
//!  dropped    │ [ segment ][ segment ][ segment ][ segm
//! ```
//!
//! Appending copies the entry into the last segment; reading for another node copies runs of whole entries out again.

mod segment;
mod window;

use std::collections::VecDeque;

use isogrid_core::{Epoch, Hlc, LogPosition};
use isogrid_store::prefetch_all;

use crate::entry::{Entry, hlc_at, position_at};
use segment::Segment;

pub use window::{Passed, Pruned, WindowLimits};

/// How large a segment grows, unless one entry alone is larger.
pub const SEGMENT_BYTES_MAX: usize = 64 << 10;

/// Whether a log holds a position of another log (rule R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Both logs hold the same entries up to it.
    Yes,
    /// Another entry stands there, or none yet.
    No,
    /// It lies before the window, so the log cannot say.
    TooOld,
}

/// Entries of one epoch: all from `first` to the next run.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    epoch: Epoch,
}

/// The window of a partition's log.
#[derive(Debug)]
pub struct Log {
    limits: WindowLimits,
    segment_bytes: usize,
    base: LogPosition,
    last: LogPosition,
    /// Where the window begins and ends on the scale of bytes ever appended.
    begin: u64,
    end: u64,
    runs: VecDeque<Run>,
    segments: VecDeque<Segment>,
    /// The memory of all segments but the last, which still grows: the whole is asked for after every write.
    sealed: usize,
    /// One dropped buffer, kept for the next segment.
    spare: Option<Segment>,
}

impl Log {
    /// An empty window after `base`.
    pub fn new(base: LogPosition, limits: WindowLimits) -> Self {
        Log {
            limits,
            segment_bytes: limits.segment_bytes(),
            base,
            last: base,
            begin: 0,
            end: 0,
            runs: VecDeque::new(),
            segments: VecDeque::new(),
            sealed: 0,
            spare: None,
        }
    }

    /// The position of the newest entry; the base when the window is empty.
    #[inline]
    pub fn last(&self) -> LogPosition {
        self.last
    }

    /// The position just before the window.
    #[inline]
    pub fn base(&self) -> LogPosition {
        self.base
    }

    /// How many entries the window holds.
    #[inline]
    pub fn len(&self) -> u64 {
        self.last.seq - self.base.seq
    }

    /// Whether the window holds none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.last.seq == self.base.seq
    }

    /// How many bytes the entries of the window take.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.end - self.begin
    }

    /// The memory behind the window: full buffers, offsets, and what is kept for reuse.
    pub fn bytes_allocated(&self) -> usize {
        let growing = self.segments.back().into_iter().chain(&self.spare);
        self.sealed + growing.map(Segment::allocated).sum::<usize>()
    }

    /// How many bytes the entries after this one take; those still in the window, if it lies before.
    pub fn bytes_after(&self, seq: u64) -> u64 {
        self.end - self.offset_of(seq.clamp(self.base.seq, self.last.seq) + 1)
    }

    /// Appends the next entry.
    ///
    /// # Panics
    /// The entry is not the next one, or is of an earlier epoch.
    #[inline]
    pub fn append(&mut self, entry: &Entry<'_>) {
        let len = entry.encoded_len();
        let segment = self.open(entry.position, entry.hlc, len);
        entry.encode_sized(len, &mut segment.bytes);
    }

    /// Appends the next entry from its bytes, which [`Entry::decode`] has accepted.
    ///
    /// # Panics
    /// The entry is not the next one, or is of an earlier epoch.
    #[inline]
    pub fn append_encoded(&mut self, bytes: &[u8]) -> LogPosition {
        debug_assert!(Entry::decode(bytes).is_ok_and(|encoded| encoded.bytes.len() == bytes.len()));
        let position = position_at(bytes);
        let segment = self.open(position, hlc_at(bytes), bytes.len());
        segment.bytes.extend_from_slice(bytes);
        position
    }

    /// The position of the entry with this number, or of the base.
    pub fn position_of(&self, seq: u64) -> Option<LogPosition> {
        if seq == self.base.seq {
            return Some(self.base);
        }
        if !self.holds(seq) {
            return None;
        }
        let after = self.runs.partition_point(|run| run.first <= seq);
        Some(LogPosition { epoch: self.runs[after - 1].epoch, seq })
    }

    /// The first position of each epoch in the window.
    pub fn runs(&self) -> Vec<LogPosition> {
        let position = |run: &Run| LogPosition { epoch: run.epoch, seq: run.first };
        self.runs.iter().map(position).collect()
    }

    /// Whether this log holds the other log's position.
    pub fn matches(&self, position: LogPosition) -> Match {
        if position.seq < self.base.seq {
            return Match::TooOld;
        }
        if self.position_of(position.seq) == Some(position) { Match::Yes } else { Match::No }
    }

    /// The newest own position with neither a later epoch nor a larger number: the first place where a log that holds
    /// `position` can agree with this one. Both sides asking in turn walk back by epochs, not by entries. `None` when it
    /// lies before the window.
    pub fn candidate(&self, position: LogPosition) -> Option<LogPosition> {
        let after = self.runs.partition_point(|run| run.epoch <= position.epoch);
        let newest = match self.runs.get(after) {
            Some(later) => later.first - 1,
            None => self.last.seq,
        };
        let seq = newest.min(position.seq);
        self.position_of(seq).filter(|own| own.epoch <= position.epoch)
    }

    /// The entry with this number, if the window holds it.
    pub fn entry(&self, seq: u64) -> Option<Entry<'_>> {
        self.encoded(seq).map(decode_own)
    }

    /// The bytes of the entry with this number, if the window holds it.
    pub fn encoded(&self, seq: u64) -> Option<&[u8]> {
        if !self.holds(seq) {
            return None;
        }
        let (segment, index) = self.locate(seq);
        Some(self.segments[segment].entry(index))
    }

    /// When the entry with this number was made, if the window holds it.
    pub fn hlc_of(&self, seq: u64) -> Option<Hlc> {
        self.encoded(seq).map(hlc_at)
    }

    /// The entries of the window from this number on.
    pub fn iter_from(&self, seq: u64) -> impl Iterator<Item = Entry<'_>> {
        let first = seq.max(self.base.seq + 1);
        let begin = if self.holds(first) { self.locate(first) } else { (self.segments.len(), 0) };
        self.segments.iter().skip(begin.0).enumerate().flat_map(move |(nth, segment)| {
            let from = if nth == 0 { begin.1 } else { 0 };
            (from..segment.len()).map(|index| decode_own(segment.entry(index)))
        })
    }

    /// Asks for the segment that is written to.
    #[inline]
    pub(crate) fn prefetch_segment(&self) {
        if let Some(segment) = self.segments.back() {
            prefetch_all(segment);
        }
    }

    /// Asks for where the next entry will be written.
    #[inline]
    pub(crate) fn prefetch_end(&self) {
        if let Some(segment) = self.segments.back() {
            segment.prefetch_end();
        }
    }

    /// Appends to `out` the bytes of the entries after this one, as many whole entries as fit into `bytes_max`, and at
    /// least one if there is one. Returns the number of the last entry put in, `after` itself when there is none. `None`
    /// when the window no longer holds what comes next.
    pub fn read_batch(&self, after: u64, bytes_max: usize, out: &mut Vec<u8>) -> Option<u64> {
        self.read_through(after, self.last.seq, bytes_max, out)
    }

    /// The same, with no entry after `through`.
    pub fn read_through(
        &self,
        after: u64,
        through: u64,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        if after < self.base.seq {
            return None;
        }
        let through = through.min(self.last.seq);
        let mut taken = after;
        let mut room = bytes_max;
        while taken < through {
            let (segment, from) = self.locate(taken + 1);
            let segment = &self.segments[segment];
            let to = from + (through.min(segment.last()) - taken) as usize;
            let mut count = segment.fitting(from, to, room);
            if count == 0 && taken == after {
                count = 1;
            }
            let bytes = &segment.bytes[segment.offset(from)..segment.offset(from + count)];
            out.extend_from_slice(bytes);
            room = room.saturating_sub(bytes.len());
            taken += count as u64;
            if from + count < to {
                break;
            }
        }
        Some(taken)
    }

    /// Drops all entries after this one: they were never committed, and another history takes their place.
    ///
    /// # Panics
    /// The window begins later.
    pub fn truncate_after(&mut self, seq: u64) {
        if seq >= self.last.seq {
            return;
        }
        let last = self.position_of(seq).expect("only entries of the window are truncated");
        self.end = self.offset_of(seq + 1);
        self.last = last;
        while self.runs.back().is_some_and(|run| run.first > seq) {
            self.runs.pop_back();
        }
        if self.is_empty() {
            self.clear();
            return;
        }
        while self.segments.back().is_some_and(|segment| segment.first > seq) {
            let dropped = self.segments.pop_back();
            self.recycle(dropped);
            self.sealed -= self.segments.back().map_or(0, Segment::allocated);
        }
        let segment = self.segments.back_mut().expect("the window is not empty");
        segment.truncate((seq - segment.first + 1) as usize);
    }

    /// Forgets everything and begins again after `base`.
    pub fn reset(&mut self, base: LogPosition) {
        self.base = base;
        self.last = base;
        self.begin = self.end;
        self.clear();
    }

    /// Whether the window holds the entry with this number.
    #[inline]
    pub fn holds(&self, seq: u64) -> bool {
        self.base.seq < seq && seq <= self.last.seq
    }

    /// Which segment holds the entry, and where in it. The window must hold it.
    #[inline]
    fn locate(&self, seq: u64) -> (usize, usize) {
        let newest = self.segments.len() - 1;
        let segment = if self.segments[newest].first <= seq {
            newest
        } else {
            self.segments.partition_point(|segment| segment.first <= seq) - 1
        };
        (segment, (seq - self.segments[segment].first) as usize)
    }

    /// Where the entry begins on the scale of bytes ever appended. The window holds it, or it is the next one.
    fn offset_of(&self, seq: u64) -> u64 {
        if seq > self.last.seq {
            return self.end;
        }
        let (segment, index) = self.locate(seq);
        let segment = &self.segments[segment];
        segment.start + segment.offset(index) as u64
    }

    /// Advances the position and makes the last segment ready for the entry's bytes.
    #[inline]
    fn open(&mut self, position: LogPosition, hlc: Hlc, len: usize) -> &mut Segment {
        assert!(
            position.seq == self.last.seq + 1 && position.epoch >= self.last.epoch,
            "{position} does not follow {}",
            self.last
        );
        if position.epoch != self.last.epoch || self.is_empty() {
            self.runs.push_back(Run { first: position.seq, epoch: position.epoch });
        }
        let full =
            self.segments.back().is_none_or(|last| last.bytes.len() + len > self.segment_bytes);
        if full {
            self.add_segment(position.seq, len);
        }
        self.last = position;
        self.end += len as u64;
        let segment = self.segments.back_mut().expect("one was added if there was none");
        segment.open_entry(hlc);
        segment
    }

    #[cold]
    fn add_segment(&mut self, first: u64, len: usize) {
        let mut segment = self.spare.take().unwrap_or_default();
        segment.begin(first, self.end);
        if let Some(full) = self.segments.back() {
            self.sealed += full.allocated();
            // A log that filled one segment fills the next; an idle one stays small.
            segment.bytes.reserve_exact(self.segment_bytes.max(len));
        }
        self.segments.push_back(segment);
    }

    fn recycle(&mut self, dropped: Option<Segment>) {
        self.spare = dropped.filter(|segment| segment.bytes.capacity() <= 2 * SEGMENT_BYTES_MAX);
    }

    /// Frees the buffers of an empty window, so that an idle partition holds none.
    fn clear(&mut self) {
        self.runs.clear();
        self.segments.clear();
        self.sealed = 0;
        self.spare = None;
    }
}

/// What the log holds was made by encoding or was accepted by decoding.
fn decode_own(bytes: &[u8]) -> Entry<'_> {
    Entry::decode(bytes).expect("the log holds valid entries").entry
}

#[cfg(test)]
#[path = "log_test.rs"]
mod tests;
