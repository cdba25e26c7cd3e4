//! Takes connections over HTTP and gives each what it may have: a deadline for its requests' heads, a bound of its bytes that wait to be
//! taken, and a place among those that there may be. Who comes when all places are taken is told so; probes and figures are served even
//! then.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use isogrid_core::{Error, ErrorCode, Limits};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::codegen::Service;
use tracing::{debug, warn};

use super::v1::failed;
use crate::clients::{Client, Clients, Did, Door, Metered};

/// How long a client may take for the head of a request, and how long a connection may be idle between two.
const HEAD_MAX: Duration = Duration::from_secs(15);

/// The longest head: a filter in the address has room.
const HEAD_BYTES_MAX: usize = 256 << 10;

/// How many connections beyond the limit are served just long enough to be told why they are refused, or to ask for health or figures.
const REFUSALS_MAX: usize = 64;

/// The pause after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the connections of the door share.
pub(super) struct HttpDoor {
    router: Router,
    clients: Arc<Clients>,
    connections_max: usize,
    stall_max: Duration,
    open: Arc<AtomicUsize>,
    stopping: CancellationToken,
}

impl HttpDoor {
    /// A door that opens to this.
    pub(super) fn new(
        router: Router,
        clients: Arc<Clients>,
        limits: &Limits,
        stopping: CancellationToken,
    ) -> Self {
        HttpDoor {
            router,
            clients,
            connections_max: limits.http_connections_max,
            stall_max: Duration::from_millis(limits.output_stall_ms),
            open: Arc::default(),
            stopping,
        }
    }

    /// Takes connections until the node stops.
    pub(super) async fn serve(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.place(socket, peer),
                Err(error) => {
                    warn!(%error, "cannot accept a connection over HTTP");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn place(&self, socket: TcpStream, peer: SocketAddr) {
        let place = Place::new(&self.open);
        let open = self.open.load(Ordering::Relaxed);
        if open > self.connections_max + REFUSALS_MAX {
            return warn!(%peer, open, "connection dropped: far too many over HTTP");
        }
        let is_refused = open > self.connections_max;
        if let Err(error) = socket.set_nodelay(true) {
            return debug!(%peer, %error, "connection was gone at once");
        }
        let client = self.clients.open(Door::Http, peer);
        let socket = Metered::new(socket, Arc::clone(&client), Some(self.stall_max));
        let serving = serve_one(
            (socket, place),
            Arc::clone(&client),
            (self.router.clone(), is_refused),
            self.stopping.clone(),
        );
        tokio::spawn(async move {
            tokio::select! {
                () = serving => {}
                () = client.until_ended() => {}
            }
        });
    }
}

/// Serves a connection until it ends.
async fn serve_one(
    (socket, place): (Metered, Place),
    client: Arc<Client>,
    (router, is_refused): (Router, bool),
    stopping: CancellationToken,
) {
    let place = Arc::new(place);
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        // A stream that has become a WebSocket outlives its connection here, and keeps its place.
        request.extensions_mut().insert(Arc::clone(&client));
        request.extensions_mut().insert(Arc::clone(&place));
        let mut router = router.clone();
        async move {
            let request = request.map(axum::body::Body::new);
            if is_refused && !is_for_probes(&request) {
                return Ok::<Response, Infallible>(too_many());
            }
            router.call(request).await
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).max_buf_size(HEAD_BYTES_MAX);
    builder.keep_alive(!is_refused);
    let serving = builder.serve_connection(TokioIo::new(socket), service).with_upgrades();
    tokio::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        debug!(peer = %client.address, %error, "a connection over HTTP broke");
    }
}

fn is_for_probes(request: &Request) -> bool {
    let path = request.uri().path();
    path == "/metrics" || path.starts_with("/health/")
}

fn too_many() -> Response {
    failed(&Error::new(ErrorCode::TooManyConnections, "over HTTP"))
}

/// A connection among those that there may be, while it lives.
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The client of a request, which now does this.
pub(super) fn client_of(request: &Request, did: Did) -> Option<Arc<Client>> {
    let client = request.extensions().get::<Arc<Client>>()?;
    client.introduces_once(|| {
        let agent = request.headers().get("user-agent")?.to_str().ok()?;
        Some(crate::clients::Who::of_library("", agent))
    });
    client.does(did);
    Some(Arc::clone(client))
}
