//! [`Lane`]: what one core has to say to one other node and was not sent yet.
//!
//! ```text
//!   control   beats, their answers, news, directives, pings   first
//!   data      messages between replicas, in order             then
//!   copies    chunks                                          when nothing else waits
//! ```
//!
//! Each has a bound in bytes. What does not fit is dropped and counted: replicas repeat what is not acknowledged, beats
//! come again, news are pulled.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use futures::task::AtomicWaker;
use isogrid_replica::message::{Content, Message};
use parking_lot::Mutex;

use super::limits::{BATCH_BYTES, CHUNK_BATCH_BYTES, PeerLimits};
use super::message::LinkMessage;
use super::queue::Queue;

/// How much went through a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LaneTraffic {
    /// Bytes and messages that were packed for sending.
    pub(crate) sent_bytes: u64,
    pub(crate) sent_messages: u64,
    /// Bytes of entries of logs, and of copies, among these.
    pub(crate) sent_append_bytes: u64,
    pub(crate) sent_chunk_bytes: u64,
    /// Batches that were handed to the link.
    pub(crate) sent_batches: u64,
    /// Messages that found no room, or whose link broke.
    pub(crate) dropped_messages: u64,
    /// Bytes that wait.
    pub(crate) waiting_bytes: u64,
}

/// What one core has to say to one other node.
#[derive(Debug)]
pub(super) struct Lane {
    limits: PeerLimits,
    /// Held for packing one message or for taking one batch.
    state: Mutex<State>,
    /// The link, when it waits for something to send.
    writer: AtomicWaker,
    /// Whether something came since the last flush.
    is_fresh: AtomicBool,
}

#[derive(Debug)]
struct State {
    control: Queue,
    data: Queue,
    chunks: Queue,
    /// Which link may take batches: each has its own number.
    link: u64,
    is_linked: bool,
    traffic: LaneTraffic,
}

/// How urgent a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    Control,
    /// Between replicas: acknowledgements and other small answers.
    Answer,
    Append,
    Chunk,
}

impl Urgency {
    fn of(message: &LinkMessage) -> Urgency {
        match message {
            // Before the entry that it is about, in the same queue.
            LinkMessage::Replica { message: Message::Append(_), .. }
            | LinkMessage::Traced { .. } => Urgency::Append,
            LinkMessage::Replica { message: Message::Chunk(_), .. } => Urgency::Chunk,
            LinkMessage::Replica { .. } => Urgency::Answer,
            _ => Urgency::Control,
        }
    }
}

impl Lane {
    /// An empty lane without a link.
    pub(super) fn new(limits: &PeerLimits) -> Self {
        Self {
            limits: limits.clone(),
            state: Mutex::new(State {
                control: Queue::new(BATCH_BYTES),
                data: Queue::new(BATCH_BYTES),
                chunks: Queue::new(CHUNK_BATCH_BYTES),
                link: 0,
                is_linked: false,
                traffic: LaneTraffic::default(),
            }),
            writer: AtomicWaker::new(),
            is_fresh: AtomicBool::new(false),
        }
    }

    /// Packs a message, if there is room.
    pub(super) fn push(&self, message: &LinkMessage) {
        let urgency = Urgency::of(message);
        let mut state = self.state.lock();
        let data_bytes_max = match state.is_linked {
            true => self.limits.lane_bytes_max,
            false => self.limits.lane_bytes_unlinked_max,
        };
        let (queue, bytes_max) = match urgency {
            Urgency::Control => (&mut state.control, self.limits.control_bytes_max),
            Urgency::Answer => (&mut state.data, data_bytes_max + self.limits.reserve_bytes),
            Urgency::Append => (&mut state.data, data_bytes_max),
            Urgency::Chunk => (&mut state.chunks, self.limits.chunk_bytes_max),
        };
        let carried = carried_bytes(message);
        let has_room = queue.bytes() == 0 || queue.bytes() + carried <= bytes_max;
        match has_room.then(|| queue.push(message)).flatten() {
            Some(bytes) => {
                state.traffic.sent_messages += 1;
                state.traffic.sent_bytes += bytes as u64;
                match urgency {
                    Urgency::Append => state.traffic.sent_append_bytes += carried as u64,
                    Urgency::Chunk => state.traffic.sent_chunk_bytes += carried as u64,
                    Urgency::Control | Urgency::Answer => {}
                }
                drop(state);
                self.is_fresh.store(true, Ordering::Release);
            }
            None => state.traffic.dropped_messages += 1,
        }
    }

    /// Packs the word that this node lives, unless something as urgent waits and says it as well.
    pub(super) fn ping(&self) {
        if self.state.lock().control.bytes() == 0 {
            self.push(&LinkMessage::Ping);
        }
        self.flush();
    }

    /// Wakes the link if something came since the last time.
    pub(super) fn flush(&self) {
        if self.is_fresh.load(Ordering::Relaxed) && self.is_fresh.swap(false, Ordering::AcqRel) {
            self.writer.wake();
        }
    }

    /// A new link: what it takes, as a stream. A stream of an earlier link ends.
    pub(super) fn link(self: &Arc<Self>) -> LaneBatches {
        let mut state = self.state.lock();
        state.link += 1;
        state.is_linked = true;
        LaneBatches { lane: Arc::clone(self), link: state.link }
    }

    /// The link broke. What waited is dropped: it would be old when there is another one.
    pub(super) fn unlink(&self) {
        let mut state = self.state.lock();
        state.link += 1;
        state.is_linked = false;
        let dropped = state.control.clear() + state.data.clear() + state.chunks.clear();
        state.traffic.dropped_messages += dropped;
        drop(state);
        self.writer.wake();
    }

    /// How much went through.
    pub(super) fn traffic(&self) -> LaneTraffic {
        let state = self.state.lock();
        let waiting = state.control.bytes() + state.data.bytes() + state.chunks.bytes();
        LaneTraffic { waiting_bytes: waiting as u64, ..state.traffic }
    }

    /// The next batch for a link, or `None` when the link is not the lane's any more.
    fn take(&self, link: u64) -> Option<Poll<Vec<u8>>> {
        let mut state = self.state.lock();
        if state.link != link {
            return None;
        }
        let state = &mut *state;
        let batch = state.control.pop().or_else(|| state.data.pop()).or_else(|| state.chunks.pop());
        state.traffic.sent_batches += u64::from(batch.is_some());
        Some(batch.map_or(Poll::Pending, Poll::Ready))
    }
}

/// About how many bytes a message carries.
fn carried_bytes(message: &LinkMessage) -> usize {
    match message {
        LinkMessage::Replica { message: Message::Append(append), .. } => append.entries.len(),
        LinkMessage::Replica { message: Message::Chunk(chunk), .. } => match &chunk.content {
            Content::Start { sessions, .. } => sessions.len(),
            Content::Records { records, .. } => records.len(),
            Content::Buckets(buckets) => buckets.len() * size_of::<u128>(),
        },
        _ => 0,
    }
}

/// The batches of a lane, as one link takes them: all that has gathered, whenever the connection can take more.
#[derive(Debug)]
pub(crate) struct LaneBatches {
    lane: Arc<Lane>,
    link: u64,
}

impl Stream for LaneBatches {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let ready = |taken: Option<Poll<Vec<u8>>>| match taken {
            None => Poll::Ready(None),
            Some(batch) => batch.map(|batch| Some(Bytes::from(batch))),
        };
        let taken = ready(self.lane.take(self.link));
        if taken.is_ready() {
            return taken;
        }
        self.lane.writer.register(context.waker());
        ready(self.lane.take(self.link))
    }
}

#[cfg(test)]
#[path = "lane_test.rs"]
mod tests;
