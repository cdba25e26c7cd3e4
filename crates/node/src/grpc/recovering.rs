//! The services of a node that reads its data back from disk: its status, and health. Every other call, whichever it is, is
//! refused with an error that says to try again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use isogrid_proto::pb;
use isogrid_proto::status::error_to_status;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_prost::ProstCodec;

use super::data::DataService;
use super::{
    HTTP2_FRAME_BYTES_MAX, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, STREAMS_PER_CONNECTION_MAX,
};
use crate::VERSION;
use crate::connection::Connection;
use crate::recovering::Recovering;

/// The one call that is answered.
const STATUS: &str = "/isogrid.v1.Admin/Status";

/// What is told, and how many connections are open.
#[derive(Clone)]
struct Teller(Arc<Recovering>, Arc<AtomicUsize>);

/// Serves connections until the node has its data.
pub(crate) async fn serve(
    (recovering, open): (Arc<Recovering>, Arc<AtomicUsize>),
    connections: impl Stream<Item = std::io::Result<Connection>>,
    closing: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_not_serving::<pb::grid_server::GridServer<DataService>>().await;
    let router = Router::new()
        .route(STATUS, post(tell))
        .fallback(refuse)
        .with_state(Teller(recovering, open));
    Server::builder()
        .max_frame_size(HTTP2_FRAME_BYTES_MAX)
        .max_concurrent_streams(Some(STREAMS_PER_CONNECTION_MAX))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_routes(Routes::from(router).add_service(health_service))
        .serve_with_incoming_shutdown(connections, closing.cancelled_owned())
        .await
}

async fn tell(State(teller): State<Teller>, request: Request) -> Response<Body> {
    let codec = ProstCodec::<pb::StatusReply, pb::StatusRequest>::default();
    Grpc::new(codec).unary(teller, request).await
}

async fn refuse(State(teller): State<Teller>) -> Response<Body> {
    error_to_status(&teller.0.refusal()).into_http()
}

impl UnaryService<pb::StatusRequest> for Teller {
    type Response = pb::StatusReply;
    type Future = std::future::Ready<Result<tonic::Response<pb::StatusReply>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<pb::StatusRequest>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(self.status())))
    }
}

impl Teller {
    /// The cluster as a node sees it that has heard of nobody yet.
    fn status(&self) -> pb::StatusReply {
        let about = &self.0.about;
        pb::StatusReply {
            health: "unavailable".to_owned(),
            cluster_id: format!("{:032x}", about.cluster_id),
            cluster_name: about.cluster_name.clone(),
            answered_by: about.node_id.to_string(),
            council: Some(pb::CouncilStatus::default()),
            members: vec![self.member()],
            ..pb::StatusReply::default()
        }
    }

    fn member(&self) -> pb::MemberStatus {
        let about = &self.0.about;
        let standing = self.0.progress.standing();
        let recovery = pb::RecoveryStatus {
            stage: standing.stage().to_owned(),
            partitions_done: standing.partitions_done,
            partitions_total: standing.partitions_total,
            bytes_verified: standing.bytes_verified,
            bytes_total: standing.bytes_total,
            percent: standing.percent,
            elapsed_ms: standing.elapsed_ms,
            eta_ms: standing.eta_ms,
        };
        pb::MemberStatus {
            node_id: about.node_id.to_string(),
            state: "recovering".to_owned(),
            grpc_addr: about.grpc_addr.clone(),
            gossip_addr: about.gossip_addr.clone(),
            http_addr: about.http_addr.clone(),
            zone: about.zone.clone().unwrap_or_default(),
            is_live: true,
            incarnation: about.incarnation.0,
            intent: "stay".to_owned(),
            has_answered: true,
            version: VERSION.to_owned(),
            uptime_ms: standing.elapsed_ms,
            cores: about.cores as u32,
            connections: self.1.load(Ordering::Relaxed) as u32,
            memory_limit_bytes: about.memory_limit_bytes,
            resident_bytes: crate::memory::resident_bytes(),
            disk: "ok".to_owned(),
            recovery: Some(recovery),
            ..pb::MemberStatus::default()
        }
    }
}
