//! The table as it should be: placement over the nodes that have a place, worked out anew when they change.

use isogrid_core::{Member, MemberState, Members, NodeId, PartitionId, TableVersion, placement};

use super::settings::StewardSettings;
use super::stability::Stability;
use crate::council::{Council, Intent, NodeRecord};
use crate::id::Millis;

/// Who should hold each partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Desired {
    /// The nodes that have a place, with what decides the placement; `None` before the first look.
    placed: Option<Members>,
    lists: Vec<Vec<NodeId>>,
    /// How many copies were wanted then: maps come and go.
    copies: usize,
    /// Grows with every change.
    version: u64,
}

impl Desired {
    /// Takes in the nodes as they are now.
    pub(super) fn look(
        &mut self,
        now: Millis,
        council: &Council,
        stability: &Stability,
        settings: &StewardSettings,
    ) {
        let is_ready = |node: &NodeId| stability.is_ready(now, node, settings);
        // Before the first assignment nothing moves, so nobody is waited for.
        let is_fresh = council.table().version() == TableVersion(0);
        let stays = |record: &NodeRecord| !matches!(record.intent, Intent::Drain | Intent::Leave);
        let is_replaced = |record: &NodeRecord| stability.is_replaced(now, record, settings);
        let has_place = |record: &NodeRecord| {
            let node = &record.member.id;
            let had = self.placed.as_ref().is_none_or(|placed| placed.contains(node));
            match record.member.state {
                MemberState::Joining => false,
                _ if !stays(record) => false,
                // For a while the place of a node that is down is kept, and so is that of one that came back.
                MemberState::Down => had && !is_replaced(record),
                MemberState::Active | MemberState::Draining => {
                    let keeps = had && self.placed.is_some() && !is_replaced(record);
                    is_fresh || is_ready(node) || keeps
                }
            }
        };
        let mut placed = placeable(council, has_place);
        if placed.len() < council.copies() {
            // There is nobody else for the copies of nodes that come and go: what they hold is better than nothing.
            let flaps = |record: &NodeRecord| {
                is_replaced(record) && !stability.is_gone(now, record, settings) && stays(record)
            };
            placed = placeable(council, |record| has_place(record) || flaps(record));
        }
        let unchanged = self.placed.as_ref() == Some(&placed)
            && self.copies == council.copies()
            && self.lists.len() == usize::from(council.table().partitions().get());
        if !unchanged {
            self.copies = council.copies();
            self.lists = placement::desired(council.table().partitions(), &placed, self.copies);
            self.placed = Some(placed);
            self.version += 1;
        }
    }

    /// Who should hold a partition, the primary first.
    pub(super) fn holders(&self, partition: PartitionId) -> &[NodeId] {
        self.lists.get(usize::from(partition.0)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Grows with every change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }
}

/// The nodes that have a place, with nothing but what decides the placement.
fn placeable(council: &Council, has_place: impl Fn(&NodeRecord) -> bool) -> Members {
    let records = council.nodes().values().filter(|record| has_place(record));
    let members = records.map(|record| Member {
        zone: record.member.zone.clone(),
        weight: record.member.weight,
        ..Member::new(record.member.id.as_str())
    });
    members.filter(|member| member.weight > 0).collect()
}
