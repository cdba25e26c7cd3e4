//! What must hold after every step of a grid, one invariant per file.

mod agreement;
pub(super) mod can_stop;
mod held;
mod loss;
mod one_primary;
mod read_back;
mod regress;
pub(super) mod restored;
mod same_data;

use std::cell::RefCell;
use std::rc::Rc;

use isogrid_core::PartitionId;

use super::history::Histories;
use super::world::World;
use crate::invariant::{Invariants, Violation};

/// All that are checked after every step.
pub(super) fn all(histories: &Rc<RefCell<Histories>>) -> Invariants<World> {
    Invariants::default()
        .with(one_primary::OnePrimary::default())
        .with(agreement::Agreement::new(histories.clone()))
        .with(held::Held::default())
        .with(regress::NothingRegresses::default())
        .with(loss::LossIsTold::default())
        .with(can_stop::CanStopIsTrue)
        .with(read_back::IsReadBack)
}

/// What must hold when all is quiet.
pub(super) fn end(world: &World, histories: &Histories, blocked: &[PartitionId]) -> Vec<Violation> {
    let mut found = same_data::check(world);
    found.extend(loss::end(world, histories, blocked));
    found
}
