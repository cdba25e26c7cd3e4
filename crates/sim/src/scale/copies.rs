//! Copies under way. One begins when its primary and its learner both know of it, and runs at the bandwidth of the busier
//! of its two nodes, which all copies of a node share alike.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_cluster::Millis;
use isogrid_core::PartitionId;

use super::settings::STEP_MS;

/// A copy: of this partition, to the node of this number.
pub(super) type CopyKey = (PartitionId, usize);

/// A copy under way.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) source: usize,
    pub(super) bytes_left: u64,
    /// When its primary proposed the addition.
    pub(super) proposed_at: Option<Millis>,
}

/// The copies of the cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Copies {
    /// Not begun: the primary or the learner may not know of it yet.
    pub(super) waiting: BTreeSet<CopyKey>,
    pub(super) under_way: BTreeMap<CopyKey, Copy>,
    /// The most copies that any node took part in at once.
    pub(super) streams_max: usize,
    pub(super) bytes_copied: u64,
}

impl Copies {
    /// A copy begins.
    pub(super) fn begin(&mut self, key: CopyKey, source: usize, bytes: u64) {
        self.waiting.remove(&key);
        let copy = Copy { source, bytes_left: bytes.max(1), proposed_at: None };
        self.under_way.entry(key).or_insert(copy);
    }

    /// One step of all copies whose two nodes are up.
    pub(super) fn go_on(&mut self, bytes_per_second: u64, is_up: impl Fn(usize) -> bool) {
        let mut streams: BTreeMap<usize, usize> = BTreeMap::new();
        for ((_, target), copy) in self.under_way.iter().filter(|(_, copy)| copy.bytes_left > 0) {
            for node in [copy.source, *target] {
                *streams.entry(node).or_default() += 1;
            }
        }
        let most = streams.values().copied().max().unwrap_or_default();
        self.streams_max = self.streams_max.max(most);
        let bytes_per_step = bytes_per_second * STEP_MS / 1_000;
        for ((_, target), copy) in &mut self.under_way {
            if copy.bytes_left == 0 || !is_up(copy.source) || !is_up(*target) {
                continue;
            }
            let busier = streams[&copy.source].max(streams[target]);
            let bytes = (bytes_per_step / busier as u64).min(copy.bytes_left);
            copy.bytes_left -= bytes;
            self.bytes_copied += bytes;
        }
    }
}
