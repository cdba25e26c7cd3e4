//! What a simulated cluster is like.

use std::time::Duration;

use isogrid_cluster::council::LossPolicy;
use isogrid_replica::settings::Rules as ReplicaRules;

use crate::network::LinkSettings;
use crate::random::{Random, Rate};
use crate::schedule::{Profile, Schedule};
use crate::trace::Keep;

/// What survives on the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Memory only.
    Memory,
    /// Files, synced about once a second.
    Files,
    /// Files; what is written to one of the maps is synced before it counts, and what is written to the others is not.
    Mixed,
    /// Files, synced before anything counts.
    Synced,
}

/// Of which maps writes count only when they are synced, by their numbers.
pub(crate) type SyncedMaps = [Option<bool>; 4];

impl Storage {
    pub(crate) fn synced_maps(self) -> SyncedMaps {
        match self {
            Storage::Memory | Storage::Files => [Some(false); 4],
            Storage::Mixed => [Some(true), Some(false), Some(false), Some(false)],
            Storage::Synced => [Some(true); 4],
        }
    }
}

/// What a run is like. What is `None` is drawn from the seed.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes there are at the beginning.
    pub nodes: u16,
    /// How many partitions.
    pub partitions: u16,
    /// How many copies of each.
    pub copies: Option<u8>,
    /// Which faults.
    pub profile: Profile,
    /// How many.
    pub faults: usize,
    /// For how long they go on.
    pub duration: Duration,
    /// How many clients.
    pub clients: u32,
    /// How many checked operations all clients begin, at least; beside them there are some that nobody checks.
    pub operations: u32,
    /// What survives on the nodes.
    pub storage: Option<Storage>,
    /// What happens when nobody who holds a partition comes back.
    pub loss_policy: Option<LossPolicy>,
    /// A schedule to run instead of one from the seed.
    pub schedule: Option<Schedule>,
    /// Which lines of the trace are kept.
    pub keep: Keep,
    /// Rules of the replica that are off: only tests of the simulator set them.
    #[doc(hidden)]
    pub replica_rules: ReplicaRules,
    /// Rules of the council that are off.
    #[doc(hidden)]
    pub council_rules: isogrid_cluster::council::Rules,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            nodes: 5,
            partitions: 8,
            copies: None,
            profile: Profile::All,
            faults: 36,
            duration: Duration::from_secs(30),
            clients: 6,
            operations: 2_200,
            storage: None,
            loss_policy: None,
            schedule: None,
            keep: Keep::Nothing,
            replica_rules: ReplicaRules::default(),
            council_rules: isogrid_cluster::council::Rules::default(),
        }
    }
}

/// How late a message is that others overtake, on average.
const OVERTAKEN: Duration = Duration::from_millis(250);

/// The latest of a network with jitter.
const LATE: Duration = Duration::from_millis(120);

/// What a busy network adds.
const JITTER: Duration = Duration::from_millis(2);

/// What was drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    pub(crate) copies: u8,
    pub(crate) storage: Storage,
    pub(crate) loss_policy: LossPolicy,
    /// How links behave when nobody disturbs them.
    pub(crate) links: LinkSettings,
    /// How fast copies are.
    pub(crate) copy_bytes_per_s: u64,
}

impl Options {
    pub(crate) fn draw(&self, random: &Random) -> Drawn {
        let mut random = random.fork("options");
        let copies = if random.chance(Rate::percent(65)) { 2 } else { 3 };
        let storages =
            [(2, Storage::Memory), (4, Storage::Files), (2, Storage::Mixed), (3, Storage::Synced)];
        let storage = random.pick_weighted(&storages).copied().unwrap_or(Storage::Files);
        let policies = [(6, LossPolicy::Block), (3, LossPolicy::Reset), (1, LossPolicy::Available)];
        let policy = random.pick_weighted(&policies).copied().unwrap_or_default();
        let links = [
            (6, LinkSettings::default()),
            (
                1,
                LinkSettings {
                    reorder: Rate::percent(12),
                    reorder_by: OVERTAKEN,
                    ..LinkSettings::default()
                },
            ),
            (1, LinkSettings { duplicate: Rate::percent(2), ..LinkSettings::default() }),
            (1, LinkSettings { loss: Rate::percent(1), ..LinkSettings::default() }),
            (
                1,
                LinkSettings {
                    latency_mean_extra: JITTER,
                    latency_most: LATE,
                    ..LinkSettings::default()
                },
            ),
        ];
        let links = random.pick_weighted(&links).copied().unwrap_or_default();
        let speeds = [(2, 200 << 10), (1, 4 << 10)];
        let copy_bytes_per_s = random.pick_weighted(&speeds).copied().unwrap_or(200 << 10);
        Drawn {
            links,
            copy_bytes_per_s,
            copies: self.copies.unwrap_or(copies),
            storage: self.storage.unwrap_or(storage),
            loss_policy: self.loss_policy.unwrap_or(policy),
        }
    }
}
