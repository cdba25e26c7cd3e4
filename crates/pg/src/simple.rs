//! Simple queries: a text with statements, each answered in turn, until one fails.

use std::sync::Arc;

use isogrid_query::pg::PgStatement;
use isogrid_query::{ScalarValue, Statement};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::Connection;
use crate::fault::{Fault, refused};
use crate::message::Formats;
use crate::reply;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<'_, S> {
    /// Answers a text.
    pub(crate) async fn query(&mut self, text: &str) -> Result<(), Fault> {
        let statements = PgStatement::parse(text)?;
        if statements.is_empty() {
            reply::plain(&mut self.wire.outbox, b'I');
        }
        for statement in statements {
            match statement {
                PgStatement::Session(command) => {
                    let told = self.command(&command)?;
                    if let Some(rows) = told.rows {
                        reply::columns(&mut self.wire.outbox, &rows.schema(), &Formats::default());
                        self.write_fixed(&rows, &Formats::default())?;
                    }
                    reply::complete(&mut self.wire.outbox, told.tag);
                }
                PgStatement::Definition(definition) => {
                    if let Some(schema) = definition.schema() {
                        reply::columns(&mut self.wire.outbox, &schema, &Formats::default());
                    }
                    self.define(&definition, &Formats::default()).await?;
                }
                PgStatement::Query(statement) => self.answer(&statement).await?,
            }
        }
        self.ready().await
    }

    async fn answer(&mut self, statement: &Statement) -> Result<(), Fault> {
        self.check_standing()?;
        let token = self.cancel.begin();
        let prepared = Arc::new(self.prepare(statement, Vec::new(), &token).await?);
        if !prepared.parameters().is_empty() {
            return Err(refused("42P02", "there is no value for $1").into());
        }
        let none: Vec<ScalarValue> = Vec::new();
        let mut running = self.begin_statement(&prepared, none, Formats::default(), &token).await?;
        reply::columns(&mut self.wire.outbox, &prepared.schema(), &Formats::default());
        let (rows, _) = self.write_rows(&mut running, 0, &token).await?;
        self.cancel.end();
        reply::complete(&mut self.wire.outbox, &tag(statement, rows));
        Ok(())
    }
}

/// How the end of a statement is told.
pub(crate) fn tag(statement: &Statement, rows: u64) -> String {
    match statement {
        Statement::Explain { .. } | Statement::ExplainTable { .. } => "EXPLAIN".to_owned(),
        Statement::Query(_) => format!("SELECT {rows}"),
        _ => "SHOW".to_owned(),
    }
}
