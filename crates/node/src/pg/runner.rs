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

use crate::clients::{Client, Did, Who};
use crate::sql::Statements;

/// Runs what one of PostgreSQL's clients asks.
pub(super) struct StatementRunner {
    statements: Arc<Statements>,
    client: Arc<Client>,
}

impl StatementRunner {
    pub(super) fn new(statements: &Arc<Statements>, client: &Arc<Client>) -> Self {
        StatementRunner { statements: Arc::clone(statements), client: Arc::clone(client) }
    }

    /// The client says in its settings who it is.
    fn meets(&self, session: &PgSession) {
        self.client.introduces_once(|| {
            let name = session.settings.get("application_name").filter(|name| !name.is_empty())?;
            Some(Who::of_library(name, ""))
        });
    }
}

#[async_trait]
impl Runner for StatementRunner {
    fn patience(&self) -> Duration {
        self.statements.sql.patience()
    }

    async fn prepare(
        &self,
        statement: &Statement,
        given: Vec<Option<DataType>>,
        session: &PgSession,
    ) -> Result<Prepared, Refused> {
        self.meets(session);
        self.client.does(Did::Statement);
        let _permit = self.statements.admit()?;
        let preparing = AssertUnwindSafe(self.statements.sql.prepare(statement, given, session));
        preparing.catch_unwind().await.unwrap_or_else(|_| Err(panicked().into()))
    }

    async fn define(&self, definition: &PgDefinition) -> Result<Answer, Refused> {
        let _call = self.client.begins(Did::Statement);
        let _permit = self.statements.admit()?;
        let tag = definition.tag();
        let timed = self.statements.time(self.client.address, move || tag.to_owned());
        let defining = AssertUnwindSafe(timed.answer(self.statements.sql.define(definition)));
        defining.catch_unwind().await.unwrap_or_else(|_| Err(panicked().into()))
    }

    async fn run(
        &self,
        prepared: &Arc<Prepared>,
        values: Vec<ScalarValue>,
        session: &PgSession,
    ) -> Result<Answer, Refused> {
        self.meets(session);
        let call = self.client.begins(Did::Statement);
        let permit = self.statements.admit()?;
        let shown = Arc::clone(prepared);
        let address = self.client.address;
        let timed = self.statements.time(address, move || shown.unvalued().to_owned());
        let sql = self.statements.sql.telling(timed.walked());
        let running = AssertUnwindSafe(timed.answer(sql.run_prepared(prepared, values, session)));
        let answer = running.catch_unwind().await.unwrap_or_else(|_| Err(panicked().into()))?;
        let Answer { schema, batches, progress, route } = answer;
        let batches = AssertUnwindSafe(batches).catch_unwind().map(move |batch| {
            // Others may run when this one's rows are taken or dropped.
            let _held = (&permit, &call);
            batch.unwrap_or_else(|_| Err(panicked()))
        });
        Ok(Answer { schema, batches: Box::pin(batches), progress, route })
    }
}

fn panicked() -> Error {
    Error::new(ErrorCode::Internal, "a statement panicked")
}
