//! Exactly once: see the crate's module `once`.

mod suite;

use isogrid_model::bounds::Bounds;
use isogrid_model::once::OnceModel;
use suite::Expectation;

const SMALLEST: Bounds = Bounds::SMALLEST;

const INHERITED: &str = "a request of an earlier epoch is answered";

#[test]
fn holds_over_failovers_and_the_end_of_the_session() {
    let can = [INHERITED, "both requests are complete", "the session ends"];
    let expected = Expectation { states: 40_000, can: &can };
    suite::holds::<OnceModel>(Bounds { epochs: 3, session_ends: true, ..SMALLEST }, &expected);
}

#[test]
fn holds_while_replicas_come_and_go() {
    let can = [INHERITED, "both requests are complete"];
    let expected = Expectation { states: 20_000, can: &can };
    suite::holds::<OnceModel>(Bounds { epochs: 3, crashes: 1, ..SMALLEST }, &expected);
    suite::holds::<OnceModel>(Bounds { changes: 1, ..SMALLEST }, &expected);
}

#[test]
fn every_rule_is_needed() {
    suite::every_rule_is_needed::<OnceModel>();
}
