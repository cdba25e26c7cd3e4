//! How much may be copied at once: streams per node, and bytes per second and node.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::NodeId;

use super::evidence::Stream;
use super::settings::StewardSettings;
use crate::id::Millis;

/// For how long ahead of their budget nodes may start copies, so that small ones run side by side.
const AHEAD_MS: u64 = 1_000;

/// When each node has paid for the copies it took part in.
#[derive(Clone, Debug, Default)]
pub(super) struct Budgets {
    paid_at: BTreeMap<NodeId, Millis>,
}

impl Budgets {
    /// Whether both ends have budget for another copy.
    pub(super) fn allow(&self, now: Millis, stream: &Stream) -> bool {
        let allows = |node: &NodeId| {
            self.paid_at.get(node).is_none_or(|paid_at| *paid_at <= now.plus(AHEAD_MS))
        };
        allows(&stream.source) && allows(&stream.target)
    }

    /// Both ends pay for a copy.
    pub(super) fn pay(
        &mut self,
        now: Millis,
        stream: &Stream,
        bytes: u64,
        settings: &StewardSettings,
    ) {
        self.paid_at.retain(|_, paid_at| *paid_at > now);
        let ms = bytes.saturating_mul(1_000) / settings.copy_bytes_per_second.max(1);
        for node in [&stream.source, &stream.target] {
            let paid_at = self.paid_at.entry(node.clone()).or_insert(now);
            *paid_at = paid_at.plus(ms);
        }
    }
}

/// The copies under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams {
    under_way: BTreeSet<Stream>,
    per_node: BTreeMap<NodeId, usize>,
}

impl Streams {
    /// One more copy, unless it is known already.
    pub(super) fn add(&mut self, stream: Stream) {
        // A copy is known by its partition and target: its source may have changed.
        let same =
            |other: &Stream| other.partition == stream.partition && other.target == stream.target;
        let first = Stream { source: NodeId::new(""), target: NodeId::new(""), ..stream.clone() };
        let of_partition = self.under_way.range(first..);
        if of_partition.take_while(|other| other.partition == stream.partition).any(same) {
            return;
        }
        for node in [&stream.source, &stream.target] {
            *self.per_node.entry(node.clone()).or_default() += 1;
        }
        self.under_way.insert(stream);
    }

    /// Whether both ends may take part in one more.
    pub(super) fn allow(&self, stream: &Stream, settings: &StewardSettings) -> bool {
        let has_room = |node: &NodeId| {
            self.per_node.get(node).copied().unwrap_or_default() < settings.streams_max
        };
        has_room(&stream.source) && has_room(&stream.target)
    }
}
