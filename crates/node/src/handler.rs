//! What other nodes say, on its way to whom it is for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use isogrid_core::{Error, NodeId, Replica, Traces};

use crate::control::Control;
use crate::engine::{Engine, Wire};
use crate::node::Shared;
use crate::peers::Peers;
use crate::peers::message::{AskFailed, AskKind, LinkMessage, PeerHandler};
use crate::relay::{Asker, Relay, Unanswered};
use isogrid_council::{CallFailed, CouncilService, RaftTransport};

/// The core whose share forwarded operations count to: questions arrive on any.
const CORE: usize = 0;

/// Hands on what other nodes say.
pub(crate) struct Handler {
    pub(crate) engine: Arc<Engine>,
    pub(crate) control: Arc<Control>,
    pub(crate) council: Arc<CouncilService>,
    pub(crate) relay: Arc<Relay>,
    pub(crate) shared: Arc<Shared>,
}

#[tonic::async_trait]
impl PeerHandler for Handler {
    fn receive(&self, core: usize, from: &Replica, batch: Vec<LinkMessage>) {
        for message in &batch {
            if let LinkMessage::News(news) = message {
                self.control.hear_news(&from.node, news);
            }
        }
        self.engine.receive(core, from, batch);
    }

    async fn ask(&self, from: &Replica, kind: AskKind, body: Bytes) -> Result<Bytes, Error> {
        match kind {
            AskKind::Raft => self.council.handle(&from.node, body).await,
            AskKind::Status => self.shared.answer_status(&body).await,
            AskKind::Clients => self.shared.answer_clients(&body),
            AskKind::Forward => self.forward(from, body, Traces::default()).await,
            _ => self.control.answer(&from.node, kind, &body).await,
        }
    }

    async fn forward(&self, _from: &Replica, frame: Bytes, traces: Traces) -> Result<Bytes, Error> {
        self.relay.serve(CORE, &frame, traces).await
    }
}

impl Wire for Peers {
    fn send(&self, core: usize, to: &NodeId, message: LinkMessage) {
        Peers::send(self, core, to, &message);
    }

    fn flush(&self, core: usize) {
        Peers::flush(self, core);
    }
}

/// Questions, for whoever keeps them longer than a call.
pub(crate) struct Questions(pub(crate) Arc<Peers>);

impl Asker for Questions {
    fn forward(
        &self,
        to: NodeId,
        frame: Bytes,
        traces: Traces,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Bytes, Unanswered>> {
        let peers = Arc::clone(&self.0);
        Box::pin(async move {
            let body = (frame, traces);
            let answer = peers.ask_traced(&to, AskKind::Forward, body, timeout).await;
            answer.map_err(|failed| match failed {
                AskFailed::Unreachable(_) => Unanswered::NotSent,
                AskFailed::Refused(_) | AskFailed::Unknown(_) => Unanswered::Unknown,
            })
        })
    }
}

impl RaftTransport for Questions {
    fn call<'a>(
        &'a self,
        to: &'a NodeId,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Bytes, CallFailed>> {
        Box::pin(async move {
            let answer = self.0.ask(to, AskKind::Raft, body, timeout).await;
            answer.map_err(|failed| match failed {
                AskFailed::Unreachable(why) => CallFailed::Unreachable(why),
                _ => CallFailed::TimedOut,
            })
        })
    }
}
