//! [`StatementRunner`]: runs what PostgreSQL's clients ask, under the limits that all statements have. Nothing runs ahead of a
//! client: the rows of an answer are made as it takes them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use isogrid_core::{Error, ErrorCode};
use isogrid_pg::Runner;
use isogrid_query::arrow::datatypes::DataType;
use isogrid_query::pg::{PgDefinition, PgSession, Prepared, Refused};
use isogrid_query::{Answer, ScalarValue, Statement};

use crate::sql::Statements;

/// Runs what PostgreSQL's clients ask.
pub(super) struct StatementRunner(pub(super) Arc<Statements>);

#[async_trait]
impl Runner for StatementRunner {
    fn patience(&self) -> Duration {
        self.0.sql.patience()
    }

    async fn prepare(
        &self,
        statement: &Statement,
        given: Vec<Option<DataType>>,
        session: &PgSession,
    ) -> Result<Prepared, Refused> {
        let _permit = self.0.admit()?;
        let preparing = AssertUnwindSafe(self.0.sql.prepare(statement, given, session));
        preparing.catch_unwind().await.unwrap_or_else(|_| Err(panicked().into()))
    }

    async fn define(&self, definition: &PgDefinition) -> Result<Answer, Refused> {
        let _permit = self.0.admit()?;
        let defining = AssertUnwindSafe(self.0.sql.define(definition));
        defining.catch_unwind().await.unwrap_or_else(|_| Err(panicked().into()))
    }

    async fn run(
        &self,
        prepared: &Arc<Prepared>,
        values: Vec<ScalarValue>,
        session: &PgSession,
    ) -> Result<Answer, Refused> {
        let permit = self.0.admit()?;
        let running = AssertUnwindSafe(self.0.sql.run_prepared(prepared, values, session));
        let answer = running.catch_unwind().await.unwrap_or_else(|_| Err(panicked().into()))?;
        let Answer { schema, batches, route } = answer;
        let batches = AssertUnwindSafe(batches).catch_unwind().map(move |batch| {
            // Others may run when this one's rows are taken or dropped.
            let _permit = &permit;
            batch.unwrap_or_else(|_| Err(panicked()))
        });
        Ok(Answer { schema, batches: Box::pin(batches), route })
    }
}

fn panicked() -> Error {
    Error::new(ErrorCode::Internal, "a statement panicked")
}
