//! Increments are counted exactly once. Looks at the keys that nothing but increments touches.
//!
//! 1. No two acknowledged increments give the same result, and their results follow real time.
//! 2. A result is larger than the number of increments acknowledged before, and no larger than that of all invoked.
//! 3. The end is the number of acknowledged increments plus some of those without an answer.
//!
//! Behind a declared loss a counter starts from an unknown value, and only the first rule holds there, on each side.

use std::collections::BTreeMap;

use super::history::{Finals, History, KeyId, Kind, Loss, Operation, Seen, Value};
use crate::invariant::Violation;

/// The name of the rule in violations.
pub const RULE: &str = "increments count once";

/// Everything that is counted twice or not at all.
pub fn check(history: &History, end: &Finals) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (key, operations) in history.by_key() {
        let is_counter = |o: &Operation| o.kind.is_read() || o.kind == Kind::Increment;
        if !operations.iter().all(|operation| is_counter(operation)) || history.is_vanishing(key) {
            continue;
        }
        let Some(first) = operations.first() else { continue };
        let losses: Vec<&Loss> = history.losses(first.partition).collect();
        let counter = Counter::of(&operations, losses);
        counter.check_unique(&mut violations);
        counter.check_order(&mut violations);
        counter.check_bounds(&mut violations);
        counter.check_end(key, end.get(&key).copied(), &mut violations);
    }
    violations
}

/// The increments of one key.
struct Counter<'a> {
    /// With their results, by invocation.
    acknowledged: Vec<(i64, &'a Operation)>,
    unknown: Vec<&'a Operation>,
    losses: Vec<&'a Loss>,
}

fn violation(operation: &Operation, what: String) -> Violation {
    Violation::new(RULE, what).at(operation.completed_at.unwrap_or(operation.invoked_at))
}

impl<'a> Counter<'a> {
    fn of(operations: &[&'a Operation], losses: Vec<&'a Loss>) -> Self {
        let mut counter = Counter { acknowledged: Vec::new(), unknown: Vec::new(), losses };
        for operation in operations.iter().filter(|operation| !operation.kind.is_read()) {
            match operation.acknowledged_write().map(|seen| seen.value) {
                Some(Value::Number(result)) => counter.acknowledged.push((result, operation)),
                _ if operation.is_unknown_write() => counter.unknown.push(operation),
                _ => {}
            }
        }
        counter
    }

    /// How many losses lie before the operation; `None` when it was open during one.
    fn side_of(&self, operation: &Operation) -> Option<usize> {
        let is_open = |loss: &&&Loss| !loss.is_after(operation) && !loss.is_before(operation);
        if self.losses.iter().any(|loss| is_open(&loss)) {
            return None;
        }
        Some(self.losses.iter().filter(|loss| loss.is_before(operation)).count())
    }

    fn check_unique(&self, violations: &mut Vec<Violation>) {
        let mut by_result: BTreeMap<(usize, i64), &Operation> = BTreeMap::new();
        for (result, operation) in &self.acknowledged {
            let Some(side) = self.side_of(operation) else { continue };
            if let Some(other) = by_result.insert((side, *result), operation) {
                let what = format!("the same result twice: {other} and {operation}");
                violations.push(violation(operation, what));
            }
        }
    }

    fn check_order(&self, violations: &mut Vec<Violation>) {
        let mut ended: Vec<(i64, &Operation)> = self.acknowledged.clone();
        ended.sort_by_key(|(_, operation)| operation.completed);
        let mut ended = ended.into_iter().peekable();
        // The largest result on each side of the losses.
        let mut largest: BTreeMap<usize, i64> = BTreeMap::new();
        for (result, operation) in &self.acknowledged {
            while let Some((result, ended)) =
                ended.next_if(|(_, ended)| ended.completed < operation.invoked)
            {
                if let Some(side) = self.side_of(ended) {
                    let known = largest.entry(side).or_insert(result);
                    *known = result.max(*known);
                }
            }
            let Some(side) = self.side_of(operation) else { continue };
            if let Some(before) = largest.get(&side).filter(|before| *before > result) {
                let what = format!("{operation}, but {before} was reached before it began");
                violations.push(violation(operation, what));
            }
        }
    }

    fn check_bounds(&self, violations: &mut Vec<Violation>) {
        if !self.losses.is_empty() {
            return;
        }
        let sorted = |places: &mut dyn Iterator<Item = u64>| {
            let mut places: Vec<u64> = places.collect();
            places.sort_unstable();
            places
        };
        let completed = sorted(&mut self.acknowledged.iter().map(|(_, o)| o.completed));
        let invoked = sorted(
            &mut self.acknowledged.iter().map(|(_, o)| o).chain(&self.unknown).map(|o| o.invoked),
        );
        for (result, operation) in &self.acknowledged {
            let before = completed.partition_point(|place| *place < operation.invoked) as i64;
            let possible = invoked.partition_point(|place| *place < operation.completed) as i64;
            if *result <= before {
                let what = format!("{operation}, but {before} were acknowledged before it began");
                violations.push(violation(operation, what));
            }
            if *result > possible {
                let what = format!("{operation}, but only {possible} were invoked");
                violations.push(violation(operation, what));
            }
        }
    }

    fn check_end(&self, key: KeyId, end: Option<Seen>, violations: &mut Vec<Violation>) {
        let is_lost = |operation: &Operation, seen: Seen| {
            self.losses.iter().any(|loss| loss.may_take(operation, seen.version))
        };
        let sure = self.acknowledged.iter().filter(|(_, operation)| {
            operation.acknowledged_write().is_some_and(|seen| !is_lost(operation, seen))
        });
        let least = sure.count() as i64;
        let most = (self.acknowledged.len() + self.unknown.len()) as i64;
        let end = match end.map(|seen| seen.value) {
            None | Some(Value::Absent) => 0,
            Some(Value::Number(number)) => number,
            Some(value @ Value::Written(_)) => {
                let what = format!("k{} ends as {value}, which is no number", key.0);
                violations.push(Violation::new(RULE, what));
                return;
            }
        };
        if end < least || end > most {
            let what = format!(
                "k{} ends as {end}: {least} were acknowledged, {} more may have been applied",
                key.0,
                most - least
            );
            violations.push(Violation::new(RULE, what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::history_for_tests::{Recorder, assert_one, read, write};

    fn counted(results: &[i64]) -> Recorder {
        let mut history = Recorder::default();
        for (index, result) in results.iter().enumerate() {
            let version = index as u64 + 1;
            history.done(0, Kind::Increment, version, Value::Number(*result));
        }
        history
    }

    fn found(history: &Recorder, end: i64) -> Vec<Violation> {
        let seen = Seen { version: 99, value: Value::Number(end) };
        check(&history.0, &Finals::from([(KeyId(0), seen)]))
    }

    #[test]
    fn counted_once_each() {
        let mut history = counted(&[1, 2, 3]);
        history.done(0, read(), 3, Value::Number(3));
        assert_eq!(found(&history, 3), []);
    }

    #[test]
    fn without_an_answer_it_may_count_or_not_and_only_once() {
        let mut history = counted(&[1, 2]);
        history.unknown(0, Kind::Increment);
        assert_eq!(found(&history, 2), []);
        assert_eq!(found(&history, 3), []);
        assert_one(&found(&history, 4), "ends as 4: 2 were acknowledged, 1 more");
    }

    #[test]
    fn a_double_increment_is_found() {
        assert_one(&found(&counted(&[1, 2]), 3), "ends as 3");
        let says: Vec<String> =
            found(&counted(&[1, 3]), 3).into_iter().map(|violation| violation.what).collect();
        assert!(says[0].contains("but only 2 were invoked"), "{says:?}");
    }

    #[test]
    fn a_lost_increment_is_found() {
        assert_one(&found(&counted(&[1, 2]), 1), "ends as 1: 2 were acknowledged");
        assert_eq!(check(&counted(&[1]).0, &Finals::new()).len(), 1, "gone");
        let says: Vec<String> =
            found(&counted(&[1, 1]), 2).into_iter().map(|violation| violation.what).collect();
        assert!(says.iter().any(|what| what.contains("the same result twice")), "{says:?}");
        assert!(says.iter().any(|what| what.contains("1 were acknowledged before")), "{says:?}");
    }

    #[test]
    fn results_that_go_back_are_found() {
        let mut history = Recorder::default();
        let open = history.invoke(0, Kind::Increment);
        history.done(0, Kind::Increment, 3, Value::Number(3));
        history.done(0, Kind::Increment, 2, Value::Number(2));
        history.answer(open, 1, Value::Number(1));
        let says: Vec<String> =
            found(&history, 3).into_iter().map(|violation| violation.what).collect();
        assert!(says.iter().any(|what| what.contains("3 was reached before")), "{says:?}");
    }

    #[test]
    fn a_declared_loss_takes_what_lies_behind_it() {
        let mut history = counted(&[1, 2, 3]);
        history.loss(2);
        history.done(0, Kind::Increment, 2, Value::Number(2));
        assert_eq!(found(&history, 2), []);
        assert_eq!(found(&history, 1).len(), 1, "two are certain");
        history.done(0, Kind::Increment, 3, Value::Number(2));
        assert_one(&found(&history, 3), "the same result twice");
    }

    #[test]
    fn other_keys_are_left_alone_and_values_are_no_numbers() {
        let mut history = counted(&[5]);
        history.done(0, write(1), 2, Value::Absent);
        assert_eq!(found(&history, 9), []);
        let seen = Seen { version: 1, value: crate::client::history_for_tests::x(1) };
        let violations = check(&counted(&[1]).0, &Finals::from([(KeyId(0), seen)]));
        assert_one(&violations, "which is no number");
    }
}
