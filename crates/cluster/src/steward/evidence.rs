//! What the council's leader knows that is not committed. All of it may be late, wrong or missing: it decides when the
//! steward proposes, never what the council allows.

use std::collections::{BTreeMap, BTreeSet};

use isogrid_core::{LogPosition, NodeId, PartitionId, SessionId};
use serde::{Deserialize, Serialize};

use crate::id::Millis;

/// What the leader knows that is not committed. All times are readings of the leader's own clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Per node, who considers it dead, and since when.
    pub suspicions: BTreeMap<NodeId, BTreeMap<NodeId, Millis>>,
    /// Per node, who has heard from it, and when last.
    pub contacts: BTreeMap<NodeId, BTreeMap<NodeId, Millis>>,
    /// Per node, when the leader last answered its heartbeat: its lease from the council counts from no later than that. A
    /// leader answers only the present lives of nodes that serve, and only while a quorum follows it.
    pub answered: BTreeMap<NodeId, Millis>,
    /// What primaries reported of their partitions.
    pub partitions: BTreeMap<PartitionId, PartitionReport>,
    /// Copies under way, also those that bring back a member that was away.
    pub streams: Vec<Stream>,
    /// Per node, by how many milliseconds its clock is ahead of the leader's.
    pub clock_offsets: BTreeMap<NodeId, i64>,
    /// When each of these was measured.
    pub clocks_at: BTreeMap<NodeId, Millis>,
    /// Per session, when its client was last heard of by any node.
    pub sessions: BTreeMap<SessionId, Millis>,
    /// The nodes that have synced all they hold, for a stop of the whole cluster.
    pub flushed: BTreeSet<NodeId>,
    /// Whether an operator allows more than a third of the nodes to be fenced at once.
    pub fence_without_limit: bool,
}

/// How long a measured clock is believed rather than one that seems to be further behind.
const CLOCK_BELIEVED_MS: u64 = 2_000;

impl Evidence {
    /// A heartbeat told a node's clock, so many milliseconds ahead of the leader's when it arrived. On its way it has lost
    /// time, and one that was held up has lost much: of the last ones the least delayed is believed.
    pub fn note_clock(&mut self, node: &NodeId, offset_ms: i64, now: Millis) {
        let is_newer = match (self.clock_offsets.get(node), self.clocks_at.get(node)) {
            (Some(known), Some(at)) => offset_ms >= *known || now.since(*at) > CLOCK_BELIEVED_MS,
            _ => true,
        };
        if is_newer {
            self.clock_offsets.insert(node.clone(), offset_ms);
            self.clocks_at.insert(node.clone(), now);
        }
    }
}

/// What a primary reported of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionReport {
    /// How much a copy would move.
    pub bytes: u64,
    /// How far its log is committed.
    pub committed: LogPosition,
    /// How far each backup and learner is.
    pub followers: BTreeMap<NodeId, Follower>,
}

/// How far a backup or learner is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Follower {
    /// Its log is the primary's up to here.
    pub matched: LogPosition,
    /// What is left to copy.
    pub bytes_left: u64,
    /// How far it is behind in time.
    pub lag_ms: u64,
    /// Whether its data are whole: no copy is under way.
    pub is_complete: bool,
}

/// A copy under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream {
    /// Of this partition.
    pub partition: PartitionId,
    /// From this node.
    pub source: NodeId,
    /// To this node.
    pub target: NodeId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_heartbeat_sets_no_clock_back_and_a_clock_that_stays_behind_does() {
        let (mut evidence, node) = (Evidence::default(), NodeId::new("a"));
        let mut told = |offset, at| {
            evidence.note_clock(&node, offset, Millis(at));
            evidence.clock_offsets[&node]
        };
        assert_eq!(told(-3, 1_000), -3);
        assert_eq!(told(-641, 1_200), -3, "it was on its way for long");
        assert_eq!(told(-2, 1_400), -2);
        assert_eq!(told(-700, 3_400), -2, "not for longer than that");
        assert_eq!(told(-700, 3_401), -700);
        assert_eq!(told(900, 3_500), 900, "nothing makes a clock seem to be ahead");
    }
}
