//! At the end, with all faults over and the cluster whole, every acknowledged write is still there, or was overwritten.

use std::collections::BTreeMap;

use super::history::{Finals, History, KeyId, Kind, Loss, Operation, Outcome, Seen, Value};
use crate::invariant::Violation;

/// The name of the rule in violations.
pub const RULE: &str = "acknowledged writes survive";

/// The keys whose final state nothing explains: neither the last acknowledged write, nor a later one without an answer.
pub fn check(history: &History, end: &Finals) -> Vec<Violation> {
    let by_key: BTreeMap<KeyId, Vec<&Operation>> = history.by_key();
    let mut violations = Vec::new();
    for (key, seen) in end {
        if !by_key.contains_key(key) && seen.value != Value::Absent {
            let what = format!("k{} ends as {seen}, but nobody touched it", key.0);
            violations.push(Violation::new(RULE, what));
        }
    }
    for (key, operations) in &by_key {
        if operations.iter().any(|operation| operation.kind.is_of_pair()) {
            // Whoever wrote it, it may have moved: the last reads of the pair tell, in the exact check.
            continue;
        }
        let last = end.get(key).copied().unwrap_or(Seen::NOTHING);
        let losses: Vec<&Loss> = match operations.first() {
            Some(first) => history.losses(first.partition).collect(),
            None => Vec::new(),
        };
        let writes = Writes::of(operations, &losses);
        if let Some(why) = writes.contradiction(last, history.is_vanishing(*key)) {
            violations.push(Violation::new(RULE, format!("k{} ends as {last}, but {why}", key.0)));
        }
    }
    violations
}

/// The writes of one key.
#[derive(Default)]
struct Writes<'a> {
    /// The last that no loss may have taken.
    last: Option<(Seen, &'a Operation)>,
    /// Those that a declared loss may have taken, or not.
    doubtful: Vec<Seen>,
    unknown: Vec<&'a Operation>,
}

impl<'a> Writes<'a> {
    fn of(operations: &[&'a Operation], losses: &[&Loss]) -> Self {
        let mut writes = Writes::default();
        for operation in operations {
            if let Some(seen) = operation.acknowledged_write() {
                if losses.iter().any(|loss| loss.may_take(operation, seen.version)) {
                    writes.doubtful.push(seen);
                } else if writes.last.is_none_or(|(last, _)| last.version < seen.version) {
                    writes.last = Some((seen, operation));
                }
            } else if operation.outcome == Outcome::Unknown {
                writes.unknown.push(operation);
            }
        }
        writes
    }

    fn contradiction(&self, end: Seen, may_vanish: bool) -> Option<String> {
        let Some((last, operation)) = self.last else {
            let is_explained = end.value == Value::Absent || self.is_later_write(end, 0);
            return (!is_explained).then(|| "nobody wrote that".to_owned());
        };
        let is_explained = if end.value == Value::Absent {
            may_vanish || last.value == Value::Absent || self.may_be_deleted(last.version)
        } else {
            end == last || self.is_later_write(end, last.version)
        };
        (!is_explained).then(|| format!("the last acknowledged write is {operation}"))
    }

    fn may_be_deleted(&self, after: u64) -> bool {
        let is_later_delete = |seen: &Seen| seen.value == Value::Absent && seen.version > after;
        self.unknown.iter().any(|operation| operation.kind == Kind::Delete)
            || self.doubtful.iter().any(is_later_delete)
    }

    fn is_later_write(&self, end: Seen, after: u64) -> bool {
        let could_write = |operation: &Operation| match end.value {
            Value::Written(value) => operation.kind.writes() == Some(value),
            Value::Number(_) => operation.kind == Kind::Increment,
            Value::Absent => false,
        };
        let is_unknown = end.version > after && self.unknown.iter().any(|o| could_write(o));
        // What a loss may have taken may also stand there by an earlier try, with another version.
        let is_doubtful = self.doubtful.iter().any(|seen| seen.value == end.value);
        is_unknown || is_doubtful
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::history_for_tests::{Recorder, assert_one, swap, write, x};

    fn found(history: &Recorder, end: &[(u32, u64, Value)]) -> Vec<Violation> {
        let end = end
            .iter()
            .map(|(key, version, value)| (KeyId(*key), Seen { version: *version, value: *value }));
        check(&history.0, &end.collect())
    }

    fn two_writes() -> Recorder {
        let mut history = Recorder::default();
        history.wrote(0, 1, 1);
        history.wrote(0, 2, 2);
        history
    }

    #[test]
    fn the_last_acknowledged_write_must_be_there() {
        assert_eq!(found(&two_writes(), &[(0, 2, x(2))]), []);
        let says = "the last acknowledged write is c0 k0 write x2";
        assert_one(&found(&two_writes(), &[(0, 1, x(1))]), says);
        assert_one(&found(&two_writes(), &[]), says);
        assert_one(&found(&two_writes(), &[(0, 3, x(2))]), says);
    }

    #[test]
    fn a_write_without_an_answer_may_be_there_or_not() {
        let mut history = two_writes();
        history.unknown(0, write(3));
        assert_eq!(found(&history, &[(0, 2, x(2))]), []);
        assert_eq!(found(&history, &[(0, 7, x(3))]), []);
        assert_eq!(found(&history, &[(0, 1, x(3))]).len(), 1, "older than what was acknowledged");
        assert_eq!(found(&history, &[]).len(), 1, "it deletes nothing");
        history.unknown(0, Kind::Delete);
        assert_eq!(found(&history, &[]), []);
    }

    #[test]
    fn a_refused_write_must_not_be_there() {
        for outcome in [Outcome::NotApplied, Outcome::Conflict(None)] {
            let mut history = two_writes();
            history.ended(0, swap(Value::Absent, 3), outcome);
            assert_eq!(found(&history, &[(0, 3, x(3))]).len(), 1);
        }
    }

    #[test]
    fn a_deleted_record_stays_deleted() {
        let mut history = two_writes();
        history.done(0, Kind::Delete, 3, Value::Absent);
        assert_eq!(found(&history, &[]), []);
        assert_one(
            &found(&history, &[(0, 2, x(2))]),
            "the last acknowledged write is c0 k0 delete",
        );
    }

    #[test]
    fn what_may_vanish_may_be_gone_and_not_be_old() {
        let mut history = two_writes();
        history.0.may_vanish(KeyId(0));
        assert_eq!(found(&history, &[]), []);
        assert_eq!(found(&history, &[(0, 1, x(1))]).len(), 1);
    }

    #[test]
    fn a_declared_loss_takes_what_lies_behind_it_and_no_more() {
        let mut history = two_writes();
        history.loss(2);
        assert_eq!(found(&history, &[(0, 1, x(1))]), []);
        assert_eq!(found(&history, &[(0, 2, x(2))]), [], "it may have survived");
        assert_eq!(found(&history, &[]).len(), 1);
        history.wrote(0, 3, 2);
        assert_eq!(found(&history, &[(0, 1, x(1))]).len(), 1, "written behind the loss");
    }

    #[test]
    fn a_record_from_nowhere_is_found() {
        assert_one(&found(&two_writes(), &[(0, 2, x(2)), (9, 1, x(8))]), "nobody touched it");
        let mut history = Recorder::default();
        history.unknown(0, write(1));
        assert_one(&found(&history, &[(0, 1, x(8))]), "nobody wrote that");
    }
}
