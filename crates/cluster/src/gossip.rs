//! What nodes tell each other all the time, and what to make of it. Gossip carries news; it never changes an owner: the
//! most that it does is to make a node ask another one for committed changes.

use std::collections::BTreeMap;

use isogrid_core::{Incarnation, NodeId, Table, TableVersion, Timestamp};

use crate::id::ClusterId;

/// What a node tells all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipState {
    /// Its name.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Its cluster, once it has one.
    pub cluster: Option<ClusterId>,
    /// The version of its table.
    pub table: TableVersion,
    /// The hash of its table.
    pub table_hash: u64,
    /// Its wall clock when it said so.
    pub clock: Timestamp,
    /// How loaded it is.
    pub load: Load,
}

/// How loaded a node is, in coarse steps so that it is rarely told anew: tenths, zero to ten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Of its memory.
    pub memory: u8,
    /// Of its processors.
    pub processor: u8,
}

/// A share in tenths. It changes only when the share has left the last step by a quarter of one, so that it does not
/// swing.
pub fn coarse(used: u64, of: u64, last: u8) -> u8 {
    let hundredths = u128::from(used) * 1_000 / u128::from(of.max(1));
    let hundredths = hundredths.min(1_000) as u64;
    let middle = u64::from(last.min(10)) * 100;
    if hundredths.abs_diff(middle) <= 75 { last.min(10) } else { ((hundredths + 50) / 100) as u8 }
}

/// What to do about another node's news of its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing: it is not newer.
    Nothing,
    /// Ask that node for the changes since this version.
    Pull {
        /// Whom.
        from: NodeId,
        /// Since which version.
        since: TableVersion,
    },
    /// The same version with other content: report a defect.
    Defect {
        /// Of the other node.
        hash: u64,
    },
    /// It belongs to another cluster: do not listen to it.
    Foreign(ClusterId),
}

/// What to do about another node's news of its table.
pub fn hear(own_cluster: Option<ClusterId>, own: &Table, other: &GossipState) -> Heard {
    match (own_cluster, other.cluster) {
        (_, None) | (None, Some(_)) => return Heard::Nothing,
        (Some(ours), Some(theirs)) if ours != theirs => return Heard::Foreign(theirs),
        (Some(_), Some(_)) => {}
    }
    if other.table > own.version() {
        Heard::Pull { from: other.node.clone(), since: own.version() }
    } else if own.version().0 > 0 && other.table == own.version() && other.table_hash != own.hash()
    {
        // Before anything is assigned there is nothing to differ in but what a node knows of the number of partitions.
        Heard::Defect { hash: other.table_hash }
    } else {
        Heard::Nothing
    }
}

/// From how far off the median a clock is an alarm.
pub const CLOCK_ALARM_MS: u64 = 100;

/// From how far off the median a node refuses to lead.
pub const CLOCK_REFUSE_MS: u64 = 500;

/// What a node's clock is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClockVerdict {
    /// Everything.
    Good,
    /// It is off enough for somebody to look.
    Alarm,
    /// It is too far off to lead partitions: expiries would be wrong.
    Refuse,
}

/// By how much a node's clock is off the median of all, and what that means. Offsets are against any one clock; the node
/// that judges has to be among them. Of an even number the median is the lower one.
pub fn judge_clock(node: &NodeId, offsets: &BTreeMap<NodeId, i64>) -> ClockVerdict {
    let Some(own) = offsets.get(node) else { return ClockVerdict::Good };
    judge_offset(*own, median(offsets))
}

/// The median of the offsets; zero when there are none.
pub(crate) fn median(offsets: &BTreeMap<NodeId, i64>) -> i64 {
    let mut sorted: Vec<i64> = offsets.values().copied().collect();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

pub(crate) fn judge_offset(own: i64, median: i64) -> ClockVerdict {
    match own.abs_diff(median) {
        off if off > CLOCK_REFUSE_MS => ClockVerdict::Refuse,
        off if off > CLOCK_ALARM_MS => ClockVerdict::Alarm,
        _ => ClockVerdict::Good,
    }
}

#[cfg(test)]
#[path = "gossip_test.rs"]
mod tests;
