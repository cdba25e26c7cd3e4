//! Whether a node can be stopped without anybody missing it: yes with the proof, or no with what stands in the way.

use isogrid_core::{LogPosition, NodeId, PartitionEntry, PartitionId, Replica};
use serde::{Deserialize, Serialize};

use super::everybody_stops;
use super::evidence::Evidence;
use super::settings::StewardSettings;
use crate::council::{Council, Intent};

/// Whether a node can be stopped now. It is true of the state that was looked at: whoever asks for one node at a time and
/// waits until it is back loses nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CanStop {
    /// Yes.
    Yes {
        /// For each partition of which it holds a copy: who else has everything.
        proof: Vec<Proof>,
    },
    /// Not yet.
    No {
        /// Per partition, what stands in the way.
        blockers: Vec<Blocker>,
    },
}

/// Who else has everything of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The partition.
    pub partition: PartitionId,
    /// The other in-sync members that are up and sound.
    pub held_by: Vec<NodeId>,
    /// Each has everything at least up to here, as the primary last reported.
    pub up_to: Option<LogPosition>,
}

/// What stands in the way of a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// The partition; `None` for the node as a whole.
    pub partition: Option<PartitionId>,
    /// What it is.
    pub why: BlockedBy,
    /// How long it may take, if nothing else happens.
    pub estimate_ms: u64,
}

/// What stands in the way of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockedBy {
    /// The node leads the partition.
    Leads,
    /// Too few others have everything.
    TooFewCopies {
        /// How many others have.
        have: usize,
        /// How many must.
        need: usize,
    },
    /// The node is to leave for good and still is a member.
    StillMember,
    /// The whole cluster stops, and the node has not synced all it holds.
    NotFlushed,
    /// Without it, too few of the council's voters would be up for a majority.
    Quorum {
        /// How many others are up.
        have: usize,
        /// How many must be.
        need: usize,
    },
}

/// What a handover is thought to take.
const HANDOVER_MS: u64 = 1_000;

/// What a removal is thought to take: the leases are waited out.
const REMOVAL_MS: u64 = 2_000;

/// Whether a node can be stopped now, by what is wanted of it: a node that leaves must be empty; any other must lead
/// nothing, and as many others as every map needs must have everything it has; when the whole cluster stops, it must
/// have synced all it holds.
pub fn can_stop(node: &NodeId, council: &Council, evidence: &Evidence) -> CanStop {
    let mut proof = Vec::new();
    let mut blockers = Vec::new();
    if everybody_stops(council) {
        if !evidence.flushed.contains(node) {
            let why = BlockedBy::NotFlushed;
            blockers.push(Blocker { partition: None, why, estimate_ms: HANDOVER_MS });
            return CanStop::No { blockers };
        }
        return CanStop::Yes { proof };
    }
    let leaves = council.node(node).is_some_and(|record| record.intent == Intent::Leave);
    for (partition, entry) in council.table().iter() {
        if !entry.in_sync.iter().any(|member| member.node == *node) {
            continue;
        }
        let held_by = others_with_everything(node, council, evidence, partition, entry);
        match blocked_by(node, council, entry, (leaves, held_by.len())) {
            Some(why) => {
                let estimate_ms = estimate(why, partition, evidence);
                blockers.push(Blocker { partition: Some(partition), why, estimate_ms });
            }
            None => {
                // What a primary of an earlier epoch reported may belong to a history that was declared lost.
                let report = evidence.partitions.get(&partition);
                let present = report.filter(|report| report.committed.epoch == entry.epoch);
                let up_to = present.map(|report| report.committed);
                proof.push(Proof { partition, held_by, up_to });
            }
        }
    }
    if blockers.is_empty() { CanStop::Yes { proof } } else { CanStop::No { blockers } }
}

fn others_with_everything(
    node: &NodeId,
    council: &Council,
    evidence: &Evidence,
    partition: PartitionId,
    entry: &PartitionEntry,
) -> Vec<NodeId> {
    // A member may have the whole log and yet data that are being mended.
    let report = evidence.partitions.get(&partition);
    let is_whole = |other: &NodeId| {
        let follower = report.and_then(|report| report.followers.get(other));
        follower.is_none_or(|follower| follower.is_complete)
    };
    // Of nodes that restart, one after the other goes, in the order of their names.
    let stays = |other: &NodeId| match council.node(other).map(|record| record.intent) {
        Some(Intent::Stay | Intent::Drain | Intent::Leave) => true,
        Some(Intent::Restart) => other > node,
        Some(Intent::Stop) | None => false,
    };
    let has_everything = |member: &&Replica| {
        member.node != *node
            && stays(&member.node)
            && is_whole(&member.node)
            && council.can_lead(partition, member)
    };
    entry.in_sync.iter().filter(has_everything).map(|member| member.node.clone()).collect()
}

fn blocked_by(
    node: &NodeId,
    council: &Council,
    entry: &PartitionEntry,
    (leaves, have): (bool, usize),
) -> Option<BlockedBy> {
    let need = council.min_in_sync();
    if have < need {
        Some(BlockedBy::TooFewCopies { have, need })
    } else if entry.primary.as_ref() == Some(node) {
        Some(BlockedBy::Leads)
    } else if leaves {
        Some(BlockedBy::StillMember)
    } else {
        None
    }
}

fn estimate(why: BlockedBy, partition: PartitionId, evidence: &Evidence) -> u64 {
    match why {
        BlockedBy::Leads | BlockedBy::NotFlushed | BlockedBy::Quorum { .. } => HANDOVER_MS,
        BlockedBy::StillMember => REMOVAL_MS,
        BlockedBy::TooFewCopies { .. } => {
            let bytes = evidence.partitions.get(&partition).map_or(0, |report| report.bytes);
            let per_second = StewardSettings::default().copy_bytes_per_second;
            HANDOVER_MS + REMOVAL_MS + bytes.saturating_mul(1_000) / per_second
        }
    }
}
