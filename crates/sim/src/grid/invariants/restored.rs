//! Once the faults are over the cluster becomes whole: every partition has its primary and all its copies, and everybody
//! knows. Only what the loss policy blocks may stay closed.

use isogrid_cluster::council::LossPolicy;
use isogrid_core::{PartitionEntry, PartitionId};

use crate::grid::world::World;

/// The name of the rule in violations.
pub(in crate::grid) const RULE: &str = "replicas are restored once faults end";

/// What is still missing, if anything.
pub(in crate::grid) fn missing(world: &World) -> Option<String> {
    let council = &world.council.council;
    let serving = council.members();
    let placeable = serving.placeable().count();
    let wanted = council.copies().min(placeable);
    for (partition, entry) in council.table().iter() {
        if is_blocked(world, partition, entry) {
            continue;
        }
        if entry.in_sync.len() < wanted {
            return Some(format!("partition {} has {entry:?}, wanted {wanted}", partition.0));
        }
        let Some(primary) = &entry.primary else {
            return Some(format!("partition {} has no primary", partition.0));
        };
        let index = world.names.get(primary)?;
        let is_open = world.replica(*index, partition).is_some_and(|replica| replica.is_open());
        if !is_open {
            return Some(format!("partition {}: {primary} is not open: {entry:?}", partition.0));
        }
    }
    None
}

/// The partitions that nobody can open: their state at the end cannot be read.
pub(in crate::grid) fn blocked(world: &World) -> Vec<PartitionId> {
    let table = world.council.council.table();
    let blocked = table.iter().filter(|(partition, entry)| is_blocked(world, *partition, entry));
    blocked.map(|(partition, _)| partition).collect()
}

/// Under the policy `block` a partition whose last holders lost their storage waits for them.
fn is_blocked(world: &World, partition: PartitionId, entry: &PartitionEntry) -> bool {
    let council = &world.council.council;
    let lost = |replica: &isogrid_core::Replica| {
        let facts = council.facts(partition);
        let is_stranded = facts.is_some_and(|facts| facts.stranded.contains_key(&replica.node));
        is_stranded || council.is_suspect(partition, &replica.node)
    };
    council.loss_policy() == LossPolicy::Block
        && !entry.in_sync.is_empty()
        && entry.in_sync.iter().any(lost)
        && council.facts(partition).is_some_and(|facts| !facts.stranded.is_empty())
}
