//! The version oracle on good and bad histories.

use super::*;
use crate::client::history::{OnSide, Seen, Side, ValueId};
use crate::client::history_for_tests::{PARTITION, Recorder, assert_one, read, swap, write, x};
use crate::random::Random;
use crate::time::SimTime;

const ABSENT: Value = Value::Absent;

fn found(history: &Recorder) -> Vec<Violation> {
    check(&history.0)
}

#[test]
fn renames_have_versions_of_their_own_in_the_order_of_time() {
    let moved = |version| {
        let mut history = Recorder::default();
        history.wrote(1, 1, 4);
        let kind = |on| Kind::OfPair(Side::Left, on);
        history.done(0, kind(OnSide::Write(ValueId(2))), 5, x(2));
        history.done(0, kind(OnSide::Move { if_absent: false }), version, Value::Absent);
        history.done(0, Kind::OfPair(Side::Right, OnSide::Read), version, x(2));
        history.done(0, kind(OnSide::Read), 0, Value::Absent);
        check(&history.0)
    };
    assert_eq!(moved(6), []);
    let says: Vec<String> = moved(5).into_iter().map(|violation| violation.what).collect();
    assert!(says.iter().any(|what| what.contains("the same version twice")), "{says:?}");
    assert!(says.iter().any(|what| what.contains("v5 was acknowledged before")), "{says:?}");
}

#[test]
fn a_good_history_passes() {
    let mut history = Recorder::default();
    history.saw(0, ABSENT, 0);
    history.wrote(0, 1, 1);
    history.wrote(1, 2, 2);
    history.saw(0, x(1), 1);
    history.done(0, swap(x(1), 3), 3, x(3));
    history.ended(0, swap(x(1), 4), Outcome::Conflict(Some(Seen { version: 3, value: x(3) })));
    history.done(0, Kind::Delete, 5, ABSENT);
    history.saw(0, ABSENT, 0);
    history.done(2, Kind::Increment, 6, Value::Number(1));
    history.saw(2, Value::Number(1), 6);
    assert_eq!(found(&history), []);
}

#[test]
fn concurrent_writes_may_have_any_order() {
    let mut history = Recorder::default();
    let first = history.invoke(0, write(1));
    let second = history.invoke(0, write(2));
    history.answer(first, 9, x(1));
    history.answer(second, 8, x(2));
    history.saw(0, x(1), 9);
    assert_eq!(found(&history), []);
}

#[test]
fn reordered_versions_are_found() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 9);
    history.wrote(1, 2, 8);
    assert_one(&found(&history), "v9 was acknowledged before it began");
}

#[test]
fn the_same_version_twice_is_found() {
    let mut history = Recorder::default();
    let first = history.invoke(0, write(1));
    let second = history.invoke(1, write(2));
    history.answer(first, 5, x(1));
    history.answer(second, 5, x(2));
    assert_one(&found(&history), "the same version twice");
}

#[test]
fn a_stale_read_is_found() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    history.wrote(0, 2, 2);
    history.saw(0, x(1), 1);
    assert_one(&found(&history), "stale, v2 was known");
}

#[test]
fn a_read_older_than_an_earlier_read_is_found() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    history.unknown(0, write(2));
    history.saw(0, x(2), 2);
    history.saw(0, x(1), 1);
    assert_one(&found(&history), "stale, v2 was known");
}

#[test]
fn a_lost_write_is_found_and_a_deleted_one_is_not() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    history.saw(0, ABSENT, 0);
    assert_one(&found(&history), "x1 at v1 was known before");

    for remove in [true, false] {
        let mut history = Recorder::default();
        history.wrote(0, 1, 1);
        if remove {
            history.unknown(0, Kind::Delete);
        } else {
            history.0.may_vanish(KeyId(0));
        }
        history.saw(0, ABSENT, 0);
        assert_eq!(found(&history), []);
    }
}

#[test]
fn a_delete_before_the_write_explains_nothing() {
    let mut history = Recorder::default();
    history.done(0, Kind::Delete, 1, ABSENT);
    history.wrote(0, 1, 2);
    history.saw(0, ABSENT, 0);
    history.done(0, Kind::Delete, 3, ABSENT);
    assert_one(&found(&history), "x1 at v2 was known before");
}

#[test]
fn values_from_nowhere_from_the_future_and_refused_ones_are_found() {
    let mut history = Recorder::default();
    history.saw(0, x(7), 3);
    assert_one(&found(&history), "nobody wrote x7");

    let mut history = Recorder::default();
    history.saw(0, x(7), 3);
    history.wrote(0, 7, 3);
    let says: Vec<String> = found(&history).into_iter().map(|violation| violation.what).collect();
    assert!(says[0].contains("written only later"), "{says:?}");

    for outcome in [Outcome::NotApplied, Outcome::Conflict(None)] {
        let mut history = Recorder::default();
        history.ended(0, swap(ABSENT, 7), outcome);
        history.saw(0, x(7), 3);
        assert_one(&found(&history), "that was refused");
    }
}

#[test]
fn a_value_at_another_version_is_found() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    history.saw(0, x(1), 2);
    assert_one(&found(&history), "it has another version");
}

#[test]
fn an_unknown_write_has_one_version_of_its_own_after_what_came_before() {
    let mut history = Recorder::default();
    history.wrote(1, 9, 4);
    history.unknown(0, write(1));
    history.saw(0, x(1), 5);
    assert_eq!(found(&history), []);
    history.saw(0, x(1), 6);
    assert_one(&found(&history), "seen before at v5");

    let mut history = Recorder::default();
    let write_of_other = history.invoke(1, write(9));
    history.unknown(0, write(1));
    history.answer(write_of_other, 4, x(9));
    history.saw(0, x(1), 4);
    assert_one(&found(&history), "that version belongs to c0 k1 write x9");

    let mut history = Recorder::default();
    history.wrote(1, 9, 4);
    history.unknown(0, write(1));
    history.saw(0, x(1), 3);
    assert_one(&found(&history), "has v3, but v4 was acknowledged before it began");
}

#[test]
fn counters_come_from_increments() {
    let mut history = Recorder::default();
    history.done(0, Kind::Increment, 1, Value::Number(1));
    history.unknown(0, Kind::Increment);
    history.saw(0, Value::Number(2), 2);
    assert_eq!(found(&history), []);
    history.saw(0, Value::Number(3), 3);
    assert_one(&found(&history), "only 1 increments are without an answer");

    let mut history = Recorder::default();
    history.done(0, Kind::Increment, 1, Value::Number(1));
    history.saw(0, Value::Number(5), 1);
    assert_one(&found(&history), "that version belongs to");
}

#[test]
fn weaker_reads_may_be_old_and_not_older_than_their_receipt() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 1);
    history.wrote(0, 2, 2);
    history.wrote(0, 3, 3);
    history.done(0, Kind::Read(Freshness::Any), 0, ABSENT);
    history.done(0, Kind::Read(Freshness::Any), 1, x(1));
    history.done(0, Kind::Read(Freshness::AtLeast(2)), 2, x(2));
    history.done(0, Kind::Read(Freshness::AtLeast(2)), 3, x(3));
    assert_eq!(found(&history), []);
    history.done(0, Kind::Read(Freshness::AtLeast(2)), 1, x(1));
    assert_one(&found(&history), "stale, v2 was known");
    let mut history = Recorder::default();
    history.done(0, Kind::Read(Freshness::Any), 1, x(1));
    assert_one(&found(&history), "nobody wrote x1");
}

#[test]
fn a_declared_loss_frees_what_lies_behind_it_and_nothing_before_it() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 4);
    history.wrote(0, 2, 5);
    history.wrote(1, 3, 6);
    history.loss(5);
    history.saw(0, x(1), 4);
    history.saw(1, ABSENT, 0);
    history.wrote(0, 4, 5);
    assert_eq!(found(&history), []);

    history.wrote(1, 5, 4);
    let says: Vec<String> = found(&history).into_iter().map(|violation| violation.what).collect();
    assert!(says.iter().any(|what| what.contains("v5 was acknowledged before it began")));

    let mut history = Recorder::default();
    history.wrote(0, 1, 4);
    history.loss(5);
    history.saw(0, ABSENT, 0);
    assert_one(&found(&history), "x1 at v4 was known before");
}

#[test]
fn an_old_read_from_before_a_loss_is_no_evidence() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 8);
    history.loss(0);
    history.done(0, Kind::Read(Freshness::Any), 8, x(1));
    history.wrote(0, 2, 1);
    history.saw(0, x(2), 1);
    assert_eq!(found(&history), []);
}

#[test]
fn an_undeclared_loss_is_found() {
    let mut history = Recorder::default();
    history.wrote(0, 1, 5);
    history.wrote(0, 2, 5);
    let says: Vec<String> = found(&history).into_iter().map(|violation| violation.what).collect();
    assert_eq!(says.len(), 2, "{says:?}");
}

#[test]
fn what_was_open_during_a_loss_may_lie_on_either_side() {
    for version_of_late in [9, 3] {
        let mut history = Recorder::default();
        history.wrote(0, 1, 8);
        let late = history.invoke(0, write(2));
        history.loss(2);
        history.answer(late, version_of_late, x(2));
        history.wrote(0, 3, 4);
        history.saw(0, x(3), 4);
        assert_eq!(found(&history), [], "{version_of_late}");
    }
}

#[test]
fn a_delete_that_was_lost_and_tried_again_may_be_seen_before_the_loss() {
    let history = |is_open: bool| {
        let mut history = Recorder::default();
        for version in 1..=5 {
            history.wrote(0, version, version);
        }
        let delete = history.invoke(0, Kind::Delete);
        if !is_open {
            history.answer(delete, 3, Value::Absent);
        }
        history.saw(0, Value::Absent, 0);
        history.loss(3);
        if is_open {
            history.answer(delete, 3, Value::Absent);
        }
        found(&history)
    };
    assert_eq!(history(true), []);
    assert!(!history(false).is_empty(), "it was answered with a version below the record's");
}

#[test]
fn until_a_loss_is_settled_old_answers_may_come() {
    let run = |is_settled_late: bool| {
        let mut history = Recorder::default();
        let loss = history.0.declared_loss(PARTITION, 5, SimTime::ZERO);
        history.wrote(0, 1, 9);
        if is_settled_late {
            history.0.settle_loss(loss);
        }
        history.wrote(0, 2, 6);
        found(&history)
    };
    assert_eq!(run(true), []);
    assert_one(&run(false), "v9 was acknowledged before it began");
}

/// A correct store with concurrent clients: each operation takes effect somewhere between its two ends.
fn simulated(seed: u64, count: usize) -> Recorder {
    let mut random = Random::new(seed);
    let mut history = Recorder::default();
    let mut records: BTreeMap<u32, Seen> = BTreeMap::new();
    let mut open = Vec::new();
    let (mut version, mut value) = (0, 0);
    for _ in 0..count {
        let key = random.below(20) as u32;
        value += 1;
        let kind = match random.below(4) {
            0 => read(),
            1 => Kind::Delete,
            _ => write(value),
        };
        let id = history.invoke(key, kind);
        let seen = match kind {
            Kind::Read(_) => records.get(&key).copied().unwrap_or(Seen::NOTHING),
            kind => {
                version += 1;
                let value = kind.writes().map_or(ABSENT, |ValueId(value)| x(value));
                let seen = Seen { version, value };
                records.insert(key, seen);
                if kind == Kind::Delete {
                    records.remove(&key);
                }
                seen
            }
        };
        open.push((id, seen));
        while open.len() > 10 || (!open.is_empty() && random.below(3) == 0) {
            let (id, seen) = open.swap_remove(random.below(open.len() as u64) as usize);
            if random.below(20) > 0 {
                history.answer(id, seen.version, seen.value);
            }
        }
    }
    history
}

#[test]
fn a_correct_store_is_never_accused() {
    for seed in 0..100 {
        assert_eq!(found(&simulated(seed, 400)), [], "seed {seed}");
    }
}

#[test]
fn a_hundred_thousand_operations_are_checked() {
    assert_eq!(found(&simulated(1, 100_000)), []);
}
