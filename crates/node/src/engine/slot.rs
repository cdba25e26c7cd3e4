//! [`Slot`]: the place of one partition on this node, with its replica if it has one.

use std::sync::Arc;

use isogrid_cluster::Millis;
use isogrid_core::{MapId, Op, PartitionId};
use isogrid_persist::OnDisk;
use isogrid_proto::frame::{FrameHead, OpOptions, RequestFrame, RequestWriter};
use isogrid_replica::entry::Tag;
use isogrid_replica::{Event, Now, Replica, Request, Ticket};
use isogrid_store::KeyHash;
use parking_lot::Mutex;

use super::Engine;
use super::hands::{Hands, Replies};
use super::late::{Waiters, index_in_batch};
use super::routed::Asked;
use super::traced::Marks;
use super::watching::Signals;

/// A slot behind its lock, on cache lines of its own. A mutex and not a channel: the lock covers one synchronous call and
/// costs less than a hop to another task.
#[repr(align(128))]
#[derive(Default)]
pub(super) struct SlotCell(pub(super) Mutex<Slot>);

/// The place of one partition.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) held: Option<Held>,
    /// The bytes of data and of log that the memory gauge knows of.
    pub(super) counted: (u64, u64),
    /// How many requests came.
    pub(super) requests: u64,
    pub(super) signals: Signals,
}

/// A replica on this node.
pub(super) struct Held {
    pub(super) replica: Replica,
    /// Since when it takes no part.
    pub(super) closed_since: Option<Millis>,
    pub(super) waiters: Waiters,
    pub(super) on_disk: OnDisk,
    /// Entries that are expected from the primary and belong to traces.
    pub(super) marks: Marks,
    /// In the order of their tickets.
    deferred: Vec<Deferred>,
    /// The deferred requests are presented again once the batch has ended: before, it is not known who waits.
    resume_is_due: bool,
}

/// A request that waits until its partition can serve it.
struct Deferred {
    ticket: Ticket,
    map: MapId,
    hash: KeyHash,
    asked: Asked,
    /// The operation, as a frame of one: it outlives the frame that it came in.
    frame: bytes::Bytes,
}

/// Where a step takes place.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) engine: &'a Engine,
    pub(super) core: usize,
    pub(super) partition: PartitionId,
    pub(super) now: Now,
}

impl Held {
    pub(super) fn new(replica: Replica) -> Self {
        Held {
            replica,
            closed_since: None,
            waiters: Waiters::default(),
            on_disk: OnDisk::default(),
            marks: Marks::default(),
            deferred: Vec::new(),
            resume_is_due: false,
        }
    }

    /// Something happens to the replica that is not a request.
    pub(super) fn step(
        &mut self,
        place: Place<'_>,
        event: Event<'_>,
        present: Option<&mut dyn Replies>,
    ) {
        let is_in_batch = present.is_some();
        let resumed = {
            let mut hands = Hands {
                engine: place.engine,
                core: place.core,
                partition: place.partition,
                now: place.now,
                waiters: &mut self.waiters,
                present,
                deferred: None,
                resumed: false,
            };
            self.replica.step(event, place.now, &mut hands);
            hands.resumed
        };
        // A batch that answered all its requests at once left it to the next step.
        let is_overdue = !is_in_batch && self.resume_is_due;
        if resumed || is_overdue {
            self.resume(is_in_batch, place);
        }
    }

    /// A client's request.
    #[inline]
    pub(super) fn request(
        &mut self,
        place: Place<'_>,
        request: Request<'_>,
        present: Option<&mut dyn Replies>,
    ) {
        let is_in_batch = present.is_some();
        let (ticket, map, hash, op) = (request.ticket, request.map, request.hash, request.op);
        let asked = Asked::of(&request);
        let (deferred, resumed) = {
            let mut hands = Hands {
                engine: place.engine,
                core: place.core,
                partition: place.partition,
                now: place.now,
                waiters: &mut self.waiters,
                present,
                deferred: None,
                resumed: false,
            };
            self.replica.step(Event::Request(request), place.now, &mut hands);
            (hands.deferred, hands.resumed)
        };
        if deferred.is_some() {
            self.keep(ticket, (map, hash), &op, asked);
        }
        if resumed {
            self.resume(is_in_batch, place);
        }
    }

    #[cold]
    fn keep(&mut self, ticket: Ticket, (map, hash): (MapId, KeyHash), op: &Op<'_>, asked: Asked) {
        if let Some(waiter) = self.waiters.get_mut(ticket) {
            waiter.is_deferred = true;
        }
        let mut writer = RequestWriter::new();
        let name: Arc<str> = Arc::from("-");
        writer.push_with(&name, op, &OpOptions::NONE);
        let frame = writer.finish(&FrameHead::default());
        self.deferred.push(Deferred { ticket, map, hash, asked, frame });
    }

    /// How many requests wait for their answers, and how many of these until the partition can serve them.
    pub(super) fn queued(&self) -> (usize, usize) {
        (self.waiters.len(), self.deferred.len())
    }

    /// Whether the request waits until its partition can serve it.
    pub(super) fn is_deferred(&self, ticket: Ticket) -> bool {
        self.deferred.binary_search_by_key(&ticket, |deferred| deferred.ticket).is_ok()
    }

    /// The batch has ended, and whoever has no answer yet waits.
    #[inline]
    pub(super) fn end_batch(&mut self, place: Place<'_>) {
        if std::mem::take(&mut self.resume_is_due) {
            self.resume(false, place);
        }
    }

    /// Presents deferred requests again, in their order.
    #[cold]
    fn resume(&mut self, is_in_batch: bool, place: Place<'_>) {
        if is_in_batch {
            self.resume_is_due = true;
            return;
        }
        self.resume_is_due = false;
        for deferred in std::mem::take(&mut self.deferred) {
            let Some(waiter) = self.waiters.get_mut(deferred.ticket) else { continue };
            waiter.is_deferred = false;
            let traced = waiter.late.in_traces();
            let mut frame = RequestFrame::parse(&deferred.frame).expect("this node wrote it");
            let (_, op, _) = frame.next_op().expect("this node wrote it");
            let mut request = Request::new(deferred.ticket, deferred.map, deferred.hash, op);
            deferred.asked.apply(&mut request);
            request.over_mark = place.engine.memory().is_over();
            let last = self.replica.log().last();
            self.request(place, request, None);
            if let Some(traced) = traced
                && self.replica.log().last() != last
            {
                let index = index_in_batch(deferred.ticket);
                place.engine.mark_entry(place, self, &traced, index);
            }
        }
        self.step(place, Event::Flush, None);
    }

    /// How many bytes its data and its log take.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let (data, log) =
            (self.replica.store().total_bytes(), self.replica.log().bytes_allocated());
        (data as u64, log as u64)
    }
}

/// The tag of a write, if it has one.
pub(super) fn tag_of(head: &FrameHead, options: &OpOptions) -> Option<Tag> {
    let (session, tag) = (head.session?, options.tag?);
    Some(Tag { id: tag.request(session), first_incomplete: tag.first_incomplete() })
}
