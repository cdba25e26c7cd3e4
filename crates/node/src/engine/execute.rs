//! Executes a batch: group by partition, lock, prefetch, apply.
//!
//! Memory is far away: a record that is not in the cache costs as much as everything else an operation does. So the
//! operations are put in the order of their partitions and taken in windows. For a window all its partitions are locked, in
//! ascending order (so that two cores never wait for each other in a circle), then all buckets are asked for, then all
//! records, and only then is each operation executed, by when its memory has arrived.

use std::time::{Duration, Instant};

use isogrid_core::{Error, ErrorCode, MapId, Op, Reply, Result, Target};
use isogrid_store::{Context, KeyHash};

use super::{Engine, MapInfo, Shard};
use crate::clock;

/// How many operations are in flight to memory at once. 16 to 64 are alike; see docs/performance.md.
const WINDOW: usize = 32;

/// The most operations that a batch can number, whatever is configured: their index shares 32 bits with the partition.
pub(crate) const BATCH_OPS_HARD_MAX: usize = 1 << 16;

/// The number of a map that does not exist. The store answers for it as for an empty map.
const NO_MAP: MapId = MapId(u32::MAX);

/// Until when the caller waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// A deadline so many milliseconds from now; zero for none.
    pub(crate) fn after_ms(ms: u32) -> Self {
        Self((ms != 0).then(|| Instant::now() + Duration::from_millis(u64::from(ms))))
    }

    /// No deadline.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    fn has_passed(self) -> bool {
        self.0.is_some_and(|at| Instant::now() >= at)
    }
}

/// An operation on its way to its partition.
struct Routed<'a> {
    op: Op<'a>,
    hash: KeyHash,
    map: MapId,
    partition: u16,
}

/// Operations to be executed together.
pub(crate) struct Batch<'a> {
    engine: &'a Engine,
    ops: Vec<Routed<'a>>,
    /// `partition << 16 | index`: sorts by partition, and keeps the order within it.
    order: Vec<u32>,
    /// Operations that were refused before they reached a partition.
    refused: Vec<(usize, Error)>,
    /// The maps of the batch, by the caller's index.
    maps: Vec<NamedMap<'a>>,
    /// Whether an operation may change data. Reads never do, so a batch of reads leaves the accounts alone.
    may_change: bool,
}

struct NamedMap<'a> {
    name: &'a str,
    id: MapId,
}

impl<'a> Batch<'a> {
    /// A batch that names these maps and will hold about so many operations.
    pub(crate) fn new(
        engine: &'a Engine,
        maps: impl IntoIterator<Item = &'a str>,
        ops: usize,
    ) -> Self {
        let resolve = |name| NamedMap { name, id: engine.map_id(name).unwrap_or(NO_MAP) };
        Self {
            engine,
            ops: Vec::with_capacity(ops),
            order: Vec::with_capacity(ops),
            refused: Vec::new(),
            maps: maps.into_iter().map(resolve).collect(),
            may_change: false,
        }
    }

    /// Adds an operation on the map with this index. One that cannot be executed gets its error as its reply.
    #[inline]
    pub(crate) fn push(&mut self, map: usize, mut op: Op<'a>) {
        let index = self.ops.len();
        if let Op::Scan(scan) = &mut op {
            scan.entries_max = scan.entries_max.min(self.engine.limits.scan_entries_max as u32);
        }
        match self.route(map, &op) {
            Ok((map, partition, hash)) => {
                self.may_change |= !op.is_read();
                self.order.push(u32::from(partition) << 16 | index as u32);
                self.ops.push(Routed { op, hash, map, partition });
            }
            Err(error) => {
                self.refused.push((index, error));
                self.ops.push(Routed { op, hash: KeyHash::default(), map: NO_MAP, partition: 0 });
            }
        }
    }

    #[inline]
    fn route(&mut self, map: usize, op: &Op<'_>) -> Result<(MapId, u16, KeyHash)> {
        let (partition, hash) = self.engine.place(op)?;
        // Before a map is made for it: an operation that is refused must leave nothing behind.
        if let Target::Key(key) = op.target() {
            self.engine.limits.check_key(key)?;
        }
        self.engine.limits.check_value(op.value().unwrap_or_default())?;
        let map = &mut self.maps[map];
        if map.id == NO_MAP {
            // A batch may name a map twice, so an operation before this one may have made it.
            map.id = match self.engine.map_id(map.name) {
                None if op.may_grow() => self.engine.make_map(map.name)?,
                found => found.unwrap_or(NO_MAP),
            };
        }
        Ok((map.id, partition.0, hash))
    }
}

/// Where the replies of a batch go, and how many bytes they are by now.
struct Replies<F> {
    sink: F,
    bytes: usize,
}

impl<F: FnMut(usize, &Reply<'_>) -> usize> Replies<F> {
    #[inline]
    fn put(&mut self, index: usize, reply: &Reply<'_>) {
        self.bytes = (self.sink)(index, reply);
    }
}

/// What a batch is executed under.
struct Conditions {
    context: Context,
    deadline: Deadline,
    reply_bytes_max: usize,
    may_change: bool,
}

impl Engine {
    /// Executes a batch. `reply` is called once for each operation, with its index in the batch, in the order of execution:
    /// that of the batch for operations on one partition. It says how many bytes of replies there are by now; beyond
    /// `frame_bytes_max` nothing more is executed, so that the replies to a small request cannot fill the memory.
    pub(crate) fn execute(
        &self,
        core: usize,
        batch: Batch<'_>,
        deadline: Deadline,
        mut reply: impl FnMut(usize, &Reply<'_>) -> usize,
    ) {
        let Batch { ops, mut order, refused, maps, may_change, .. } = batch;
        for (index, error) in refused {
            reply(index, &Reply::Failed(error));
        }
        if self.stopping.load(std::sync::atomic::Ordering::Relaxed) {
            for &key in &order {
                let stopping = Error::new(ErrorCode::ShuttingDown, "");
                reply(index_of(key), &Reply::Failed(stopping));
            }
            return;
        }
        let context = Context { now: clock::now(), over_mark: self.memory.is_over() };
        let conditions = Conditions {
            context,
            deadline,
            reply_bytes_max: self.limits.frame_bytes_max,
            may_change,
        };
        order.sort_unstable();
        let mut guards = Vec::with_capacity(WINDOW);
        let mut replies = Replies { sink: reply, bytes: 0 };
        for window in order.chunks(WINDOW) {
            self.execute_window(&ops, window, &conditions, &mut guards, &mut replies);
        }
        self.operations[core].0.fetch_add(order.len() as u64, std::sync::atomic::Ordering::Relaxed);
        if may_change {
            self.keep_limits(&maps, context);
        }
    }

    fn execute_window<'e>(
        &'e self,
        ops: &[Routed<'_>],
        window: &[u32],
        conditions: &Conditions,
        guards: &mut Vec<parking_lot::MutexGuard<'e, Shard>>,
        replies: &mut Replies<impl FnMut(usize, &Reply<'_>) -> usize>,
    ) {
        if conditions.deadline.has_passed() {
            for &key in window {
                let late = Error::new(ErrorCode::DeadlineBeforeStart, "the node was too busy");
                replies.put(index_of(key), &Reply::Failed(late));
            }
            return;
        }
        let mut shard_of = [0u8; WINDOW];
        let mut last = None;
        for (position, &key) in window.iter().enumerate() {
            let op = &ops[index_of(key)];
            if last != Some(op.partition) {
                guards.push(self.shards[usize::from(op.partition)].0.lock());
                last = Some(op.partition);
            }
            let shard = guards.len() - 1;
            shard_of[position] = shard as u8;
            guards[shard].partition.prefetch_bucket(op.map, op.hash);
        }
        if window.len() > 1 {
            for (&key, &shard) in window.iter().zip(&shard_of) {
                let op = &ops[index_of(key)];
                guards[usize::from(shard)].partition.prefetch_record(op.map, op.hash);
            }
        }
        for (&key, &shard) in window.iter().zip(&shard_of) {
            let index = index_of(key);
            let Routed { op, hash, map, .. } = &ops[index];
            if replies.bytes > conditions.reply_bytes_max {
                let full = Error::new(ErrorCode::ReplyTooLarge, "");
                replies.put(index, &Reply::Failed(full));
                continue;
            }
            let partition = &mut guards[usize::from(shard)].partition;
            let answer = partition.execute(*map, op, *hash, &conditions.context);
            replies.put(index, &answer);
        }
        for mut shard in guards.drain(..) {
            if conditions.may_change {
                self.count(&mut shard);
            }
        }
    }

    /// Evicts elsewhere what a write's own partition could not give.
    fn keep_limits(&self, maps: &[NamedMap<'_>], context: Context) {
        for map in maps.iter().filter(|map| map.id != NO_MAP) {
            let info = self.maps.find(map.name);
            if let Some(info) = info.filter(|info: &std::sync::Arc<MapInfo>| info.is_over_limits())
            {
                self.relieve(&info, context.now);
            }
        }
    }
}

/// The index of an operation in its batch.
fn index_of(key: u32) -> usize {
    (key & 0xffff) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::memory::MemoryGauge;

    fn engine() -> Engine {
        Engine::new(&Config::default(), 1, MemoryGauge::new(1 << 40), 1).expect("a good default")
    }

    /// Puts a key and says how that ended.
    fn put(engine: &Engine, deadline: Deadline) -> Option<ErrorCode> {
        let mut batch = Batch::new(engine, ["m"], 1);
        batch.push(0, Op::put(b"k", b"v"));
        let mut code = None;
        engine.execute(0, batch, deadline, |_, reply| {
            if let Reply::Failed(error) = reply {
                code = Some(error.code());
            }
            0
        });
        code
    }

    #[test]
    fn what_comes_too_late_is_not_executed() {
        let engine = engine();
        let past = Deadline(Some(Instant::now()));
        assert_eq!(put(&engine, past), Some(ErrorCode::DeadlineBeforeStart));
        assert_eq!(engine.entries(), 0);
        assert_eq!(put(&engine, Deadline::after_ms(60_000)), None);
        assert_eq!(engine.entries(), 1);
    }

    #[test]
    fn a_stopping_engine_executes_nothing() {
        let engine = engine();
        engine.stop();
        assert_eq!(put(&engine, Deadline::none()), Some(ErrorCode::ShuttingDown));
        assert_eq!(engine.entries(), 0);
    }
}
