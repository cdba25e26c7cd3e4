//! [`Call`]: one operation from the first poll to its reply, with its retries. One state machine for all operations; what
//! differs is how the reply is read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use isogrid_core::{ErrorCode, Op, limits};
use tokio::time::Sleep;
use tracing::Span;

use crate::attempts::Attempts;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::lane::{Answer, Lane, Operations, OwnedReply, Room, SlotKey};
use crate::link::Link;
use crate::prepared::Prepared;
use crate::span;

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
    fn each(&self, mut show: impl FnMut(u32, &Arc<str>, &Op<'_>, usize)) {
        show(0, self.map, &self.prepared.op(), self.prepared.bytes());
    }
}

#[derive(Debug)]
enum Stage<'a> {
    /// Not sent, or not sent again yet.
    New,
    /// Refused before it began.
    Rejected(Error),
    /// On a lane.
    Waiting { lane: &'a Lane, slot: SlotKey },
    /// Waiting before the next attempt.
    Pausing(Pin<Box<Sleep>>),
    /// Answered.
    Done,
}

/// One operation under way.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) map: &'a MapTarget,
    pub(crate) prepared: Prepared<'a>,
    timeout: Option<Duration>,
    deadline_ms: u64,
    stage: Stage<'a>,
    attempts: Option<Box<Attempts>>,
    span: Option<Box<Span>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(map: &'a MapTarget, prepared: Prepared<'a>) -> Self {
        Self {
            map,
            prepared,
            timeout: None,
            deadline_ms: 0,
            stage: Stage::New,
            attempts: None,
            span: None,
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
        if self.span.is_some() {
            return self.poll_in_span(cx);
        }
        self.poll_steps(cx)
    }

    #[cold]
    fn poll_in_span(&mut self, cx: &mut Context<'_>) -> Poll<Result<OwnedReply>> {
        let Some(span) = self.span.take() else { return self.poll_steps(cx) };
        let polled = span.in_scope(|| self.poll_steps(cx));
        match &polled {
            Poll::Pending => self.span = Some(span),
            Poll::Ready(Err(error)) => span::failed(&span, error),
            Poll::Ready(Ok(_)) => {}
        }
        polled
    }

    #[inline]
    fn poll_steps(&mut self, cx: &mut Context<'_>) -> Poll<Result<OwnedReply>> {
        loop {
            match &mut self.stage {
                Stage::New => {
                    self.submit(cx)?;
                    return Poll::Pending;
                }
                Stage::Waiting { lane, slot } => {
                    let single = Single { map: &self.map.name, prepared: &self.prepared };
                    let lane: &'a Lane = lane;
                    let answer = ready!(lane.poll(*slot, &single, cx));
                    self.stage = Stage::Done;
                    match answer {
                        Answer::One(OwnedReply::Failed(error)) => self.pause(error, lane)?,
                        Answer::One(reply) => return Poll::Ready(Ok(reply)),
                        Answer::Many(_) => unreachable!("one operation has one reply"),
                    }
                }
                Stage::Pausing(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
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

    /// Puts the operation on its lane.
    #[inline]
    fn submit(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let link = self.link();
        let routes = &link.routes;
        match &self.attempts {
            None => {
                // The stage stays `Done` when something here fails.
                self.stage = Stage::Done;
                self.map.check_name()?;
                self.prepared.check(&routes.limits())?;
                let timeout = self.timeout.unwrap_or(link.settings.request_timeout);
                self.deadline_ms = link.clock.deadline(timeout);
                self.span = span::of(self.prepared.name(), &self.map.name, 1);
            }
            Some(attempts) => self.deadline_ms = attempts.deadline_ms(link),
        }
        let lane = routes.lane_for(&self.prepared);
        let single = Single { map: &self.map.name, prepared: &self.prepared };
        let slot = lane.submit(&single, self.deadline_ms, cx.waker())?;
        self.stage = Stage::Waiting { lane, slot };
        Ok(())
    }

    /// After a failure: a pause before the next attempt, or the error that ends the call.
    #[cold]
    fn pause(&mut self, error: isogrid_core::Error, lane: &Lane) -> Result<()> {
        let link = self.link();
        let is_read = self.prepared.op().is_read();
        let deadline_ms = self.deadline_ms;
        let attempts =
            self.attempts.get_or_insert_with(|| Box::new(Attempts::new(link, deadline_ms)));
        attempts.count();
        let error = attempts.error(error, lane, is_read);
        attempts.allow(link, error, is_read)?;
        self.stage = Stage::Pausing(Box::pin(tokio::time::sleep(attempts.pause(link))));
        Ok(())
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Stage::Waiting { lane, slot } = &self.stage {
            lane.release(*slot);
        }
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
