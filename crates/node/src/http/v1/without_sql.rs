//! What `/v1/sql` answers at a node that was built without SQL.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use isogrid_core::{Error, ErrorCode};

use super::Api;
use super::answer::{Answer, Failure};
use super::ask::Ask;
use crate::clients::Did;

/// `POST /v1/sql`
pub(super) async fn run(State(_): State<Api>, request: Request) -> Answer {
    Ask::new(request, Did::Nothing, &[])?;
    let without = Error::new(ErrorCode::ProtocolUnknown, "this node was built without SQL");
    Err(Failure::from(without).with_status(StatusCode::NOT_IMPLEMENTED))
}
