//! Health for probes: whether this process lives, takes part, has started, may be restarted, and is back. Each answers 200 or
//! 503, and a line that says why.
//!
//! | path | 200 when | looks beyond this process |
//! |---|---|---|
//! | `/health/live` | it answers | never |
//! | `/health/ready` | it has joined and serves what it leads, until it stops or leaves | never again, once it was ready |
//! | `/health/startup` | it has been ready once | the same |
//! | `/health/pre-restart` | it may be restarted now | yes |
//! | `/health/post-restart` | it is ready, and the cluster is as well as it can be | yes |

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::node::Shared;
use crate::recovering::Recovering;

/// A status, and why.
type Answer = (StatusCode, String);

/// Of a node that has its data.
pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/health/startup", get(startup))
        .route("/health/pre-restart", get(pre_restart))
        .route("/health/post-restart", get(post_restart))
        .with_state(shared)
}

/// Of a node that reads its data back from disk.
pub(super) fn routes_recovering(recovering: Arc<Recovering>) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(recovers))
        .route("/health/startup", get(recovers))
        .route("/health/pre-restart", get(recovers))
        .route("/health/post-restart", get(recovers))
        .with_state(recovering)
}

fn answer(yes: &str, no: Option<String>) -> Answer {
    match no {
        None => (StatusCode::OK, format!("{yes}\n")),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn live() -> &'static str {
    "live\n"
}

async fn recovers(State(recovering): State<Arc<Recovering>>) -> Answer {
    answer("", Some(format!("recovering: {}", recovering.progress.standing())))
}

async fn ready(State(shared): State<Arc<Shared>>) -> Answer {
    answer("ready", shared.not_ready())
}

async fn startup(State(shared): State<Arc<Shared>>) -> Answer {
    answer("started", shared.not_started())
}

async fn pre_restart(State(shared): State<Arc<Shared>>) -> Answer {
    answer("it may be restarted", shared.not_before_restart().await)
}

async fn post_restart(State(shared): State<Arc<Shared>>) -> Answer {
    answer("it is back, and nothing is missing", shared.not_after_restart().await)
}
