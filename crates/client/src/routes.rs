//! [`Routes`]: from a partition to the lane of its home core. Only a speed-up: any lane can carry any operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use isogrid_core::{Limits, PartitionCount};
use parking_lot::Mutex;

use crate::lane::Lane;
use crate::prepared::Prepared;
use crate::session::Welcome;

/// Which lane carries what, and what the node allows.
///
/// Every operation reads this and only a reconnect changes it, so it is plain atomics: a reader that sees half of a change
/// at worst takes a longer way, or has its request refused by the node instead of here.
#[derive(Debug)]
pub(crate) struct Routes {
    lanes: Vec<Arc<Lane>>,
    /// For each core the lane that ends there, or stands in for one that does.
    lane_of_core: Vec<AtomicUsize>,
    cores: AtomicUsize,
    partitions: AtomicUsize,
    limits: AtomicLimits,
    /// Where each lane ended up. Changed and read as one only when a lane connects.
    core_of_lane: Mutex<Vec<usize>>,
}

#[derive(Debug, Default)]
struct AtomicLimits {
    key_bytes_max: AtomicUsize,
    value_bytes_max: AtomicUsize,
    frame_bytes_max: AtomicUsize,
    batch_ops_max: AtomicUsize,
    in_flight_ops_max: AtomicUsize,
}

impl Routes {
    /// The routes to a node that said `welcome`, over lanes that ended up at these cores.
    pub(crate) fn new(welcome: &Welcome, lanes: Vec<Arc<Lane>>, core_of_lane: Vec<usize>) -> Self {
        debug_assert_eq!(lanes.len(), core_of_lane.len(), "each lane has a home");
        let routes = Self {
            lanes,
            lane_of_core: (0..welcome.cores).map(|_| AtomicUsize::new(0)).collect(),
            cores: AtomicUsize::new(1),
            partitions: AtomicUsize::new(1),
            limits: AtomicLimits::default(),
            core_of_lane: Mutex::new(core_of_lane),
        };
        routes.welcomed(welcome, |_| {});
        routes
    }

    /// A lane reached another core, perhaps of another node.
    pub(crate) fn reroute(&self, lane: usize, welcome: &Welcome) {
        self.welcomed(welcome, |core_of_lane| core_of_lane[lane] = welcome.core);
    }

    fn welcomed(&self, welcome: &Welcome, moved: impl FnOnce(&mut [usize])) {
        let mut core_of_lane = self.core_of_lane.lock();
        moved(&mut core_of_lane);
        for (core, lane) in self.lane_of_core.iter().enumerate() {
            let home = core_of_lane.iter().position(|home| *home == core);
            lane.store(home.unwrap_or(core % self.lanes.len()), Ordering::Relaxed);
        }
        self.cores.store(welcome.cores, Ordering::Relaxed);
        self.partitions.store(usize::from(welcome.partitions.get()), Ordering::Relaxed);
        let (own, told) = (&self.limits, &welcome.limits);
        own.key_bytes_max.store(told.key_bytes_max, Ordering::Relaxed);
        own.value_bytes_max.store(told.value_bytes_max, Ordering::Relaxed);
        own.frame_bytes_max.store(told.frame_bytes_max, Ordering::Relaxed);
        own.batch_ops_max.store(told.batch_ops_max, Ordering::Relaxed);
        own.in_flight_ops_max.store(told.in_flight_ops_max, Ordering::Relaxed);
    }

    pub(crate) fn lanes(&self) -> &[Arc<Lane>] {
        &self.lanes
    }

    /// What the node allows.
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

    /// The index of the lane for an operation.
    #[inline]
    pub(crate) fn index_for(&self, prepared: &Prepared<'_>) -> usize {
        if self.lanes.len() == 1 {
            return 0;
        }
        let partition = prepared.partition(self.partitions());
        let core = usize::from(partition.0) % self.cores.load(Ordering::Relaxed);
        match self.lane_of_core.get(core) {
            Some(lane) => lane.load(Ordering::Relaxed),
            // A node with more cores than the one first connected to.
            None => core % self.lanes.len(),
        }
    }

    /// The lane for an operation.
    #[inline]
    pub(crate) fn lane_for(&self, prepared: &Prepared<'_>) -> &Lane {
        &self.lanes[self.index_for(prepared)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::key::KeyBytes;
    use crate::prepared::Action;
    use crate::retry::{Budget, Retry};

    fn welcome(cores: usize, core: usize) -> Welcome {
        let (partitions, limits) = (PartitionCount::default(), Limits::default());
        Welcome { node: "n1".into(), partitions, cores, core, limits }
    }

    fn routes(cores: usize, homes: &[usize]) -> Routes {
        let budget = Arc::new(Budget::new(&Retry::default()));
        let clock = Arc::new(Clock::default());
        let lane = |_| Arc::new(Lane::new(Arc::clone(&clock), Arc::clone(&budget)));
        Routes::new(&welcome(cores, 0), homes.iter().map(lane).collect(), homes.to_vec())
    }

    fn lane_of_core(routes: &Routes) -> Vec<usize> {
        routes.lane_of_core.iter().map(|lane| lane.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn a_partition_goes_to_the_lane_of_its_home_core() {
        let routes = routes(2, &[1, 0]);
        for key in ["foo", "bar", "hello"] {
            let get = Prepared::new(KeyBytes::borrowed(key.as_bytes()), Action::Get);
            let partition = routes.partitions().partition_of_key(key.as_bytes());
            assert_eq!(routes.index_for(&get), usize::from(1 - partition.0 % 2), "{key}");
        }
    }

    #[test]
    fn a_core_without_a_lane_is_served_by_another() {
        assert_eq!(lane_of_core(&routes(4, &[2, 2])), [0, 1, 0, 1]);
    }

    #[test]
    fn a_lane_that_moves_takes_its_partitions_along() {
        let routes = routes(2, &[0, 1]);
        routes.reroute(0, &welcome(2, 1));
        routes.reroute(1, &welcome(2, 0));
        assert_eq!(lane_of_core(&routes), [1, 0]);
        routes.reroute(0, &welcome(8, 7));
        for n in 0..100u8 {
            let key = [n];
            let get = Prepared::new(KeyBytes::borrowed(&key), Action::Get);
            assert!(routes.index_for(&get) < 2, "more cores than lanes");
        }
    }
}
