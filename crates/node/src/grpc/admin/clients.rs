//! Who is connected, and how to end a connection.

use isogrid_core::{Error, ErrorCode};
use isogrid_proto::pb;

use crate::clients::ClientReport;
use crate::node::Shared;

/// Who is connected to this node, or to any.
pub(super) async fn list(shared: &Shared, request: &pb::ClientsRequest) -> pb::ClientsReply {
    let (clients, missing) = match request.all {
        true => shared.clients_of_all().await,
        false => (shared.clients_here(), Vec::new()),
    };
    pb::ClientsReply {
        clients: clients.into_iter().map(told).collect(),
        missing: missing.iter().map(ToString::to_string).collect(),
    }
}

/// Ends a connection.
pub(super) async fn end(
    shared: &Shared,
    request: &pb::EndClientRequest,
) -> Result<pb::EndClientReply, Error> {
    let existed = shared.end_client(&request.id).await;
    let existed = existed.ok_or_else(|| {
        Error::new(ErrorCode::CannotConnect, format!("the node of client {}", request.id))
    })?;
    Ok(pb::EndClientReply { existed })
}

fn told(client: ClientReport) -> pb::ClientStatus {
    pb::ClientStatus {
        id: client.id,
        node: client.node,
        door: client.door,
        name: client.name,
        library: client.library,
        version: client.version,
        address: client.address,
        age_ms: client.age_ms,
        idle_ms: client.idle_ms,
        last_operation: client.last_operation,
        in_flight: client.in_flight,
        bytes_in: client.bytes_in,
        bytes_out: client.bytes_out,
    }
}
