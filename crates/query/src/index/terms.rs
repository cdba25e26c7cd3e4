//! [`Terms`]: what the predicates of a statement, all of which hold, say of single columns.

use std::collections::BTreeMap;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use isogrid_core::ColumnType;
use isogrid_value::Cell;
use serde_json::Value;

use super::bounds::{Bounds, End};
use crate::columns::Columns;
use crate::{json, nested};

/// Beyond this a floating-point number is what several whole numbers become.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// What is known of columns, by their names.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// It is one of these values.
    equal: BTreeMap<String, Vec<Cell<'static>>>,
    /// It is between these.
    bounds: BTreeMap<String, Bounds>,
    /// What lies within a column, by the path to it, is one of these values, or holds one of them.
    within: BTreeMap<Vec<String>, Vec<Cell<'static>>>,
    held: BTreeMap<Vec<String>, Vec<Cell<'static>>>,
}

impl Terms {
    /// What these predicates say.
    pub(super) fn of(predicates: &[Expr], columns: &Columns) -> Self {
        let mut terms = Terms::default();
        predicates.iter().for_each(|predicate| terms.take(predicate, columns));
        terms
    }

    /// The columns whose values are given, and the first one that is between bounds.
    pub(super) fn names(&self) -> Vec<String> {
        let is_bound = |name: &&String| !self.equal.contains_key(*name);
        let bounds = self.bounds.keys().filter(is_bound).take(1);
        self.equal.keys().chain(bounds).cloned().collect()
    }

    /// The values of which a column has one.
    pub(super) fn equal(&self, column: &str) -> Option<&[Cell<'static>]> {
        self.equal.get(column).map(Vec::as_slice)
    }

    /// Between which values a column is.
    pub(super) fn bounds(&self, column: &str) -> Option<&Bounds> {
        self.bounds.get(column)
    }

    /// The values of which a part of a column has one.
    pub(super) fn equal_within(&self, path: &[String]) -> Option<&[Cell<'static>]> {
        self.within.get(path).map(Vec::as_slice)
    }

    /// The values of which a list has one.
    pub(super) fn held(&self, path: &[String]) -> Option<&[Cell<'static>]> {
        self.held.get(path).map(Vec::as_slice)
    }

    fn take(&mut self, predicate: &Expr, columns: &Columns) {
        match predicate {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.take(left, columns);
                self.take(right, columns);
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if matches!(op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq) =>
            {
                let turned = op.swap().unwrap_or(*op);
                let found = bound(left, right, columns).map(|one| (one, *op));
                let found = found.or_else(|| Some((bound(right, left, columns)?, turned)));
                if let Some(((column, value), op)) = found {
                    self.bound(column, value, op);
                }
            }
            Expr::Between(Between { expr, negated: false, low, high }) => {
                for (end, op) in [(low, Operator::GtEq), (high, Operator::LtEq)] {
                    if let Some((column, value)) = bound(expr, end, columns) {
                        self.bound(column, value, op);
                    }
                }
            }
            Expr::ScalarFunction(call) if json::sought(call).is_some() => {
                if let Some((path, value)) = held(call, columns) {
                    self.held.entry(path).or_insert_with(|| vec![value]);
                }
            }
            other => {
                let Some((subject, values)) = one_of(other, columns) else { return };
                let known = match subject {
                    Subject::Column(column) => self.equal.entry(column).or_default(),
                    Subject::Within(path) => self.within.entry(path).or_default(),
                };
                // Of two lists both hold; the shorter one is as good as what they have in common.
                if known.is_empty() || values.len() < known.len() {
                    *known = values;
                }
            }
        }
    }

    fn bound(&mut self, column: String, value: Cell<'static>, op: Operator) {
        // The two zeros are equal as keys, and not as numbers.
        let is_zero = matches!(value, Cell::Double(0.0));
        let is_included = is_zero || matches!(op, Operator::LtEq | Operator::GtEq);
        let bounds = self.bounds.entry(column).or_default();
        let end = match op {
            Operator::Gt | Operator::GtEq => &mut bounds.from,
            _ => &mut bounds.to,
        };
        // Of two bounds on one side the first is as good as any: rows are looked at again.
        end.get_or_insert(End { value, is_included });
    }
}

/// What a predicate is about: a column, or a part of one that is JSON.
#[derive(PartialEq)]
enum Subject {
    Column(String),
    Within(Vec<String>),
}

/// What a predicate says to have one of some values.
fn one_of(predicate: &Expr, columns: &Columns) -> Option<(Subject, Vec<Cell<'static>>)> {
    let column = |name| Subject::Column(name);
    match predicate {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            equality(left, right, columns).or_else(|| equality(right, left, columns))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let (subject, mut values) = one_of(left, columns)?;
            let (other, more) = one_of(right, columns)?;
            values.extend(more);
            (subject == other).then_some((subject, values))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let found = list.iter().map(|value| equality(expr, value, columns));
            let found = found.collect::<Option<Vec<_>>>()?;
            let mut found = found.into_iter();
            let (subject, first) = found.next()?;
            Some((subject, first.into_iter().chain(found.flat_map(|one| one.1)).collect()))
        }
        Expr::IsNull(expr) => Some((column(field(expr, columns)?.0), vec![Cell::Null])),
        Expr::Not(expr) => {
            let (name, holds) = field(expr, columns)?;
            (holds == ColumnType::Boolean).then(|| (column(name), vec![Cell::Boolean(false)]))
        }
        expr => {
            let (name, holds) = field(expr, columns)?;
            (holds == ColumnType::Boolean).then(|| (column(name), vec![Cell::Boolean(true)]))
        }
    }
}

/// What is equal to a value: as a key one of these.
fn equality(one: &Expr, value: &Expr, columns: &Columns) -> Option<(Subject, Vec<Cell<'static>>)> {
    let Expr::ScalarFunction(call) = one else {
        let (column, value) = bound(one, value, columns)?;
        return Some((Subject::Column(column), vec![value]));
    };
    let Expr::Literal(value, _) = value else { return None };
    let path = of_json(nested::text_path_of(call)?, columns)?;
    Some((Subject::Within(path), shown_as(value.try_as_str()??)?))
}

/// What a part can be whose text is this: that text, or a number, true, false, a list or an object that is written so. `None` where that
/// is not sure.
fn shown_as(text: &str) -> Option<Vec<Cell<'static>>> {
    let itself = Cell::Text(text.to_owned().into());
    let json = serde_json::from_str::<Value>(text).ok();
    let is_shown_so = |json: &Value| {
        let shown = json.to_string();
        shown == text
    };
    let Some(json) = json.filter(|json| !json.is_string() && is_shown_so(json)) else {
        return Some(vec![itself]);
    };
    match &json {
        Value::Number(number) if number.as_i64().is_none() && !is_exact(number.as_f64()?) => None,
        _ => Some(vec![itself, Cell::Nested(json)]),
    }
}

/// What a list must hold, and where it is.
fn held(call: &ScalarFunction, columns: &Columns) -> Option<(Vec<String>, Cell<'static>)> {
    let (path, value) = json::sought(call)?;
    let Expr::Literal(value, _) = value else { return None };
    let json = json::json_of(value)?;
    if json.as_f64().is_some_and(|number| json.as_i64().is_none() && !is_exact(number)) {
        return None;
    }
    Some((of_json(path, columns)?, Cell::Nested(json)))
}

/// Whether a number stays the same however often it is written and read.
fn is_exact(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() < EXACT_MAX
}

/// A path, if it leads to a part of a column that is JSON.
fn of_json(path: Vec<String>, columns: &Columns) -> Option<Vec<String>> {
    (columns.holds(path.first()?)? == ColumnType::Json).then_some(path)
}

/// A column that is a field of the values, and what it holds.
fn field(expr: &Expr, columns: &Columns) -> Option<(String, ColumnType)> {
    let Expr::Column(column) = expr else { return None };
    Some((column.name.clone(), columns.holds(&column.name)?))
}

/// A column and a value that it is compared with as it is.
fn bound(column: &Expr, value: &Expr, columns: &Columns) -> Option<(String, Cell<'static>)> {
    let (name, holds) = field(column, columns)?;
    let Expr::Literal(value, _) = value else { return None };
    Some((name, cell(value, holds)?))
}

/// A value as a column of this type has it; `None` for nothing, and where equality of keys is not that of values.
fn cell(value: &ScalarValue, holds: ColumnType) -> Option<Cell<'static>> {
    Some(match (holds, value) {
        (ColumnType::Boolean, ScalarValue::Boolean(Some(value))) => Cell::Boolean(*value),
        (ColumnType::BigInt, ScalarValue::Int64(Some(value)))
        | (ColumnType::Timestamp, ScalarValue::TimestampMillisecond(Some(value), _)) => {
            Cell::BigInt(*value)
        }
        (ColumnType::Double, ScalarValue::Float64(Some(value))) if value.abs() < EXACT_MAX => {
            Cell::Double(*value)
        }
        (
            ColumnType::Text,
            ScalarValue::Utf8(Some(value))
            | ScalarValue::LargeUtf8(Some(value))
            | ScalarValue::Utf8View(Some(value)),
        ) => Cell::Text(value.clone().into()),
        (
            ColumnType::Bytes,
            ScalarValue::Binary(Some(value))
            | ScalarValue::LargeBinary(Some(value))
            | ScalarValue::BinaryView(Some(value)),
        ) => Cell::Bytes(value.clone().into()),
        _ => return None,
    })
}
