//! The partitions of this node and the maps in them. Every door compiles its requests to operations and hands them to
//! [`Engine::execute`]; every message of another node reaches its replica here; nothing else touches records.
//!
//! ```text
//!   sessions, calls ── execute ──►┐                              ┌──► answers, at once or late
//!   links ──────────── receive ──►├─ slot: Mutex<Replica>::step ─┼──► messages into lanes
//!   control ── learn, tick, direct►┘                              └──► proposals for the council
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `causal` | the newest hybrid clock of all partitions, and whose clocks are believed |
//! | `ahead` | asks for memory ahead |
//! | `batch` | operations on their way to their partitions |
//! | `dumping` | what a backup of the cluster takes |
//! | `execute` | executes a batch |
//! | `slot` | one partition's place: its replica, who waits, what is deferred |
//! | `figures` | what was asked and what came of it, counted |
//! | `hands` | what a step wants done |
//! | `heat` | which keys are asked for most, and which records are the largest |
//! | `late` | answers that do not come at once |
//! | `learn` | from the committed table to the replicas here |
//! | `pulse` | time and leases |
//! | `receive` | messages of other nodes |
//! | `received` | how many bytes of data they brought |
//! | `persist`, `imaging` | from the replicas to the disk: their logs, and images of their data |
//! | `report` | what the council's leader and operators want to know |
//! | `maps` | names, numbers, settings and sizes |
//! | `slow` | the operations that took long |
//! | `traced` | the steps of traced operations |
//! | `watching` | watchers, and what wakes them |

mod ahead;
mod batch;
mod causal;
mod dumping;
mod execute;
mod face;
mod figures;
mod hands;
mod heat;
mod imaging;
mod late;
mod learn;
mod maps;
mod notices;
mod persist;
mod pulse;
mod receive;
mod received;
mod report;
mod routed;
mod sessions;
mod sizes;
mod slot;
mod slow;
mod traced;
mod watching;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use causal::NewestClock;
use isogrid_core::slot::PartitionCount;
use isogrid_core::{
    Error, ErrorCode, Limits, MapId, Op, PartitionId, Replica as Name, Result, TableVersion, Target,
};
use isogrid_replica::lease::{Claimant, Voucher};
use isogrid_replica::{Event, Proposal};
use isogrid_store::{KeyHash, hash_key};
use parking_lot::Mutex;
use tokio::sync::mpsc;

pub(crate) use batch::{BATCH_OPS_HARD_MAX, Batch, Deadline};
pub(crate) use dumping::Dumped;
pub(crate) use figures::{Figures, Kind};
pub(crate) use hands::Wire;
pub(crate) use heat::SAMPLED_ONE_OF;
pub(crate) use late::Late;
pub(crate) use maps::{MapInfo, Maps};
pub(crate) use received::ReceivedBytes;
pub(crate) use report::{Copying, Led};
pub(crate) use traced::Mark;
pub(crate) use watching::Signal;

use crate::clock;
use crate::config::Config;
use crate::control::view::View;
use crate::memory::MemoryGauge;
use crate::storage::Storage;
use crate::traces::Tracer;
use notices::Notices;
use persist::SyncedMaps;
use received::Received;
use sessions::KeptAlive;
use slot::{Place, Slot, SlotCell};
use slow::SlowLog;

/// How many proposals may wait for control: more are made again.
const PROPOSALS_QUEUE_LEN_MAX: usize = 4_096;

/// How many records are evicted at the most in one go on behalf of other partitions; what is left is for the next batch or
/// the janitor.
const EVICTIONS_MAX: u64 = 64;

/// The places of all partitions, once it is known how many there are.
pub(crate) struct Partitions {
    count: PartitionCount,
    cells: Box<[SlotCell]>,
    /// Of each cell whether something happened there since the last tick, or is under way.
    stirred: Box<[AtomicBool]>,
    hash_seed: u64,
}

/// The data of this node.
pub(crate) struct Engine {
    own: Name,
    partitions: OnceLock<Partitions>,
    maps: Maps,
    limits: Limits,
    memory: MemoryGauge,
    operations: Box<[PerCore]>,
    figures: Arc<Figures>,
    received: Box<[Received]>,
    sessions: KeptAlive,
    slow_log: SlowLog,
    tracer: Arc<Tracer>,
    stopping: AtomicBool,
    is_leading: AtomicBool,
    /// Where the next eviction on behalf of another partition begins.
    eviction_turn: AtomicU64,
    wire: Arc<dyn Wire>,
    proposals: mpsc::Sender<Proposal>,
    notices: Notices,
    /// The newest view that the replicas have read.
    view: Mutex<Arc<View>>,
    leases: Mutex<Leases>,
    settings: Mutex<Arc<isogrid_replica::Settings>>,
    /// The data on disk, if they are kept there.
    storage: Option<Arc<Storage>>,
    synced_maps: SyncedMaps,
    /// Not behind any entry of a log here, in units that frames can carry.
    clock: NewestClock,
    configured_partitions: u16,
}

/// The leases of node pairs: those this node wants, and those it gives.
#[derive(Default)]
struct Leases {
    claimants: BTreeMap<Name, Claimant>,
    voucher: Voucher,
}

/// What one core counts.
#[repr(align(128))]
#[derive(Default)]
struct PerCore {
    executed: AtomicU64,
    /// Which operation is looked at next.
    next_sample: AtomicU64,
}

impl Engine {
    /// An empty engine, and the proposals that its primaries will make.
    pub(crate) fn new(
        config: &Config,
        own: Name,
        memory: MemoryGauge,
        cores: usize,
        (wire, storage): (Arc<dyn Wire>, Option<Arc<Storage>>),
    ) -> Result<(Self, mpsc::Receiver<Proposal>)> {
        if config.limits.batch_ops_max > BATCH_OPS_HARD_MAX {
            let detail = format!(
                "limits.batch_ops_max = {}: at most {BATCH_OPS_HARD_MAX}",
                config.limits.batch_ops_max
            );
            return Err(Error::new(ErrorCode::ConfigValueInvalid, detail));
        }
        let tracer = Tracer::open(&config.tracing, &own.node)?;
        let (proposals, receiver) = mpsc::channel(PROPOSALS_QUEUE_LEN_MAX);
        let engine = Self {
            own,
            partitions: OnceLock::new(),
            maps: Maps::new(cores),
            figures: Arc::new(Figures::new(cores)),
            limits: config.limits.clone(),
            memory,
            operations: (0..cores).map(|_| PerCore::default()).collect(),
            received: (0..cores).map(|_| Received::default()).collect(),
            sessions: KeptAlive::new(cores),
            slow_log: SlowLog::new(config.slow_log.clone()),
            tracer: Arc::new(tracer),
            stopping: AtomicBool::new(false),
            is_leading: AtomicBool::new(false),
            eviction_turn: AtomicU64::new(0),
            wire,
            proposals,
            notices: Notices::default(),
            view: Mutex::new(Arc::new(View::empty())),
            leases: Mutex::default(),
            settings: Mutex::default(),
            storage,
            synced_maps: SyncedMaps::default(),
            clock: NewestClock::default(),
            configured_partitions: config.node.partitions,
        };
        Ok((engine, receiver))
    }

    /// How many partitions there are; `None` before the node has joined a cluster.
    pub(crate) fn partitions(&self) -> Option<PartitionCount> {
        self.partitions.get().map(|partitions| partitions.count)
    }

    /// The limits in force.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The memory gauge.
    pub(crate) fn memory(&self) -> &MemoryGauge {
        &self.memory
    }

    /// What this node knows of what was committed, as its replicas have read it.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.lock())
    }

    /// The version of the partition table that its replicas have read.
    pub(crate) fn table_version(&self) -> TableVersion {
        self.view.lock().table.version()
    }

    /// Refuses all further operations.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// What was asked, and what came of it.
    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }

    /// How many operations were executed since the start.
    pub(crate) fn operations_total(&self) -> u64 {
        self.operations.iter().map(|core| core.executed.load(Ordering::Relaxed)).sum()
    }

    /// How many bytes of data came from other nodes since the start.
    pub(crate) fn received_bytes(&self) -> ReceivedBytes {
        Received::sum(&self.received)
    }

    /// The maps there are, in the order of their names.
    pub(crate) fn maps(&self) -> Vec<Arc<MapInfo>> {
        self.maps.all()
    }

    /// Whether a map exists as far as this node knows.
    pub(crate) fn knows_map(&self, name: &str) -> bool {
        self.maps.find(name).is_some()
    }

    /// A map, if this node knows it.
    pub(crate) fn map_named(&self, name: &str) -> Option<Arc<MapInfo>> {
        self.maps.find(name)
    }

    /// The number of a map, if this node knows it.
    pub(crate) fn map_id(&self, name: &str) -> Option<MapId> {
        self.maps.find(name).map(|map| map.id)
    }

    /// After a change: tells the memory gauge what a partition has grown or shrunk by, its watchers of news, and the next
    /// tick that something happened.
    fn count(&self, partition: PartitionId, slot: &mut Slot) {
        if let Some(partitions) = self.partitions.get() {
            partitions.stir(usize::from(partition.0), true);
        }
        let commit = slot.held.as_ref().map_or(0, |held| held.replica.commit());
        slot.signals.look(partition, commit);
        if let Some(held) = &slot.held {
            self.clock.note(held.replica.hlc());
        }
        let (data, log) = slot.held.as_ref().map_or((0, 0), slot::Held::bytes);
        if data != slot.counted.0 {
            self.memory.add_data(data.wrapping_sub(slot.counted.0).cast_signed());
        }
        if log != slot.counted.1 {
            self.memory.add_log(log.wrapping_sub(slot.counted.1).cast_signed());
        }
        slot.counted = (data, log);
    }

    /// Evicts some records of a map that is over its limits, from partitions in turn; says whether it helped. Writes do so
    /// within their own partition; this is for when that one had nothing left to give.
    pub(crate) fn relieve(&self, core: usize, map: &MapInfo) -> bool {
        let Some(partitions) = self.partitions.get() else { return false };
        let cells = &partitions.cells;
        let before = map.usage.entries();
        for _ in 0..(cells.len() as u64).max(EVICTIONS_MAX) {
            if !map.is_over_limits() || before.saturating_sub(map.usage.entries()) >= EVICTIONS_MAX
            {
                break;
            }
            let turn = self.eviction_turn.fetch_add(1, Ordering::Relaxed) as usize % cells.len();
            self.step(core, PartitionId(turn as u16), Event::Evict { map: map.id });
            self.step(core, PartitionId(turn as u16), Event::Flush);
        }
        self.wire.flush(core);
        map.usage.entries() < before
    }

    /// Something happens to a replica here, outside of a batch.
    fn step(&self, core: usize, partition: PartitionId, event: Event<'_>) {
        let Some(partitions) = self.partitions.get() else { return };
        let Some(cell) = partitions.cells.get(usize::from(partition.0)) else { return };
        let mut slot = cell.0.lock();
        self.tell((core, partition), &mut slot, event);
        self.persist_one(core, partition, &mut slot);
        self.count(partition, &mut slot);
    }

    /// The same with what leaves log and data as they are.
    fn tell(&self, (core, partition): (usize, PartitionId), slot: &mut Slot, event: Event<'_>) {
        let now = clock::both();
        if let Some(held) = &mut slot.held {
            held.step(Place { engine: self, core, partition, now }, event, None);
        }
    }
}

impl Partitions {
    fn new(count: PartitionCount, hash_seed: u64) -> Self {
        let cells = (0..count.get()).map(|_| SlotCell::default()).collect();
        let stirred = (0..count.get()).map(|_| AtomicBool::default()).collect();
        Partitions { count, cells, stirred, hash_seed }
    }

    #[inline]
    fn is_stirred(&self, index: usize) -> bool {
        self.stirred[index].load(Ordering::Relaxed)
    }

    /// To be called with the cell's lock held.
    #[inline]
    fn stir(&self, index: usize, is_stirred: bool) {
        self.stirred[index].store(is_stirred, Ordering::Relaxed);
    }

    /// Where an operation goes: its partition, and the hash of its key.
    #[inline]
    fn place(&self, op: &Op<'_>) -> Result<(PartitionId, KeyHash)> {
        op.check_together(self.count)?;
        match op.target() {
            Target::Key(key) => {
                Ok((self.count.partition_of_key(key), hash_key(self.hash_seed, key)))
            }
            Target::Partition(partition) if partition.0 < self.count.get() => {
                Ok((partition, KeyHash::default()))
            }
            Target::Partition(partition) => {
                let detail = format!("partition {} of {}", partition.0, self.count.get());
                Err(Error::new(ErrorCode::PartitionInvalid, detail))
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = (PartitionId, &SlotCell)> {
        self.cells.iter().enumerate().map(|(index, cell)| (PartitionId(index as u16), cell))
    }
}
