//! What is set for a node as a member of a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::council::LossPolicy;
use isogrid_cluster::heartbeat::SILENT_MS;
use isogrid_cluster::steward::StewardSettings;
use isogrid_core::{MapSettings, Member, Replica};

use crate::config::MAP_DEFAULT;
use crate::config::node::AtEnd;
use crate::identity::{DataOnDisk, Identity};

/// What is set for a node as a member of a cluster.
pub(crate) struct ControlSettings {
    /// Who this node is.
    pub(crate) identity: Arc<Identity>,
    /// As the others shall know it: its life is the identity's, its addresses those that others reach.
    pub(crate) member: Member,
    /// What the disk has of the data that this node acknowledged.
    pub(crate) data_on_disk: DataOnDisk,
    /// How many nodes are waited for before a cluster is formed; zero: this one never forms one.
    pub(crate) expect: u16,
    /// Whether there are seeds other than this node: then it forms no cluster before it has heard of another node, for
    /// that one may belong to a cluster.
    pub(crate) has_seeds: bool,
    /// How many partitions a cluster has that this node forms.
    pub(crate) partitions: u16,
    /// How many backups each partition of it has.
    pub(crate) backups: u8,
    /// What happens in it when nobody who holds a partition comes back.
    pub(crate) loss_policy: LossPolicy,
    /// How long a stop waits for what this node leads to be handed over.
    pub(crate) drain_timeout: Duration,
    /// What this node makes of its end when nobody has said it before.
    pub(crate) at_end: AtEnd,
    /// The settings of maps that are made here, by name; `default` for all others.
    pub(crate) maps: BTreeMap<String, MapSettings>,
    /// How patient the steward is.
    pub(crate) steward: StewardSettings,
    /// How often things happen.
    pub(crate) pace: Pace,
}

/// How often things happen, and how long is waited.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Between two heartbeats.
    pub(crate) heartbeat: Duration,
    /// How long an answer to a heartbeat is waited for.
    pub(crate) heartbeat_timeout: Duration,
    /// Between two looks of the steward.
    pub(crate) steward: Duration,
    /// Between two looks at who votes.
    pub(crate) voters: Duration,
    /// How long a node must be up and in contact before it votes.
    pub(crate) stable: Duration,
    /// Between two tries of whatever is tried again: about this, more with every try.
    pub(crate) retry: Duration,
    /// How long one node's answer is waited for.
    pub(crate) answer: Duration,
    /// How long whoever asks the leader waits in all.
    pub(crate) patience: Duration,
    /// Without word from another node for so many milliseconds, this node considers it dead.
    pub(crate) silent_ms: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            heartbeat: Duration::from_millis(100),
            heartbeat_timeout: Duration::from_millis(300),
            steward: Duration::from_millis(50),
            voters: Duration::from_secs(1),
            stable: Duration::from_millis(isogrid_cluster::bootstrap::STABLE_MS_MIN),
            retry: Duration::from_millis(20),
            answer: Duration::from_secs(1),
            patience: Duration::from_secs(5),
            silent_ms: SILENT_MS,
        }
    }
}

impl ControlSettings {
    /// This life of this node.
    pub(crate) fn me(&self) -> Replica {
        Replica { node: self.member.id.clone(), incarnation: self.member.incarnation }
    }

    /// The settings of a map that is made here.
    pub(crate) fn map(&self, name: &str) -> MapSettings {
        self.maps.get(name).or_else(|| self.maps.get(MAP_DEFAULT)).cloned().unwrap_or_default()
    }
}
