//! [`Answer`]: rows of values, from either side, and how two answers differ.

use std::cmp::Ordering;
use std::fmt::{self, Write};

/// By how much two numbers may differ where they are not exact, in parts of the larger one.
const TOLERANCE: f64 = 1e-9;
/// How many rows of a difference are told.
const TOLD_MAX: usize = 5;

/// One value. SQLite has no other kinds: true is one there, and false is zero.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Whole(i64),
    Real(f64),
    Text(String),
}

/// A row.
pub(crate) type Row = Vec<Value>;

/// What a statement gives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) columns: usize,
    pub(crate) rows: Vec<Row>,
}

/// How answers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Whether the rows have to come in the same order.
    pub(crate) is_ordered: bool,
    /// Whether numbers have to be the same to the last bit.
    pub(crate) is_exact: bool,
}

impl Value {
    fn number(&self) -> Option<f64> {
        match self {
            Value::Whole(value) => Some(*value as f64),
            Value::Real(value) => Some(*value),
            Value::Null | Value::Text(_) => None,
        }
    }

    fn is_same(&self, other: &Value, is_exact: bool) -> bool {
        if self == other {
            return true;
        }
        let (Some(one), Some(other)) = (self.number(), other.number()) else { return false };
        let apart = (one - other).abs();
        one == other || (!is_exact && apart <= TOLERANCE * one.abs().max(other.abs()))
    }

    fn order(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Whole(one), Value::Whole(other)) => one.cmp(other),
            (Value::Text(one), Value::Text(other)) => one.cmp(other),
            _ => match (self.number(), other.number()) {
                // Minus zero is zero.
                (Some(one), Some(other)) => (one + 0.0).total_cmp(&(other + 0.0)),
                _ => self.rank().cmp(&other.rank()),
            },
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Whole(_) | Value::Real(_) => 1,
            Value::Text(_) => 2,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("NULL"),
            Value::Whole(value) => write!(f, "{value}"),
            Value::Real(value) => write!(f, "{value:?}"),
            Value::Text(value) => write!(f, "'{value}'"),
        }
    }
}

impl Answer {
    /// How another answer differs from this one, in words; nothing when it does not.
    pub(crate) fn difference(&self, found: &Answer, how: Comparison) -> Option<String> {
        if self.columns != found.columns {
            return Some(format!("{} columns, not {}", found.columns, self.columns));
        }
        let (mut expected, mut found) = (self.rows.clone(), found.rows.clone());
        if !how.is_ordered {
            let places = places(self.columns, &[&expected, &found]);
            let order = |one: &Row, other: &Row| order(one, other, &places);
            expected.sort_by(order);
            found.sort_by(order);
        }
        let is_same = |one: &Row, other: &Row| {
            one.iter().zip(other).all(|(one, other)| one.is_same(other, how.is_exact))
        };
        let pairs = expected.iter().zip(&found);
        let apart: Vec<usize> = pairs
            .enumerate()
            .filter(|(_, (one, other))| !is_same(one, other))
            .map(|(at, _)| at)
            .collect();
        if apart.is_empty() && expected.len() == found.len() {
            return None;
        }
        let mut told = format!("{} rows, {} expected", found.len(), expected.len());
        let first = apart.first().copied().unwrap_or(expected.len().min(found.len()));
        let _ = write!(told, ", apart from row {first} on, {} of them", apart.len());
        for (name, rows) in [("expected", &expected), ("found", &found)] {
            for row in rows.iter().skip(first).take(TOLD_MAX) {
                let row: Vec<String> = row.iter().map(ToString::to_string).collect();
                let _ = write!(told, "\n  {name}: {}", row.join(" | "));
            }
        }
        Some(told)
    }
}

/// In which order the columns are looked at: those with numbers that may be inexact last, so that rows which are nearly the same
/// stand at the same place.
fn places(columns: usize, answers: &[&Vec<Row>]) -> Vec<usize> {
    let is_real = |place: &usize| {
        let mut rows = answers.iter().flat_map(|rows| rows.iter());
        rows.any(|row| matches!(row.get(*place), Some(Value::Real(_))))
    };
    let (real, others): (Vec<usize>, Vec<usize>) = (0..columns).partition(is_real);
    others.into_iter().chain(real).collect()
}

fn order(one: &Row, other: &Row, places: &[usize]) -> Ordering {
    let orders = places.iter().map(|place| one[*place].order(&other[*place]));
    orders.fold(Ordering::Equal, Ordering::then)
}

/// What the comparison itself must notice.
#[test]
fn a_difference_is_seen_and_an_order_only_where_it_matters() {
    let answer = |rows: &[f64]| Answer {
        columns: 2,
        rows: rows.iter().map(|real| vec![Value::Real(*real), Value::Text("x".into())]).collect(),
    };
    let how = |is_ordered, is_exact| Comparison { is_ordered, is_exact };
    let (one, turned) = (answer(&[1.0, 2.0]), answer(&[2.0, 1.0]));
    assert!(one.difference(&turned, how(false, true)).is_none());
    assert!(one.difference(&turned, how(true, true)).is_some());
    let near = answer(&[1.0, 2.0 + 1e-12]);
    assert!(one.difference(&near, how(false, false)).is_none());
    assert!(one.difference(&near, how(false, true)).is_some());
    for other in [answer(&[1.0]), answer(&[1.0, 2.0, 2.0]), answer(&[1.0, 1.0]), answer(&[])] {
        let told = one.difference(&other, how(false, false)).expect("they differ");
        assert!(told.contains("2 expected"), "{told}");
    }
}
