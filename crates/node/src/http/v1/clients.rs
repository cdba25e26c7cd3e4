//! Who is connected, and how to end a connection.

use axum::extract::{Request, State};
use isogrid_core::{Error, ErrorCode, NodeId};
use serde_json::json;

use super::Api;
use super::answer::{Answer, ok};
use super::ask::Ask;
use crate::clients::Did;

/// `GET /v1/clients`
pub(super) async fn list(State(api): State<Api>, request: Request) -> Answer {
    let ask = Ask::new(request, Did::Admin, &["cluster"])?;
    let (clients, missing) = match ask.flag("cluster", false)? {
        true => api.shared.clients_of_all().await,
        false => (api.shared.clients_here(), Vec::new()),
    };
    let missing: Vec<&str> = missing.iter().map(NodeId::as_str).collect();
    Ok(ok(&json!({ "clients": clients, "missing": missing })))
}

/// `DELETE /v1/clients/{id}`
pub(super) async fn end(State(api): State<Api>, request: Request) -> Answer {
    let ask = Ask::new(request, Did::Admin, &[])?;
    let id = String::from_utf8_lossy(ask.named(1)).into_owned();
    match api.shared.end_client(&id).await {
        Some(true) => Ok(ok(&json!({ "ended": id }))),
        Some(false) => Err(Error::new(ErrorCode::NothingThere, format!("no client {id}")).into()),
        None => {
            let detail = format!("the node of client {id} does not answer");
            Err(Error::new(ErrorCode::CannotConnect, detail).into())
        }
    }
}
