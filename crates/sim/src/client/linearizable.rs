//! Whether some order of the operations explains all answers, per key (or pair of keys) and exactly (Wing and Gong, with Lowe's just-in-time
//! linearization: an operation is only put in order when its answer comes, and states that were seen are not tried again).
//!
//! ```text
//!   invoke a ─┐            states that are possible, each with the open operations that have taken effect in it:
//!   invoke b ─┤            {nothing; -}
//!   answer b ─┘   ──►      {b; -}  {b after a; a}           no state left: the answer of b has no explanation
//! ```
//!
//! A write without an answer stays open. Where its value was seen, it had taken effect by then; where nobody could have
//! noticed it, it is left out. Between declared losses each stretch is checked for itself.

mod state;

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Freshness, History, Kind, Loss, OnSide, Operation, Outcome, Value, ValueId};
use crate::invariant::Violation;
use state::State;

/// The name of the rule in violations.
pub const RULE: &str = "linearizable";

/// How much the check may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most states of one key at a time, those of the search included.
    pub states_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { states_max: 100_000 }
    }
}

/// What the check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Keys without an explanation.
    pub violations: Vec<Violation>,
    /// Keys given up: too many operations open at a time.
    pub undecided: u64,
}

/// Checks every key. Reads that may be old are left to the version oracle.
pub fn check(history: &History, limits: &Limits) -> Report {
    let mut report = Report::default();
    for (key, operations) in history.by_key() {
        let Some(first) = operations.first() else { continue };
        let losses: Vec<&Loss> = history.losses(first.partition).collect();
        for stretch in 0..=losses.len() {
            let spans = spans_of(&operations, &losses, stretch);
            let start = if stretch == 0 { State::Is(Value::Absent) } else { State::Anything };
            let mut search = Search::new(&spans, start, history.is_vanishing(key), limits);
            match search.run() {
                Verdict::Explained => {}
                Verdict::GivenUp => report.undecided += 1,
                Verdict::Contradiction(violation) => {
                    report.violations.push(violation);
                    break;
                }
            }
        }
    }
    report
}

/// An operation as the search sees it: it takes effect between these two places.
#[derive(Clone, Copy)]
struct Span<'a> {
    operation: &'a Operation,
    from: u64,
    /// `u64::MAX`: perhaps never.
    to: u64,
}

impl Span<'_> {
    /// Whether it may take effect without its answer being known.
    fn is_free(&self) -> bool {
        self.operation.outcome == Outcome::Unknown || self.to == u64::MAX
    }
}

/// The operations between two losses. Those that were open during one may have taken effect on either side.
fn spans_of<'a>(operations: &[&'a Operation], losses: &[&Loss], stretch: usize) -> Vec<Span<'a>> {
    let begin = stretch.checked_sub(1).map_or(0, |before| losses[before].settled);
    let end = losses.get(stretch).map_or(u64::MAX, |loss| loss.declared);
    let seen = first_seen(operations);
    let reveals = |o: &&Operation| o.outcome == Outcome::Conflict(None) || is_answered_move(o);
    let last_bare_conflict =
        operations.iter().filter(|o| reveals(o)).map(|o| o.completed).max().unwrap_or(0);
    let mut spans = Vec::new();
    for operation in operations {
        let is_old_read =
            matches!(operation.kind, Kind::Read(freshness) if freshness != Freshness::Latest);
        let is_outside = operation.invoked >= end || operation.completed <= begin;
        if is_old_read || is_outside || operation.outcome == Outcome::NotApplied {
            continue;
        }
        let is_whole = operation.invoked > begin && operation.completed < end;
        // A swap that met a conflict is not left out: an earlier try may have taken effect and have been lost.
        if !is_whole && operation.kind.is_read() {
            continue;
        }
        let mut span = Span { operation, from: operation.invoked.max(begin), to: u64::MAX };
        if is_whole {
            span.to = operation.completed;
        } else if let Some(value) = operation.kind.writes() {
            match seen.get(&value) {
                Some(place) if losses.is_empty() => span.to = *place,
                Some(_) => {}
                None if last_bare_conflict < operation.invoked => continue,
                None => {}
            }
        }
        spans.push(span);
    }
    spans
}

/// A rename that was answered shows that there was a record, or that there was none, and not always which.
fn is_answered_move(operation: &Operation) -> bool {
    let is_move = matches!(operation.kind, Kind::OfPair(_, OnSide::Move { .. }));
    is_move && operation.completed != u64::MAX
}

/// When each value was first seen by an operation other than its writer: the place of the answer, `u64::MAX` when only one
/// without an answer can have seen it.
fn first_seen(operations: &[&Operation]) -> BTreeMap<ValueId, u64> {
    let mut seen: BTreeMap<ValueId, u64> = BTreeMap::new();
    let mut note = |value: Value, operation: &Operation| {
        if let Value::Written(value) = value {
            let first = seen.entry(value).or_insert(u64::MAX);
            *first = operation.completed.min(*first);
        }
    };
    for operation in operations {
        match (operation.kind, operation.outcome) {
            (Kind::CompareAndSet { expected, .. }, Outcome::Applied(_) | Outcome::Unknown) => {
                note(expected, operation);
            }
            (Kind::Read(_) | Kind::OfPair(_, OnSide::Read), Outcome::Applied(found))
            | (_, Outcome::Conflict(Some(found))) => {
                note(found.value, operation);
            }
            _ => {}
        }
    }
    seen
}

/// A possible state, and which of the open operations have taken effect in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Possible {
    state: State,
    done: u64,
}

enum Verdict {
    Explained,
    GivenUp,
    Contradiction(Violation),
}

struct Search<'a> {
    spans: &'a [Span<'a>],
    may_vanish: bool,
    limits: &'a Limits,
    possible: BTreeSet<Possible>,
    /// The open operations; the place is the bit in [`Possible::done`].
    open: Vec<Option<usize>>,
}

impl<'a> Search<'a> {
    /// Bits of [`Possible::done`].
    const OPEN_MAX: usize = 64;

    fn new(spans: &'a [Span<'a>], start: State, may_vanish: bool, limits: &'a Limits) -> Self {
        let possible = BTreeSet::from([Possible { state: start, done: 0 }]);
        Search { spans, may_vanish, limits, possible, open: Vec::new() }
    }

    fn run(&mut self) -> Verdict {
        let mut steps: Vec<(u64, bool, usize)> = Vec::new();
        for (index, span) in self.spans.iter().enumerate() {
            steps.push((span.from, false, index));
            if span.to != u64::MAX {
                // An unknown write ends together with the answer that saw it, and before that.
                let rank = span.operation.outcome != Outcome::Unknown;
                steps.push((span.to, rank, index));
            }
        }
        steps.sort_by_key(|(place, is_answer, index)| (*place, *is_answer, *index));
        for (place, _, index) in steps {
            let bit = self.open.iter().position(|open| *open == Some(index));
            let is_answer = place == self.spans[index].to;
            match (is_answer, bit) {
                (false, _) => {
                    if !self.invoke(index) {
                        return Verdict::GivenUp;
                    }
                }
                (true, Some(bit)) => match self.answer(bit) {
                    Some(verdict) => return verdict,
                    None => self.forget_done(),
                },
                // An unknown write that had taken effect in every possible state.
                (true, None) => {}
            }
        }
        Verdict::Explained
    }

    fn invoke(&mut self, index: usize) -> bool {
        let free = self.open.iter().position(Option::is_none);
        match free {
            Some(bit) => self.open[bit] = Some(index),
            None if self.open.len() < Self::OPEN_MAX => self.open.push(Some(index)),
            None => return false,
        }
        true
    }

    /// Puts the operation in order in every possible state, with whatever must come before it.
    fn answer(&mut self, bit: usize) -> Option<Verdict> {
        let before = self.possible.clone();
        let mut tried = std::mem::take(&mut self.possible);
        let mut next: Vec<Possible> = tried.iter().copied().collect();
        while let Some(possible) = next.pop() {
            if possible.done & (1 << bit) != 0 {
                self.possible.insert(Possible { done: possible.done & !(1 << bit), ..possible });
                continue;
            }
            if tried.len() > self.limits.states_max {
                return Some(Verdict::GivenUp);
            }
            let vanished = Possible { state: State::Is(Value::Absent), ..possible };
            if self.may_vanish && tried.insert(vanished) {
                next.push(vanished);
            }
            for other in 0..self.open.len() {
                if let Some(after) = self.after(possible, other)
                    && tried.insert(after)
                {
                    next.push(after);
                }
            }
        }
        if self.possible.is_empty() {
            return Some(Verdict::Contradiction(self.contradiction(bit, &before)));
        }
        self.open[bit] = None;
        None
    }

    /// The state after an open operation has taken effect, if it can.
    fn after(&self, possible: Possible, bit: usize) -> Option<Possible> {
        let index = self.open[bit]?;
        let span = &self.spans[index];
        if possible.done & (1 << bit) != 0 || self.has_twin_before(possible, index) {
            return None;
        }
        // An answer from beyond this stretch says nothing within it.
        let outcome = if span.is_free() { Outcome::Unknown } else { span.operation.outcome };
        let state = possible.state.after(span.operation.kind, outcome)?;
        Some(Possible { state, done: possible.done | 1 << bit })
    }

    /// Whether an older operation would do the same: deletes and increments without an answer are taken in order.
    fn has_twin_before(&self, possible: Possible, index: usize) -> bool {
        let span = &self.spans[index];
        let is_alike = |kind| {
            let of_pair = matches!(kind, Kind::OfPair(_, OnSide::Delete | OnSide::Move { .. }));
            of_pair || matches!(kind, Kind::Delete | Kind::Increment)
        };
        if span.to != u64::MAX || !is_alike(span.operation.kind) {
            return false;
        }
        self.open.iter().enumerate().any(|(bit, open)| {
            open.is_some_and(|other| {
                other < index
                    && possible.done & (1 << bit) == 0
                    && self.spans[other].to == u64::MAX
                    && self.spans[other].operation.kind == span.operation.kind
            })
        })
    }

    /// Operations without an answer that have taken effect in all possible states need no bit any more.
    fn forget_done(&mut self) {
        let everywhere = self.possible.iter().fold(u64::MAX, |all, possible| all & possible.done);
        let mut gone = 0;
        for (bit, open) in self.open.iter_mut().enumerate() {
            let is_free = open.is_some_and(|index| self.spans[index].is_free());
            if is_free && everywhere & (1 << bit) != 0 {
                gone |= 1 << bit;
                *open = None;
            }
        }
        if gone != 0 {
            let cleared = |p: &Possible| Possible { done: p.done & !gone, ..*p };
            self.possible = self.possible.iter().map(cleared).collect();
        }
    }

    fn contradiction(&self, bit: usize, before: &BTreeSet<Possible>) -> Violation {
        let open: Vec<&Operation> =
            self.open.iter().flatten().map(|index| self.spans[*index].operation).collect();
        let answered = self.open[bit].map(|index| self.spans[index].operation);
        let answered = answered.expect("the answered operation is open");
        let states: BTreeSet<String> =
            before.iter().map(|possible| possible.state.to_string()).collect();
        let states: Vec<String> = states.into_iter().collect();
        let others: Vec<String> = open
            .into_iter()
            .filter(|operation| operation.invoked != answered.invoked)
            .map(|operation| format!("\n  {operation}"))
            .collect();
        let what = format!(
            "no order explains {answered}; the key held {} and these were open:{}",
            states.join(" or "),
            others.concat()
        );
        Violation::new(RULE, what).at(answered.completed_at.unwrap_or(answered.invoked_at))
    }
}

#[cfg(test)]
#[path = "linearizable_test.rs"]
mod tests;
