//! How the cluster and its nodes are, and who holds what.

use axum::extract::{Request, State};
use serde_json::json;

use super::Api;
use super::answer::{Answer, ok};
use super::ask::Ask;
use crate::clients::Did;
use crate::grpc::admin::json;

/// `GET /v1/cluster`
pub(super) async fn cluster(State(api): State<Api>, request: Request) -> Answer {
    Ask::new(request, Did::Admin, &[])?;
    Ok(ok(&json::cluster(&api.shared).await))
}

/// `GET /v1/members`
pub(super) async fn members(State(api): State<Api>, request: Request) -> Answer {
    Ask::new(request, Did::Admin, &[])?;
    Ok(ok(&json!({ "members": json::members(&api.shared).await })))
}

/// `GET /v1/partitions`
pub(super) async fn partitions(State(api): State<Api>, request: Request) -> Answer {
    Ask::new(request, Did::Admin, &[])?;
    Ok(ok(&json::partitions(&api.shared).await))
}
