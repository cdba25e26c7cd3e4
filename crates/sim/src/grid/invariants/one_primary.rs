//! In one epoch of a partition there is at most one primary, in one life of one node.

use std::collections::BTreeMap;

use isogrid_core::{Epoch, PartitionId, Replica};
use isogrid_replica::RoleName;

use crate::grid::world::World;
use crate::invariant::{Invariant, Violation};

#[derive(Default)]
pub(super) struct OnePrimary {
    primaries: BTreeMap<(PartitionId, Epoch), Replica>,
}

impl Invariant<World> for OnePrimary {
    fn name(&self) -> &'static str {
        "one primary per epoch"
    }

    fn check(&mut self, world: &World) -> Result<(), Violation> {
        for (node, partition) in &world.touched {
            let Some(replica) = world.replica(*node, *partition) else { continue };
            if replica.role() != RoleName::Primary {
                continue;
            }
            let epoch = replica.promised();
            let me = replica.me();
            let first = self.primaries.entry((*partition, epoch)).or_insert_with(|| me.clone());
            if first != me {
                let what = format!(
                    "partition {}, epoch {}: {}/{} and {}/{}",
                    partition.0,
                    epoch.0,
                    first.node,
                    first.incarnation.0,
                    me.node,
                    me.incarnation.0
                );
                return Err(Violation::new(self.name(), what).on(*node).at(world.now()));
            }
        }
        Ok(())
    }
}
