//! Statements that make, change, drop or show maps. They are done at once, within a transaction too: ROLLBACK takes nothing back.

use std::sync::Arc;

use futures::StreamExt;
use isogrid_query::pg::{PgDefinition, Refused};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::Connection;
use crate::fault::Fault;
use crate::message::Formats;
use crate::reply;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<'_, S> {
    /// Does what a statement wants, and tells of it.
    pub(crate) async fn define(
        &mut self,
        definition: &PgDefinition,
        formats: &Formats,
    ) -> Result<(), Fault> {
        self.check_standing()?;
        let (token, until) = (self.cancel.begin(), self.until());
        let (runner, stopping) = (Arc::clone(&self.runner), self.stopping().clone());
        let ends = (&token, &stopping);
        let done = Self::wait(self.wire, ends, until, runner.define(definition)).await?;
        let mut answer = done?;
        if definition.schema().is_some() {
            while let Some(batch) =
                Self::wait(self.wire, ends, until, answer.batches.next()).await?
            {
                self.write_fixed(&batch.map_err(Refused::from)?, formats)?;
            }
        }
        self.cancel.end();
        reply::complete(&mut self.wire.outbox, definition.tag());
        Ok(())
    }
}
