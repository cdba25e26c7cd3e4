//! `[cluster]`: how the node meets the other nodes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How the node meets the other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// The gossip addresses of some nodes that are called first, separated by commas. A name may stand for several
    /// nodes; names are looked up again and again. It does no harm to list this node itself.
    pub seeds: Vec<String>,
    /// How often the node gossips, in milliseconds. The shorter, the sooner a death is noticed and the more is sent. It
    /// should be the same on every node.
    pub gossip_interval_ms: u64,
    /// A file with the secret of the cluster, 16 bytes or more. With it gossip is sealed: a node without the same secret
    /// is not listened to. It must be the same on every node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self { seeds: Vec::new(), gossip_interval_ms: 200, key_file: None }
    }
}
