//! Maps with their sizes and settings.

use axum::extract::{Request, State};
use isogrid_core::{Error, ErrorCode};
use serde_json::json;

use super::Api;
use super::answer::{Answer, ok};
use super::ask::Ask;
use crate::clients::Did;
use crate::grpc::admin;

/// `GET /v1/maps`
pub(super) async fn list(State(api): State<Api>, request: Request) -> Answer {
    Ask::new(request, Did::Admin, &[])?;
    let (maps, missing) = admin::json::maps(&api.shared, "").await?;
    Ok(ok(&json!({ "maps": maps, "not_counted": missing })))
}

/// `GET /v1/maps/{map}`
pub(super) async fn one(State(api): State<Api>, request: Request) -> Answer {
    let name = Ask::new(request, Did::Admin, &[])?.map()?;
    let (mut maps, _) = admin::json::maps(&api.shared, &name).await?;
    let map = maps.pop().ok_or_else(|| Error::new(ErrorCode::MapUnknown, name))?;
    Ok(ok(&map))
}
