//! Statements that write: INSERT, UPSERT, UPDATE and DELETE. What they read is a query as any other; each of its rows becomes a write of one
//! record, on the condition that the statement names: that there is no such key, or that the record is still the one that was read.
//!
//! ```text
//!   statement ──► Writing ──► Plan ──► query ──► rows ──► writes ──► Source ──► Tally, RETURNING
//!               (parse)      (plan)                ▲                   │
//!                                                  └── changed meanwhile: read again
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `parse` | from a statement to a [`Writing`] |
//! | `typing` | values for its parameters, and their types |
//! | `plan` | [`Plan`]: what is read, and what its columns are for |
//! | `cells` | from columns of Arrow to fields |
//! | `rows` | from rows to writes |
//! | `run` | [`Run`]: batch after batch, and again what was changed meanwhile |
//! | `tally` | what became of all, in one row or one error |
//! | `returning` | what became of each row |

mod cells;
mod parse;
mod plan;
mod returning;
mod rows;
mod run;
mod tally;
mod typing;

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Query, Statement};
use datafusion::sql::sqlparser::parser::ParserError;
use isogrid_core::{Error, ErrorCode, Result};
use tokio::time::Instant;

use crate::fault;
use crate::sql::{Answer, Sql, too_long};
pub(crate) use parse::{as_upsert, upsert_as_insert};
pub(crate) use plan::Plan;
use returning::Returning;
use run::Run;
pub use tally::Progress;

/// What becomes of a key that is there when it is inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Present {
    /// The row is not written.
    Refused,
    /// The row is passed over.
    Skipped,
    /// The record is replaced.
    Replaced,
}

/// What a statement does with the rows of its query.
#[derive(Clone, Debug, PartialEq)]
enum What {
    /// Each becomes a record. Without names the columns have those of the query.
    Insert { columns: Option<Vec<String>>, present: Present },
    /// Of the record of each these columns are set.
    Update { columns: Vec<String> },
    /// The record of each goes.
    Delete,
}

impl What {
    /// How it is called that a record was written.
    fn done(&self) -> &'static str {
        match self {
            What::Insert { present: Present::Replaced, .. } => "upserted",
            What::Insert { .. } => "inserted",
            What::Update { .. } => "updated",
            What::Delete => "deleted",
        }
    }
}

/// A statement that writes.
#[derive(Clone, Debug)]
pub(crate) struct Writing {
    map: String,
    what: What,
    /// What it reads.
    read: Box<Query>,
    returning: Option<Returning>,
    /// It is not run but explained, as this explains something else.
    explain: Option<Box<Parsed>>,
}

/// The name of the column of the query with what is to be set.
fn set_name(place: usize) -> String {
    format!("__set{place}")
}

impl Writing {
    /// What a text writes; `None` when it is of another kind.
    ///
    /// # Errors
    /// `QueryInvalid`: it begins as a statement that writes, and is none, or wants what is not there.
    pub(crate) fn of_text(text: &str) -> Result<Option<Writing>> {
        parse::of_text(text).map_err(|error| unread(&error))
    }

    /// What a statement writes; `None` when it is of another kind.
    ///
    /// # Errors
    /// `QueryInvalid`: it wants what is not there.
    pub(crate) fn of_statement(statement: &Statement) -> Result<Option<Writing>> {
        parse::of_statement(statement).map_err(|error| unread(&error))
    }

    /// Whether each row is told of.
    pub(crate) fn returns_rows(&self) -> bool {
        self.returning.is_some()
    }

    /// The columns of the answer.
    pub(crate) fn schema(&self) -> SchemaRef {
        match &self.returning {
            Some(returning) => returning.schema(),
            None => tally::schema(self.what.done()),
        }
    }
}

fn unread(error: &ParserError) -> Error {
    let (ParserError::ParserError(why) | ParserError::TokenizerError(why)) = error else {
        return Error::new(ErrorCode::QueryInvalid, error.to_string());
    };
    Error::new(ErrorCode::QueryInvalid, why.clone())
}

impl Sql {
    /// Begins a statement that writes. It goes on as its answer is taken; dropped, it ends, and what was written stays.
    ///
    /// # Errors
    /// Nothing was written: the statement cannot be planned.
    pub(crate) async fn write(
        &self,
        mut writing: Writing,
        values: &[ScalarValue],
        until: Instant,
    ) -> Result<Answer> {
        typing::fill(&mut writing.read, values);
        let planning = async {
            let context = self.writing_context(&writing)?;
            if let Some(explained) = writing.explained() {
                let plan = context.state().statement_to_plan(explained).await?;
                plan::check(&plan)?;
                let stream = self.stream(context.state(), plan).await?;
                return Ok(self.answer(writing.told(stream), until));
            }
            let plan = self.plan_writing(&context, Arc::new(writing)).await?;
            Ok::<_, DataFusionError>(self.run_writing(plan, context, until))
        };
        let planned = tokio::time::timeout_at(until, planning).await;
        let planned = planned.map_err(|_| too_long(self.limits.timeout))?;
        planned.map_err(|error| fault::of_query(&error))
    }

    /// The answer of a planned statement.
    pub(crate) fn run_writing(
        &self,
        plan: Plan,
        context: datafusion::prelude::SessionContext,
        until: Instant,
    ) -> Answer {
        let progress = Arc::new(Progress::default());
        let schema = plan.writing.schema();
        let run = Run::new(self.clone(), context, plan, (until, Arc::clone(&progress)));
        Answer { schema, batches: run.batches(), progress: Some(progress), route: None }
    }
}

#[cfg(test)]
#[path = "write/write_test.rs"]
mod tests;
