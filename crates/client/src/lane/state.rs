//! The state machine of a lane: pure, one call per event, no clock and no waiting. [`Lane`](super::Lane) puts a lock
//! around it and wakes callers once the lock is gone.

mod stuck;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use isogrid_core::{Error, ErrorCode, Limits, Outcome, TableVersion};
use isogrid_proto::frame::{Answered, ReplyFrame};

use super::operations::Operations;
use super::pending::{Entry, FRAME_BYTES_TARGET, Frame, Pending};
use super::reply::OwnedReply;
use super::seen::Seen;
use super::slots::{Answer, Room, SlotKey, Slots, Stage};

/// Frames sent and not answered yet: enough to keep both sides busy, few enough that frames grow under load.
const FRAMES_IN_FLIGHT_MAX: usize = 4;

/// Bytes encoded and not sent yet.
const PENDING_BYTES_MAX: usize = 8 << 20;

/// What was in a reply frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Completed {
    pub(super) replies: usize,
    /// Operations that had come to the wrong node.
    pub(super) misses: usize,
}

/// Callers to be woken once the lock is gone.
pub(super) type Wakers = Vec<Waker>;

#[derive(Debug)]
pub(super) struct State {
    slots: Slots,
    pub(super) pending: Pending,
    in_flight: VecDeque<Frame>,
    /// How many of them count against the limit of frames.
    window: usize,
    /// Operations pending, in flight, and admitted.
    ops: usize,
    /// Bytes that admitted callers are about to add.
    admitted_bytes: usize,
    /// Callers waiting for room, in order.
    queue: VecDeque<SlotKey>,
    /// The sender, when it has nothing to do.
    sender: Option<Waker>,
    /// Which connection is the lane's; an earlier one gets nothing any more.
    pub(super) connection: u64,
    connected: bool,
    closed: bool,
    /// Some callers left before they were answered.
    abandoned: bool,
    /// Why there is no connection.
    trouble: Option<Error>,
    in_flight_ops_max: usize,
}

impl State {
    pub(super) fn new(seen: Arc<Seen>) -> Self {
        Self {
            slots: Slots::default(),
            pending: Pending::new(seen),
            in_flight: VecDeque::new(),
            window: 0,
            ops: 0,
            admitted_bytes: 0,
            queue: VecDeque::new(),
            sender: None,
            connection: 0,
            connected: false,
            closed: false,
            abandoned: false,
            trouble: None,
            in_flight_ops_max: Limits::default().in_flight_ops_max,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.slots.taken() > 0
    }

    fn has_room(&self, room: Room) -> bool {
        let ops_fit = self.ops + room.ops as usize <= self.in_flight_ops_max || self.ops == 0;
        let bytes = self.pending.bytes() + self.admitted_bytes;
        ops_fit && (bytes + room.bytes <= PENDING_BYTES_MAX || bytes == 0)
    }

    /// Takes operations in, or queues their caller until there is room.
    #[inline]
    pub(super) fn submit(
        &mut self,
        operations: &impl Operations,
        deadline_ms: u64,
        waker: &Waker,
        now_ms: u64,
    ) -> Result<(SlotKey, Option<Waker>), Error> {
        if self.closed {
            return Err(closed());
        }
        let room = operations.room();
        if !self.queue.is_empty() || !self.has_room(room) {
            let key = self.slots.take(Stage::Queued(room), deadline_ms, waker);
            self.queue.push_back(key);
            return Ok((key, None));
        }
        let key = self.slots.take(stage_of(operations), deadline_ms, waker);
        self.ops += room.ops as usize;
        Ok((key, self.push(key, operations, deadline_ms, now_ms)))
    }

    /// Encodes operations into the open frame; returns the sender if it must be woken.
    #[inline]
    fn push(
        &mut self,
        slot: SlotKey,
        operations: &impl Operations,
        deadline_ms: u64,
        now_ms: u64,
    ) -> Option<Waker> {
        let pending = &mut self.pending;
        operations.each(|item| pending.push(&Entry { slot, item, deadline_ms }, now_ms));
        if self.may_send() { self.sender.take() } else { None }
    }

    fn may_send(&self) -> bool {
        self.connected && self.window < FRAMES_IN_FLIGHT_MAX
    }

    /// Gives a caller its answer, or takes its operations in if it was admitted meanwhile.
    #[inline]
    pub(super) fn poll(
        &mut self,
        key: SlotKey,
        operations: &impl Operations,
        waker: &Waker,
        now_ms: u64,
    ) -> (Poll<Answer>, Option<Waker>) {
        let mut sender = None;
        if let Some(Stage::Admitted(room)) = self.slots.stage(key) {
            self.admitted_bytes -= room.bytes;
            let deadline_ms = self.slots.deadline_ms(key).unwrap_or(now_ms);
            if let Some(stage) = self.slots.stage(key) {
                *stage = stage_of(operations);
            }
            sender = self.push(key, operations, deadline_ms, now_ms);
        }
        (self.slots.poll(key, waker), sender)
    }

    /// A caller leaves before its answer.
    pub(super) fn release(&mut self, key: SlotKey, wakers: &mut Wakers) {
        match self.slots.release(key) {
            Some(Stage::Admitted(room)) => {
                self.give_back(room);
                self.admit(wakers);
            }
            Some(Stage::Queued(_)) => self.admit(wakers),
            Some(_) => self.abandoned = true,
            None => {}
        }
    }

    fn give_back(&mut self, room: Room) {
        self.ops -= room.ops as usize;
        self.admitted_bytes -= room.bytes;
    }

    /// Wakes the callers for whom there is room now, in order.
    fn admit(&mut self, wakers: &mut Wakers) {
        while let Some(&key) = self.queue.front() {
            if let Some(&mut Stage::Queued(room)) = self.slots.stage(key) {
                if !self.has_room(room) {
                    return;
                }
                self.ops += room.ops as usize;
                self.admitted_bytes += room.bytes;
                if let Some(stage) = self.slots.stage(key) {
                    *stage = Stage::Admitted(room);
                }
                wakers.extend(self.slots.waker(key));
            }
            self.queue.pop_front();
        }
    }

    /// The next frame for a connection; `None` in `Ready` when the connection is no longer the lane's.
    pub(super) fn take_frame(
        &mut self,
        connection: u64,
        waker: &Waker,
        (now_ms, table): (u64, TableVersion),
        wakers: &mut Wakers,
    ) -> Poll<Option<Bytes>> {
        if connection != self.connection || self.closed {
            return Poll::Ready(None);
        }
        self.pending.table_version = table;
        if self.may_send()
            && let Some((bytes, mut frame)) = self.pending.take(now_ms)
        {
            frame.sent_ms = now_ms;
            self.window += 1;
            self.in_flight.push_back(frame);
            self.admit(wakers);
            return Poll::Ready(Some(bytes));
        }
        if !self.sender.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.sender = Some(waker.clone());
        }
        Poll::Pending
    }

    /// Hands the replies of a frame to their callers; a request frame may be answered by several. After an error nothing on this
    /// connection can be trusted any more.
    pub(super) fn complete(
        &mut self,
        bytes: &Bytes,
        wakers: &mut Wakers,
    ) -> Result<Completed, Error> {
        let mut replies = ReplyFrame::parse(bytes)?;
        // Before anybody is woken: what they do next comes behind what they were told.
        self.pending.seen.note(replies.clock);
        let id = replies.frame_id;
        let Some(position) = self.in_flight.iter().position(|frame| frame.id == id) else {
            return Err(defect(format!("a reply to frame {id}, which is not in flight")));
        };
        let frame = &mut self.in_flight[position];
        let mut near = 0;
        let mut misses = 0;
        for _ in 0..replies.replies {
            let Answered { index, reply, receipt } = replies.next_reply()?;
            if !frame.note_answer(index) {
                let ops = frame.ops;
                return Err(defect(format!("a reply to operation {index} of {ops}, or a second")));
            }
            self.ops -= 1;
            let reply = OwnedReply::from_frame(reply, receipt, bytes);
            misses += usize::from(reply.is_miss());
            if let Some((slot, index)) = frame.part_of(index, &mut near) {
                wakers.extend(self.slots.answer(slot, index, reply));
            }
        }
        if frame.replies == frame.ops
            && let Some(frame) = self.in_flight.remove(position)
        {
            self.window -= usize::from(!frame.is_slow);
            self.pending.recycle(frame);
        }
        self.admit(wakers);
        if self.may_send() && !self.pending.is_empty() {
            wakers.extend(self.sender.take());
        }
        replies.finish().map(|()| Completed { replies: replies.replies, misses })
    }

    /// A connection attempt begins; returns its number.
    pub(super) fn begin(&mut self) -> u64 {
        self.connection += 1;
        self.connected = false;
        self.sender = None;
        self.connection
    }

    /// The handshake is done: frames may go out.
    pub(super) fn connected(&mut self, limits: &Limits, wakers: &mut Wakers) {
        self.connected = true;
        self.trouble = None;
        self.in_flight_ops_max = limits.in_flight_ops_max.max(1);
        self.pending.frame_ops_max = limits.batch_ops_max.max(1);
        self.pending.frame_bytes_max = FRAME_BYTES_TARGET.min(limits.frame_bytes_max / 2);
        self.admit(wakers);
        wakers.extend(self.sender.take());
    }

    /// There is no connection (any more): what was sent has an unknown outcome, what was not is kept.
    pub(super) fn disconnected(&mut self, trouble: Error, wakers: &mut Wakers) {
        self.connected = false;
        self.connection += 1;
        wakers.extend(self.sender.take());
        let error = match trouble.code() {
            ErrorCode::Internal => trouble.clone().with_outcome(Outcome::Unknown),
            _ => Error::new(ErrorCode::ConnectionLost, trouble.detail()),
        };
        self.trouble = Some(trouble);
        self.window = 0;
        for frame in std::mem::take(&mut self.in_flight) {
            // What was answered before finds nobody who still waits for it.
            self.ops -= frame.ops - frame.replies;
            for part in &frame.parts {
                for index in part.first..part.first + part.count {
                    let reply = OwnedReply::Failed(error.clone());
                    wakers.extend(self.slots.answer(part.slot, index, reply));
                }
            }
        }
        self.admit(wakers);
    }

    /// Ends the waiting of all whose time is over. What was not sent is taken back, so that it certainly never happens.
    pub(super) fn sweep(&mut self, now_ms: u64, wakers: &mut Wakers) {
        self.mark_slow(now_ms, wakers);
        let expired = self.slots.expired(now_ms);
        if expired.is_empty() && (!self.abandoned || self.may_send()) {
            return;
        }
        let slots = &mut self.slots;
        let unsent = self.pending.retain(now_ms, |part| {
            slots.deadline_ms(part.slot).is_some_and(|deadline_ms| deadline_ms > now_ms)
        });
        self.abandoned = false;
        let too_late = self.unsent_error();
        for part in unsent {
            self.ops -= part.count as usize;
            for index in part.first..part.first + part.count {
                let reply = OwnedReply::Failed(too_late.clone());
                wakers.extend(self.slots.answer(part.slot, index, reply));
            }
        }
        let no_reply = Error::new(ErrorCode::DeadlineInFlight, "");
        for key in expired {
            self.fail(key, &too_late, &no_reply, wakers);
        }
        self.admit(wakers);
    }

    /// Every frame says that this client knows no other node.
    pub(super) fn set_gateway(&mut self) {
        self.pending.is_gateway = true;
    }

    /// Ends the waiting of one caller, with one error if nothing was sent and the other if something was.
    fn fail(&mut self, key: SlotKey, unsent: &Error, sent: &Error, wakers: &mut Wakers) {
        let error = match self.slots.stage(key) {
            Some(&mut Stage::Admitted(room)) => {
                self.give_back(room);
                unsent
            }
            Some(Stage::Queued(_)) => unsent,
            _ => sent,
        };
        wakers.extend(self.slots.fail(key, error));
    }

    fn unsent_error(&self) -> Error {
        let detail = match &self.trouble {
            Some(trouble) => format!("no connection ({})", trouble.detail()),
            None if self.connected => "the connection was full".to_owned(),
            None => "not connected yet".to_owned(),
        };
        Error::new(ErrorCode::DeadlineBeforeStart, detail)
    }

    /// Ends everything; nothing is accepted any more.
    pub(super) fn close(&mut self, now_ms: u64, wakers: &mut Wakers) {
        self.closed = true;
        let unsent = self.pending.retain(now_ms, |_| false);
        for part in unsent {
            for index in part.first..part.first + part.count {
                wakers.extend(self.slots.answer(part.slot, index, OwnedReply::Failed(closed())));
            }
        }
        let sent = Error::new(ErrorCode::ConnectionLost, "the client was closed");
        for key in self.slots.waiting() {
            self.fail(key, &closed(), &sent, wakers);
        }
        wakers.extend(self.sender.take());
    }
}

fn stage_of(operations: &impl Operations) -> Stage {
    if operations.are_many() {
        let count = operations.room().ops;
        Stage::Many { replies: vec![OwnedReply::Awaited; count as usize], awaited: count }
    } else {
        Stage::One
    }
}

fn closed() -> Error {
    Error::new(ErrorCode::ClientClosed, "")
}

fn defect(detail: impl Into<String>) -> Error {
    Error::new(ErrorCode::Internal, detail)
}
