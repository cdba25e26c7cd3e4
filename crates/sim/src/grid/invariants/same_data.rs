//! When all is quiet, replicas that stand at the same entry have the same data, and every key lies in its partition only.

use std::collections::BTreeMap;

use isogrid_core::PartitionId;
use isogrid_replica::RoleName;
use isogrid_store::WalkCursor;

use crate::grid::world::World;
use crate::invariant::Violation;

/// What is wrong.
pub(super) fn check(world: &World) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut digests: BTreeMap<(PartitionId, u32, u64), (u128, String)> = BTreeMap::new();
    let partitions = world.council.council.table().partitions();
    for machine in world.machines.values() {
        let Some(process) = &machine.process else { continue };
        for (partition, held) in &process.replicas {
            let replica = &held.replica;
            for record in replica.store().walk(WalkCursor::default(), usize::MAX).records {
                if partitions.partition_of_key(record.key) != *partition {
                    let what = format!("a foreign key in partition {}", partition.0);
                    violations.push(Violation::new("no key in two partitions", what));
                }
            }
            let is_settled =
                replica.role() != RoleName::Primary || replica.commit() == replica.log().last().seq;
            let is_in_sync = replica.view().in_sync.contains(replica.me());
            if !is_settled || !replica.is_complete() || !is_in_sync {
                continue;
            }
            let at = (*partition, replica.loss_generation(), replica.commit());
            let digest = replica.store().digest();
            let first = digests.entry(at).or_insert_with(|| (digest, machine.name.to_string()));
            // What went wrong with no write after it has not been noticed yet.
            if first.0 != digest && !world.corrupted.contains_key(partition) {
                let what = format!(
                    "partition {} at entry {}: {} and {} differ",
                    partition.0, at.2, first.1, machine.name
                );
                violations.push(Violation::new("equal positions have equal data", what));
            }
        }
    }
    violations
}
