//! The write path: see the crate's module `write`.

mod suite;

use isogrid_model::bounds::Bounds;
use isogrid_model::write::WriteModel;
use suite::Expectation;

const SMALLEST: Bounds = Bounds::SMALLEST;

#[test]
fn holds_while_replicas_come_and_go() {
    let can = ["a learner joins", "a write is acknowledged after a failover"];
    let expected = Expectation { states: 80_000, can: &can };
    suite::holds::<WriteModel>(Bounds { crashes: 1, changes: 1, ..SMALLEST }, &expected);
}

#[test]
fn holds_when_both_sides_of_failovers_write() {
    let can = ["both sides of a failover acknowledge", "an acknowledged write survives a restart"];
    let expected = Expectation { states: 40_000, can: &can };
    let bounds = Bounds { writes: 2, epochs: 3, crashes: 1, ..SMALLEST };
    suite::holds::<WriteModel>(bounds, &expected);
}

#[test]
fn holds_with_an_in_sync_set_of_three() {
    let can = ["a write is acknowledged after a failover"];
    let expected = Expectation { states: 100_000, can: &can };
    suite::holds::<WriteModel>(
        Bounds { in_sync: 3, crashes: 1, changes: 1, ..SMALLEST },
        &expected,
    );
}

#[test]
fn every_rule_is_needed() {
    suite::every_rule_is_needed::<WriteModel>();
}
