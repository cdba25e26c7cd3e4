//! What a process wrote the next one reads back: only a bit that flipped and a loss of power make a disk say less than was
//! written to it, and a start knows when it does.

use crate::grid::world::World;
use crate::invariant::{Invariant, Violation};

pub(super) struct IsReadBack;

impl Invariant<World> for IsReadBack {
    fn name(&self) -> &'static str {
        "what was written is read back"
    }

    fn check(&mut self, world: &World) -> Result<(), Violation> {
        let Some((node, what)) = world.unexplained.first() else { return Ok(()) };
        Err(Violation::new(self.name(), what.clone()).on(*node).at(world.now()))
    }
}
