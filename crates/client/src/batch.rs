//! Many operations at once: split over the lanes, each share answered as one, and only what failed tried again.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use isogrid_core::Op;

use crate::attempts::Attempts;
use crate::call::unexpected;
use crate::error::{Error, Result};
use crate::lane::{Answer, FRAME_BYTES_TARGET, Lane, Operations, OwnedReply, Room, SlotKey};
use crate::link::Link;
use crate::prepared::Prepared;
use crate::routes::Routes;

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

/// What one lane is asked for at once.
struct Chunk<'l> {
    lane: &'l Lane,
    /// Which of the operations.
    indices: Vec<u32>,
    bytes: usize,
    slot: Option<SlotKey>,
    answer: Option<Answer>,
}

struct ChunkWork<'a> {
    work: Work<'a>,
    indices: &'a [u32],
    bytes: usize,
}

impl Operations for ChunkWork<'_> {
    fn room(&self) -> Room {
        Room { ops: self.indices.len() as u32, bytes: self.bytes }
    }

    fn are_many(&self) -> bool {
        true
    }

    #[inline]
    fn each(&self, mut show: impl FnMut(u32, &Arc<str>, &Op<'_>, usize)) {
        for (place, &index) in self.indices.iter().enumerate() {
            let index = index as usize;
            let prepared = &self.work.operations[index];
            show(place as u32, self.work.map(index), &prepared.op(), prepared.bytes());
        }
    }
}

impl Chunk<'_> {
    /// Puts the chunk on its lane at the first poll; returns whether it has been answered.
    fn poll(&mut self, work: Work<'_>, deadline_ms: u64, cx: &mut Context<'_>) -> bool {
        if self.answer.is_some() {
            return true;
        }
        let chunk = ChunkWork { work, indices: &self.indices, bytes: self.bytes };
        match self.slot {
            None => match self.lane.submit(&chunk, deadline_ms, cx.waker()) {
                Ok(slot) => self.slot = Some(slot),
                Err(error) => self.answer = Some(Answer::One(OwnedReply::Failed(error))),
            },
            Some(slot) => {
                if let Poll::Ready(answer) = self.lane.poll(slot, &chunk, cx) {
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
            self.lane.release(slot);
        }
    }
}

/// Does all operations and returns their replies in the same order. Each fails or succeeds by itself; no operation is
/// sent twice unless that is safe. Dropping the future releases its slots; what was sent may still happen.
pub(crate) async fn run(link: &Link, work: Work<'_>, timeout: Duration) -> Vec<Result<OwnedReply>> {
    let mut results: Vec<Result<OwnedReply>> = Vec::with_capacity(work.operations.len());
    let mut todo: Vec<u32> = Vec::with_capacity(work.operations.len());
    let limits = link.routes.limits();
    for (index, operation) in work.operations.iter().enumerate() {
        match operation.check(&limits) {
            Ok(()) => {
                todo.push(index as u32);
                results.push(Ok(OwnedReply::Awaited));
            }
            Err(error) => results.push(Err(error)),
        }
    }
    let mut deadline_ms = link.clock.deadline(timeout);
    let mut attempts: Option<Attempts> = None;
    while !todo.is_empty() {
        let mut chunks = split(&link.routes, work, &todo);
        poll_fn(|cx| {
            // Not `all`: every chunk is polled, so that every lane begins at once.
            let waiting = chunks
                .iter_mut()
                .filter_map(|chunk| (!chunk.poll(work, deadline_ms, cx)).then_some(()));
            if waiting.count() == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        if let Some(attempts) = &mut attempts {
            attempts.count();
        }
        todo.clear();
        let mut round =
            Round { link, work, deadline_ms, attempts: &mut attempts, results: &mut results };
        for chunk in &mut chunks {
            round.collect(chunk, &mut todo);
        }
        if let (false, Some(attempts)) = (todo.is_empty(), &attempts) {
            tokio::time::sleep(attempts.pause(link)).await;
            deadline_ms = attempts.deadline_ms(link);
        }
    }
    results
}

/// One round of attempts, being sorted into results and what is tried again.
struct Round<'a> {
    link: &'a Link,
    work: Work<'a>,
    deadline_ms: u64,
    attempts: &'a mut Option<Attempts>,
    results: &'a mut [Result<OwnedReply>],
}

impl Round<'_> {
    fn collect(&mut self, chunk: &mut Chunk<'_>, todo: &mut Vec<u32>) {
        match chunk.answer.take() {
            Some(Answer::Many(replies)) => {
                for (&index, reply) in chunk.indices.iter().zip(replies) {
                    match reply {
                        OwnedReply::Failed(error) => self.failed(chunk, index, error, todo),
                        reply => self.results[index as usize] = Ok(reply),
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

    #[cold]
    fn failed(
        &mut self,
        chunk: &Chunk<'_>,
        index: u32,
        error: isogrid_core::Error,
        todo: &mut Vec<u32>,
    ) {
        let attempts = self.attempts.get_or_insert_with(|| {
            let mut attempts = Attempts::new(self.link, self.deadline_ms);
            attempts.count();
            attempts
        });
        let is_read = self.work.operations[index as usize].op().is_read();
        let error = attempts.error(error, chunk.lane, is_read);
        match attempts.allow(self.link, error, is_read) {
            Ok(()) => todo.push(index),
            Err(error) => self.results[index as usize] = Err(error),
        }
    }
}

/// Groups operations by lane, in portions that fit a frame.
fn split<'l>(routes: &'l Routes, work: Work<'_>, todo: &[u32]) -> Vec<Chunk<'l>> {
    let (limits, lanes) = (routes.limits(), routes.lanes());
    let ops_max = limits.batch_ops_max.min(limits.in_flight_ops_max).max(1);
    let bytes_max = FRAME_BYTES_TARGET.min(limits.frame_bytes_max / 2);
    let share = todo.len().div_ceil(lanes.len()).min(ops_max);
    let mut chunks: Vec<Chunk<'l>> = Vec::with_capacity(lanes.len());
    // The chunk of each lane that still has space.
    let mut open: Vec<Option<usize>> = vec![None; lanes.len()];
    for &index in todo {
        let prepared = &work.operations[index as usize];
        let bytes = prepared.bytes();
        let lane = routes.index_for(prepared);
        let fits = |at: &usize| {
            let chunk: &Chunk<'_> = &chunks[*at];
            chunk.indices.len() < ops_max && chunk.bytes + bytes <= bytes_max
        };
        let at = match open[lane].filter(fits) {
            Some(at) => at,
            None => {
                chunks.push(Chunk {
                    lane: &lanes[lane],
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

/// The number in a reply to a count over a partition.
pub(crate) fn count_of(reply: Result<OwnedReply>) -> Result<u64> {
    match reply? {
        OwnedReply::Count(count) => Ok(count),
        other => Err(Error::clone(&unexpected(&other))),
    }
}
