//! One client's stream of frames: a frame comes in, is executed where it arrived, and the replies that are known at once go
//! out; the others follow when they are known. No task and no queue stand in between, so a client that does not take its
//! replies is not read from either, nor one that has as many operations waiting as it may.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use isogrid_core::{Error, ErrorCode, Reply, Result, TableVersion, Traces};
use isogrid_proto::frame::{FRAME_VERSION, ReplyWriter, RequestFrame};
use isogrid_proto::pb::{Hello, SessionReply, SessionRequest, Welcome};
use isogrid_proto::status::{error_to_pb, error_to_status};
use isogrid_proto::trace::traces_from_pb;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, Streaming};
use tracing::{debug, warn};

use super::maps::Wanted;
use super::outbox::{FrameLate, Outbox, put};
use super::topology;
use crate::clients::{Did, InFlight, Who};
use crate::connection::ConnectionState;
use crate::doors::Entered;
use crate::engine::{Batch, Deadline, Engine, Late};
use crate::node::Shared;
use crate::relay::NO_WORD;
use crate::{VERSION, clock};

/// A session, as the stream of its replies.
pub(crate) struct Session {
    shared: Arc<Shared>,
    connection: Arc<ConnectionState>,
    requests: Streaming<SessionRequest>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    replies: ReplyWriter,
    outbox: Arc<Outbox>,
    /// A frame that names maps this node did not know, until it does.
    parked: Option<(Bytes, Traces, BoxFuture<'static, Result<()>>)>,
    phase: Phase,
    /// Whether the client itself says which operations are traced.
    decides_traces: bool,
    /// Once the client has said hello.
    opened: Option<Entered>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The client has not said hello yet.
    Greeting,
    /// Frames go back and forth.
    Open,
    /// The last message was sent.
    Ended,
}

impl Session {
    /// A session over a client's stream of requests. It ends by itself when `stopping` does.
    pub(crate) fn new(
        shared: Arc<Shared>,
        connection: Arc<ConnectionState>,
        requests: Streaming<SessionRequest>,
        stopping: WaitForCancellationFutureOwned,
    ) -> Self {
        let outbox = Arc::new(Outbox::new(connection.peer()));
        Self {
            shared,
            connection,
            requests,
            stopping: Box::pin(stopping),
            replies: ReplyWriter::new(),
            outbox,
            parked: None,
            phase: Phase::Greeting,
            decides_traces: false,
            opened: None,
        }
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// What there is to say at once to a message of the client.
    fn answer(&mut self, request: SessionRequest) -> Result<Option<SessionReply>> {
        if self.phase == Phase::Greeting {
            let Some(hello) = request.hello else {
                let detail = "the first message of a session must be a hello";
                return Err(Error::new(ErrorCode::FrameMalformed, detail));
            };
            let welcome = self.welcome(&hello)?;
            return Ok(Some(SessionReply { welcome: Some(welcome), ..SessionReply::default() }));
        }
        let limits = self.engine().limits();
        if request.frame.len() > limits.frame_bytes_max {
            let detail =
                format!("{} bytes, at most {}", request.frame.len(), limits.frame_bytes_max);
            return Err(Error::new(ErrorCode::FrameTooLarge, detail));
        }
        let traces = traces_from_pb(&request.traces);
        if let Some(wanted) = Wanted::of_frame(self.engine(), &request.frame)? {
            let found = self.shared.relay.maps.provide(wanted);
            self.parked = Some((request.frame, traces, found));
            return Ok(None);
        }
        self.execute(&request.frame, traces)
    }

    fn welcome(&mut self, hello: &Hello) -> Result<Welcome> {
        if hello.frame_version < u32::from(FRAME_VERSION) {
            let detail = format!(
                "the client speaks frame version {}, this node {FRAME_VERSION}",
                hello.frame_version
            );
            return Err(Error::new(ErrorCode::ProtocolUnknown, detail));
        }
        let Some(partitions) = self.engine().partitions() else {
            let detail = "the node has not joined its cluster yet";
            return Err(Error::new(ErrorCode::NotReady, detail));
        };
        let (client, library) = (&hello.client_name, &hello.library);
        debug!(peer = %self.connection.peer(), %client, %library, "session opened");
        self.connection.client.introduces(Who::of_library(client, library));
        let session: Weak<dyn InFlight> = Arc::<Outbox>::downgrade(&self.outbox);
        self.connection.client.add_session(session);
        self.phase = Phase::Open;
        self.decides_traces = hello.decides_traces;
        self.opened = Some(self.shared.doors.sessions.enter());
        let limits = self.engine().limits();
        let view = self.engine().view();
        Ok(Welcome {
            frame_version: u32::from(FRAME_VERSION),
            node_id: self.shared.node_id.to_string(),
            cluster_id: view
                .cluster
                .as_ref()
                .map(|cluster| topology::id(cluster.id))
                .unwrap_or_default(),
            version: VERSION.to_owned(),
            partitions: u32::from(partitions.get()),
            cores: self.shared.cores as u32,
            core: self.connection.core as u32,
            table_version: self.engine().table_version().0,
            frame_bytes_max: limits.frame_bytes_max as u32,
            batch_ops_max: limits.batch_ops_max as u32,
            key_bytes_max: limits.key_bytes_max as u32,
            value_bytes_max: limits.value_bytes_max as u32,
            in_flight_ops_max: limits.in_flight_ops_max as u32,
        })
    }

    /// Executes a request frame and gives back what can be answered at once. An error means that the frame cannot be
    /// understood.
    fn execute(&mut self, bytes: &Bytes, mut traces: Traces) -> Result<Option<SessionReply>> {
        let engine = Arc::clone(self.engine());
        let limits = engine.limits();
        let mut frame = RequestFrame::parse(bytes)?;
        if frame.ops > limits.batch_ops_max {
            let detail = format!("{} operations, at most {}", frame.ops, limits.batch_ops_max);
            return Err(Error::new(ErrorCode::BatchTooLarge, detail));
        }
        let head = frame.head;
        if !self.decides_traces && traces.is_empty() {
            traces = engine.tracer().sample(frame.ops);
        }
        if head.is_gateway && frame.ops > 0 {
            self.connection.client.did(Did::Batch);
            self.forward_frame(head.frame_id, frame.ops, (bytes.clone(), traces));
            return Ok(None);
        }
        let deadline = Deadline::after_ms(head.deadline_ms);
        let mut batch = Batch::new(&engine, head, frame.maps.iter().copied(), frame.ops);
        let mut did = Did::Nothing;
        for _ in 0..frame.ops {
            let (map, op, options) = frame.next_op()?;
            did = Did::of(&op);
            batch.push(map, op, options);
        }
        frame.finish()?;
        let batch = batch.traced(traces);
        self.connection.client.did(did);
        let outbox = &self.outbox;
        let late = || -> Arc<dyn Late> {
            Arc::new(FrameLate { outbox: Arc::clone(outbox), frame_id: head.frame_id })
        };
        let replies = &mut self.replies;
        let mut is_owner = true;
        let core = self.connection.core;
        // It knows no more than who asks, and may not hear who leads by now.
        let is_lost =
            || head.table_version >= engine.table_version() && self.shared.control.is_cut_off();
        let waiting = engine.execute(core, batch, deadline, &late, |index, reply, receipt| {
            if let Reply::Failed(error) = reply
                && error.code() == ErrorCode::NotOwner
            {
                is_owner = false;
                if is_lost() {
                    let alone = Error::new(ErrorCode::CutOff, NO_WORD);
                    return put(replies, index, &Reply::Failed(alone), None);
                }
            }
            put(replies, index, reply, receipt)
        });
        self.outbox.expect(waiting);
        let has_none = self.replies.is_empty() && waiting > 0;
        Ok((!has_none).then(|| {
            let frame = self.replies.finish(head.frame_id, engine.table_version(), engine.clock());
            let table = if is_owner { Bytes::new() } else { self.newer_table(head.table_version) };
            SessionReply { frame, table, ..SessionReply::default() }
        }))
    }

    /// Brings the operations of a frame to their owners; all its answers come late.
    fn forward_frame(&self, frame_id: u32, ops: usize, (frame, traces): (Bytes, Traces)) {
        self.outbox.expect(ops);
        let late: Arc<dyn Late> =
            Arc::new(FrameLate { outbox: Arc::clone(&self.outbox), frame_id });
        let (relay, core) = (Arc::clone(&self.shared.relay), self.connection.core);
        // It ends with the frame's deadline, whether its session still lives or not: what it wrote was written.
        tokio::spawn(async move {
            if let Err(error) = relay.run(core, &frame, traces, Arc::clone(&late)).await {
                for index in 0..ops {
                    late.answer(index, &Reply::Failed(error.clone()), None);
                }
            }
        });
    }

    /// The changes of the table that a client lacks that asked the wrong node.
    fn newer_table(&self, known: TableVersion) -> Bytes {
        let view = self.engine().view();
        if view.table.version() <= known {
            return Bytes::new();
        }
        topology::pack(&view.table.delta_since(known))
    }

    /// The next late replies.
    fn late(&mut self, context: &Context<'_>) -> Option<SessionReply> {
        let (frame_id, mut writer) = self.outbox.next(context)?;
        let frame = writer.finish(frame_id, self.engine().table_version(), self.engine().clock());
        Some(SessionReply { frame, ..SessionReply::default() })
    }

    /// The last message of a session that ends because of an error.
    fn farewell(&mut self, error: &Error) -> SessionReply {
        self.phase = Phase::Ended;
        SessionReply { error: Some(error_to_pb(error)), ..SessionReply::default() }
    }

    /// Whether the client has as many operations waiting as it may.
    fn is_full(&self) -> bool {
        self.outbox.waiting() >= self.engine().limits().in_flight_ops_max as i64
    }

    /// What there is to say next, or why nothing more will be said.
    fn next_reply(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        loop {
            if let Some(reply) = self.late(context) {
                return Poll::Ready(Next::Reply(Ok(Box::new(reply))));
            }
            if let Some((frame, traces, found)) = &mut self.parked {
                let Poll::Ready(found) = found.as_mut().poll(context) else { break };
                let (frame, traces) = (std::mem::take(frame), std::mem::take(traces));
                self.parked = None;
                match found.and_then(|()| self.execute(&frame, traces)) {
                    Ok(Some(reply)) => return Poll::Ready(Next::Reply(Ok(Box::new(reply)))),
                    Ok(None) => continue,
                    Err(error) => return Poll::Ready(Next::Reply(Err(error))),
                }
            }
            if self.is_full() {
                break;
            }
            match self.requests.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(request))) => match self.answer(request) {
                    Ok(Some(reply)) => return Poll::Ready(Next::Reply(Ok(Box::new(reply)))),
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Next::Reply(Err(error))),
                },
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Next::Broken(status)),
                Poll::Ready(None) => return Poll::Ready(Next::End),
                Poll::Pending => break,
            }
        }
        match self.stopping.as_mut().poll(context) {
            Poll::Ready(()) => {
                Poll::Ready(Next::Reply(Err(Error::new(ErrorCode::ShuttingDown, ""))))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// What a session does next.
enum Next {
    Reply(Result<Box<SessionReply>>),
    Broken(Status),
    End,
}

impl Drop for Session {
    /// A session that is given up waits for nobody: its connection may live on.
    fn drop(&mut self) {
        self.connection.reply_taken();
    }
}

impl Stream for Session {
    type Item = Result<SessionReply, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let session = &mut *self;
        session.connection.reply_taken();
        if session.phase == Phase::Ended {
            return Poll::Ready(None);
        }
        let reply = match session.next_reply(context) {
            Poll::Ready(Next::Reply(reply)) => reply,
            Poll::Ready(Next::Broken(status)) => {
                debug!(peer = %session.connection.peer(), %status, "session broken");
                session.phase = Phase::Ended;
                return Poll::Ready(Some(Err(receive_error(&status))));
            }
            Poll::Ready(Next::End) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        };
        let reply = reply.map(|reply| *reply).unwrap_or_else(|error| {
            if !matches!(error.code(), ErrorCode::ShuttingDown | ErrorCode::NotReady) {
                warn!(peer = %session.connection.peer(), %error, "session ended");
            }
            session.farewell(&error)
        });
        session.connection.reply_handed_out(clock::now());
        Poll::Ready(Some(Ok(reply)))
    }
}

/// What a client is told when its message could not be received: one too large has a number of its own.
fn receive_error(status: &Status) -> Status {
    match status.code() {
        tonic::Code::OutOfRange => {
            error_to_status(&Error::new(ErrorCode::FrameTooLarge, status.message()))
        }
        _ => status.clone(),
    }
}
