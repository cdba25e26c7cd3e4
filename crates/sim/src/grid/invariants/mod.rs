//! What must hold after every step of a grid, one invariant per file.

mod agreement;
mod held;
mod one_primary;
mod regress;
pub(super) mod restored;
mod same_data;

use super::world::World;
use crate::invariant::{Invariants, Violation};

/// All that are checked after every step.
pub(super) fn all() -> Invariants<World> {
    Invariants::default()
        .with(one_primary::OnePrimary::default())
        .with(agreement::Agreement::default())
        .with(held::Held::default())
        .with(regress::NothingRegresses::default())
}

/// What must hold when all is quiet.
pub(super) fn end(world: &World) -> Vec<Violation> {
    same_data::check(world)
}
