//! The door for parts of statements of other nodes. They run on the threads of statements, not on those that serve operations.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http_body_util::{BodyExt, StreamBody};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;

use crate::grpc::peer_client::cluster_text;
use crate::peers::Peers;

/// The header that says of which cluster a node is.
pub(super) const CLUSTER_KEY: &str = "isogrid-cluster";

/// How many frames of an answer wait for the connection.
const FRAMES_WAITING: usize = 4;

/// A service for nodes of this cluster, run on threads of its own.
#[derive(Clone)]
pub(super) struct Door<S> {
    inner: S,
    threads: Handle,
    peers: Arc<Peers>,
}

impl<S> Door<S> {
    pub(super) fn new(inner: S, threads: Handle, peers: Arc<Peers>) -> Self {
        Door { inner, threads, peers }
    }

    /// Refuses whoever is not of this cluster.
    fn check(&self, request: &http::Request<Body>) -> Result<(), Status> {
        let own = cluster_text(self.peers.cluster());
        let said = request.headers().get(CLUSTER_KEY).map(http::HeaderValue::as_bytes);
        if !own.is_empty() && said == Some(own.as_bytes()) && !self.peers.is_cut_off() {
            return Ok(());
        }
        Err(Status::permission_denied(
            "parts of statements come from nodes of the same cluster only",
        ))
    }
}

impl<S: NamedService> NamedService for Door<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Door<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if let Err(refused) = self.check(&request) {
            return Box::pin(async move { Ok(refused.into_http()) });
        }
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let threads = self.threads.clone();
        let answered = threads.spawn(async move { inner.call(request).await });
        Box::pin(async move {
            Ok(match answered.await {
                Ok(Ok(response)) => response.map(|body| elsewhere(body, &threads)),
                Ok(Err(never)) => match never {},
                Err(_) => Status::internal("a part of a statement panicked").into_http(),
            })
        })
    }
}

/// An answer whose frames are made on these threads.
fn elsewhere(body: Body, threads: &Handle) -> Body {
    let (sender, receiver) = mpsc::channel(FRAMES_WAITING);
    threads.spawn(async move {
        let mut body = pin!(body);
        loop {
            tokio::select! {
                () = sender.closed() => return,
                frame = body.frame() => match frame {
                    Some(frame) => if sender.send(frame).await.is_err() { return },
                    None => return,
                },
            }
        }
    });
    Body::new(StreamBody::new(ReceiverStream::new(receiver)))
}
