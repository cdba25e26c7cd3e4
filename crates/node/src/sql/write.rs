//! [`Writer`]: records that statements write, on their way to the owners of their partitions. Each batch goes in a session of this node's own,
//! in which every write has a number, so that one whose answer was lost is sent again and executed once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isogrid_core::{Error, ErrorCode, Op, Outcome, Receipt, Reply, Result, SessionId};
use isogrid_proto::frame::OpOptions;
use isogrid_query::{Change, Write, Written};
use parking_lot::Mutex;

use crate::engine::Deadline;
use crate::grpc::batch::{self, Destination, Typed};
use crate::node::Shared;

/// A session of which nothing was heard ends after a minute; one that lay idle for so long is not taken again.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// How long a session is waited for. Without one a write whose answer is lost is not sent again.
const SESSION_MAX: Duration = Duration::from_secs(1);

/// The pauses between tries.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// For the last try there has to be more time than this.
const LAST_TRY: Duration = Duration::from_millis(50);

/// Sends what statements write.
#[derive(Default)]
pub(super) struct Writer {
    /// Sessions that no batch uses.
    free: Mutex<VecDeque<Lease>>,
}

/// A session, while one batch uses it.
struct Lease {
    session: SessionId,
    /// The number of the next write.
    next: u64,
    used: Instant,
}

/// What is known of one write.
struct Known {
    answer: Option<Result<Written>>,
    /// Whether an earlier try may have done it.
    is_in_doubt: bool,
}

impl Writer {
    /// Writes records: what became of each, in their order.
    pub(super) async fn write(
        &self,
        (shared, core): (&Arc<Shared>, usize),
        (map, writes): (&str, &[Write]),
        patience: Duration,
    ) -> Vec<Result<Written>> {
        let until = Instant::now() + patience;
        let mut lease = self.lease(shared, patience).await;
        let tagged = |lease: &Lease, place: usize| {
            OpOptions::tagged(lease.next + place as u64, place as u16)
        };
        let options: Vec<OpOptions> = (0..writes.len())
            .map(|place| lease.as_ref().map_or(OpOptions::NONE, |lease| tagged(lease, place)))
            .collect();
        let limits = shared.engine.limits();
        // Before they stand in a frame, which has no room for a longer key.
        let refused = |write: &Write| {
            limits.check_key(&write.key).and_then(|()| limits.check_value(value(write))).err()
        };
        let mut known: Vec<Known> = writes
            .iter()
            .map(|write| Known { answer: refused(write).map(Err), is_in_doubt: false })
            .collect();
        let mut pause = PAUSE_MIN;
        loop {
            let left: Vec<usize> =
                (0..writes.len()).filter(|one| known[*one].answer.is_none()).collect();
            let ops: Vec<Typed<'_>> = left
                .iter()
                .map(|one| Typed { map, op: op(&writes[*one]), options: options[*one] })
                .collect();
            let patience = until.saturating_duration_since(Instant::now());
            let deadline = Deadline::after_ms((patience.as_millis() as u32).max(1));
            let session = lease.as_ref().map(|lease| lease.session);
            let to = Destination { session, ..Destination::new(&shared.relay, core, deadline) };
            let answers = batch::run(to, &ops, written).await;
            let answers = answers.unwrap_or_else(|error| vec![Err(error); left.len()]);
            let has_time = until.saturating_duration_since(Instant::now()) > pause + LAST_TRY;
            for (one, answer) in left.into_iter().zip(answers) {
                known[one].hear(answer, has_time, lease.is_some());
            }
            if known.iter().all(|one| one.answer.is_some()) {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        if let Some(lease) = &mut lease {
            lease.next += writes.len() as u64;
            lease.used = Instant::now();
        }
        let has_ended = |one: &Known| matches!(&one.answer, Some(Err(error)) if error.code() == ErrorCode::SessionEnded);
        // What is in doubt stays so: behind a later batch of the same session it is never executed.
        if let Some(lease) = lease.filter(|_| !known.iter().any(has_ended)) {
            self.free.lock().push_back(lease);
        }
        known.into_iter().map(Known::last).collect()
    }

    /// A session for one batch; `None` when the council gives none now.
    async fn lease(&self, shared: &Arc<Shared>, patience: Duration) -> Option<Lease> {
        {
            let mut free = self.free.lock();
            free.retain(|lease| lease.used.elapsed() < IDLE_MAX);
            if let Some(lease) = free.pop_back() {
                return Some(lease);
            }
        }
        let opening = shared.control.open_sessions(1);
        match tokio::time::timeout(SESSION_MAX.min(patience), opening).await {
            Ok(Ok(session)) => Some(Lease { session, next: 1, used: Instant::now() }),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a statement writes without a session");
                None
            }
            Err(_) => None,
        }
    }
}

impl Known {
    /// Takes an answer, unless another try is safe and may go better.
    fn hear(&mut self, answer: Result<Written>, has_time: bool, has_session: bool) {
        let answer = match answer {
            // Of an earlier try nobody can say any more that it did nothing.
            Err(error) if self.is_in_doubt && error.outcome() == Outcome::NotApplied => {
                Err(error.with_outcome(Outcome::Unknown))
            }
            other => other,
        };
        if let Err(error) = &answer {
            let is_unknown = error.outcome() == Outcome::Unknown;
            self.is_in_doubt |= is_unknown;
            if has_time && may_pass(error) && (has_session || !is_unknown) {
                return;
            }
        }
        self.answer = Some(answer);
    }

    fn last(self) -> Result<Written> {
        self.answer.unwrap_or_else(|| Err(Error::new(ErrorCode::Internal, "no answer to a write")))
    }
}

/// Whether another try may go well: the partition moves, loses its node, or has too few replicas for a moment.
fn may_pass(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::NoPrimary
            | ErrorCode::NotOwner
            | ErrorCode::NotReady
            | ErrorCode::OwnerUnreachable
            | ErrorCode::StillJoining
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::SessionFull
            | ErrorCode::ConnectionLost
            | ErrorCode::Deposed
            | ErrorCode::NotEnoughReplicasLeft
            | ErrorCode::ReplyTooLarge
    )
}

fn op(write: &Write) -> Op<'_> {
    let (key, condition) = (write.key.as_ref(), write.condition);
    match &write.change {
        Change::Put { value, expiry } => {
            Op::Put { key, value, condition, expiry: *expiry, return_old: false }
        }
        Change::Delete => Op::Delete { key, condition, return_old: false },
    }
}

fn value(write: &Write) -> &[u8] {
    match &write.change {
        Change::Put { value, .. } => value,
        Change::Delete => &[],
    }
}

/// What a reply says of a write.
fn written(reply: &Reply<'_>, _: Option<&Receipt>) -> Result<Written> {
    match reply {
        Reply::Written { version, .. } | Reply::Deleted { version, .. } => {
            Ok(Written::Done(version.0))
        }
        Reply::Missing | Reply::Conflict { current: None } => Ok(Written::Absent),
        Reply::Conflict { current: Some(_) } => Ok(Written::Other),
        Reply::Failed(error) => Err(error.clone()),
        _ => Err(Error::new(ErrorCode::Internal, "an answer that is none to a write")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(answers: &[Result<Written>], has_session: bool) -> Option<(ErrorCode, Outcome)> {
        let mut known = Known { answer: None, is_in_doubt: false };
        for (place, answer) in answers.iter().enumerate() {
            assert!(known.answer.is_none(), "the answer {} was final", place);
            known.hear(answer.clone(), place + 1 < answers.len(), has_session);
        }
        let error = known.last().err()?;
        Some((error.code(), error.outcome()))
    }

    #[test]
    fn what_may_have_been_done_is_never_said_not_to_have_been() {
        let failed = |code| Err(Error::new(code, ""));
        let (lost, full) = (ErrorCode::ConnectionLost, ErrorCode::MapFull);
        let deposed = [failed(ErrorCode::Deposed), failed(lost), failed(full)];
        assert_eq!(heard(&deposed, true), Some((full, Outcome::Unknown)));
        let moved = [failed(ErrorCode::NoPrimary), failed(full)];
        assert_eq!(heard(&moved, false), Some((full, Outcome::NotApplied)));
        assert_eq!(heard(&[failed(lost), Ok(Written::Done(7))], true), None, "it is known again");
    }

    #[test]
    fn without_a_session_what_may_have_been_done_is_not_sent_again() {
        let mut known = Known { answer: None, is_in_doubt: false };
        known.hear(Err(Error::new(ErrorCode::ConnectionLost, "")), true, false);
        let error = known.last().expect_err("that is final");
        assert_eq!(error.outcome(), Outcome::Unknown);
    }
}
