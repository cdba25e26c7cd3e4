//! [`Returning`]: what a statement tells of each row that it wrote, or did not.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::sql::sqlparser::ast::{Expr, SelectItem};
use isogrid_core::Error;

use super::parse::{Parsing, wrong};
use crate::columns::{KEY, VERSION, key_text};
use crate::pg::names::folded;

/// The columns that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Key,
    Outcome,
    Version,
    Error,
}

const ALL: [(&str, Told); 4] = [
    (KEY, Told::Key),
    ("_outcome", Told::Outcome),
    (VERSION, Told::Version),
    ("_error", Told::Error),
];

/// What became of a row.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// It was written: the version, if it is known.
    Written(Option<u64>),
    /// It was passed over, as the statement says.
    Skipped,
    /// It was not written, or nobody knows.
    Failed(Error),
}

/// What a statement tells of each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Returning(Vec<(Told, String)>);

impl Returning {
    /// What these items ask for.
    pub(super) fn of(items: &[SelectItem]) -> Parsing<Self> {
        let mut told = Vec::new();
        for item in items {
            let (expr, alias) = match item {
                SelectItem::Wildcard(_) => {
                    told.extend(ALL.map(|(name, one)| (one, name.to_owned())));
                    continue;
                }
                SelectItem::UnnamedExpr(expr) => (expr, None),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(folded(alias))),
                other => return unknown(&other.to_string()),
            };
            let name = match expr {
                Expr::Identifier(name) => folded(name),
                Expr::CompoundIdentifier(names) => names.last().map(folded).unwrap_or_default(),
                other => return unknown(&other.to_string()),
            };
            match ALL.iter().find(|(one, _)| *one == name) {
                Some((_, one)) => told.push((*one, alias.unwrap_or(name))),
                None => return unknown(&name),
            }
        }
        Ok(Returning(told))
    }

    /// Whether rows that were not written are told as rows, so that they are no error of the statement.
    pub(super) fn tells_failures(&self) -> bool {
        self.0.iter().any(|(told, _)| matches!(told, Told::Outcome | Told::Error))
    }

    /// The columns.
    pub(super) fn schema(&self) -> SchemaRef {
        let field = |(told, name): &(Told, String)| match told {
            Told::Key | Told::Outcome => Field::new(name, DataType::Utf8, false),
            Told::Version => Field::new(name, DataType::Int64, true),
            Told::Error => Field::new(name, DataType::Utf8, true),
        };
        Arc::new(Schema::new(self.0.iter().map(field).collect::<Vec<_>>()))
    }

    /// The rows that tell of these records. `done`: how it is called that a record was written.
    pub(super) fn batch(
        &self,
        rows: &[(bytes::Bytes, Fate)],
        done: &str,
    ) -> Result<RecordBatch, ArrowError> {
        let shown = |fate: &Fate| match fate {
            Fate::Failed(_) => self.tells_failures(),
            Fate::Written(_) | Fate::Skipped => true,
        };
        let rows: Vec<&(bytes::Bytes, Fate)> =
            rows.iter().filter(|(_, fate)| shown(fate)).collect();
        let column = |(told, _): &(Told, String)| -> ArrayRef {
            match told {
                Told::Key => Arc::new(StringArray::from_iter_values(
                    rows.iter().map(|(key, _)| key_text(key)),
                )),
                Told::Outcome => {
                    let outcomes = rows.iter().map(|(_, fate)| outcome(fate, done));
                    Arc::new(StringArray::from_iter_values(outcomes))
                }
                Told::Version => Arc::new(Int64Array::from_iter(rows.iter().map(|(_, fate)| {
                    let Fate::Written(version) = fate else { return None };
                    version.map(|version| version as i64)
                }))),
                Told::Error => Arc::new(StringArray::from_iter(rows.iter().map(|(_, fate)| {
                    let Fate::Failed(error) = fate else { return None };
                    Some(error.to_string())
                }))),
            }
        };
        RecordBatch::try_new(self.schema(), self.0.iter().map(column).collect())
    }
}

fn outcome<'d>(fate: &Fate, done: &'d str) -> &'d str {
    match fate {
        Fate::Written(_) => done,
        Fate::Skipped => "skipped",
        Fate::Failed(error) => match (error.outcome(), error.code()) {
            (isogrid_core::Outcome::Unknown, _) => "unknown",
            (_, isogrid_core::ErrorCode::RecordChanged) => "conflicted",
            _ => "failed",
        },
    }
}

fn unknown<T>(what: &str) -> Parsing<T> {
    let all = ALL.map(|(name, _)| name).join(", ");
    wrong(format!("RETURNING {what}: it tells what became of each row, by {all} or *"))
}
