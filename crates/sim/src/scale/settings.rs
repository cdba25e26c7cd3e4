//! How large the cluster is, and how fast.

use isogrid_cluster::steward::StewardSettings;
use isogrid_core::NodeId;

/// Virtual time moves in steps of this many milliseconds; a round trip between two nodes takes one.
pub const STEP_MS: u64 = 10;

/// How often a node gossips.
pub(super) const GOSSIP_MS: u64 = 200;

/// With how many others a node gossips each time.
pub(super) const FAN_OUT: usize = 3;

/// How often the steward takes a step.
pub(super) const STEWARD_MS: u64 = 100;

/// How often a node's heartbeat reaches the council's leader.
pub const HEARTBEAT_MS: u64 = 200;

/// Without word from another node for so long, a node considers it dead.
pub(super) const SILENCE_MS: u64 = 900;

/// After how long without effect a primary proposes again.
pub(super) const PROPOSE_AGAIN_MS: u64 = 500;

/// The voters of the council: these nodes, from the first on.
pub const VOTERS: usize = 5;

/// How large the cluster is, and how fast.
#[derive(Clone, Debug)]
pub struct ScaleSettings {
    /// How many nodes it begins with.
    pub nodes: usize,
    /// How many partitions it has.
    pub partitions: u16,
    /// How many copies of each partition are wanted.
    pub copies: u8,
    /// Over how many zones the nodes are spread, one after the other.
    pub zones: usize,
    /// How much a node holds, on average.
    pub bytes_per_node: u64,
    /// What a node sends and receives in copies, together.
    pub bytes_per_second: u64,
    /// Who gossips with whom, and when.
    pub seed: u64,
    /// Whether the leader answers heartbeats with what is new in the table. Otherwise it spreads by gossip alone.
    pub heartbeats_carry_table: bool,
    /// The steward's.
    pub steward: StewardSettings,
}

impl Default for ScaleSettings {
    /// The cluster of docs/scale.md: the steward may use all of the bandwidth.
    fn default() -> Self {
        let bytes_per_second = 1_000_000_000;
        ScaleSettings {
            nodes: 200,
            partitions: 4_096,
            copies: 2,
            zones: 3,
            bytes_per_node: 64_000_000_000,
            bytes_per_second,
            seed: 1,
            heartbeats_carry_table: false,
            steward: StewardSettings {
                copy_bytes_per_second: bytes_per_second,
                ..StewardSettings::default()
            },
        }
    }
}

impl ScaleSettings {
    /// The size of one copy of a partition.
    pub fn bytes_per_copy(&self) -> u64 {
        let copies = u64::from(self.partitions) * u64::from(self.copies);
        self.bytes_per_node * self.nodes as u64 / copies.max(1)
    }

    /// The name of a node, by its number: names sort like numbers.
    pub fn name(number: usize) -> NodeId {
        NodeId::new(format!("node-{number:04}"))
    }

    /// The zone of a node, by its number.
    pub fn zone(&self, number: usize) -> String {
        format!("zone-{}", number % self.zones.max(1))
    }
}
