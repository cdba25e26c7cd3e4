//! Typed operations: they become a frame, which finds its way as any other does, and typed replies again.

use std::sync::Arc;

use isogrid_core::{Error, ErrorCode, Op, Outcome, Receipt, Reply, Result, SessionId, TraceParent};
use isogrid_proto::frame::{FrameHead, OpOptions, RequestWriter};
use isogrid_proto::operation::{op_from_pb, options_from_pb, receipt_to_pb, reply_to_pb};
use isogrid_proto::pb;
use isogrid_proto::status::error_to_pb;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tonic::Request;

use crate::engine::{Deadline, Late};
use crate::relay::{Relay, reply_bytes};
use crate::traces;

/// How long a call may take whose client set no deadline, in milliseconds.
const DEFAULT_DEADLINE_MS: u64 = 10_000;

/// An operation on its way.
pub(crate) struct Typed<'a> {
    pub(crate) map: &'a str,
    pub(crate) op: Op<'a>,
    pub(crate) options: OpOptions,
}

impl<'a> Typed<'a> {
    /// Nothing special is asked.
    pub(crate) fn plain(map: &'a str, op: Op<'a>) -> Self {
        Typed { map, op, options: OpOptions::NONE }
    }
}

/// Executes typed operations and gives back their replies in the same order.
pub(crate) async fn execute(
    mut to: Destination<'_>,
    operations: &[pb::Operation],
) -> Result<Vec<pb::OperationReply>> {
    let limits = to.relay.engine.limits();
    if operations.len() > limits.batch_ops_max {
        let detail = format!("{} operations, at most {}", operations.len(), limits.batch_ops_max);
        return Err(Error::new(ErrorCode::BatchTooLarge, detail));
    }
    let mut replies = vec![pb::OperationReply::default(); operations.len()];
    // An operation that cannot be read is answered here; the others go on, each remembering its place.
    let mut places = Vec::with_capacity(operations.len());
    let mut readable = Vec::with_capacity(operations.len());
    for (place, operation) in operations.iter().enumerate() {
        match read(operation, &mut to.session) {
            Ok(typed) => {
                places.push(place);
                readable.push(typed);
            }
            Err(error) => replies[place] = failed(&error),
        }
    }
    let answers = run(to, &readable, answer_to_pb).await?;
    for (place, answer) in places.into_iter().zip(answers) {
        replies[place] = answer;
    }
    Ok(replies)
}

/// Reads one typed operation. All of a batch that have request numbers are of one session.
fn read<'a>(operation: &'a pb::Operation, session: &mut Option<SessionId>) -> Result<Typed<'a>> {
    let (map, op) = op_from_pb(operation)?;
    isogrid_core::limits::check_map_name(map)?;
    let typed = options_from_pb(operation)?;
    if typed.session.is_some() && session.is_some() && typed.session != *session {
        let detail = "the request ids of one batch are of different sessions";
        return Err(Error::new(ErrorCode::RequestIncomplete, detail));
    }
    *session = session.or(typed.session);
    Ok(Typed { map, op, options: typed.options })
}

fn answer_to_pb(reply: &Reply<'_>, receipt: Option<&Receipt>) -> pb::OperationReply {
    let mut answer = reply_to_pb(reply);
    answer.receipt = receipt.map(receipt_to_pb);
    answer
}

/// Whence operations go, and until when.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'a> {
    pub(crate) relay: &'a Relay,
    pub(crate) core: usize,
    pub(crate) session: Option<SessionId>,
    pub(crate) deadline: Deadline,
    /// The trace that they belong to.
    pub(crate) parent: &'a TraceParent,
}

/// Of what the node does for itself.
const NOT_TRACED: &TraceParent = &TraceParent::NotSampled;

impl<'a> Destination<'a> {
    /// Operations without a session and a trace.
    pub(crate) fn new(relay: &'a Relay, core: usize, deadline: Deadline) -> Self {
        Destination { relay, core, session: None, deadline, parent: NOT_TRACED }
    }

    /// The same, within a trace.
    pub(crate) fn within(self, parent: &'a TraceParent) -> Self {
        Destination { parent, ..self }
    }
}

/// The trace that a call belongs to.
pub(crate) fn parent_of<T>(request: &Request<T>) -> TraceParent {
    let header = |name: &str| request.metadata().get(name)?.to_str().ok();
    traces::parent_of(header)
}

/// Brings operations to their owners and makes something of each answer.
pub(crate) async fn run<T: Send + 'static>(
    to: Destination<'_>,
    operations: &[Typed<'_>],
    convert: fn(&Reply<'_>, Option<&Receipt>) -> T,
) -> Result<Vec<T>> {
    let Destination { relay, core, session, deadline, parent } = to;
    if operations.is_empty() {
        return Ok(Vec::new());
    }
    let mut writer = RequestWriter::new();
    for typed in operations {
        if !writer.push_with(&Arc::from(typed.map), &typed.op, &typed.options) {
            let detail = "more maps than one batch can name";
            return Err(Error::new(ErrorCode::BatchTooLarge, detail));
        }
    }
    let deadline_ms =
        deadline.left_ms().unwrap_or(DEFAULT_DEADLINE_MS).clamp(1, u64::from(u32::MAX));
    // A caller of single calls brings no clock: behind what it saw at this node it comes.
    let clock = relay.engine.clock();
    let deadline_ms = deadline_ms as u32;
    let head = FrameHead { deadline_ms, session, clock, ..FrameHead::default() };
    let frame = writer.finish(&head);
    let gathered = Arc::new(Gathered {
        convert,
        bytes_max: relay.engine.limits().frame_bytes_max,
        state: Mutex::new(Gathering {
            answers: operations.iter().map(|_| None).collect(),
            left: operations.len(),
            bytes: 0,
        }),
        done: Notify::new(),
    });
    let traces = relay.engine.tracer().of_call(parent, operations.len());
    relay.run(core, &frame, traces, Arc::clone(&gathered) as Arc<dyn Late>).await?;
    Ok(gathered.all().await)
}

/// Gathers the answers to all operations.
struct Gathered<T> {
    convert: fn(&Reply<'_>, Option<&Receipt>) -> T,
    bytes_max: usize,
    state: Mutex<Gathering<T>>,
    done: Notify,
}

struct Gathering<T> {
    answers: Vec<Option<T>>,
    left: usize,
    bytes: usize,
}

impl<T: Send> Late for Gathered<T> {
    fn answer(&self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>) {
        let mut state = self.state.lock();
        state.bytes += reply_bytes(reply);
        let answer = if state.bytes > self.bytes_max && state.left < state.answers.len() {
            // What was written was written; only its answer does not fit.
            let outcome = if receipt.is_some() { Outcome::Applied } else { Outcome::NotApplied };
            let full = Error::new(ErrorCode::ReplyTooLarge, "").with_outcome(outcome);
            (self.convert)(&Reply::Failed(full), None)
        } else {
            (self.convert)(reply, receipt)
        };
        if state.answers[index].replace(answer).is_none() {
            state.left -= 1;
        }
        if state.left == 0 {
            self.done.notify_one();
        }
    }
}

impl<T> Gathered<T> {
    async fn all(&self) -> Vec<T> {
        while self.state.lock().left > 0 {
            self.done.notified().await;
        }
        let answers = std::mem::take(&mut self.state.lock().answers);
        answers.into_iter().map(|answer| answer.expect("none is left")).collect()
    }
}

/// The reply of an operation that failed.
fn failed(error: &Error) -> pb::OperationReply {
    pb::OperationReply {
        reply: Some(pb::operation_reply::Reply::Error(error_to_pb(error))),
        ..pb::OperationReply::default()
    }
}
