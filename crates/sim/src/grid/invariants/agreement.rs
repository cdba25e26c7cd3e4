//! What one replica knows to be committed is what all others know to be committed: there is one history, entry by entry.
//! Only a declared loss ends a history, behind the position that it names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use isogrid_core::PartitionId;
use xxhash_rust::xxh3::xxh3_64;

use crate::grid::history::Histories;
use crate::grid::world::World;
use crate::invariant::{Invariant, Violation};
use crate::network::NodeIndex;

pub(super) struct Agreement {
    histories: Rc<RefCell<Histories>>,
    /// How far each replica was looked at, in which life and generation.
    seen: BTreeMap<(NodeIndex, PartitionId), (u64, u32, u64)>,
}

impl Agreement {
    pub(super) fn new(histories: Rc<RefCell<Histories>>) -> Self {
        Agreement { histories, seen: BTreeMap::new() }
    }
}

impl Invariant<World> for Agreement {
    fn name(&self) -> &'static str {
        "one committed history"
    }

    fn check(&mut self, world: &World) -> Result<(), Violation> {
        for (node, partition) in &world.touched {
            let Some(replica) = world.replica(*node, *partition) else { continue };
            if !replica.is_complete() {
                continue;
            }
            let life = replica.me().incarnation.0;
            let generation = replica.loss_generation();
            let commit = replica.commit();
            let seen = self.seen.entry((*node, *partition)).or_insert((life, generation, 0));
            if seen.0 != life || seen.1 != generation {
                *seen = (life, generation, 0);
            }
            let from = seen.2.min(commit);
            seen.2 = commit;
            let mut histories = self.histories.borrow_mut();
            for seq in from + 1..=commit {
                let (Some(position), Some(bytes)) =
                    (replica.log().position_of(seq), replica.log().encoded(seq))
                else {
                    continue;
                };
                let entry = (position, xxh3_64(bytes));
                let first = histories.put((*partition, generation), entry);
                if first != entry {
                    let what = format!(
                        "partition {}: entry {position} is committed, and {} was before",
                        partition.0, first.0
                    );
                    return Err(Violation::new(self.name(), what).on(*node).at(world.now()));
                }
            }
        }
        Ok(())
    }
}
