//! Who is connected to the nodes, as plain values.

use std::time::Duration;

use isogrid_proto::pb;

use super::operator::{Admin, Operator};
use crate::error::Result;

/// A connection to a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientInfo {
    /// Its name in the whole cluster.
    pub id: String,
    /// The node that it is with.
    pub node: String,
    /// Through which door it came: grpc, node, http or postgres.
    pub door: String,
    /// What its user calls it; empty if it has not said.
    pub name: String,
    /// The library at its other end; empty if it has not said.
    pub library: String,
    /// The version of the library.
    pub version: String,
    /// Where its other end is.
    pub address: String,
    /// How long it has been open.
    pub age: Duration,
    /// How long ago it last asked for something.
    pub idle: Duration,
    /// What that was; empty for nothing yet.
    pub last_operation: String,
    /// How many operations and calls wait for their answers.
    pub in_flight: u64,
    /// How many bytes came from it.
    pub bytes_in: u64,
    /// How many bytes went to it.
    pub bytes_out: u64,
}

impl From<pb::ClientStatus> for ClientInfo {
    fn from(client: pb::ClientStatus) -> Self {
        ClientInfo {
            id: client.id,
            node: client.node,
            door: client.door,
            name: client.name,
            library: client.library,
            version: client.version,
            address: client.address,
            age: Duration::from_millis(client.age_ms),
            idle: Duration::from_millis(client.idle_ms),
            last_operation: client.last_operation,
            in_flight: client.in_flight,
            bytes_in: client.bytes_in,
            bytes_out: client.bytes_out,
        }
    }
}

/// Who is connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientList {
    /// The connections, those of the asked node first.
    pub clients: Vec<ClientInfo>,
    /// Members that did not answer.
    pub missing: Vec<String>,
}

impl Operator {
    /// Who is connected to the node, or to all that answer. Changes nothing.
    pub async fn clients(&self, all: bool) -> Result<ClientList> {
        let call = async |mut admin: Admin, request| admin.clients(request).await;
        let pb::ClientsReply { clients, missing } =
            self.call(pb::ClientsRequest { all }, call).await?;
        Ok(ClientList { clients: clients.into_iter().map(ClientInfo::from).collect(), missing })
    }

    /// Ends a connection, whichever node it is with; says whether there was one. Its operations in flight may or may not happen.
    pub async fn end_client(&self, id: &str) -> Result<bool> {
        let call = async |mut admin: Admin, request| admin.end_client(request).await;
        Ok(self.call(pb::EndClientRequest { id: id.to_owned() }, call).await?.existed)
    }
}
