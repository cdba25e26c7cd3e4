//! Health over HTTP, for probes. Liveness never looks beyond this process.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::VERSION;
use crate::node::Shared;

/// Serves HTTP until the node stops.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    stopping: CancellationToken,
) -> std::io::Result<()> {
    let health = Health { shared, stopping: stopping.clone() };
    let router = Router::new()
        .route("/", get(about))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(health);
    axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await
}

#[derive(Clone)]
struct Health {
    shared: Arc<Shared>,
    stopping: CancellationToken,
}

async fn about(State(health): State<Health>) -> Json<Value> {
    Json(json!({
        "name": health.shared.node_id.as_str(),
        "cluster": health.shared.cluster_name,
        "version": VERSION,
        "grpc": health.shared.grpc_addr.to_string(),
    }))
}

async fn live() -> &'static str {
    "live\n"
}

async fn ready(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.stopping.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}
