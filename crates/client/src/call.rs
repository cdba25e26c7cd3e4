//! [`Call`]: one operation from the first poll to its reply, with its retries. One state machine for all operations; what
//! differs is how the reply is read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use isogrid_core::{ErrorCode, PartitionId, TraceContext, limits};

use crate::attempts::{Attempts, Failed, Pause, Verdict};
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::lane::{Answer, Item, Operations, OwnedReply, Room, SlotKey, was_taken_back};
use crate::link::Link;
use crate::numbers::{Begun, Tag};
use crate::prepared::Prepared;
use crate::span::{self, Seen};

/// How long a write waits for others before it asks again for a number, should nobody wake it.
const NUMBER_WAIT: Duration = Duration::from_millis(10);

/// What operations need to know of their map.
#[derive(Clone, Debug)]
pub(crate) struct MapTarget {
    pub(crate) grid: Grid,
    pub(crate) name: Arc<str>,
    name_is_valid: bool,
}

impl MapTarget {
    pub(crate) fn new(grid: Grid, name: &str) -> Self {
        Self { grid, name: Arc::from(name), name_is_valid: limits::check_map_name(name).is_ok() }
    }

    /// Refuses a name that no node would take; checked once per handle, told by each operation.
    #[inline]
    pub(crate) fn check_name(&self) -> Result<()> {
        if self.name_is_valid { Ok(()) } else { Ok(limits::check_map_name(&self.name)?) }
    }
}

/// One operation on a lane.
struct Single<'a> {
    map: &'a Arc<str>,
    prepared: &'a Prepared<'a>,
    tag: Option<&'a Tag>,
    trace: Option<&'a TraceContext>,
}

impl Operations for Single<'_> {
    #[inline]
    fn room(&self) -> Room {
        Room { ops: 1, bytes: self.prepared.bytes() }
    }

    #[inline]
    fn are_many(&self) -> bool {
        false
    }

    #[inline]
    fn each(&self, mut show: impl FnMut(&Item<'_>)) {
        show(&Item {
            index: 0,
            map: self.map,
            op: &self.prepared.op(),
            options: self.prepared.options(self.tag),
            session: self.tag.map(|tag| tag.session),
            trace: self.trace,
            bytes: self.prepared.bytes(),
        });
    }
}

#[derive(Debug)]
enum Stage {
    /// Not sent, or not sent again yet.
    New,
    /// Refused before it began.
    Rejected(Error),
    /// On a lane.
    Waiting { lane: usize, slot: SlotKey },
    /// Waiting before the next attempt.
    Pausing(Pause),
    /// Answered.
    Done,
}

/// One operation under way.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) map: &'a MapTarget,
    pub(crate) prepared: Prepared<'a>,
    timeout: Option<Duration>,
    /// Zero before the first attempt.
    deadline_ms: u64,
    stage: Stage,
    /// The name of a write.
    tag: Option<Tag>,
    attempts: Option<Box<Attempts>>,
    seen: Option<Box<Seen>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(map: &'a MapTarget, prepared: Prepared<'a>) -> Self {
        Self {
            map,
            prepared,
            timeout: None,
            deadline_ms: 0,
            stage: Stage::New,
            tag: None,
            attempts: None,
            seen: None,
        }
    }

    /// A call that fails with this error when it is awaited.
    pub(crate) fn reject(&mut self, error: Error) {
        self.stage = Stage::Rejected(error);
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// The operation, for a pipeline to send; or why it cannot be.
    pub(crate) fn into_parts(mut self) -> Result<(&'a MapTarget, Prepared<'a>)> {
        if let Stage::Rejected(error) = std::mem::replace(&mut self.stage, Stage::Done) {
            return Err(error);
        }
        let nothing = Prepared::on_partition(crate::prepared::Action::Get);
        Ok((self.map, std::mem::replace(&mut self.prepared, nothing)))
    }

    #[inline]
    fn link(&self) -> &'a Link {
        let map: &'a MapTarget = self.map;
        map.grid.link()
    }

    /// The reply, once it is there.
    #[inline]
    pub(crate) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<OwnedReply>> {
        let polled = if self.seen.is_some() { self.poll_in_span(cx) } else { self.poll_steps(cx) };
        if polled.is_ready() {
            self.end();
        }
        polled
    }

    /// Nobody waits for this operation any more.
    #[inline]
    fn end(&mut self) {
        if let Some(tag) = self.tag.take() {
            self.link().numbers.end(&tag);
        }
    }

    #[cold]
    fn poll_in_span(&mut self, cx: &mut Context<'_>) -> Poll<Result<OwnedReply>> {
        let Some(seen) = &self.seen else { return self.poll_steps(cx) };
        let span = seen.span.clone();
        let polled = span.in_scope(|| self.poll_steps(cx));
        if let Poll::Ready(result) = &polled
            && let Some(seen) = self.seen.take()
        {
            seen.answered(result.as_ref().err());
        }
        polled
    }

    #[inline]
    fn poll_steps(&mut self, cx: &mut Context<'_>) -> Poll<Result<OwnedReply>> {
        loop {
            match &mut self.stage {
                Stage::New => {
                    self.submit(cx)?;
                    if matches!(self.stage, Stage::Waiting { .. }) {
                        return Poll::Pending;
                    }
                }
                Stage::Waiting { lane, slot } => {
                    let (index, slot) = (*lane, *slot);
                    let link = self.link();
                    let single = Single {
                        map: &self.map.name,
                        prepared: &self.prepared,
                        tag: self.tag.as_ref(),
                        trace: self.seen.as_deref().and_then(Seen::trace),
                    };
                    let answer = ready!(link.routes.lane(index).poll(slot, &single, cx));
                    self.stage = Stage::Done;
                    match answer {
                        Answer::One(OwnedReply::Failed(error)) => self.pause(error, index)?,
                        Answer::One(reply) => {
                            let partition = || link.routes.partition_of(&self.prepared);
                            return Poll::Ready(Ok(match reply.receipt() {
                                Some(_) => reply.in_partition(partition()),
                                None => reply,
                            }));
                        }
                        Answer::Many(_) => unreachable!("one operation has one reply"),
                    }
                }
                Stage::Pausing(pause) => {
                    ready!(Pin::new(pause).poll(cx));
                    self.stage = Stage::New;
                }
                Stage::Rejected(_) => {
                    let stage = std::mem::replace(&mut self.stage, Stage::Done);
                    let Stage::Rejected(error) = stage else { unreachable!("matched above") };
                    return Poll::Ready(Err(error));
                }
                Stage::Done => panic!("polled again after it was answered"),
            }
        }
    }

    /// Puts the operation on its lane, or pauses if it has to wait for a number.
    #[inline]
    fn submit(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let link = self.link();
        let routes = &link.routes;
        // The stage stays `Done` when something here fails.
        self.stage = Stage::Done;
        if self.deadline_ms == 0 {
            self.map.check_name()?;
            self.prepared.check(&routes.limits(), routes.partitions())?;
            let timeout = self.timeout.unwrap_or(link.settings.request_timeout);
            self.deadline_ms = link.clock.deadline(timeout);
            let tracer = &link.settings.tracer;
            self.seen = span::of(tracer, self.prepared.name(), &self.map.name, 1);
        } else if let Some(attempts) = &mut self.attempts {
            if attempts.is_over()
                && let Some(error) = attempts.last.take()
            {
                return Err(error);
            }
            self.deadline_ms = attempts.deadline_ms(link);
        }
        let partition = routes.partition_of(&self.prepared);
        if self.prepared.is_read() {
            self.prepared.check_receipt(partition)?;
        } else if !self.name(partition, cx)? {
            self.stage = Stage::Pausing(Pause::of(NUMBER_WAIT));
            return Ok(());
        }
        let is_first = self.attempts.is_none();
        let index = routes.index_for(&self.prepared, partition, is_first);
        let (map, prepared) = (&self.map.name, &self.prepared);
        let trace = self.seen.as_deref().and_then(Seen::trace);
        let single = Single { map, prepared, tag: self.tag.as_ref(), trace };
        let slot = routes.lane(index).submit(&single, self.deadline_ms, cx.waker())?;
        self.stage = Stage::Waiting { lane: index, slot };
        Ok(())
    }

    /// Gives a write its name, the same one for every attempt. Returns whether it may go out.
    #[inline]
    fn name(&mut self, partition: PartitionId, cx: &Context<'_>) -> Result<bool> {
        let link = self.link();
        if let Some(tag) = &self.tag {
            if let Some(again) = link.numbers.again(tag) {
                self.tag = Some(again);
                return Ok(true);
            }
            if self.attempts.as_ref().is_some_and(|attempts| attempts.is_in_doubt) {
                let detail = "it ended before a write was answered";
                return Err(Error::new(ErrorCode::SessionEnded, detail));
            }
            self.tag = None;
        }
        match link.numbers.begin_or_wait(partition, cx.waker()) {
            Begun::Tagged(tag) => self.tag = Some(tag),
            Begun::Nameless => {}
            Begun::Full => {
                if link.clock.now_ms() >= self.deadline_ms {
                    let detail = "too many earlier writes to the partition are unanswered";
                    return Err(Error::new(ErrorCode::DeadlineBeforeStart, detail));
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// After a failure: a pause before the next attempt, or the error that ends the call.
    #[cold]
    fn pause(&mut self, error: isogrid_core::Error, index: usize) -> Result<()> {
        let link = self.link();
        let is_read = self.prepared.is_read();
        let partition = link.routes.partition_of(&self.prepared);
        let deadline_ms = self.deadline_ms;
        let attempts =
            self.attempts.get_or_insert_with(|| Box::new(Attempts::new(link, deadline_ms)));
        if !was_taken_back(&error) {
            attempts.count();
        }
        let mut is_in_doubt = attempts.is_in_doubt;
        let failed = Failed {
            lane: link.routes.lane(index),
            is_read,
            tag: self.tag,
            is_in_doubt: &mut is_in_doubt,
            has_moved: link.routes.to_primary(partition) != index,
        };
        let verdict = attempts.allow(link, error, failed);
        attempts.is_in_doubt = is_in_doubt;
        match verdict {
            Verdict::Again(error) => attempts.last = Some(error),
            Verdict::Over(error) => return Err(error),
        }
        self.stage = Stage::Pausing(attempts.pause(link));
        Ok(())
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Stage::Waiting { lane, slot } = self.stage {
            self.link().routes.lane(lane).release(slot);
        }
        self.end();
    }
}

/// The error of a reply of the wrong kind.
#[cold]
pub(crate) fn unexpected(reply: &OwnedReply) -> Error {
    match reply {
        OwnedReply::Awaited => Error::new(ErrorCode::Internal, "a reply is missing"),
        other => other.unexpected().into(),
    }
}
