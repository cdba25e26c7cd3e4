//! What a key, or a pair of keys, can hold, and what each operation makes of it.

use std::fmt;

use crate::client::history::{Kind, OnSide, Outcome, Side, Value};

/// What the key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Nobody knows: behind a loss.
    Anything,
    Is(Value),
    /// The two keys of a pair, left and right; `None` where nobody knows.
    Pair([Option<Value>; 2]),
}

impl State {
    /// The state after an operation; `None` when it cannot have had its answer in this state.
    pub(super) fn after(self, kind: Kind, outcome: Outcome) -> Option<State> {
        let could_be = |value: Value| self == State::Anything || self == State::Is(value);
        let holds = |is: bool, after: Value| is.then_some(State::Is(after));
        match (kind, outcome) {
            (Kind::Write(value), _) => Some(State::Is(Value::Written(value))),
            (Kind::Delete, _) => Some(State::Is(Value::Absent)),
            (Kind::Read(_), Outcome::Applied(found)) => holds(could_be(found.value), found.value),
            (Kind::Read(_), _) => Some(self),
            (Kind::Increment, Outcome::Applied(seen)) => {
                let before = match seen.value {
                    Value::Number(1) if self == State::Is(Value::Absent) => Value::Absent,
                    Value::Number(result) => Value::Number(result - 1),
                    _ => return None,
                };
                holds(could_be(before), seen.value)
            }
            (Kind::Increment, _) => match self {
                State::Anything => Some(State::Anything),
                State::Is(Value::Absent) => Some(State::Is(Value::Number(1))),
                State::Is(Value::Number(number)) => Some(State::Is(Value::Number(number + 1))),
                State::Is(Value::Written(_)) | State::Pair(_) => None,
            },
            (Kind::CompareAndSet { expected, .. }, Outcome::Conflict(Some(found))) => {
                holds(found.value != expected && could_be(found.value), found.value)
            }
            (Kind::CompareAndSet { expected, .. }, Outcome::Conflict(None)) => {
                (self != State::Is(expected)).then_some(self)
            }
            (Kind::CompareAndSet { expected, value }, _) => {
                holds(could_be(expected), Value::Written(value))
            }
            (Kind::OfPair(side, on), outcome) => self.after_on_pair(side, on, outcome),
        }
    }

    fn after_on_pair(self, side: Side, on: OnSide, outcome: Outcome) -> Option<State> {
        let mut sides = match self {
            State::Pair(sides) => sides,
            State::Is(value) => [Some(value); 2],
            State::Anything => [None; 2],
        };
        let [left, right] = &mut sides;
        let (here, there) = match side {
            Side::Left => (left, right),
            Side::Right => (right, left),
        };
        match (on, outcome) {
            (OnSide::Write(value), _) => *here = Some(Value::Written(value)),
            (OnSide::Delete, _) => *here = Some(Value::Absent),
            (OnSide::Read, Outcome::Applied(found)) => learn(here, found.value)?,
            (OnSide::Read, _) => {}
            (OnSide::Move { if_absent }, outcome) => moved(here, there, if_absent, outcome)?,
        }
        Some(State::Pair(sides))
    }
}

/// A side was seen to hold this; `None` if it cannot have.
fn learn(side: &mut Option<Value>, value: Value) -> Option<()> {
    let is_possible = side.is_none_or(|known| known == value);
    *side = Some(value);
    is_possible.then_some(())
}

/// A rename from here to there took effect; `None` if it cannot have had its answer. Where nobody knows what was there,
/// nobody knows it afterwards either: that allows too much, and never too little.
fn moved(
    here: &mut Option<Value>,
    there: &mut Option<Value>,
    if_absent: bool,
    outcome: Outcome,
) -> Option<()> {
    let is_in_the_way = there.map(|value| if_absent && value != Value::Absent);
    match outcome {
        Outcome::Applied(_) => {
            if *here == Some(Value::Absent) || is_in_the_way == Some(true) {
                return None;
            }
            (*there, *here) = (*here, Some(Value::Absent));
        }
        Outcome::Conflict(Some(found)) if found.value == Value::Absent => {
            learn(here, Value::Absent)?;
        }
        Outcome::Conflict(Some(found)) => {
            if !if_absent || *here == Some(Value::Absent) {
                return None;
            }
            learn(there, found.value)?;
        }
        _ => match (*here, is_in_the_way) {
            (Some(Value::Absent), _) | (_, Some(true)) => {}
            (Some(_), Some(false)) => (*there, *here) = (*here, Some(Value::Absent)),
            (None, Some(false)) => (*there, *here) = (None, Some(Value::Absent)),
            (_, None) if if_absent => (*there, *here) = (None, None),
            (_, None) => (*there, *here) = (*here, Some(Value::Absent)),
        },
    }
    Some(())
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            |value: &Option<Value>| value.map_or("anything".to_owned(), |value| value.to_string());
        match self {
            State::Anything => f.write_str("anything"),
            State::Is(value) => value.fmt(f),
            State::Pair([left, right]) => write!(f, "{} and {}", shown(left), shown(right)),
        }
    }
}
