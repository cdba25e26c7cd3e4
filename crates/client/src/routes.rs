//! [`Routes`]: from a partition to the lane of its primary, or of the replica nearest to this client.
//!
//! Every operation reads this, and only a newer table or a reconnect changes it, so it is plain atomics: a reader that sees
//! half of a change at worst goes a longer way. Lanes are never taken away while the client lives; one whose node has gone is
//! used again for another.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use isogrid_core::slot::SLOTS;
use isogrid_core::{Limits, PartitionCount, PartitionId};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::lane::{Lane, LaneShared};
use crate::prepared::Prepared;

/// The most lanes of a client: nodes times cores. Beyond it nodes get fewer lanes.
const LANES_MAX: usize = 4_096;

/// Which lane carries what, and what nodes allow.
#[derive(Debug)]
pub(crate) struct Routes {
    shared: Arc<LaneShared>,
    lanes: Box<[OnceLock<Arc<Lane>>]>,
    /// How many lanes there are, and those of them that nobody uses.
    count: AtomicUsize,
    free: Mutex<Vec<usize>>,
    /// For each partition the lane to its primary.
    primary: Box<[AtomicU32]>,
    /// For each partition the lane to the replica nearest to this client.
    nearest: Box<[AtomicU32]>,
    partitions: AtomicUsize,
    limits: AtomicLimits,
    /// Grows whenever some partition goes another way.
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct AtomicLimits {
    key_bytes_max: AtomicUsize,
    value_bytes_max: AtomicUsize,
    frame_bytes_max: AtomicUsize,
    batch_ops_max: AtomicUsize,
    in_flight_ops_max: AtomicUsize,
}

/// The ways of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The lane to the primary.
    pub(crate) primary: usize,
    /// The lane to the nearest replica.
    pub(crate) nearest: usize,
}

impl Routes {
    /// No lanes and no ways yet.
    pub(crate) fn new(shared: Arc<LaneShared>) -> Self {
        let ways = || (0..SLOTS).map(|_| AtomicU32::new(0)).collect();
        Self {
            shared,
            lanes: (0..LANES_MAX).map(|_| OnceLock::new()).collect(),
            count: AtomicUsize::new(0),
            free: Mutex::default(),
            primary: ways(),
            nearest: ways(),
            partitions: AtomicUsize::new(1),
            limits: AtomicLimits::default(),
            version: watch::Sender::new(0),
        }
    }

    /// A lane that nobody uses; `None` when there are as many as there may be.
    pub(crate) fn take_lane(&self) -> Option<usize> {
        let mut free = self.free.lock();
        if let Some(index) = free.pop() {
            return Some(index);
        }
        let index = self.count.load(Ordering::Relaxed);
        self.lanes.get(index)?.get_or_init(|| Arc::new(Lane::new(Arc::clone(&self.shared))));
        self.count.store(index + 1, Ordering::Release);
        Some(index)
    }

    /// Nobody uses this lane any more.
    pub(crate) fn give_back(&self, lane: usize) {
        self.free.lock().push(lane);
    }

    /// All lanes, also those that are not in use.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.lanes[..self.count.load(Ordering::Acquire)].iter().filter_map(OnceLock::get)
    }

    pub(crate) fn lanes_len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// The lane with this index, which is one that [`take_lane`](Self::take_lane) gave.
    #[inline]
    pub(crate) fn lane(&self, index: usize) -> &Arc<Lane> {
        self.lanes[index].get().expect("ways lead to lanes that were taken")
    }

    /// What a node said.
    pub(crate) fn welcomed(&self, partitions: PartitionCount, told: &Limits) {
        self.partitions.store(usize::from(partitions.get()), Ordering::Relaxed);
        let own = &self.limits;
        own.key_bytes_max.store(told.key_bytes_max, Ordering::Relaxed);
        own.value_bytes_max.store(told.value_bytes_max, Ordering::Relaxed);
        own.frame_bytes_max.store(told.frame_bytes_max, Ordering::Relaxed);
        own.batch_ops_max.store(told.batch_ops_max, Ordering::Relaxed);
        own.in_flight_ops_max.store(told.in_flight_ops_max, Ordering::Relaxed);
    }

    /// Sets the ways of all partitions; `None` leaves a way as it is. Returns the lanes that some partition left.
    pub(crate) fn set_ways(
        &self,
        partitions: PartitionCount,
        way: impl Fn(PartitionId) -> Option<Way>,
    ) -> Vec<usize> {
        self.partitions.store(usize::from(partitions.get()), Ordering::Relaxed);
        let mut left = Vec::new();
        let mut has_changed = false;
        for partition in partitions.iter() {
            let Some(way) = way(partition) else { continue };
            let index = usize::from(partition.0);
            self.nearest[index].store(way.nearest as u32, Ordering::Relaxed);
            let before = self.primary[index].swap(way.primary as u32, Ordering::Relaxed) as usize;
            if before != way.primary {
                has_changed = true;
                if !left.contains(&before) {
                    left.push(before);
                }
            }
        }
        if has_changed {
            self.version.send_modify(|version| *version += 1);
        }
        left
    }

    /// Tells when some partition goes another way.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// What nodes allow.
    #[inline]
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            key_bytes_max: self.limits.key_bytes_max.load(Ordering::Relaxed),
            value_bytes_max: self.limits.value_bytes_max.load(Ordering::Relaxed),
            frame_bytes_max: self.limits.frame_bytes_max.load(Ordering::Relaxed),
            batch_ops_max: self.limits.batch_ops_max.load(Ordering::Relaxed),
            in_flight_ops_max: self.limits.in_flight_ops_max.load(Ordering::Relaxed),
            ..Limits::default()
        }
    }

    /// How many partitions the cluster has.
    #[inline]
    pub(crate) fn partitions(&self) -> PartitionCount {
        let partitions = self.partitions.load(Ordering::Relaxed);
        PartitionCount::new(partitions as u16).unwrap_or_default()
    }

    /// The partition of an operation.
    #[inline]
    pub(crate) fn partition_of(&self, prepared: &Prepared<'_>) -> PartitionId {
        prepared.partition(self.partitions())
    }

    /// The index of the lane to a partition's primary.
    #[inline]
    pub(crate) fn to_primary(&self, partition: PartitionId) -> usize {
        self.primary[usize::from(partition.0) % self.primary.len()].load(Ordering::Relaxed) as usize
    }

    /// The index of the lane to a partition's nearest replica; to its primary if that one is out of reach.
    pub(crate) fn to_nearest(&self, partition: PartitionId) -> usize {
        let nearest = self.nearest[usize::from(partition.0) % self.nearest.len()]
            .load(Ordering::Relaxed) as usize;
        if self.lane(nearest).is_connected() { nearest } else { self.to_primary(partition) }
    }

    /// The index of the lane for an operation: the first time it may go to the nearest replica, later to the primary.
    #[inline]
    pub(crate) fn index_for(
        &self,
        prepared: &Prepared<'_>,
        partition: PartitionId,
        is_first: bool,
    ) -> usize {
        if is_first && prepared.may_read_anywhere() {
            self.to_nearest(partition)
        } else {
            self.to_primary(partition)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::retry::{Budget, Retry};

    fn routes() -> Routes {
        let budget = Arc::new(Budget::new(&Retry::default()));
        Routes::new(Arc::new(LaneShared::new(Arc::new(Clock::default()), budget, false)))
    }

    fn four() -> PartitionCount {
        PartitionCount::new(4).expect("a power of two")
    }

    #[test]
    fn partitions_go_their_ways_and_leave_them() {
        let routes = routes();
        let lanes: Vec<usize> = (0..3).map_while(|_| routes.take_lane()).collect();
        assert_eq!((lanes.as_slice(), routes.lanes().count()), (&[0, 1, 2][..], 3));
        let changes = routes.changes();
        let to = |primary: usize| Some(Way { primary, nearest: 2 });
        routes.set_ways(four(), |partition| to(usize::from(partition.0 % 2)));
        assert!(changes.has_changed().unwrap_or(false));
        assert_eq!(routes.to_primary(PartitionId(3)), 1);
        assert_eq!(routes.to_nearest(PartitionId(3)), 1, "the nearest is not connected");
        routes.lane(2).connected("n".into(), &Limits::default());
        assert_eq!(routes.to_nearest(PartitionId(3)), 2);
        let left = routes.set_ways(four(), |partition| (partition.0 == 3).then(|| to(0)).flatten());
        assert_eq!(left, [1], "one partition left it");
        assert_eq!(routes.to_primary(PartitionId(1)), 1, "the others stayed");
        assert!(routes.set_ways(four(), |_| None).is_empty());
    }

    #[test]
    fn a_lane_that_nobody_uses_is_used_again() {
        let routes = routes();
        assert_eq!((routes.take_lane(), routes.take_lane()), (Some(0), Some(1)));
        routes.give_back(0);
        assert_eq!((routes.take_lane(), routes.take_lane()), (Some(0), Some(2)));
        while routes.take_lane().is_some() {}
        assert_eq!(routes.lanes().count(), LANES_MAX);
    }
}
