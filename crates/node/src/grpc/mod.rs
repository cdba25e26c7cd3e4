//! The services of a node over gRPC: data, admin, health, reflection. The only part of the node that knows the generated
//! types; each service is one file.

pub(crate) mod admin;
mod aggregate;
pub(crate) mod batch;
mod data;
pub(crate) mod gather;
pub(crate) mod maps;
mod outbox;
pub(crate) mod peer;
pub(crate) mod peer_client;
pub(crate) mod recovering;
mod session;
#[cfg(feature = "sql")]
pub(crate) mod sql;
mod topology;
mod watch;

pub(crate) use watch::LIVE_WATCHES_MAX;

use std::sync::Arc;
use std::time::Duration;

use isogrid_proto::pb;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::clients::{Did, Who};
use crate::connection::Connection;
use crate::node::Shared;
use crate::peers::message::PeerHandler;

/// The flow-control window of one stream: large enough that a full frame and its replies never wait for an update.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// The flow-control window of one connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// How many calls one connection may have under way; further ones wait in the client. It bounds the replies that a client
/// can ask for and not take.
const STREAMS_PER_CONNECTION_MAX: u32 = 128;

/// The largest HTTP/2 frame: fewer, larger frames cost less for each operation.
const HTTP2_FRAME_BYTES_MAX: u32 = 1 << 20;

/// How often an idle connection is asked whether its client lives, and how long the client has to answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Room for the envelope around a frame.
const ENVELOPE_BYTES: usize = 1_024;

/// The services that all cores share: admin, health, and reflection in both versions that tools ask for. Made once, because
/// the descriptors take some memory.
pub(crate) fn shared_services(shared: &Arc<Shared>, stopping: &CancellationToken) -> Routes {
    let admin = admin::AdminService::new(Arc::clone(shared), stopping.clone());
    let admin = pb::admin_server::AdminServer::new(admin);
    let (health, health_service) = tonic_health::server::health_reporter();
    futures::executor::block_on(
        health.set_serving::<pb::grid_server::GridServer<data::DataService>>(),
    );
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let good = "the descriptors were compiled with the code";
    Routes::new(admin)
        .add_service(health_service)
        .add_service(reflection().build_v1().expect(good))
        .add_service(reflection().build_v1alpha().expect(good))
}

/// The same, and statements.
#[cfg(feature = "sql")]
pub(crate) fn with_sql(services: Routes, statements: &Arc<crate::sql::Statements>) -> Routes {
    statements.add_door(services.add_service(sql::SqlService::server(statements)))
}

/// What a core serves beside data: the services that all share, and the door for other nodes.
pub(crate) struct Doors {
    pub(crate) services: Routes,
    pub(crate) handler: Arc<dyn PeerHandler>,
}

/// Serves the connections of one core until the node stops.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    doors: Doors,
    core: usize,
    connections: impl Stream<Item = std::io::Result<Connection>>,
    stopping: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let message_bytes_max = shared.engine.limits().frame_bytes_max + ENVELOPE_BYTES;
    let peers = Arc::clone(&shared.peers);
    let peer = peer::PeerService::server(peers, doors.handler, core, stopping.clone());
    let data = data::DataService::new(shared, core, stopping.clone());
    let grid = pb::grid_server::GridServer::new(data)
        .max_decoding_message_size(message_bytes_max)
        .max_encoding_message_size(usize::MAX);
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(HTTP2_FRAME_BYTES_MAX)
        .max_concurrent_streams(Some(STREAMS_PER_CONNECTION_MAX))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_pending_accept_reset_streams(Some(1_024))
        .add_routes(doors.services.add_service(grid).add_service(peer))
        .serve_with_incoming_shutdown(connections, stopping.cancelled_owned())
        .await
}

/// The connection a request came over, unless it was one too many. `did`: what it asks for.
fn admitted<T>(
    request: &tonic::Request<T>,
    did: Did,
) -> Result<Arc<crate::connection::ConnectionState>, Status> {
    let connection = request
        .extensions()
        .get::<Arc<crate::connection::ConnectionState>>()
        .cloned()
        .ok_or_else(|| Status::internal("a request without a connection"))?;
    connection.check_admitted().map_err(|error| isogrid_proto::status::error_to_status(&error))?;
    connection.client.introduces_once(|| {
        let agent = request.metadata().get("user-agent")?.to_str().ok()?;
        Some(Who::of_library("", agent))
    });
    connection.client.does(did);
    Ok(connection)
}
