//! Operations on their way out: callers encode straight into the open frame, and the sender takes whole frames.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use isogrid_core::{SessionId, TableVersion, TraceContext, Traces};
use isogrid_proto::frame::{FrameHead, RequestFrame, RequestWriter};

use super::operations::Item;
use super::seen::Seen;
use super::slots::SlotKey;

/// How large a frame grows before the next one is begun; far below what nodes accept.
pub(crate) const FRAME_BYTES_TARGET: usize = 1 << 20;

/// Neighbouring operations of one caller in a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) slot: SlotKey,
    /// The first operation's place in the frame.
    pub(super) at: u32,
    /// The first operation's place among the caller's.
    pub(super) first: u32,
    pub(super) count: u32,
}

/// A frame without its bytes: who waits for its replies.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) id: u32,
    pub(super) ops: usize,
    pub(super) parts: Vec<Part>,
    /// Which operations have been answered, a bit for each; empty before the first reply.
    answered: Vec<u64>,
    /// How many operations have been answered.
    pub(super) replies: usize,
    /// When it was sent.
    pub(super) sent_ms: u64,
    /// Whether it has waited so long for some reply that it holds up no other frame any more.
    pub(super) is_slow: bool,
    /// The longest deadline among its operations.
    deadline_ms: u64,
    /// The traces that its parts belong to, of those that belong to any, in the order of the parts.
    traces: Vec<(SlotKey, TraceContext)>,
}

impl Frame {
    /// Which of its operations are traced; told once.
    #[inline]
    fn take_traces(&mut self) -> Traces {
        if self.traces.is_empty() { Traces::default() } else { self.list_traces() }
    }

    #[cold]
    fn list_traces(&mut self) -> Traces {
        let mut traces = Traces::default();
        let mut left = std::mem::take(&mut self.traces).into_iter().peekable();
        for part in &self.parts {
            if let Some((_, context)) = left.next_if(|(slot, _)| *slot == part.slot) {
                traces.push(part.at, part.count, context);
            }
        }
        traces
    }

    /// Notes the answer to an operation; returns false if there is no such operation, or it was answered before.
    #[inline]
    pub(super) fn note_answer(&mut self, index: usize) -> bool {
        if index >= self.ops {
            return false;
        }
        if self.answered.is_empty() {
            self.answered.resize(self.ops.div_ceil(64), 0);
        }
        let (word, bit) = (&mut self.answered[index / 64], 1 << (index % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        self.replies += usize::from(is_new);
        is_new
    }

    /// Who waits for the operation with this index. `near` is where the last one was found.
    #[inline]
    pub(super) fn part_of(&self, index: usize, near: &mut usize) -> Option<(SlotKey, u32)> {
        let index = index as u32;
        let holds = |part: &Part| index >= part.at && index - part.at < part.count;
        // Most often replies come in order: it is the same part, or the next.
        if !self.parts.get(*near).is_some_and(holds) {
            *near += 1;
            if !self.parts.get(*near).is_some_and(holds) {
                *near = self.parts.partition_point(|part| part.at <= index).checked_sub(1)?;
            }
        }
        let part = self.parts.get(*near)?;
        Some((part.slot, part.first + (index - part.at)))
    }
}

/// The operation to be added, and for whom.
pub(super) struct Entry<'a> {
    pub(super) slot: SlotKey,
    pub(super) item: &'a Item<'a>,
    pub(super) deadline_ms: u64,
}

/// The open frame and those that are full.
#[derive(Debug)]
pub(super) struct Pending {
    writer: RequestWriter,
    parts: Vec<Part>,
    /// The longest deadline among the open frame's operations.
    deadline_ms: u64,
    /// The traces that the open frame's parts belong to, in the order of the parts.
    traces: Vec<(SlotKey, TraceContext)>,
    /// Which operations are traced of the frame that was taken last.
    taken: Traces,
    next_id: u32,
    sealed: VecDeque<(Bytes, Frame)>,
    sealed_bytes: usize,
    /// Lists of frames that were answered, to be used again.
    spare: Vec<(Vec<Part>, Vec<u64>)>,
    pub(super) frame_ops_max: usize,
    pub(super) frame_bytes_max: usize,
    /// The session of the tagged writes in the open frame.
    session: Option<SessionId>,
    /// What every frame says.
    pub(super) table_version: TableVersion,
    pub(super) is_gateway: bool,
    /// Shared with the other lanes, and looked at as late as when a frame is closed: every operation in it was begun after
    /// what its caller knew of then.
    pub(super) seen: Arc<Seen>,
}

impl Pending {
    pub(super) fn new(seen: Arc<Seen>) -> Self {
        Self {
            writer: RequestWriter::new(),
            parts: Vec::new(),
            deadline_ms: 0,
            traces: Vec::new(),
            taken: Traces::default(),
            next_id: 1,
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            spare: Vec::new(),
            frame_ops_max: 1_024,
            frame_bytes_max: FRAME_BYTES_TARGET,
            session: None,
            table_version: TableVersion::default(),
            is_gateway: false,
            seen,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writer.is_empty() && self.sealed.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.writer.bytes() + self.sealed_bytes
    }

    /// Adds an operation to the open frame, or to the next one when this one is full.
    #[inline]
    pub(super) fn push(&mut self, entry: &Entry<'_>, now_ms: u64) {
        let item = entry.item;
        let is_full = self.writer.ops() >= self.frame_ops_max
            || self.writer.bytes() + item.bytes > self.frame_bytes_max
            || (item.session.is_some() && self.session.is_some() && item.session != self.session);
        if is_full && !self.writer.is_empty() {
            self.seal(now_ms);
        }
        if !self.writer.push_with(item.map, item.op, &item.options) {
            self.seal(now_ms);
            let added = self.writer.push_with(item.map, item.op, &item.options);
            debug_assert!(added, "an empty frame names no maps");
        }
        if item.session.is_some() {
            self.session = item.session;
        }
        if let Some(context) = item.trace {
            self.trace(entry.slot, context);
        }
        self.deadline_ms = self.deadline_ms.max(entry.deadline_ms);
        match self.parts.last_mut() {
            Some(part) if part.slot == entry.slot => part.count += 1,
            _ => {
                let at = (self.writer.ops() - 1) as u32;
                self.parts.push(Part { slot: entry.slot, at, first: item.index, count: 1 });
            }
        }
    }

    /// The operations of a caller belong to a trace.
    #[cold]
    fn trace(&mut self, slot: SlotKey, context: &TraceContext) {
        if self.traces.last().is_none_or(|(last, _)| *last != slot) {
            self.traces.push((slot, context.clone()));
        }
    }

    /// Ends the open frame.
    fn close(&mut self, now_ms: u64) -> (Bytes, Frame) {
        let (spare, answered) = self.spare.pop().unwrap_or_default();
        let parts = std::mem::replace(&mut self.parts, spare);
        let deadline_ms = std::mem::take(&mut self.deadline_ms);
        let (id, ops) = (self.next_id, self.writer.ops());
        let frame = Frame {
            id,
            ops,
            parts,
            answered,
            replies: 0,
            sent_ms: now_ms,
            is_slow: false,
            deadline_ms,
            traces: std::mem::take(&mut self.traces),
        };
        let left_ms = deadline_ms.saturating_sub(now_ms).clamp(1, u64::from(u32::MAX));
        let head = FrameHead {
            frame_id: id,
            deadline_ms: left_ms as u32,
            table_version: self.table_version,
            session: self.session.take(),
            is_gateway: self.is_gateway,
            clock: self.seen.newest(),
        };
        let bytes = self.writer.finish(&head);
        self.next_id = self.next_id.wrapping_add(1);
        (bytes, frame)
    }

    fn seal(&mut self, now_ms: u64) {
        let (bytes, frame) = self.close(now_ms);
        self.sealed_bytes += bytes.len();
        self.sealed.push_back((bytes, frame));
    }

    /// The next frame to send.
    pub(super) fn take(&mut self, now_ms: u64) -> Option<(Bytes, Frame)> {
        let (bytes, mut frame) = match self.sealed.pop_front() {
            Some((bytes, frame)) => {
                self.sealed_bytes -= bytes.len();
                (bytes, frame)
            }
            None if self.writer.is_empty() => return None,
            None => self.close(now_ms),
        };
        self.taken = frame.take_traces();
        Some((bytes, frame))
    }

    /// Which operations are traced of the frame that was taken last.
    pub(super) fn take_traces(&mut self) -> Traces {
        std::mem::take(&mut self.taken)
    }

    /// Keeps the lists of an answered frame for the next one.
    pub(super) fn recycle(&mut self, mut frame: Frame) {
        const SPARE_MAX: usize = 8;
        if self.spare.len() < SPARE_MAX {
            frame.parts.clear();
            frame.answered.clear();
            self.spare.push((frame.parts, frame.answered));
        }
    }

    /// Takes out the operations of all parts that `keep` refuses and returns those parts. Rare and slow: every frame
    /// that has not been sent is read and written again.
    pub(super) fn retain(&mut self, now_ms: u64, mut keep: impl FnMut(&Part) -> bool) -> Vec<Part> {
        let mut removed = Vec::new();
        if self.is_empty() {
            return removed;
        }
        if !self.writer.is_empty() {
            self.seal(now_ms);
        }
        let frames = std::mem::take(&mut self.sealed);
        self.sealed_bytes = 0;
        for (bytes, frame) in frames {
            self.copy(&bytes, &frame, &mut keep, &mut removed);
            if self.writer.is_empty() {
                self.session = None;
            } else {
                self.deadline_ms = frame.deadline_ms;
                self.seal(now_ms);
            }
        }
        removed
    }

    /// Copies what is kept of a frame into the open frame.
    fn copy(
        &mut self,
        bytes: &[u8],
        frame: &Frame,
        keep: &mut impl FnMut(&Part) -> bool,
        removed: &mut Vec<Part>,
    ) {
        let mut source = RequestFrame::parse(bytes).expect("this lane wrote the frame");
        self.session = source.head.session;
        let maps: Vec<Arc<str>> = source.maps.iter().map(|name| Arc::from(*name)).collect();
        for part in &frame.parts {
            let kept = keep(part);
            for _ in 0..part.count {
                let (map, op, options) =
                    source.next_op().expect("the frame holds the operations it names");
                if kept {
                    let added = self.writer.push_with(&maps[map], &op, &options);
                    debug_assert!(added, "a part of a frame names no more maps than the frame");
                }
            }
            if kept {
                let at = self.writer.ops() as u32 - part.count;
                self.parts.push(Part { at, ..*part });
                let traced = frame.traces.iter().find(|(slot, _)| *slot == part.slot);
                self.traces.extend(traced.cloned());
            } else {
                removed.push(*part);
            }
        }
    }
}
