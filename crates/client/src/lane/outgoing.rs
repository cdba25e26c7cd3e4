//! The stream that a connection takes its frames from: whoever writes to the socket asks it for more, and it gives all
//! that has gathered by then.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use isogrid_proto::pb;
use isogrid_proto::trace::traces_to_pb;

use super::Lane;

/// The requests of one connection: first who we are, then frames.
#[derive(Debug)]
pub(crate) struct Outgoing {
    lane: Arc<Lane>,
    connection: u64,
    hello: Option<pb::Hello>,
}

impl Outgoing {
    /// Begins a connection of the lane.
    pub(crate) fn new(lane: Arc<Lane>, mut hello: pb::Hello) -> Self {
        let connection = lane.begin();
        hello.decides_traces = lane.shared.decides_traces;
        Self { lane, connection, hello: Some(hello) }
    }
}

impl Stream for Outgoing {
    type Item = pb::SessionRequest;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let outgoing = self.get_mut();
        if let Some(hello) = outgoing.hello.take() {
            let first = pb::SessionRequest { hello: Some(hello), ..pb::SessionRequest::default() };
            return Poll::Ready(Some(first));
        }
        let frame = outgoing.lane.take_frame(outgoing.connection, cx.waker());
        frame.map(|frame| {
            frame.map(|(frame, traces)| {
                let traces = traces_to_pb(&traces);
                pb::SessionRequest { frame, hello: None, traces }
            })
        })
    }
}
