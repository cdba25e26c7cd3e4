//! Recovery from disk: see the crate's module `disk`.

mod suite;

use isogrid_model::bounds::Bounds;
use isogrid_model::disk::DiskModel;
use suite::Expectation;

const SMALLEST: Bounds = Bounds::SMALLEST;

#[test]
fn holds_over_restarts_of_the_whole_set() {
    let can = [
        "the whole in-sync set restarts, then a write is acknowledged",
        "a write is acknowledged after a failover",
    ];
    let expected = Expectation { states: 300_000, can: &can };
    suite::holds::<DiskModel>(Bounds { crashes: 2, ..SMALLEST }, &expected);
}

#[test]
fn holds_over_power_losses() {
    let can =
        ["a suspect is promoted", "the whole in-sync set restarts, then a write is acknowledged"];
    let expected = Expectation { states: 130_000, can: &can };
    suite::holds::<DiskModel>(Bounds { power_losses: 2, ..SMALLEST }, &expected);
}

#[test]
fn holds_when_a_disk_is_lost() {
    let can = ["the whole in-sync set restarts, then a write is acknowledged"];
    let expected = Expectation { states: 130_000, can: &can };
    suite::holds::<DiskModel>(Bounds { crashes: 1, disk_losses: 1, ..SMALLEST }, &expected);
}

#[test]
fn a_set_that_lost_every_disk_is_lost() {
    let expected = Expectation { states: 10_000, can: &["everything is lost"] };
    suite::holds::<DiskModel>(Bounds { disk_losses: 2, ..SMALLEST }, &expected);
}

#[test]
fn holds_while_the_set_changes() {
    let can = ["a write is acknowledged after a failover"];
    let expected = Expectation { states: 40_000, can: &can };
    suite::holds::<DiskModel>(Bounds { changes: 1, ..SMALLEST }, &expected);
}

#[test]
fn every_rule_is_needed() {
    suite::every_rule_is_needed::<DiskModel>();
}
