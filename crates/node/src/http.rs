//! Health for probes and figures for Prometheus, over HTTP. Liveness never looks beyond this process.

mod history;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::node::Shared;
use crate::recovering::Recovering;
use crate::{VERSION, metrics};

/// Serves HTTP until the node stops.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    stopping: CancellationToken,
) -> std::io::Result<()> {
    let history = Router::new().route("/v1/history", get(history::figures));
    let history = history.with_state(Arc::clone(&shared));
    let health = Health { shared, stopping: stopping.clone() };
    let router = Router::new()
        .route("/", get(about))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(figures))
        .with_state(health)
        .merge(history);
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
        .route("/metrics", get(figures_of_recovery))
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

async fn figures_of_recovery(State(recovering): State<Arc<Recovering>>) -> Response {
    page(metrics::of_recovery(&recovering.progress))
}

async fn figures(State(health): State<Health>) -> Response {
    page(metrics::of_node(&health.shared))
}

fn page(text: String) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
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
