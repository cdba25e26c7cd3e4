//! The partitions of this node and the maps in them. Every door compiles its requests to operations and hands them to
//! [`Engine::execute`]; nothing else touches records.

mod execute;
mod maps;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use isogrid_core::slot::PartitionCount;
use isogrid_core::{
    Error, ErrorCode, Limits, MapId, Op, PartitionId, Result, TableVersion, Target, Timestamp,
};
use isogrid_store::{KeyHash, Partition, hash_key};
use parking_lot::Mutex;

pub(crate) use execute::{BATCH_OPS_HARD_MAX, Batch, Deadline};
pub(crate) use maps::{MapInfo, Maps};

use crate::config::Config;
use crate::memory::MemoryGauge;

/// One partition and what the node has counted of it.
pub(crate) struct Shard {
    pub(crate) partition: Partition,
    /// The bytes that the memory gauge knows of.
    counted_bytes: u64,
}

/// A shard behind its lock, on cache lines of its own. A mutex and not a channel: the lock covers one synchronous call and
/// costs less than a hop to another task.
#[repr(align(128))]
struct ShardCell(Mutex<Shard>);

/// The data of this node.
pub(crate) struct Engine {
    shards: Box<[ShardCell]>,
    partitions: PartitionCount,
    hash_seed: u64,
    maps: Maps,
    limits: Limits,
    memory: MemoryGauge,
    operations: Box<[PerCore]>,
    stopping: AtomicBool,
    /// Where the next eviction on behalf of another partition begins.
    eviction_turn: AtomicU64,
}

/// A counter that one core writes.
#[repr(align(128))]
#[derive(Default)]
struct PerCore(AtomicU64);

/// How many records are evicted at the most in one go on behalf of other partitions; what is left is for the next batch or
/// the janitor.
const EVICTIONS_MAX: usize = 64;

impl Engine {
    /// An empty engine.
    pub(crate) fn new(
        config: &Config,
        hash_seed: u64,
        memory: MemoryGauge,
        cores: usize,
    ) -> Result<Self> {
        let count = config.node.partitions;
        let partitions = PartitionCount::new(count).ok_or_else(|| {
            let detail = format!("node.partitions = {count}: a power of two from 1 to 16384");
            Error::new(ErrorCode::ConfigValueInvalid, detail)
        })?;
        if config.limits.batch_ops_max > BATCH_OPS_HARD_MAX {
            let detail = format!(
                "limits.batch_ops_max = {}: at most {BATCH_OPS_HARD_MAX}",
                config.limits.batch_ops_max
            );
            return Err(Error::new(ErrorCode::ConfigValueInvalid, detail));
        }
        let shard = |id| {
            let partition = Partition::new(id, hash_seed, &config.limits);
            ShardCell(Mutex::new(Shard { partition, counted_bytes: 0 }))
        };
        Ok(Self {
            shards: partitions.iter().map(shard).collect(),
            partitions,
            hash_seed,
            maps: Maps::new(config),
            limits: config.limits.clone(),
            memory,
            operations: (0..cores).map(|_| PerCore::default()).collect(),
            stopping: AtomicBool::new(false),
            eviction_turn: AtomicU64::new(0),
        })
    }

    /// How many partitions there are.
    pub(crate) fn partitions(&self) -> PartitionCount {
        self.partitions
    }

    /// The limits in force.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The memory gauge.
    pub(crate) fn memory(&self) -> &MemoryGauge {
        &self.memory
    }

    /// The version of the partition table. One node owns everything, so the first table is the last.
    pub(crate) fn table_version(&self) -> TableVersion {
        TableVersion(1)
    }

    /// Refuses all further operations.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// How many operations were executed since the start.
    pub(crate) fn operations_total(&self) -> u64 {
        self.operations.iter().map(|core| core.0.load(Ordering::Relaxed)).sum()
    }

    /// The maps there are, in the order of their names.
    pub(crate) fn maps(&self) -> Vec<Arc<MapInfo>> {
        self.maps.all()
    }

    /// How many entries all maps have.
    pub(crate) fn entries(&self) -> u64 {
        self.maps().iter().map(|map| self.map_size(map.id).0).sum()
    }

    /// The entries and bytes of a map, counted partition by partition.
    pub(crate) fn map_size(&self, map: MapId) -> (u64, u64) {
        let size = |shard: &ShardCell| {
            let shard = shard.0.lock();
            (shard.partition.entries(map) as u64, shard.partition.bytes(map) as u64)
        };
        self.shards.iter().map(size).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// The number of a map, if it exists.
    pub(crate) fn map_id(&self, name: &str) -> Option<MapId> {
        self.maps.find(name).map(|map| map.id)
    }

    /// The number of a map that is made if it does not exist.
    pub(crate) fn make_map(&self, name: &str) -> Result<MapId> {
        if let Some(map) = self.maps.find(name) {
            return Ok(map.id);
        }
        self.maps.make(name, self.limits.maps_max, |map| {
            for shard in &self.shards {
                let mut shard = shard.0.lock();
                shard.partition.configure(map.id, &map.settings, Arc::clone(&map.usage));
                self.count(&mut shard);
            }
        })
    }

    /// Where an operation goes: its partition, and the hash of its key.
    fn place(&self, op: &Op<'_>) -> Result<(PartitionId, KeyHash)> {
        match op.target() {
            Target::Key(key) => {
                Ok((self.partitions.partition_of_key(key), hash_key(self.hash_seed, key)))
            }
            Target::Partition(partition) if partition.0 < self.partitions.get() => {
                Ok((partition, KeyHash::default()))
            }
            Target::Partition(partition) => {
                let detail = format!("partition {} of {}", partition.0, self.partitions.get());
                Err(Error::new(ErrorCode::PartitionInvalid, detail))
            }
        }
    }

    /// Tells the memory gauge what a partition has grown or shrunk by.
    fn count(&self, shard: &mut Shard) {
        let bytes = shard.partition.total_bytes() as u64;
        if bytes != shard.counted_bytes {
            self.memory.add_data(bytes.wrapping_sub(shard.counted_bytes).cast_signed());
            shard.counted_bytes = bytes;
        }
    }

    /// Removes expired records of one partition; says whether more are due.
    pub(crate) fn expire(
        &self,
        partition: PartitionId,
        now: Timestamp,
        records_max: usize,
    ) -> bool {
        let mut shard = self.shards[usize::from(partition.0)].0.lock();
        let removed = shard.partition.expire(now, records_max);
        self.count(&mut shard);
        removed == records_max
    }

    /// Evicts some records of a map that is over its limits, from partitions in turn; says whether it helped. Writes do so
    /// within their own partition; this is for when that one had nothing left to give.
    pub(crate) fn relieve(&self, map: &MapInfo, now: Timestamp) -> bool {
        let mut evicted = 0;
        for _ in 0..self.shards.len().max(EVICTIONS_MAX) {
            if !map.is_over_limits() || evicted == EVICTIONS_MAX {
                break;
            }
            let turn = self.eviction_turn.fetch_add(1, Ordering::Relaxed);
            let mut shard = self.shards[turn as usize % self.shards.len()].0.lock();
            evicted += usize::from(shard.partition.evict(map.id, now).is_some());
            self.count(&mut shard);
        }
        evicted > 0
    }
}
