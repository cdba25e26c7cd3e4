//! Watchers see every committed change of a partition once, in order. Compared with the log at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use isogrid_core::PartitionId;

use crate::invariant::Violation;

/// The name of the rule in violations.
pub const RULE: &str = "watchers see the log";

/// A place in a partition's stream of changes: what a resume token says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset {
    /// How often the partition has lost data.
    pub loss_generation: u64,
    /// The log entry.
    pub seq: u64,
}

impl Offset {
    /// A place.
    pub fn new(loss_generation: u64, seq: u64) -> Self {
        Offset { loss_generation, seq }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.loss_generation, self.seq)
    }
}

/// What a watcher was told of a partition, in the order in which it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It begins, or begins again with its token, behind this place.
    Begin(Offset),
    /// A change, with a hash of what it says.
    Change(Offset, u64),
    /// It was too slow, or the log too short: what lies up to this place, included, it does not get. Said openly, so no
    /// violation.
    Skipped(Offset),
}

/// The changes of a partition that were committed: what the log has at the end. Without entries that carry no data.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    changes: BTreeMap<Offset, u64>,
    lost: BTreeSet<Offset>,
}

impl Committed {
    /// An empty log.
    pub fn new() -> Self {
        Committed::default()
    }

    /// One more change, with the hash of what it says.
    pub fn push(&mut self, offset: Offset, content: u64) {
        let other = self.changes.insert(offset, content);
        assert!(other.is_none(), "a place in the log is given once");
    }

    /// A declared loss: the entries of this generation from `from_seq` on may have been seen or not.
    pub fn declared_loss(&mut self, loss_generation: u64, from_seq: u64) {
        let behind = Offset::new(loss_generation, from_seq)..Offset::new(loss_generation + 1, 0);
        self.lost.extend(self.changes.range(behind).map(|(offset, _)| *offset));
    }
}

/// What is wrong with what one watcher was told of one partition.
pub fn check(
    watcher: &str,
    partition: PartitionId,
    told: &[Told],
    log: &Committed,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |what: String| {
        let what = format!("{watcher}, partition {}: {what}", partition.0);
        violations.push(Violation::new(RULE, what));
    };
    let mut last: Option<Offset> = None;
    for told in told {
        match *told {
            Told::Begin(offset) => {
                if let Some(last) = last.filter(|last| *last != offset) {
                    wrong(format!("resumes behind {offset} after {last}"));
                }
                last = Some(offset);
            }
            Told::Skipped(offset) => {
                if let Some(last) = last.filter(|last| *last > offset) {
                    wrong(format!("skips to {offset} after {last}"));
                }
                last = last.max(Some(offset));
            }
            Told::Change(offset, content) => {
                if let Some(last) = last.filter(|last| *last >= offset) {
                    wrong(format!("{offset} after {last}: repeated or out of order"));
                    continue;
                }
                match log.changes.get(&offset) {
                    None => wrong(format!("{offset} is not in the log")),
                    Some(there) if *there != content => {
                        wrong(format!("{offset} says something else than the log"));
                    }
                    Some(_) => {}
                }
                if let Some(missed) = first_missed(log, last.unwrap_or_default(), offset) {
                    wrong(format!("{missed} is missing before {offset}"));
                }
                last = Some(offset);
            }
        }
    }
    violations
}

/// What a watcher that has been told everything must have seen: whether it reached the end of the log.
pub fn check_complete(
    watcher: &str,
    partition: PartitionId,
    told: &[Told],
    log: &Committed,
) -> Vec<Violation> {
    let mut violations = check(watcher, partition, told, log);
    let reached = told.iter().map(|told| match told {
        Told::Begin(offset) | Told::Change(offset, _) | Told::Skipped(offset) => *offset,
    });
    let reached = reached.max().unwrap_or_default();
    let end = Offset::new(u64::MAX, u64::MAX);
    if let Some(missed) = first_missed(log, reached, end) {
        let what = format!("{watcher}, partition {}: {missed} never came", partition.0);
        violations.push(Violation::new(RULE, what));
    }
    violations
}

/// The first change between two places that must have been seen.
fn first_missed(log: &Committed, after: Offset, before: Offset) -> Option<Offset> {
    let from = Offset { seq: after.seq.saturating_add(1), ..after };
    if from >= before {
        return None;
    }
    let mut between = log.changes.range(from..before).map(|(offset, _)| *offset);
    between.find(|offset| !log.lost.contains(offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::history_for_tests::{PARTITION, assert_one};

    /// Changes 1, 2, 4 and 5: the third entry carries no data.
    fn log() -> Committed {
        let mut log = Committed::new();
        for seq in [1, 2, 4, 5] {
            log.push(Offset::new(0, seq), seq * 100);
        }
        log
    }

    fn change(seq: u64) -> Told {
        Told::Change(Offset::new(0, seq), seq * 100)
    }

    fn found(told: &[Told], log: &Committed) -> Vec<Violation> {
        check_complete("w1", PARTITION, told, log)
    }

    #[test]
    fn everything_once_and_in_order_is_good() {
        assert_eq!(found(&[1, 2, 4, 5].map(change), &log()), []);
        let resumed = [change(1), change(2), Told::Begin(Offset::new(0, 2)), change(4), change(5)];
        assert_eq!(found(&resumed, &log()), []);
        assert_eq!(found(&[Told::Begin(Offset::new(0, 3)), change(4), change(5)], &log()), []);
    }

    #[test]
    fn a_gap_is_found() {
        assert_one(&found(&[change(1), change(4), change(5)], &log()), "0/2 is missing before 0/4");
        assert_one(&found(&[change(2), change(4), change(5)], &log()), "0/1 is missing");
        assert_one(&found(&[change(1), change(2), change(4)], &log()), "0/5 never came");
        assert_one(&found(&[], &log()), "0/1 never came");
    }

    #[test]
    fn a_gap_that_was_said_is_none() {
        let told = [change(1), Told::Skipped(Offset::new(0, 4)), change(5)];
        assert_eq!(found(&told, &log()), []);
        let back = [change(1), change(2), change(4), Told::Skipped(Offset::new(0, 2)), change(5)];
        assert_one(&found(&back, &log()), "skips to 0/2 after 0/4");
    }

    #[test]
    fn a_repetition_and_a_swap_are_found() {
        let repeated = [change(1), change(2), change(2), change(4), change(5)];
        assert_one(&found(&repeated, &log()), "0/2 after 0/2: repeated");
        let swapped = [change(1), change(4), change(2), change(5)];
        let says: Vec<String> =
            found(&swapped, &log()).into_iter().map(|violation| violation.what).collect();
        assert!(says.iter().any(|what| what.contains("0/2 after 0/4")), "{says:?}");
        let resumed_too_early = [change(1), change(2), Told::Begin(Offset::new(0, 1)), change(2)];
        assert_eq!(check("w1", PARTITION, &resumed_too_early, &log()).len(), 1);
    }

    #[test]
    fn what_was_never_committed_is_found() {
        let uncommitted = [1, 2, 3, 4, 5].map(change);
        assert_one(&found(&uncommitted, &log()), "0/3 is not in the log");
        let mut told = [1, 2, 4, 5].map(change);
        told[1] = Told::Change(Offset::new(0, 2), 7);
        assert_one(&found(&told, &log()), "0/2 says something else");
    }

    #[test]
    fn behind_a_declared_loss_entries_may_have_been_seen_or_not() {
        let mut log = log();
        log.declared_loss(0, 4);
        log.push(Offset::new(1, 4), 7);
        let behind = Told::Change(Offset::new(1, 4), 7);
        assert_eq!(found(&[change(1), change(2), behind], &log), []);
        assert_eq!(found(&[change(1), change(2), change(4), behind], &log), []);
        assert_one(&found(&[change(1), behind], &log), "0/2 is missing before 1/4");
    }
}
