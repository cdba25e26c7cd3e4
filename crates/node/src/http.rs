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
use crate::recovering::Recovering;

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

/// Serves HTTP until the node has its data.
pub(crate) async fn serve_recovering(
    recovering: Arc<Recovering>,
    listener: TcpListener,
    closing: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/", get(about_recovering))
        .route("/health/live", get(live))
        .route("/health/ready", get(not_yet))
        .with_state(recovering);
    axum::serve(listener, router).with_graceful_shutdown(closing.cancelled_owned()).await
}

async fn about_recovering(State(recovering): State<Arc<Recovering>>) -> Json<Value> {
    let about = &recovering.about;
    Json(json!({
        "name": about.node_id.as_str(),
        "cluster": about.cluster_name,
        "version": VERSION,
        "grpc": about.grpc_addr,
    }))
}

async fn not_yet(State(recovering): State<Arc<Recovering>>) -> (StatusCode, String) {
    let standing = recovering.progress.standing();
    (StatusCode::SERVICE_UNAVAILABLE, format!("recovering: {standing}\n"))
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
