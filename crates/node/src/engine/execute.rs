//! Executes a batch: group by partition, lock, prefetch, step.
//!
//! Memory is far away: a record that is not in the cache costs as much as everything else an operation does. So the
//! operations are put in the order of their partitions and taken in windows. For a window all its partitions are locked, in
//! ascending order (so that two cores never wait for each other in a circle), then all buckets are asked for, then all
//! records, and only then does each operation reach its replica, by when its memory has arrived. At the end of a window its
//! partitions send what the window wrote. What has its answer by then is answered at once; everything else is answered when
//! it can be, through the batch's [`Late`].

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use isogrid_core::{Error, ErrorCode, Hlc, Op, PartitionId, Reply, Timestamp};
use isogrid_replica::{Event, Now, Receipt, Request, Ticket, Ticks};
use parking_lot::MutexGuard;

use super::batch::{Batch, Deadline, NamedMap, Routed};
use super::figures::{Metered, Tally};
use super::hands::Replies;
use super::late::{Late, Waiter};
use super::slot::{Place, Slot};
use super::slow::Trace;
use super::traced::TracedBatch;
use super::{Engine, ahead, causal};
use crate::clock;

/// How many operations are in flight to memory at once. 16 to 64 are alike; see docs/performance.md.
pub(super) const WINDOW: usize = 32;

/// Where the replies of a batch go that come during its execution, how many bytes they are by now, and whose they are.
struct Counted<'a, F> {
    sink: F,
    ops: &'a [Routed<'a>],
    tally: Tally<'a>,
    bytes: usize,
    count: usize,
    /// A bit for each operation.
    answered: Vec<u64>,
    traced: Option<Arc<TracedBatch>>,
}

impl<F> Counted<'_, F> {
    fn is_answered(&self, index: usize) -> bool {
        self.answered[index / 64] >> (index % 64) & 1 == 1
    }
}

impl<F: FnMut(usize, &Reply<'_>, Option<&Receipt>) -> usize> Replies for Counted<'_, F> {
    #[inline]
    fn put(&mut self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>) {
        self.bytes = (self.sink)(index, reply, receipt);
        self.tally.answered(&self.ops[index], reply);
        if let Some(traced) = &self.traced {
            traced.answered(index, reply, receipt);
        }
        self.count += 1;
        self.answered[index / 64] |= 1 << (index % 64);
    }
}

/// What a batch is executed under.
struct Conditions<'a> {
    core: usize,
    now: Now,
    deadline: Deadline,
    deadline_wall: Option<Timestamp>,
    over_mark: bool,
    disk_refuses: bool,
    /// What the caller has seen: what it writes comes behind that.
    seen: Hlc,
    late: LateOnce<'a>,
}

/// Takes the late answers of a batch: made when the first is needed, for most batches have none.
struct LateOnce<'a> {
    make: &'a dyn Fn() -> Arc<dyn Late>,
    made: OnceCell<Arc<Metered>>,
}

impl Engine {
    /// Executes a batch. `reply` is called for each operation that is answered at once, with its index in the batch; it says
    /// how many bytes of replies there are by now, and beyond `frame_bytes_max` nothing more is executed, so that the replies
    /// to a small request cannot fill the memory. All others are answered through what `late` makes. Returns how many.
    pub(crate) fn execute(
        &self,
        core: usize,
        batch: Batch<'_>,
        deadline: Deadline,
        late: &dyn Fn() -> Arc<dyn Late>,
        reply: impl FnMut(usize, &Reply<'_>, Option<&Receipt>) -> usize,
    ) -> usize {
        let mut batch = batch;
        let refused = std::mem::take(&mut batch.refused);
        let mut order = std::mem::take(&mut batch.order);
        let now = clock::both();
        let answered = vec![0; batch.len().div_ceil(64)];
        let tally = Tally::new(&self.figures, core, &batch.maps);
        let (ops, traced) = (&batch.ops, self.trace_batch(&batch));
        let mut replies = Counted { sink: reply, ops, tally, bytes: 0, count: 0, answered, traced };
        for (index, error) in refused {
            replies.put(index, &Reply::Failed(error), None);
        }
        if self.stopping.load(Ordering::Relaxed) {
            for &key in &order {
                let stopping = Error::new(ErrorCode::ShuttingDown, "");
                replies.put(index_of(key), &Reply::Failed(stopping), None);
            }
            replies.tally.end(took(now, clock::ticks()));
            return 0;
        }
        if let Some(session) = batch.head.session {
            self.sessions.note(core, session);
        }
        let conditions = Conditions {
            core,
            now,
            deadline,
            deadline_wall: deadline.on_wall(now),
            over_mark: self.memory.is_over(),
            disk_refuses: self.storage.as_ref().is_some_and(|storage| storage.is_refusing()),
            seen: causal::believable(batch.head.clock, now.wall),
            late: LateOnce { make: late, made: OnceCell::new() },
        };
        order.sort_unstable();
        let mut guards = Vec::with_capacity(WINDOW);
        for window in order.chunks(WINDOW) {
            self.execute_window(&batch, window, &conditions, &mut guards, &mut replies);
        }
        if let Some(first) = self.operations[core].count(order.len() as u64) {
            self.sample(core, &batch, &order, first);
        }
        if batch.may_change {
            self.wire.flush(core);
            self.keep_limits(core, &batch.maps);
        }
        let ended = clock::ticks();
        self.time_batch(&batch, &order, (now.ticks, ended), late);
        replies.tally.end(took(now, ended));
        batch.len() - replies.count
    }

    fn execute_window<'e, F: FnMut(usize, &Reply<'_>, Option<&Receipt>) -> usize>(
        &'e self,
        batch: &Batch<'e>,
        window: &[u32],
        conditions: &Conditions<'_>,
        guards: &mut Vec<MutexGuard<'e, Slot>>,
        replies: &mut Counted<'_, F>,
    ) {
        if conditions.deadline.has_passed(clock::ticks()) {
            for &key in window {
                let late = Error::new(ErrorCode::DeadlineBeforeStart, "the node was too busy");
                replies.put(index_of(key), &Reply::Failed(late), None);
            }
            return;
        }
        let Some(partitions) = batch.partitions else { return };
        let mut slot_of = [0u8; WINDOW];
        let mut last = None;
        if window.len() > 1 {
            let partition = |key: &u32| PartitionId(batch.ops[index_of(*key)].partition);
            ahead::slots(partitions, window.iter().map(partition));
        }
        for (position, &key) in window.iter().enumerate() {
            let op = &batch.ops[index_of(key)];
            if last != Some(op.partition) {
                let mut guard = partitions.cells[usize::from(op.partition)].0.lock();
                if let Some(held) = &mut guard.held {
                    held.waiters.begin_batch();
                    held.replica.observe(conditions.seen);
                }
                guards.push(guard);
                last = Some(op.partition);
            }
            let slot = guards.len() - 1;
            slot_of[position] = slot as u8;
        }
        if window.len() > 1 {
            ahead::records(batch, window, &slot_of, guards);
        }
        let answered_before = replies.count;
        let mut tickets = [None; WINDOW];
        for (position, &key) in window.iter().enumerate() {
            let slot = &mut guards[usize::from(slot_of[position])];
            tickets[position] = self.step_request(batch, index_of(key), slot, conditions, replies);
        }
        let mut of_slot = [PartitionId(0); WINDOW];
        for (&key, &slot) in window.iter().zip(&slot_of) {
            of_slot[usize::from(slot)] = PartitionId(batch.ops[index_of(key)].partition);
        }
        if batch.may_change {
            self.flush_window(batch, (window, &slot_of), conditions, guards, replies);
            let at = (conditions.core, conditions.now);
            self.persist(at, guards, &of_slot, Some(replies));
        }
        let must_wait = replies.count - answered_before < window.len();
        if must_wait {
            self.wait_for_answers(
                (batch, window),
                (&slot_of, &tickets),
                conditions,
                guards,
                replies,
            );
        }
        for (mut slot, partition) in guards.drain(..).zip(of_slot) {
            if batch.may_change {
                self.persist_one(conditions.core, partition, &mut slot);
                self.count(partition, &mut slot);
            } else if must_wait && let Some(partitions) = self.partitions.get() {
                partitions.stir(usize::from(partition.0), true);
            }
        }
    }

    /// One operation reaches its replica. Returns its ticket, unless it is answered for sure.
    #[inline]
    fn step_request<F: FnMut(usize, &Reply<'_>, Option<&Receipt>) -> usize>(
        &self,
        batch: &Batch<'_>,
        index: usize,
        slot: &mut Slot,
        conditions: &Conditions<'_>,
        replies: &mut Counted<'_, F>,
    ) -> Option<Ticket> {
        let routed = &batch.ops[index];
        slot.requests += 1;
        if replies.bytes > self.limits.frame_bytes_max {
            let full = Error::new(ErrorCode::ReplyTooLarge, "");
            replies.put(index, &Reply::Failed(full), None);
            return None;
        }
        if conditions.disk_refuses && !routed.op.is_read() {
            let refused = Error::new(ErrorCode::DiskRefuses, "");
            replies.put(index, &Reply::Failed(refused), None);
            return None;
        }
        if let Some(refused) = self.storage.as_ref().and_then(|kept| kept.over_budget(&routed.op)) {
            replies.put(index, &Reply::Failed(refused), None);
            return None;
        }
        let Some(held) = slot.held.as_mut().filter(|held| held.closed_since.is_none()) else {
            replies.put(index, &Reply::Failed(Error::new(ErrorCode::NotOwner, "")), None);
            return None;
        };
        let ticket = held.waiters.ticket(index);
        let mut request = Request::new(ticket, routed.map, routed.hash, routed.op);
        batch.asked(routed, conditions.deadline_wall).apply(&mut request);
        request.over_mark = conditions.over_mark;
        let place = self.place(batch, index, conditions);
        let last = replies.traced.is_some().then(|| held.replica.log().last());
        held.request(place, request, Some(replies));
        if let Some(last) = last
            && let Some(traced) = &replies.traced
            && held.replica.log().last() != last
        {
            self.mark_entry(place, held, traced, index);
        }
        if returns_old(&routed.op) {
            // Its reply may be large: where it can be given at once, it counts before the next is executed.
            held.step(place, Event::Flush, Some(replies));
        }
        Some(ticket)
    }

    /// Sends what a window wrote.
    fn flush_window<F: FnMut(usize, &Reply<'_>, Option<&Receipt>) -> usize>(
        &self,
        batch: &Batch<'_>,
        (window, slot_of): (&[u32], &[u8; WINDOW]),
        conditions: &Conditions<'_>,
        guards: &mut [MutexGuard<'_, Slot>],
        replies: &mut Counted<'_, F>,
    ) {
        let mut last = usize::MAX;
        for (&key, &slot) in window.iter().zip(slot_of) {
            let slot = usize::from(slot);
            if slot == last {
                continue;
            }
            last = slot;
            let Some(held) = guards[slot].held.as_mut() else { continue };
            let place = self.place(batch, index_of(key), conditions);
            held.step(place, Event::Flush, Some(replies));
        }
    }

    /// Whoever of a window has no answer by now waits for it.
    #[cold]
    fn wait_for_answers<F>(
        &self,
        (batch, window): (&Batch<'_>, &[u32]),
        (slot_of, tickets): (&[u8; WINDOW], &[Option<Ticket>; WINDOW]),
        conditions: &Conditions<'_>,
        guards: &mut [MutexGuard<'_, Slot>],
        replies: &Counted<'_, F>,
    ) {
        for (position, &key) in window.iter().enumerate() {
            let Some(ticket) = tickets[position].filter(|_| !replies.is_answered(index_of(key)))
            else {
                continue;
            };
            let Some(held) = guards[usize::from(slot_of[position])].held.as_mut() else { continue };
            let is_deferred = held.is_deferred(ticket);
            let until = conditions.deadline.0;
            let late = conditions.late.made.get_or_init(|| {
                let (late, figures) = ((conditions.late.make)(), Arc::clone(&self.figures));
                let began = (conditions.core, conditions.now.ticks);
                let metered = Metered::new(late, figures, began, batch);
                Arc::new(metered.traced(replies.traced.clone()))
            });
            let routed = &batch.ops[index_of(key)];
            let trace = Trace::new(conditions.now.ticks, routed.map, &routed.op);
            held.waiters.keep(ticket, Waiter { late: Arc::clone(late), until, is_deferred, trace });
        }
        for (position, &key) in window.iter().enumerate() {
            if let Some(held) = guards[usize::from(slot_of[position])].held.as_mut() {
                held.end_batch(self.place(batch, index_of(key), conditions));
            }
        }
    }

    fn place(&self, batch: &Batch<'_>, index: usize, conditions: &Conditions<'_>) -> Place<'_> {
        Place {
            engine: self,
            core: conditions.core,
            partition: PartitionId(batch.ops[index].partition),
            now: conditions.now,
        }
    }

    /// Evicts elsewhere what a write's own partition could not give.
    fn keep_limits(&self, core: usize, maps: &[NamedMap]) {
        for info in maps.iter().filter_map(|map| map.info.as_ref()) {
            if info.is_over_limits() {
                self.relieve(core, info);
            }
        }
    }
}

fn took(begun: Now, ended: Ticks) -> Duration {
    Duration::from_micros(ended.0.saturating_sub(begun.ticks.0))
}

/// Whether a write is answered with the value that it replaced.
fn returns_old(op: &Op<'_>) -> bool {
    matches!(op, Op::Put { return_old: true, .. } | Op::Delete { return_old: true, .. })
}

/// The index of an operation in its batch.
pub(super) fn index_of(key: u32) -> usize {
    (key & 0xffff) as usize
}
