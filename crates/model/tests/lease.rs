//! Reads and leases: see the crate's module `lease`.

mod suite;

use isogrid_model::bounds::Bounds;
use isogrid_model::lease::LeaseModel;
use suite::Expectation;

const SMALLEST: Bounds = Bounds { messages: 1, ..Bounds::SMALLEST };

const SERVED: &str = "a read is served after a failover";

#[test]
fn holds_by_leases_while_clocks_drift() {
    let can = [SERVED, "the old primary is removed", "a lease is held by a deposed primary"];
    let expected = Expectation { states: 600_000, can: &can };
    suite::holds::<LeaseModel>(Bounds { changes: 1, ..SMALLEST }, &expected);
}

#[test]
fn holds_by_rounds_without_a_clock() {
    let expected = Expectation { states: 4_000, can: &[SERVED, "the old primary is removed"] };
    let bounds = Bounds { confirmed_reads: true, clocks: false, changes: 1, ..SMALLEST };
    suite::holds::<LeaseModel>(bounds, &expected);
}

#[test]
fn holds_when_a_set_of_one_grows_and_shrinks() {
    let expected = Expectation { states: 10_000, can: &[SERVED, "the old primary is removed"] };
    let bounds = Bounds { in_sync: 1, changes: 2, messages: 2, ..SMALLEST };
    suite::holds::<LeaseModel>(Bounds { clocks: false, ..bounds }, &expected);
}

#[test]
fn holds_over_restarts_and_heartbeats() {
    let expected = Expectation { states: 10_000, can: &[SERVED] };
    let bounds = Bounds { crashes: 1, keeps_log: true, heartbeats: true, ..SMALLEST };
    suite::holds::<LeaseModel>(bounds, &expected);
}

#[test]
fn every_rule_is_needed() {
    suite::every_rule_is_needed::<LeaseModel>();
}
