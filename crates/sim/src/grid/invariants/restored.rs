//! Once the faults are over the cluster becomes whole: every partition has its primary and all its copies, and everybody
//! knows. Only what the loss policy blocks may stay closed.

use isogrid_cluster::council::LossPolicy;
use isogrid_core::{PartitionEntry, PartitionId, Replica};

use crate::grid::world::World;

/// The name of the rule in violations.
pub(in crate::grid) const RULE: &str = "replicas are restored once faults end";

/// What is still missing, if anything.
pub(in crate::grid) fn missing(world: &World) -> Option<String> {
    let council = &world.council.council;
    let placeable = council.members().placeable().count();
    let wanted = council.copies().min(placeable);
    let in_table = |(partition, entry): (PartitionId, &PartitionEntry)| {
        missing_of(world, partition, entry, wanted)
            .map(|why| format!("partition {} {why}: {entry:?}", partition.0))
    };
    missing_node(world).or_else(|| council.table().iter().find_map(in_table))
}

/// A node that does not run, or that the council does not count in, or that does not know the table.
fn missing_node(world: &World) -> Option<String> {
    let council = &world.council.council;
    world.machines.values().find_map(|machine| {
        let name = &machine.name;
        let Some(process) = machine.process.as_ref() else {
            return Some(format!("{name} does not start"));
        };
        let known = process.table.version();
        if council.serving(name).as_ref() != Some(&process.me) {
            return Some(format!("{name} runs and does not serve: {:?}", council.member(name)));
        }
        let newest = council.table().version();
        (known != newest).then(|| format!("{name} knows version {known:?} of {newest:?}"))
    })
}

fn missing_of(
    world: &World,
    partition: PartitionId,
    entry: &PartitionEntry,
    wanted: usize,
) -> Option<String> {
    if is_blocked(world, partition, entry) {
        return None;
    }
    let Some(primary) = &entry.primary else { return Some("has no primary".to_owned()) };
    let index = world.names.get(primary);
    let replica = index.and_then(|index| world.replica(*index, partition));
    if !replica.is_some_and(|replica| replica.is_open()) {
        return Some(format!("is not open at {primary}"));
    }
    let sound = world.council.council.leaders(partition).count();
    (sound < wanted).then(|| format!("has {sound} sound copies, wanted {wanted}"))
}

/// The partitions that nobody can open: their state at the end cannot be read.
pub(in crate::grid) fn blocked(world: &World) -> Vec<PartitionId> {
    let table = world.council.council.table();
    let blocked = table.iter().filter(|(partition, entry)| is_blocked(world, *partition, entry));
    blocked.map(|(partition, _)| partition).collect()
}

/// Under the policy `block` a partition whose last members lost their storage waits for it. Members whose storage is there
/// are promoted or recovered, suspects too: a partition that has one must open.
fn is_blocked(world: &World, partition: PartitionId, entry: &PartitionEntry) -> bool {
    let council = &world.council.council;
    let Some(facts) = council.facts(partition) else { return false };
    let is_lost =
        |member: &Replica| facts.stranded.contains_key(&member.node) && !council.is_live(member);
    council.loss_policy() == LossPolicy::Block
        && !entry.in_sync.is_empty()
        && entry.in_sync.iter().all(is_lost)
}
