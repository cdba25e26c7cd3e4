//! [`Partition`]: the data of one partition, all maps. One writer at a time; the node keeps each behind a mutex.

use std::sync::Arc;

use isogrid_core::limits::{KEY_BYTES_HARD_MAX, VALUE_BYTES_HARD_MAX};
use isogrid_core::{
    Error, ErrorCode, Limits, MapId, MapSettings, Op, Page, PartitionId, Reply, Scan, Seek, Sought,
    Timestamp, Version, View,
};

use crate::digest;
use crate::hash::{KeyHash, KeyHasher};
use crate::index::IndexState;
use crate::journal::Journal;
use crate::map_store::{Common, MapStore};
use crate::raw::{prefetch, prefetch_all};
use crate::scan::Filter;
use crate::usage::{MapUsage, Pressure};

/// The circumstances of an operation: the store has no clock and does not know the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// What time it is.
    pub now: Timestamp,
    /// Whether the node is over its memory mark: then operations that may need memory must make room first.
    pub over_mark: bool,
}

/// One operation of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The map it is about.
    pub map: MapId,
    /// The hash of its key; not looked at for operations on the whole partition.
    pub hash: KeyHash,
    /// What to do.
    pub op: Op<'a>,
}

/// How many operations of a batch are prefetched together: enough to hide the memory's latency, few enough that nothing
/// leaves the nearest cache before its turn.
const WINDOW_LEN: usize = 32;

/// A step on the way from a partition to a record: each lies behind a pointer in the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Where the map is.
    Place,
    /// The map.
    Map,
    /// Its directory.
    Directory,
    /// The segment of the key.
    Segment,
    /// The bucket of the key.
    Bucket,
    /// The record.
    Record,
}

impl Step {
    /// The whole way.
    pub const ALL: [Step; 6] =
        [Step::Place, Step::Map, Step::Directory, Step::Segment, Step::Bucket, Step::Record];
}

/// The data of one partition.
pub struct Partition {
    id: PartitionId,
    /// By map number: the node numbers maps densely.
    pub(crate) maps: Vec<Option<Box<MapStore>>>,
    pub(crate) common: Common,
}

impl Partition {
    /// An empty partition. `seed` is the cluster's, the same that [`hash_key`](crate::hash_key) is given.
    pub fn new(id: PartitionId, seed: u64, limits: &Limits) -> Self {
        Self::with_hasher(id, KeyHasher::new(seed), limits)
    }

    /// An empty partition with a hasher of its own.
    pub(crate) fn with_hasher(id: PartitionId, hasher: KeyHasher, limits: &Limits) -> Self {
        let common = Common {
            hasher,
            version: Version(0),
            displaced: None,
            journal: Journal::default(),
            key_bytes_max: limits.key_bytes_max.min(KEY_BYTES_HARD_MAX),
            value_bytes_max: limits.value_bytes_max.min(VALUE_BYTES_HARD_MAX),
        };
        Partition { id, maps: Vec::new(), common }
    }

    /// The number of this partition.
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// Sets a map's settings and its account on this node; records stay. A map that was never configured has the default
    /// settings and an account of its own.
    pub fn configure(&mut self, map: MapId, settings: &MapSettings, usage: Arc<MapUsage>) {
        let (id, hasher) = (self.id, self.common.hasher);
        let store = self.slot(map).get_or_insert_with(|| new_store(id, map));
        store.configure(settings, usage, &hasher);
    }

    /// Goes on building indexes, for about so many records. Says whether there was anything to do.
    pub fn build_indexes(&mut self, records_max: usize) -> bool {
        let mut has_built = false;
        let mut left = records_max;
        for store in self.maps.iter_mut().flatten() {
            while left > 0
                && let Some(looked_at) = store.content.build(&self.common.hasher, left)
            {
                has_built = true;
                left = left.saturating_sub(looked_at);
                store.report();
            }
        }
        has_built
    }

    /// How the indexes of a map stand here.
    pub fn index_states(&self, map: MapId) -> Vec<IndexState> {
        let content = self.map(map).map(|store| &store.content);
        let indexes = content.and_then(|content| Some((content, content.indexes.as_ref()?)));
        indexes.map_or_else(Vec::new, |(content, indexes)| indexes.states(content.table.len()))
    }

    fn slot(&mut self, map: MapId) -> &mut Option<Box<MapStore>> {
        let index = map.0 as usize;
        if index >= self.maps.len() {
            self.maps.resize_with(index + 1, || None);
        }
        &mut self.maps[index]
    }

    #[inline]
    pub(crate) fn map(&self, map: MapId) -> Option<&MapStore> {
        self.maps.get(map.0 as usize)?.as_deref()
    }

    /// Asks for what lies one step further on the way to a record. The step before should be near by now.
    #[inline]
    pub fn prefetch(&self, step: Step, map: MapId, hash: KeyHash) {
        if step == Step::Place {
            return self.maps.get(map.0 as usize).into_iter().for_each(prefetch);
        }
        let Some(store) = self.map(map) else { return };
        let table = &store.content.table;
        match step {
            Step::Place => {}
            Step::Map => prefetch_all(store),
            Step::Directory => table.prefetch_directory(hash),
            Step::Segment => table.prefetch_segment(hash),
            Step::Bucket => table.prefetch_bucket(hash),
            Step::Record => table.prefetch_records(hash),
        }
    }

    /// Executes one operation. `hash` is the hash of its key, and is not looked at for operations on the whole partition.
    /// The reply borrows from the records.
    #[inline]
    pub fn execute<'s>(
        &'s mut self,
        map: MapId,
        op: &Op<'_>,
        hash: KeyHash,
        context: &Context,
    ) -> Reply<'s> {
        self.common.begin();
        if let Err(error) = self.common.check(op) {
            return Reply::Failed(error);
        }
        if self.map(map).is_none() {
            if !op.may_grow() {
                return absent(op);
            }
            self.ensure_map(map);
        }
        let store = self.maps[map.0 as usize].as_deref_mut().expect("the map was made above");
        store.execute(&mut self.common, op, hash, context)
    }

    /// Executes operations in order, in windows of three passes: ask for the buckets, ask for the records, execute.
    /// `reply` is called once per operation, with its index.
    pub fn execute_batch(
        &mut self,
        requests: &[Request<'_>],
        context: &Context,
        mut reply: impl FnMut(usize, Reply<'_>),
    ) {
        let mut index = 0;
        for window in requests.chunks(WINDOW_LEN) {
            for request in window {
                self.prefetch(Step::Bucket, request.map, request.hash);
            }
            for request in window {
                self.prefetch(Step::Record, request.map, request.hash);
            }
            for request in window {
                reply(index, self.execute(request.map, &request.op, request.hash, context));
                index += 1;
            }
        }
    }

    /// Removes up to `records_max` expired records, in each map the earliest first. Says how many; fewer than asked for
    /// means that none is left. Also brings the accounts of maps without limits up to date, so call it now and then.
    pub fn expire(&mut self, now: Timestamp, records_max: usize) -> usize {
        self.common.begin();
        let mut removed = 0;
        for store in self.maps.iter_mut().flatten() {
            removed += store.expire(&mut self.common, now, records_max - removed);
        }
        removed
    }

    /// When the next record expires.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.maps.iter().flatten().filter_map(|store| store.next_expiry()).min()
    }

    /// Evicts one record of a map by the map's policy, an expired one first. Says how many bytes that freed; `None` when
    /// nothing may go.
    pub fn evict(&mut self, map: MapId, now: Timestamp) -> Option<usize> {
        self.common.begin();
        let store = self.maps.get_mut(map.0 as usize)?.as_deref_mut()?;
        store.evict_one(&mut self.common, now, &[], Pressure::Limit)
    }

    /// How many records a map has here, expired ones included until they are removed.
    pub fn entries(&self, map: MapId) -> usize {
        self.map(map).map_or(0, |store| store.content.table.len())
    }

    /// How many bytes a map has here, overhead included.
    pub fn bytes(&self, map: MapId) -> usize {
        self.map(map).map_or(0, MapStore::bytes)
    }

    /// The entries and bytes of each map that is here.
    pub fn sizes(&self) -> impl Iterator<Item = (MapId, usize, usize)> {
        let maps = self.maps.iter().enumerate();
        maps.filter_map(|(index, store)| {
            let store = store.as_deref()?;
            Some((MapId(index as u32), store.content.table.len(), store.bytes()))
        })
    }

    /// How many bytes all maps have here, overhead included.
    pub fn total_bytes(&self) -> usize {
        self.maps.iter().flatten().map(|store| store.bytes()).sum()
    }

    /// A digest of all records with their maps, versions and expiries. Two replicas that number their maps alike have the
    /// same data exactly if their digests are equal.
    pub fn digest(&self) -> u128 {
        let maps = self.maps.iter().enumerate();
        maps.filter_map(|(index, store)| {
            let store = store.as_deref()?;
            Some(digest::of_map(MapId(index as u32), store.content.digest()))
        })
        .fold(0, u128::wrapping_add)
    }

    /// The version of the last change; zero before the first.
    pub fn last_version(&self) -> Version {
        self.common.version
    }
}

fn new_store(partition: PartitionId, map: MapId) -> Box<MapStore> {
    let seed = u64::from(partition.0) << 32 | u64::from(map.0);
    Box::new(MapStore::new(map, seed))
}

/// The answer of a map that is not there to an operation that does not make it.
#[cold]
fn absent(op: &Op<'_>) -> Reply<'static> {
    match op {
        Op::Exists { .. } | Op::Touch { .. } => Reply::Flag(false),
        Op::Len { .. } | Op::Clear { .. } => Reply::Count(0),
        Op::Scan(Scan { view: View::At(moment), .. })
        | Op::Seek(Seek { view: View::At(moment), .. })
            if moment.records > 0 =>
        {
            let detail = format!("the map went after version {}", moment.version);
            Reply::Failed(Error::new(ErrorCode::ViewLost, detail))
        }
        // The filter is read even so: a wrong one must not look right as long as the map is empty.
        Op::Scan(scan) => match Filter::new(scan) {
            Ok(_) => Reply::Page(Page::default()),
            Err(error) => Reply::Failed(error),
        },
        Op::Seek(_) => Reply::Sought(Sought::default()),
        _ => Reply::Missing,
    }
}

#[cfg(test)]
#[path = "partition_test.rs"]
pub(crate) mod tests;
