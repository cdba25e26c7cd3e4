//! Many operations at once: split over the lanes, each share answered as one, and only what failed tried again.

mod names;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use isogrid_core::{PartitionId, TraceContext};

use crate::attempts::{Attempts, Failed, Pause, Verdict};
use crate::call::unexpected;
use crate::error::{Error, Result};
use crate::lane::{
    Answer, FRAME_BYTES_TARGET, Item, Operations, OwnedReply, Room, SlotKey, was_taken_back,
};
use crate::link::Link;
use crate::prepared::Prepared;
use names::{Named, Names};

/// The maps that operations name: all the same one, or one each.
#[derive(Clone, Copy)]
pub(crate) enum Maps<'a> {
    All(&'a Arc<str>),
    Each(&'a [Arc<str>]),
}

/// What is to be done.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) maps: Maps<'a>,
    pub(crate) operations: &'a [Prepared<'a>],
    /// Where they belong in a trace, if they are traced.
    pub(crate) trace: Option<&'a TraceContext>,
}

impl Work<'_> {
    #[inline]
    fn map(&self, index: usize) -> &Arc<str> {
        match self.maps {
            Maps::All(map) => map,
            Maps::Each(maps) => &maps[index],
        }
    }
}

/// How long writes that got no number wait for others to be answered.
const NUMBER_WAIT: Duration = Duration::from_millis(2);

/// What one lane is asked for at once.
struct Chunk<'l> {
    link: &'l Link,
    lane: usize,
    /// Which of the operations.
    indices: Vec<u32>,
    bytes: usize,
    slot: Option<SlotKey>,
    answer: Option<Answer>,
}

struct ChunkWork<'a, 'l> {
    work: Work<'a>,
    names: &'a Names<'l>,
    indices: &'a [u32],
    bytes: usize,
}

impl Operations for ChunkWork<'_, '_> {
    fn room(&self) -> Room {
        Room { ops: self.indices.len() as u32, bytes: self.bytes }
    }

    fn are_many(&self) -> bool {
        true
    }

    #[inline]
    fn each(&self, mut show: impl FnMut(&Item<'_>)) {
        for (place, &index) in self.indices.iter().enumerate() {
            let index = index as usize;
            let prepared = &self.work.operations[index];
            let tag = self.names.of(index);
            show(&Item {
                index: place as u32,
                map: self.work.map(index),
                op: &prepared.op(),
                options: prepared.options(tag),
                session: tag.map(|tag| tag.session),
                trace: self.work.trace,
                bytes: prepared.bytes(),
            });
        }
    }
}

impl Chunk<'_> {
    /// Puts the chunk on its lane at the first poll; returns whether it has been answered.
    fn poll(
        &mut self,
        (work, names): (Work<'_>, &Names<'_>),
        deadline_ms: u64,
        cx: &mut Context<'_>,
    ) -> bool {
        if self.answer.is_some() {
            return true;
        }
        let chunk = ChunkWork { work, names, indices: &self.indices, bytes: self.bytes };
        let lane = self.link.routes.lane(self.lane);
        match self.slot {
            None => match lane.submit(&chunk, deadline_ms, cx.waker()) {
                Ok(slot) => self.slot = Some(slot),
                Err(error) => self.answer = Some(Answer::One(OwnedReply::Failed(error))),
            },
            Some(slot) => {
                if let Poll::Ready(answer) = lane.poll(slot, &chunk, cx) {
                    self.slot = None;
                    self.answer = Some(answer);
                }
            }
        }
        self.answer.is_some()
    }
}

impl Drop for Chunk<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.link.routes.lane(self.lane).release(slot);
        }
    }
}

/// Does all operations and returns their replies in the same order. Each fails or succeeds by itself; no operation is
/// sent twice unless that is safe. Dropping the future releases its slots; what was sent may still happen.
pub(crate) async fn run<'a>(
    link: &'a Link,
    work: Work<'a>,
    timeout: Duration,
) -> Vec<Result<OwnedReply>> {
    let mut results: Vec<Result<OwnedReply>> = Vec::with_capacity(work.operations.len());
    let mut todo: Vec<u32> = Vec::with_capacity(work.operations.len());
    let limits = link.routes.limits();
    for (index, operation) in work.operations.iter().enumerate() {
        let checked = operation
            .check(&limits, link.routes.partitions())
            .and_then(|()| operation.check_receipt(link.routes.partition_of(operation)));
        match checked {
            Ok(()) => {
                todo.push(index as u32);
                results.push(Ok(OwnedReply::Awaited));
            }
            Err(error) => results.push(Err(error)),
        }
    }
    let names = Names { link, tags: Vec::new(), in_doubt: Vec::new() };
    let deadline_ms = link.clock.deadline(timeout);
    let mut run =
        Run { link, work, names, deadline_ms, attempts: None, results, later: Vec::new() };
    while !todo.is_empty() {
        let mut chunks = run.split(&todo);
        let (names, deadline_ms) = (&run.names, run.deadline_ms);
        poll_fn(|cx| {
            // Not `all`: every chunk is polled, so that every lane begins at once.
            let waiting = chunks
                .iter_mut()
                .filter_map(|chunk| (!chunk.poll((work, names), deadline_ms, cx)).then_some(()));
            if waiting.count() == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        todo.clear();
        let sent = !chunks.is_empty();
        if let (true, Some(attempts)) = (sent, &mut run.attempts) {
            attempts.count();
        }
        for chunk in &mut chunks {
            run.collect(chunk, &mut todo);
        }
        drop(chunks);
        if let (false, Some(attempts)) = (todo.is_empty(), &run.attempts) {
            attempts.pause(link).await;
            run.deadline_ms = attempts.deadline_ms(link);
            if attempts.is_over() {
                todo.clear();
            }
        }
        run.add_later(&mut todo, sent).await;
    }
    run.results
}

/// A batch under way.
struct Run<'a> {
    link: &'a Link,
    work: Work<'a>,
    names: Names<'a>,
    deadline_ms: u64,
    attempts: Option<Attempts>,
    results: Vec<Result<OwnedReply>>,
    /// Writes that got no number yet.
    later: Vec<u32>,
}

impl<'a> Run<'a> {
    /// Groups operations by lane, in portions that fit a frame. Writes that get no number are left for later.
    fn split(&mut self, todo: &[u32]) -> Vec<Chunk<'a>> {
        let routes = &self.link.routes;
        let (limits, lanes) = (routes.limits(), routes.lanes_len());
        let ops_max = limits.batch_ops_max.min(limits.in_flight_ops_max).max(1);
        let bytes_max = FRAME_BYTES_TARGET.min(limits.frame_bytes_max / 2);
        let share = todo.len().div_ceil(lanes).min(ops_max);
        let is_first = self.attempts.is_none();
        let mut chunks: Vec<Chunk<'a>> = Vec::with_capacity(lanes);
        // The chunk of each lane that still has space.
        let mut open: Vec<Option<usize>> = vec![None; lanes];
        for &index in todo {
            let prepared = &self.work.operations[index as usize];
            let partition = routes.partition_of(prepared);
            if !prepared.is_read() && !self.may_go(index, partition) {
                continue;
            }
            let bytes = prepared.bytes();
            let lane = routes.index_for(prepared, partition, is_first);
            let fits = |at: &usize| {
                let chunk: &Chunk<'_> = &chunks[*at];
                chunk.indices.len() < ops_max && chunk.bytes + bytes <= bytes_max
            };
            if lane >= open.len() {
                open.resize(lane + 1, None);
            }
            let at = match open[lane].filter(fits) {
                Some(at) => at,
                None => {
                    chunks.push(Chunk {
                        link: self.link,
                        lane,
                        // A little more than an even share, since shares are never quite even.
                        indices: Vec::with_capacity(share + share / 4 + 1),
                        bytes: 0,
                        slot: None,
                        answer: None,
                    });
                    chunks.len() - 1
                }
            };
            open[lane] = Some(at);
            chunks[at].indices.push(index);
            chunks[at].bytes += bytes;
        }
        chunks
    }

    /// Gives a write its name; returns whether it may go out now.
    fn may_go(&mut self, index: u32, partition: PartitionId) -> bool {
        match self.names.name(index as usize, partition, self.work.operations.len()) {
            Named::Ready => true,
            Named::Later => {
                self.later.push(index);
                false
            }
            Named::SessionEnded => {
                let detail = "it ended before a write was answered";
                let error = Error::new(isogrid_core::ErrorCode::SessionEnded, detail);
                self.results[index as usize] = Err(error);
                false
            }
        }
    }

    /// Writes that got no number are tried again, now that others were answered; or after a short wait if those are the
    /// writes of others.
    async fn add_later(&mut self, todo: &mut Vec<u32>, sent: bool) {
        if self.later.is_empty() {
            return;
        }
        if !sent {
            let link = self.link;
            self.attempts.get_or_insert_with(|| Attempts::new(link, self.deadline_ms));
            Pause::of(NUMBER_WAIT).await;
        }
        if self.attempts.as_ref().is_some_and(Attempts::is_over) {
            for index in self.later.drain(..) {
                let detail = "too many earlier writes to the partition are unanswered";
                let code = isogrid_core::ErrorCode::DeadlineBeforeStart;
                self.results[index as usize] = Err(Error::new(code, detail));
            }
        }
        todo.append(&mut self.later);
    }

    fn collect(&mut self, chunk: &mut Chunk<'_>, todo: &mut Vec<u32>) {
        match chunk.answer.take() {
            Some(Answer::Many(replies)) => {
                for (&index, reply) in chunk.indices.iter().zip(replies) {
                    match reply {
                        OwnedReply::Failed(error) => self.failed(chunk, index, error, todo),
                        reply => self.done(index as usize, reply),
                    }
                }
            }
            Some(Answer::One(reply)) => {
                // The chunk was refused as a whole.
                for &index in &chunk.indices {
                    self.failed(chunk, index, reply.unexpected(), todo);
                }
            }
            None => unreachable!("every chunk was answered"),
        }
    }

    #[inline]
    fn done(&mut self, index: usize, reply: OwnedReply) {
        self.names.end(index);
        let partition = || self.link.routes.partition_of(&self.work.operations[index]);
        self.results[index] = Ok(match reply.receipt() {
            Some(_) => reply.in_partition(partition()),
            None => reply,
        });
    }

    #[cold]
    fn failed(
        &mut self,
        chunk: &Chunk<'_>,
        index: u32,
        error: isogrid_core::Error,
        todo: &mut Vec<u32>,
    ) {
        let (link, place) = (self.link, index as usize);
        let attempts = self.attempts.get_or_insert_with(|| {
            let mut attempts = Attempts::new(link, self.deadline_ms);
            if !was_taken_back(&error) {
                attempts.count();
            }
            attempts
        });
        let prepared = &self.work.operations[place];
        let mut is_in_doubt = self.names.is_in_doubt(place);
        let failed = Failed {
            lane: link.routes.lane(chunk.lane),
            is_read: prepared.is_read(),
            tag: self.names.of(place).copied(),
            is_in_doubt: &mut is_in_doubt,
            has_moved: link.routes.to_primary(link.routes.partition_of(prepared)) != chunk.lane,
        };
        self.results[place] = Err(match attempts.allow(link, error, failed) {
            Verdict::Again(error) => {
                todo.push(index);
                error
            }
            Verdict::Over(error) => {
                self.names.end(place);
                error
            }
        });
        if is_in_doubt {
            self.names.set_in_doubt(place, self.work.operations.len());
        }
    }
}

/// The number in a reply to a count over a partition.
pub(crate) fn count_of(reply: Result<OwnedReply>) -> Result<u64> {
    match reply? {
        OwnedReply::Count(count) => Ok(count),
        other => Err(Error::clone(&unexpected(&other))),
    }
}
