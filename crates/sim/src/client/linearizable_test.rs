//! The exact check on good and bad histories, and against a search that simply tries every order.

use super::*;
use crate::client::history::{KeyId, OnSide, Seen, Side};
use crate::client::history_for_tests::{Recorder, assert_one, read, swap, write, x};
use crate::random::Random;

const ABSENT: Value = Value::Absent;

fn found(history: &Recorder) -> Vec<Violation> {
    let report = check(&history.0, &Limits::default());
    assert_eq!(report.undecided, 0);
    report.violations
}

#[test]
fn one_after_the_other_is_explained() {
    let mut history = Recorder::default();
    history.saw(0, ABSENT, 0);
    history.wrote(0, 1, 1);
    history.done(0, swap(x(1), 2), 2, x(2));
    history.ended(0, swap(x(1), 3), Outcome::Conflict(Some(Seen { version: 2, value: x(2) })));
    history.ended(0, swap(x(1), 4), Outcome::Conflict(None));
    history.done(0, Kind::Delete, 3, ABSENT);
    history.done(0, Kind::Increment, 4, Value::Number(1));
    history.done(0, Kind::Increment, 5, Value::Number(2));
    history.saw(0, Value::Number(2), 5);
    assert_eq!(found(&history), []);
}

#[test]
fn a_stale_read_has_no_explanation() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    history.wrote(0, 2, 2);
    history.saw(0, x(1), 1);
    assert_one(&found(&history), "no order explains c0 k0 read");
}

#[test]
fn two_readers_that_see_two_writes_in_two_orders_have_no_explanation() {
    let mut history = Recorder::default();
    let one = history.invoke(0, write(1));
    let two = history.invoke(0, write(2));
    history.saw(0, x(1), 1);
    history.saw(0, x(2), 2);
    history.saw(0, x(1), 1);
    history.answer(one, 1, x(1));
    history.answer(two, 2, x(2));
    assert_one(&found(&history), "no order explains");
}

#[test]
fn two_swaps_from_the_same_value_have_no_explanation() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    let one = history.invoke(0, swap(x(1), 2));
    let two = history.invoke(0, swap(x(1), 3));
    history.answer(one, 2, x(2));
    history.answer(two, 3, x(3));
    assert_one(&found(&history), "no order explains");
}

#[test]
fn a_double_and_a_lost_increment_have_no_explanation() {
    for result in [1, 3] {
        let mut history = Recorder::default();
        history.done(0, Kind::Increment, 1, Value::Number(1));
        history.done(0, Kind::Increment, 2, Value::Number(result));
        assert_one(&found(&history), "increment");
    }
}

#[test]
fn a_conflict_without_a_reason_has_no_explanation() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    history.ended(0, swap(x(1), 2), Outcome::Conflict(None));
    assert_one(&found(&history), "conflict");

    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    history.unknown(0, write(9));
    history.ended(0, swap(x(1), 2), Outcome::Conflict(None));
    assert_eq!(found(&history), [], "the write without an answer explains it");
}

#[test]
fn a_write_without_an_answer_may_take_effect_late_and_only_once() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    history.unknown(0, write(2));
    history.saw(0, x(1), 1);
    history.wrote(0, 3, 3);
    history.saw(0, x(2), 4);
    assert_eq!(found(&history), []);
    history.wrote(0, 4, 5);
    history.saw(0, x(2), 4);
    assert_one(&found(&history), "no order explains c0 k0 read");
}

#[test]
fn deletes_and_increments_without_an_answer_take_effect_once_each() {
    let mut history = Recorder::default();
    history.unknown(0, Kind::Increment);
    history.unknown(0, Kind::Increment);
    history.saw(0, Value::Number(2), 2);
    assert_eq!(found(&history), []);
    history.saw(0, Value::Number(3), 3);
    assert_eq!(found(&history).len(), 1);

    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    history.unknown(0, Kind::Delete);
    history.saw(0, ABSENT, 0);
    history.wrote(0, 2, 3);
    assert_eq!(found(&history), []);
    history.saw(0, ABSENT, 0);
    assert_eq!(found(&history).len(), 1, "it was used up");
}

#[test]
fn a_refused_write_that_is_seen_has_no_explanation() {
    let mut history = Recorder::default();
    history.ended(0, write(1), Outcome::NotApplied);
    history.saw(0, x(1), 1);
    assert_eq!(found(&history).len(), 1);
}

#[test]
fn what_may_vanish_may_be_absent_and_does_not_come_back() {
    let mut history = Recorder::default();
    history.0.may_vanish(KeyId(0));
    history.wrote(0, 1, 1);
    history.saw(0, ABSENT, 0);
    assert_eq!(found(&history), []);
    history.saw(0, x(1), 1);
    assert_eq!(found(&history).len(), 1);
}

#[test]
fn behind_a_declared_loss_anything_may_stand_and_then_no_more() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    history.wrote(0, 2, 2);
    let open = history.invoke(0, write(3));
    history.loss(2);
    history.answer(open, 3, x(3));
    history.saw(0, x(1), 1);
    history.saw(0, x(3), 3);
    assert_eq!(found(&history), []);
    history.saw(0, x(1), 1);
    assert_eq!(found(&history).len(), 1);
}

#[test]
fn a_try_that_was_lost_may_be_seen_before_the_loss_and_its_retry_meet_a_conflict_behind() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    let lost = history.invoke(0, swap(x(1), 2));
    history.ended(0, swap(x(1), 3), Outcome::Conflict(Some(Seen { version: 2, value: x(2) })));
    history.loss(1);
    history.wrote(0, 4, 2);
    history.0.complete(lost, Outcome::Conflict(None), crate::time::SimTime::ZERO);
    assert_eq!(found(&history), []);
    history.saw(0, x(2), 2);
    assert_eq!(found(&history).len(), 1, "nothing brings it back");
}

#[test]
fn too_much_at_a_time_is_given_up_and_said() {
    let mut history = Recorder::default();
    let open: Vec<_> = (0..65).map(|value| history.invoke(0, write(value))).collect();
    for (value, id) in open.into_iter().enumerate() {
        history.answer(id, value as u64 + 1, x(value as u64));
    }
    let report = check(&history.0, &Limits::default());
    assert_eq!((report.undecided, report.violations.len()), (1, 0));

    let mut history = Recorder::default();
    let open: Vec<_> = (0..20).map(|value| history.invoke(0, write(value))).collect();
    history.saw(0, x(99), 1);
    drop(open);
    let report = check(&history.0, &Limits { states_max: 1_000 });
    assert!(report.undecided == 1 || report.violations.len() == 1);
}

#[test]
fn many_writes_without_an_answer_that_nobody_saw_cost_nothing() {
    let mut history = Recorder::default();
    for value in 0..500 {
        history.unknown(0, write(1_000 + value));
        history.wrote(0, value, value + 1);
        history.saw(0, x(value), value + 1);
    }
    assert_eq!(found(&history), []);
}

/// Whether some order explains the operations, by trying all of them.
fn is_explained_by_some_order(operations: &[Operation]) -> bool {
    fn search(left: &[&Operation], state: State) -> bool {
        let first_end = left.iter().map(|operation| operation.completed).min().unwrap_or(u64::MAX);
        if first_end == u64::MAX {
            return true;
        }
        left.iter().enumerate().any(|(index, operation)| {
            if operation.invoked > first_end {
                return false;
            }
            let rest: Vec<&Operation> = left
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .map(|(_, o)| *o)
                .collect();
            state.after(operation.kind, operation.outcome).is_some_and(|state| search(&rest, state))
        })
    }
    let left: Vec<&Operation> =
        operations.iter().filter(|o| o.outcome != Outcome::NotApplied).collect();
    search(&left, State::Is(ABSENT))
}

/// A history with a few clients and made-up answers: some make sense, some do not.
fn made_up(seed: u64) -> Recorder {
    let mut random = Random::new(seed);
    let mut history = Recorder::default();
    let mut open = Vec::new();
    let numbers = random.below(2) == 0;
    for value in 1..=7 {
        let any = |random: &mut Random| match random.below(4) {
            0 => ABSENT,
            _ if numbers => Value::Number(random.within(1..=4) as i64),
            _ => x(random.within(1..=value)),
        };
        let kind = match random.below(8) {
            0 => Kind::Delete,
            1..=3 => read(),
            _ if numbers => Kind::Increment,
            4 => swap(any(&mut random), value),
            _ => write(value),
        };
        let answer = match kind {
            Kind::Delete => ABSENT,
            Kind::Increment => Value::Number(random.within(1..=4) as i64),
            Kind::Read(_) => any(&mut random),
            kind => kind.writes().map_or(ABSENT, Value::Written),
        };
        open.push((history.invoke(0, kind), kind, answer));
        while open.len() > 3 || (!open.is_empty() && random.below(2) == 0) {
            let (id, kind, value) = open.swap_remove(random.below(open.len() as u64) as usize);
            let seen = Seen { version: 0, value };
            let outcome = match (random.below(8), kind) {
                (0, _) => Outcome::Unknown,
                (1, kind) if kind != read() => Outcome::NotApplied,
                (2 | 3, Kind::CompareAndSet { .. }) => Outcome::Conflict(None),
                (4 | 5, Kind::CompareAndSet { .. }) => {
                    Outcome::Conflict(Some(Seen { version: 0, value: any(&mut random) }))
                }
                _ => Outcome::Applied(seen),
            };
            history.0.complete(id, outcome, crate::time::SimTime::ZERO);
        }
    }
    history
}

#[test]
fn the_search_agrees_with_trying_every_order() {
    let mut explained = 0;
    for seed in 0..20_000 {
        let history = made_up(seed);
        let expected = is_explained_by_some_order(history.0.operations());
        let violations = found(&history);
        assert_eq!(violations.is_empty(), expected, "seed {seed}: {violations:#?}");
        explained += u32::from(expected);
    }
    assert!((2_000..18_000).contains(&explained), "both kinds occur: {explained}");
}

#[test]
fn a_write_that_only_an_unanswered_swap_can_have_seen_is_kept() {
    let mut history = Recorder::default();
    history.unknown(0, write(3));
    history.unknown(0, swap(x(3), 5));
    history.saw(0, x(5), 2);
    assert_eq!(found(&history), []);
}

fn on(side: Side, on: OnSide) -> Kind {
    Kind::OfPair(side, on)
}

fn left(what: OnSide) -> Kind {
    on(Side::Left, what)
}

fn right(what: OnSide) -> Kind {
    on(Side::Right, what)
}

const READ: OnSide = OnSide::Read;
const OVER: OnSide = OnSide::Move { if_absent: false };
const NEW: OnSide = OnSide::Move { if_absent: true };

fn wrote(value: u64) -> OnSide {
    OnSide::Write(ValueId(value))
}

fn conflict(value: Value) -> Outcome {
    let version = if value == ABSENT { 0 } else { 9 };
    Outcome::Conflict(Some(Seen { version, value }))
}

/// A pair whose left key has x1, with a history that goes on.
fn pair(go_on: impl FnOnce(&mut Recorder)) -> Vec<Violation> {
    let mut history = Recorder::default();
    history.done(0, left(wrote(1)), 1, x(1));
    go_on(&mut history);
    found(&history)
}

/// Both keys are read, one after the other.
fn read_both(history: &mut Recorder, first: (Side, Value), second: (Side, Value)) {
    for (side, value) in [first, second] {
        history.done(0, on(side, READ), 1, value);
    }
}

#[test]
fn a_record_that_moved_is_at_the_other_key_alone() {
    let moved = |go_on: &dyn Fn(&mut Recorder)| {
        pair(|history| {
            history.done(0, left(OVER), 2, ABSENT);
            go_on(history);
        })
    };
    assert_eq!(moved(&|h| read_both(h, (Side::Left, ABSENT), (Side::Right, x(1)))), []);
    let says = "the key held nothing and x1";
    assert_one(&moved(&|h| h.done(0, left(READ), 1, x(1))), says);
    assert_one(&moved(&|h| h.done(0, right(READ), 0, ABSENT)), says);
    assert_one(&moved(&|h| h.done(0, left(OVER), 3, ABSENT)), says);
    assert_eq!(moved(&|h| h.ended(0, left(OVER), conflict(ABSENT))), []);
}

#[test]
fn nobody_sees_both_keys_or_neither_while_a_record_moves() {
    let during = |first, second| {
        pair(|history| {
            let open = history.invoke(0, left(OVER));
            read_both(history, first, second);
            history.answer(open, 2, ABSENT);
        })
    };
    assert_eq!(during((Side::Left, x(1)), (Side::Right, x(1))), [], "it moved in between");
    assert_eq!(during((Side::Left, ABSENT), (Side::Right, x(1))), []);
    assert_eq!(during((Side::Right, ABSENT), (Side::Left, ABSENT)), [], "it moved in between");
    assert_one(&during((Side::Left, ABSENT), (Side::Right, ABSENT)), "no order explains");
    assert_one(&during((Side::Right, x(1)), (Side::Left, x(1))), "no order explains");
}

#[test]
fn a_rename_without_an_answer_happened_once_or_not_at_all() {
    let unknown = |go_on: &dyn Fn(&mut Recorder)| {
        pair(|history| {
            history.unknown(0, left(OVER));
            go_on(history);
        })
    };
    assert_eq!(unknown(&|h| read_both(h, (Side::Left, x(1)), (Side::Right, ABSENT))), []);
    assert_eq!(unknown(&|h| read_both(h, (Side::Right, x(1)), (Side::Left, ABSENT))), []);
    assert_one(
        &unknown(&|h| read_both(h, (Side::Right, x(1)), (Side::Left, x(1)))),
        "no order explains",
    );
    let twice = |h: &mut Recorder| {
        read_both(h, (Side::Right, x(1)), (Side::Left, ABSENT));
        h.done(0, left(wrote(2)), 5, x(2));
        read_both(h, (Side::Left, ABSENT), (Side::Right, x(2)));
    };
    assert_one(&unknown(&twice), "no order explains");
}

#[test]
fn a_rename_gives_way_only_to_what_is_there() {
    let with_right = |go_on: &dyn Fn(&mut Recorder)| {
        pair(|history| {
            history.done(0, right(wrote(2)), 2, x(2));
            go_on(history);
        })
    };
    let both = |h: &mut Recorder| read_both(h, (Side::Left, x(1)), (Side::Right, x(2)));
    let refused = |h: &mut Recorder| {
        h.ended(0, left(NEW), conflict(x(2)));
        both(h);
    };
    assert_eq!(with_right(&refused), []);
    let unknown = |h: &mut Recorder| {
        h.unknown(0, left(NEW));
        both(h);
    };
    assert_eq!(with_right(&unknown), []);
    assert_one(&with_right(&|h| h.done(0, left(NEW), 3, ABSENT)), "no order explains");
    assert_one(&with_right(&|h| h.ended(0, left(NEW), conflict(x(1)))), "no order explains");
    assert_one(&with_right(&|h| h.ended(0, left(NEW), conflict(ABSENT))), "no order explains");
    assert_one(&with_right(&|h| h.ended(0, left(OVER), conflict(x(2)))), "no order explains");
    let over = |h: &mut Recorder| {
        h.done(0, left(OVER), 3, ABSENT);
        read_both(h, (Side::Left, ABSENT), (Side::Right, x(2)));
    };
    assert_one(&with_right(&over), "no order explains");
}

#[test]
fn a_rename_shows_a_write_that_was_not_answered() {
    let mut history = Recorder::default();
    history.unknown(0, left(wrote(1)));
    history.done(0, left(OVER), 2, ABSENT);
    assert_eq!(found(&history), []);
    history.done(0, left(OVER), 3, ABSENT);
    assert_one(&found(&history), "no order explains");
}

#[test]
fn behind_a_loss_either_key_may_hold_anything_and_then_what_was_seen() {
    let lost = |go_on: &dyn Fn(&mut Recorder)| {
        pair(|history| {
            history.loss(1);
            go_on(history);
        })
    };
    for kind in [left(OVER), left(NEW)] {
        let moved = |h: &mut Recorder| {
            h.done(0, kind, 1, ABSENT);
            read_both(h, (Side::Left, ABSENT), (Side::Right, x(7)));
        };
        assert_eq!(lost(&moved), []);
        let unknown = |h: &mut Recorder| {
            h.unknown(0, kind);
            read_both(h, (Side::Left, ABSENT), (Side::Right, x(7)));
        };
        assert_eq!(lost(&unknown), []);
        let back = |h: &mut Recorder| {
            h.done(0, kind, 1, ABSENT);
            h.done(0, left(READ), 1, x(1));
        };
        assert_one(&lost(&back), "the key held nothing and anything");
    }
}
