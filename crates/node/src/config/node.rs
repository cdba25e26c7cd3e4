//! `[node]`: who the node is and where it listens.

use std::path::PathBuf;

use isogrid_core::members::WEIGHT_DEFAULT;
use serde::{Deserialize, Serialize};

/// The port of clients and peers when nothing else is set.
pub const GRPC_PORT_DEFAULT: u16 = 7700;

/// The port of metrics, health and console when nothing else is set.
pub const HTTP_PORT_DEFAULT: u16 = 7780;

/// Who the node is and where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// The name of the node: its identity, also across restarts. Without one it is `node-` and the gRPC port. The data
    /// folder remembers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name of the cluster. A data folder that belongs to another cluster is refused.
    pub cluster: String,
    /// Where clients and peers connect (TCP). Port 0 takes a free one.
    pub grpc_addr: String,
    /// Where other members reach this one (UDP). It may have the same port number as grpc_addr.
    pub gossip_addr: String,
    /// Where health, figures and the API are served over HTTP (TCP). Port 0 takes a free one.
    pub http_addr: String,
    /// Where PostgreSQL's clients connect to ask with SQL (TCP). Port 0 takes a free one. Without it they cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pg_addr: Option<String>,
    /// The host name or address at which clients and other nodes reach this one, when it is not the one it listens at:
    /// behind a translated address, or when it listens at all of the machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// The folder of what must survive a restart: who the node is, and its data. Without one it keeps nothing on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// How many cores serve connections; 0 takes all that the process may use.
    pub cores: usize,
    /// How many partitions the data is divided into. It must be the same on every node of a cluster and never
    /// changes.
    pub partitions: u16,
    /// The failure zone of the node: what fails together with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What the node does: data holds data and may vote in the council; witness votes and holds none, so that two other
    /// nodes can lose one.
    pub role: Role,
    /// What a node that is told to end (SIGTERM) makes of it, unless an operator has said it before: restart hands over what
    /// it leads, and its copies wait for it for a while; leave gives everything away first and is forgotten, and the node
    /// joins anew if it is started again.
    pub at_end: AtEnd,
}

/// What a node makes of its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AtEnd {
    /// It comes back.
    #[default]
    Restart,
    /// It leaves for good.
    Leave,
}

/// What a node does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It holds data and may vote.
    #[default]
    Data,
    /// It votes and holds no data.
    Witness,
}

impl Role {
    /// The share of the data that it takes.
    pub fn weight(self) -> u32 {
        match self {
            Role::Data => WEIGHT_DEFAULT,
            Role::Witness => 0,
        }
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            name: None,
            cluster: "isogrid".into(),
            grpc_addr: format!("127.0.0.1:{GRPC_PORT_DEFAULT}"),
            gossip_addr: format!("127.0.0.1:{GRPC_PORT_DEFAULT}"),
            http_addr: format!("127.0.0.1:{HTTP_PORT_DEFAULT}"),
            pg_addr: None,
            advertise: None,
            data_dir: None,
            cores: 0,
            partitions: 256,
            zone: None,
            role: Role::Data,
            at_end: AtEnd::Restart,
        }
    }
}
