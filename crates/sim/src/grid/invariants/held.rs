//! Every member of the committed in-sync set, in its recorded life, holds every acknowledged write.

use isogrid_core::PartitionId;
use isogrid_replica::log::Match;

use crate::grid::world::World;
use crate::invariant::{Invariant, Violation};

#[derive(Default)]
pub(super) struct Held {
    steps: u64,
}

impl Invariant<World> for Held {
    fn name(&self) -> &'static str {
        "in-sync members hold every acknowledged write"
    }

    fn check(&mut self, world: &World) -> Result<(), Violation> {
        self.steps += 1;
        // A look at everything is dear; what breaks this stays broken for a while.
        if !self.steps.is_multiple_of(64) {
            return Ok(());
        }
        for (partition, acked) in &world.acked {
            check_partition(world, *partition, *acked)
                .map_err(|what| Violation::new(self.name(), what).at(world.now()))?;
        }
        Ok(())
    }
}

fn check_partition(
    world: &World,
    partition: PartitionId,
    acked: isogrid_core::LogPosition,
) -> Result<(), String> {
    let Some(entry) = world.council.council.entry(partition) else { return Ok(()) };
    for member in &entry.in_sync {
        if world.council.council.is_suspect(partition, &member.node) {
            continue;
        }
        let Some(index) = world.names.get(&member.node) else { continue };
        let Some(replica) = world.replica(*index, partition) else { continue };
        if replica.me() != member {
            continue;
        }
        if replica.log().matches(acked) == Match::No {
            return Err(format!(
                "partition {}: {acked} was acknowledged, {} has {}",
                partition.0,
                member.node,
                replica.log().last()
            ));
        }
    }
    Ok(())
}
