//! Within one life of a node no promise, no commit index and no table goes back.

use std::collections::BTreeMap;

use isogrid_core::{Epoch, PartitionId, TableVersion};

use crate::grid::world::World;
use crate::invariant::{Invariant, Violation};
use crate::network::NodeIndex;

#[derive(Default)]
pub(super) struct NothingRegresses {
    promised: BTreeMap<(NodeIndex, PartitionId), (u64, Epoch)>,
    tables: BTreeMap<NodeIndex, (u64, TableVersion)>,
    hashes: BTreeMap<TableVersion, u64>,
}

impl Invariant<World> for NothingRegresses {
    fn name(&self) -> &'static str {
        "epochs and tables never regress"
    }

    fn check(&mut self, world: &World) -> Result<(), Violation> {
        let wrong = |what: String| Violation::new("epochs and tables never regress", what);
        for (node, partition) in &world.touched {
            let Some(replica) = world.replica(*node, *partition) else { continue };
            let life = replica.me().incarnation.0;
            let promised = replica.promised();
            let last = self.promised.insert((*node, *partition), (life, promised));
            if let Some((last_life, last)) = last
                && last_life == life
                && last > promised
            {
                let what = format!("partition {}: {} after {}", partition.0, promised.0, last.0);
                return Err(wrong(what).on(*node).at(world.now()));
            }
            let Some(process) = world.machines.get(node).and_then(|one| one.process.as_ref())
            else {
                continue;
            };
            let version = process.table.version();
            let last = self.tables.insert(*node, (life, version));
            if let Some((last_life, last)) = last
                && last_life == life
                && last > version
            {
                let what = format!("table {} after {}", version.0, last.0);
                return Err(wrong(what).on(*node).at(world.now()));
            }
            if version == TableVersion(0) {
                continue;
            }
            let hash = *self.hashes.entry(version).or_insert_with(|| process.table.hash());
            if hash != process.table.hash() {
                let what = format!("table {} has two contents", version.0);
                return Err(wrong(what).on(*node).at(world.now()));
            }
        }
        Ok(())
    }
}
