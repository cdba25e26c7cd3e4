//! `[cluster]`: how the node meets the other nodes, and what a cluster is that it forms.

use std::path::PathBuf;

use isogrid_cluster::council::LossPolicy;
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
    /// How many nodes are waited for before they form a cluster; the same on all of them. 0: this node never forms one,
    /// it only joins. A node with seeds has to hear of another node first, whatever is set here.
    pub expect: u16,
    /// How many backups of each partition a cluster has that this node forms. Maps may want more.
    pub backups: u8,
    /// What happens in a cluster that this node forms when nobody who holds a partition comes back: block waits for
    /// ever, reset starts the partition anew and records the loss, available goes on at once with the most complete
    /// copy. Without it: reset while data are in memory only, since a full restart has lost them anyway, else block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_policy: Option<LossPolicy>,
    /// How long a node that is asked to end waits until what it leads is handed over, in milliseconds. With backups, that
    /// includes partitions that nobody else has whole at that moment.
    pub drain_timeout_ms: u64,
    /// A node that goes down again and again waits longer each time before it takes copies: the most it waits, in
    /// milliseconds.
    pub flapping_wait_max_ms: u64,
}

impl ClusterConfig {
    /// Whether there are seeds other than these addresses of this node: then it waits for another node before it forms a
    /// cluster. A name that stands for this node as well as for others counts as another node.
    pub fn has_seeds_but(&self, own: &[&str]) -> bool {
        self.seeds.iter().any(|seed| !own.contains(&seed.as_str()))
    }

    /// The loss policy of a cluster that this node forms.
    pub fn loss_policy(&self, has_data_on_disk: bool) -> LossPolicy {
        let unset = if has_data_on_disk { LossPolicy::Block } else { LossPolicy::Reset };
        self.loss_policy.unwrap_or(unset)
    }
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            seeds: Vec::new(),
            gossip_interval_ms: 200,
            key_file: None,
            expect: 1,
            backups: 1,
            loss_policy: None,
            drain_timeout_ms: 25_000,
            flapping_wait_max_ms: 60_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_address_is_no_seed_to_wait_for() {
        let config = |seeds: &[&str]| ClusterConfig {
            seeds: seeds.iter().map(|seed| (*seed).to_owned()).collect(),
            ..ClusterConfig::default()
        };
        let own = ["127.0.0.1:7700", "node-1:7700"];
        assert!(!config(&[]).has_seeds_but(&own));
        assert!(!config(&["node-1:7700", "127.0.0.1:7700"]).has_seeds_but(&own));
        assert!(config(&["node-1:7700", "node-2:7700"]).has_seeds_but(&own));
    }

    #[test]
    fn a_loss_blocks_only_where_there_is_something_to_wait_for() {
        let config = ClusterConfig::default();
        assert_eq!(config.loss_policy(false), LossPolicy::Reset);
        assert_eq!(config.loss_policy(true), LossPolicy::Block);
        let set = ClusterConfig { loss_policy: Some(LossPolicy::Available), ..config };
        assert_eq!(set.loss_policy(true), LossPolicy::Available);
    }
}
