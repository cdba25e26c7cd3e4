//! Health for probes, figures for Prometheus and the API `/v1`, over HTTP.

mod health;
mod history;
mod server;
mod v1;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use isogrid_core::Limits;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::server::HttpDoor;
use crate::node::Shared;
use crate::recovering::Recovering;
use crate::{VERSION, metrics};

/// What is served.
pub(crate) struct Site {
    pub(crate) shared: Arc<Shared>,
    #[cfg(feature = "sql")]
    pub(crate) statements: Arc<crate::sql::Statements>,
    pub(crate) stopping: CancellationToken,
}

/// Serves HTTP until the node stops.
pub(crate) async fn serve(site: Site, listener: TcpListener) {
    let api = v1::router(&site);
    let Site { shared, stopping, .. } = site;
    let clients = Arc::clone(&shared.clients);
    let limits = shared.engine.limits().clone();
    let history = Router::new().route("/v1/history", get(history::figures));
    let history = history.with_state(Arc::clone(&shared));
    let router = Router::new()
        .route("/", get(about))
        .route("/metrics", get(figures))
        .with_state(Arc::clone(&shared))
        .merge(health::routes(shared))
        .merge(history)
        .merge(api);
    HttpDoor::new(router, clients, &limits, stopping).serve(listener).await;
}

/// Serves HTTP until the node has its data.
pub(crate) async fn serve_recovering(
    recovering: Arc<Recovering>,
    listener: TcpListener,
    closing: CancellationToken,
) {
    let router = Router::new()
        .route("/", get(about_recovering))
        .route("/metrics", get(figures_of_recovery))
        .with_state(Arc::clone(&recovering))
        .merge(v1::not_yet(&recovering))
        .merge(health::routes_recovering(recovering));
    HttpDoor::new(router, Arc::default(), &Limits::default(), closing).serve(listener).await;
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

async fn figures_of_recovery(State(recovering): State<Arc<Recovering>>) -> Response {
    page(metrics::of_recovery(&recovering.progress))
}

async fn figures(State(shared): State<Arc<Shared>>) -> Response {
    page(metrics::of_node(&shared))
}

fn page(text: String) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn about(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({
        "name": shared.node_id.as_str(),
        "cluster": shared.cluster_name,
        "version": VERSION,
        "grpc": shared.grpc_addr.to_string(),
    }))
}
