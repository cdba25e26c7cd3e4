//! A lane: one connection to one core of a node, and everything that waits for it.
//!
//! Callers encode their operations straight into the lane's open frame, under its lock. The first one wakes the sender;
//! the sender takes all that has gathered by then as one frame, without ever waiting for more. So one caller alone pays no
//! delay, and a thousand callers share the cost of a message. Replies come back in frames too, and one lock hands them all
//! out.
//!
//! A lane outlives its connection: what was not sent when a connection broke goes out on the next.
//!
//! | module | what it holds |
//! |---|---|
//! | `state` | the state machine |
//! | `operations` | what callers bring |
//! | `slots` | where callers wait |
//! | `pending` | frames on their way out |
//! | `seen` | the newest clock of any reply |
//! | `reply` | replies that outlive their frame |
//! | `outgoing` | the stream that the connection takes its frames from |

mod operations;
mod outgoing;
mod pending;
mod reply;
mod seen;
mod slots;
mod state;
#[cfg(test)]
mod state_test;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use isogrid_core::{Error, ErrorCode, Limits, TableVersion, Traces};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::builder::Settings;
use crate::clock::Clock;
use crate::retry::Budget;
pub(crate) use operations::{Item, Operations};
pub(crate) use outgoing::Outgoing;
pub(crate) use pending::FRAME_BYTES_TARGET;
pub(crate) use reply::{OwnedEntry, OwnedPage, OwnedReply};
use seen::Seen;
pub(crate) use slots::{Answer, Room, SlotKey};
use state::{State, Wakers};

/// What the error says of an operation that was taken back from its lane unsent.
const MOVED: &str = "the partition moved before the operation was sent";

/// The error of an operation that was taken back from its lane unsent: it goes the new way at once.
fn moved() -> Error {
    Error::new(ErrorCode::NotOwner, MOVED)
}

/// Whether an operation was taken back unsent.
pub(crate) fn was_taken_back(error: &Error) -> bool {
    error.code() == ErrorCode::NotOwner && error.detail() == MOVED
}

/// What all lanes of a client share.
#[derive(Debug)]
pub(crate) struct LaneShared {
    pub(crate) clock: Arc<Clock>,
    pub(crate) budget: Arc<Budget>,
    /// The version of the table by which operations find their way.
    pub(crate) table_version: AtomicU64,
    /// How often an operation came to a node that did not own its partition.
    pub(crate) routing_misses: AtomicU64,
    /// Whether nodes are to forward what is not theirs.
    pub(crate) is_gateway: bool,
    /// Whether this client decides which operations are traced.
    pub(crate) decides_traces: bool,
    /// What the replies of all lanes have shown of the nodes' clocks.
    seen: Arc<Seen>,
}

impl LaneShared {
    /// What the lanes of a client share that was set up so.
    pub(crate) fn of(settings: &Settings, clock: &Arc<Clock>, budget: &Arc<Budget>) -> Self {
        let shared = Self::new(Arc::clone(clock), Arc::clone(budget), settings.is_gateway);
        Self { decides_traces: settings.tracer.is_on(), ..shared }
    }

    pub(crate) fn new(clock: Arc<Clock>, budget: Arc<Budget>, is_gateway: bool) -> Self {
        Self {
            clock,
            budget,
            table_version: AtomicU64::new(0),
            routing_misses: AtomicU64::new(0),
            is_gateway,
            decides_traces: false,
            seen: Arc::default(),
        }
    }
}

/// One connection to one core, and its waiting callers.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Held for one step of the state machine: encoding one caller's operations, or handing out one frame's replies.
    state: Mutex<State>,
    shared: Arc<LaneShared>,
    is_connected: AtomicBool,
    /// Asks the connection's task to give it up.
    cut: Notify,
    /// The node at the other end, for errors. Read only when something failed.
    node: Mutex<Option<Arc<str>>>,
}

impl Lane {
    pub(crate) fn new(shared: Arc<LaneShared>) -> Self {
        let mut state = State::new(Arc::clone(&shared.seen));
        if shared.is_gateway {
            state.set_gateway();
        }
        Self {
            state: Mutex::new(state),
            shared,
            is_connected: AtomicBool::new(false),
            cut: Notify::new(),
            node: Mutex::new(None),
        }
    }

    /// Whether there is a connection.
    #[inline]
    pub(crate) fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    /// Gives up the connection: its node is known to be gone.
    pub(crate) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Until the connection is to be given up.
    pub(crate) async fn until_cut(&self) {
        self.cut.notified().await;
    }

    /// Sends back what was not sent yet, since its partitions have moved.
    pub(crate) fn take_back(&self) {
        let now_ms = self.shared.clock.now_ms();
        self.step(|state, wakers| state.take_back(&moved(), now_ms, wakers));
    }

    /// The node at the other end.
    pub(crate) fn node(&self) -> Option<Arc<str>> {
        self.node.lock().clone()
    }

    /// Takes operations in. Their caller then polls with the key it was given, and releases it if it leaves early.
    #[inline]
    pub(crate) fn submit(
        &self,
        operations: &impl Operations,
        deadline_ms: u64,
        waker: &Waker,
    ) -> Result<SlotKey, Error> {
        let mut state = self.state.lock();
        let is_first = !state.is_busy();
        let (key, sender) =
            state.submit(operations, deadline_ms, waker, self.shared.clock.now_ms())?;
        drop(state);
        if is_first {
            self.shared.clock.start();
        }
        if let Some(sender) = sender {
            sender.wake();
        }
        Ok(key)
    }

    /// The answer, if it is there; it is given once.
    #[inline]
    pub(crate) fn poll(
        &self,
        key: SlotKey,
        operations: &impl Operations,
        cx: &mut Context<'_>,
    ) -> Poll<Answer> {
        let mut state = self.state.lock();
        let (answer, sender) = state.poll(key, operations, cx.waker(), self.shared.clock.now_ms());
        drop(state);
        if let Some(sender) = sender {
            sender.wake();
        }
        answer
    }

    /// The caller leaves before its answer.
    pub(crate) fn release(&self, key: SlotKey) {
        self.step(|state, wakers| state.release(key, wakers));
    }

    fn step<T>(&self, step: impl FnOnce(&mut State, &mut Wakers) -> T) -> T {
        let mut wakers = Wakers::new();
        let result = step(&mut self.state.lock(), &mut wakers);
        wake_all(&mut wakers);
        result
    }

    /// A connection attempt begins; returns its number. Earlier connections get nothing any more.
    fn begin(&self) -> u64 {
        self.state.lock().begin()
    }

    /// The next frame of a connection, and which of its operations are traced.
    fn take_frame(&self, connection: u64, waker: &Waker) -> Poll<Option<(Bytes, Traces)>> {
        let now_ms = self.shared.clock.now_ms();
        let table = TableVersion(self.shared.table_version.load(Ordering::Relaxed));
        self.step(|state, wakers| {
            let frame = state.take_frame(connection, waker, (now_ms, table), wakers);
            frame.map(|frame| frame.map(|bytes| (bytes, state.pending.take_traces())))
        })
    }

    /// The handshake is done.
    pub(crate) fn connected(&self, node: Arc<str>, limits: &Limits) {
        *self.node.lock() = Some(node);
        self.is_connected.store(true, Ordering::Relaxed);
        self.step(|state, wakers| state.connected(limits, wakers));
    }

    /// The connection broke, or could not be made.
    pub(crate) fn disconnected(&self, trouble: Error) {
        self.is_connected.store(false, Ordering::Relaxed);
        self.step(|state, wakers| state.disconnected(trouble, wakers));
    }

    /// Hands out the replies of a frame. `wakers` is only there to be used again.
    pub(crate) fn complete(&self, frame: &Bytes, wakers: &mut Wakers) -> Result<(), Error> {
        let completed = self.state.lock().complete(frame, wakers);
        wake_all(wakers);
        // Replies that do not follow their layout say nothing about what the node did with the operations.
        let completed = completed.map_err(|error| match error.code() {
            ErrorCode::Internal => error,
            _ => Error::new(ErrorCode::Internal, error.detail()),
        })?;
        self.shared.budget.earn(completed.replies);
        if completed.misses > 0 {
            self.shared.routing_misses.fetch_add(completed.misses as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Ends the waiting of all whose time is over; returns whether anybody still waits.
    pub(crate) fn sweep(&self, now_ms: u64) -> bool {
        self.step(|state, wakers| {
            state.sweep(now_ms, wakers);
            state.is_busy()
        })
    }

    /// Whether anybody waits.
    pub(crate) fn is_busy(&self) -> bool {
        self.state.lock().is_busy()
    }

    /// Ends everything.
    pub(crate) fn close(&self) {
        let now_ms = self.shared.clock.now_ms();
        self.step(|state, wakers| state.close(now_ms, wakers));
    }
}

fn wake_all(wakers: &mut Wakers) {
    for waker in wakers.drain(..) {
        waker.wake();
    }
}
