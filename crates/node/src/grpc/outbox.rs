//! [`Outbox`]: the replies of a session that come after their frame was executed. Whichever core learns the answer puts it
//! here and wakes the session, which sends all that has gathered: frames of replies in any order, each with the number of
//! the request frame that it belongs to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Context;

use futures::task::AtomicWaker;
use isogrid_core::{Receipt, Reply};
use isogrid_proto::frame::ReplyWriter;
use parking_lot::Mutex;

use crate::clients::InFlight;
use crate::engine::Late;

/// The late replies of one session.
pub(super) struct Outbox {
    /// Where its client is.
    peer: SocketAddr,
    /// Request frames with replies that were not sent yet, the oldest first. A mutex: it covers the encoding of one reply.
    frames: Mutex<Vec<(u32, ReplyWriter)>>,
    waker: AtomicWaker,
    /// How many operations wait for their answers. For a moment an answer may be counted before its operation is.
    waiting: AtomicI64,
}

impl Outbox {
    /// Nothing waits yet.
    pub(super) fn new(peer: SocketAddr) -> Outbox {
        Outbox {
            peer,
            frames: Mutex::default(),
            waker: AtomicWaker::new(),
            waiting: AtomicI64::new(0),
        }
    }

    /// The next frame with late replies.
    pub(super) fn next(&self, context: &Context<'_>) -> Option<(u32, ReplyWriter)> {
        self.waker.register(context.waker());
        let mut frames = self.frames.lock();
        if frames.is_empty() { None } else { Some(frames.remove(0)) }
    }

    /// So many more operations wait.
    pub(super) fn expect(&self, operations: usize) {
        self.waiting.fetch_add(operations as i64, Ordering::Relaxed);
    }

    /// How many operations wait.
    pub(super) fn waiting(&self) -> i64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl InFlight for Outbox {
    fn waiting(&self) -> i64 {
        Outbox::waiting(self)
    }
}

/// Where the late replies of one request frame go.
pub(super) struct FrameLate {
    pub(super) outbox: Arc<Outbox>,
    pub(super) frame_id: u32,
}

impl Late for FrameLate {
    fn answer(&self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>) {
        let mut frames = self.outbox.frames.lock();
        let place = frames.iter().rposition(|(frame_id, _)| *frame_id == self.frame_id);
        let place = place.unwrap_or_else(|| {
            frames.push((self.frame_id, ReplyWriter::new()));
            frames.len() - 1
        });
        put(&mut frames[place].1, index, reply, receipt);
        drop(frames);
        self.outbox.waiting.fetch_sub(1, Ordering::Relaxed);
        self.outbox.waker.wake();
    }

    fn client(&self) -> Option<SocketAddr> {
        Some(self.outbox.peer)
    }
}

/// Writes a reply, with its receipt if it has one.
pub(super) fn put(
    writer: &mut ReplyWriter,
    index: usize,
    reply: &Reply<'_>,
    receipt: Option<&Receipt>,
) -> usize {
    match receipt {
        Some(receipt) => writer.put_with_receipt(index, reply, receipt),
        None => writer.put(index, reply),
    }
}
