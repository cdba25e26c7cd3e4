//! One client's stream of frames: a frame comes in, is executed where it arrived, and its replies go out. No task and no
//! queue stand in between, so a client that does not take its replies is not read from either.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use isogrid_core::{Error, ErrorCode, Result};
use isogrid_proto::frame::{FRAME_VERSION, ReplyWriter, RequestFrame};
use isogrid_proto::pb::{Hello, SessionReply, SessionRequest, Welcome};
use isogrid_proto::status::{error_to_pb, error_to_status};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, Streaming};
use tracing::{debug, warn};

use crate::connection::ConnectionState;
use crate::engine::{Batch, Deadline, Engine};
use crate::{VERSION, clock};

/// What a session needs of the node.
pub(crate) struct SessionHost {
    /// The data.
    pub(crate) engine: Arc<Engine>,
    /// The node's name.
    pub(crate) node_id: String,
    /// The cluster's name.
    pub(crate) cluster_id: String,
    /// How many cores serve connections.
    pub(crate) cores: usize,
}

/// A session, as the stream of its replies.
pub(crate) struct Session {
    host: Arc<SessionHost>,
    connection: Arc<ConnectionState>,
    requests: Streaming<SessionRequest>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    replies: ReplyWriter,
    phase: Phase,
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
        host: Arc<SessionHost>,
        connection: Arc<ConnectionState>,
        requests: Streaming<SessionRequest>,
        stopping: WaitForCancellationFutureOwned,
    ) -> Self {
        Self {
            host,
            connection,
            requests,
            stopping: Box::pin(stopping),
            replies: ReplyWriter::new(),
            phase: Phase::Greeting,
        }
    }

    fn answer(&mut self, request: SessionRequest) -> Result<SessionReply> {
        if self.phase == Phase::Greeting {
            let Some(hello) = request.hello else {
                let detail = "the first message of a session must be a hello";
                return Err(Error::new(ErrorCode::FrameMalformed, detail));
            };
            return self
                .welcome(&hello)
                .map(|welcome| SessionReply { welcome: Some(welcome), ..SessionReply::default() });
        }
        let frame = self.execute(&request.frame)?;
        Ok(SessionReply { frame, ..SessionReply::default() })
    }

    fn welcome(&mut self, hello: &Hello) -> Result<Welcome> {
        if hello.frame_version < u32::from(FRAME_VERSION) {
            let detail = format!(
                "the client speaks frame version {}, this node {FRAME_VERSION}",
                hello.frame_version
            );
            return Err(Error::new(ErrorCode::ProtocolUnknown, detail));
        }
        let (client, library) = (&hello.client_name, &hello.library);
        debug!(peer = %self.connection.peer, %client, %library, "session opened");
        self.phase = Phase::Open;
        let limits = self.host.engine.limits();
        Ok(Welcome {
            frame_version: u32::from(FRAME_VERSION),
            node_id: self.host.node_id.clone(),
            cluster_id: self.host.cluster_id.clone(),
            version: VERSION.to_owned(),
            partitions: u32::from(self.host.engine.partitions().get()),
            cores: self.host.cores as u32,
            core: self.connection.core as u32,
            table_version: self.host.engine.table_version().0,
            frame_bytes_max: limits.frame_bytes_max as u32,
            batch_ops_max: limits.batch_ops_max as u32,
            key_bytes_max: limits.key_bytes_max as u32,
            value_bytes_max: limits.value_bytes_max as u32,
            in_flight_ops_max: limits.in_flight_ops_max as u32,
        })
    }

    /// Executes a request frame and gives back its reply frame. An error means that the frame cannot be understood.
    fn execute(&mut self, bytes: &[u8]) -> Result<Bytes> {
        let engine = &*self.host.engine;
        let limits = engine.limits();
        if bytes.len() > limits.frame_bytes_max {
            let detail = format!("{} bytes, at most {}", bytes.len(), limits.frame_bytes_max);
            return Err(Error::new(ErrorCode::FrameTooLarge, detail));
        }
        let mut frame = RequestFrame::parse(bytes)?;
        if frame.ops > limits.batch_ops_max {
            let detail = format!("{} operations, at most {}", frame.ops, limits.batch_ops_max);
            return Err(Error::new(ErrorCode::BatchTooLarge, detail));
        }
        let deadline = Deadline::after_ms(frame.head.deadline_ms);
        let mut batch = Batch::new(engine, frame.maps.iter().copied(), frame.ops);
        for _ in 0..frame.ops {
            let (map, op, _options) = frame.next_op()?;
            batch.push(map, op);
        }
        frame.finish()?;
        let replies = &mut self.replies;
        engine.execute(self.connection.core, batch, deadline, |index, reply| {
            replies.put(index, reply)
        });
        Ok(replies.finish(frame.head.frame_id, engine.table_version()))
    }

    /// The last message of a session that ends because of an error.
    fn farewell(&mut self, error: &Error) -> SessionReply {
        self.phase = Phase::Ended;
        SessionReply { error: Some(error_to_pb(error)), ..SessionReply::default() }
    }
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
        let reply = match session.requests.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(request))) => session.answer(request),
            Poll::Ready(Some(Err(status))) => {
                debug!(peer = %session.connection.peer, %status, "session broken");
                session.phase = Phase::Ended;
                return Poll::Ready(Some(Err(receive_error(&status))));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {
                if session.stopping.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                Err(Error::new(ErrorCode::ShuttingDown, ""))
            }
        };
        let reply = reply.unwrap_or_else(|error| {
            if error.code() != ErrorCode::ShuttingDown {
                warn!(peer = %session.connection.peer, %error, "session ended");
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
