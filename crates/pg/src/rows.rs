//! An answer on its way out: batches are written as rows as the client takes them, all of them or so many at a time.

use std::sync::Arc;

use futures::StreamExt;
use isogrid_core::{Error, Outcome};
use isogrid_query::arrow::datatypes::SchemaRef;
use isogrid_query::pg::{Prepared, Refused};
use isogrid_query::{Answer, ScalarValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::encode::Rows;
use crate::fault::{Fault, refused};
use crate::message::Formats;
use crate::reply::Standing;

/// How many rows are written between looks at whether the client has asked to stop.
const ROWS_AT_ONCE: usize = 256;

/// An answer of which some rows have been written.
pub(crate) struct Running {
    answer: Answer,
    told: SchemaRef,
    formats: Formats,
    rows: Option<Rows>,
    /// Whether its rows are not told, but only how many were written.
    is_silent: bool,
    /// When the statement's time is over, however slowly its rows are taken.
    until: Option<Instant>,
}

impl Running {
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// How many rows were written, if it is a statement that writes.
    pub(crate) fn written(&self) -> Option<u64> {
        self.answer.progress.as_ref().map(|progress| progress.written())
    }

    /// What ends it in the middle, with what it wrote until then.
    fn ended(&self, fault: Fault) -> Fault {
        let told = self.answer.progress.as_ref().and_then(|progress| progress.told());
        match (fault, told) {
            (Fault::Refused(Refused { state, error }), Some(told)) => {
                let detail = format!("{}; {told}", error.detail());
                let error = Error::new(error.code(), detail).with_outcome(Outcome::Unknown);
                Fault::Refused(Refused { state, error })
            }
            (fault, _) => fault,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<'_, S> {
    /// Begins a statement.
    pub(crate) async fn begin_statement(
        &mut self,
        prepared: &Arc<Prepared>,
        values: Vec<ScalarValue>,
        formats: Formats,
        token: &CancellationToken,
    ) -> Result<Running, Fault> {
        if prepared.writes() && self.standing != Standing::Idle {
            let detail = "statements that write cannot be taken back, so they run outside of transactions only: switch autocommit on";
            return Err(refused("25001", detail).into());
        }
        let granted = Instant::now().checked_add(self.runner.patience());
        let (session, until) = (self.session(), earlier(self.until(), granted));
        let (runner, stopping) = (Arc::clone(&self.runner), self.stopping().clone());
        let begun = runner.run(prepared, values, &session);
        let begun = Self::wait(self.wire, (token, &stopping), until, begun).await?;
        let (answer, told, is_silent) = (begun?, prepared.schema(), prepared.is_silent());
        Ok(Running { answer, told, formats, rows: None, is_silent, until })
    }

    /// Writes rows until there are no more or `rows_max` have been written, 0 for all: how many, and whether that was all.
    pub(crate) async fn write_rows(
        &mut self,
        running: &mut Running,
        rows_max: usize,
        token: &CancellationToken,
    ) -> Result<(u64, bool), Fault> {
        let (until, stopping) = (running.until, self.stopping().clone());
        let ends = (token, &stopping);
        let mut written = 0;
        loop {
            if rows_max != 0 && written >= rows_max as u64 {
                return Ok((written, false));
            }
            if let Some(rows) = &mut running.rows {
                // A client that takes its rows in time is no reason to go on for ever.
                if token.is_cancelled() || until.is_some_and(|until| until <= Instant::now()) {
                    let never = std::future::pending::<()>();
                    Self::wait(self.wire, ends, until, never).await?;
                }
                let some = match rows_max {
                    0 => ROWS_AT_ONCE,
                    _ => ROWS_AT_ONCE.min(rows_max - written as usize),
                };
                let mut left = some;
                while left > 0 && rows.write(&mut self.wire.outbox) {
                    left -= 1;
                    // Rows may be large: what waits stays a piece.
                    Self::send_piece(self.wire, ends, until).await?;
                }
                written += (some - left) as u64;
                if left > 0 {
                    running.rows = None;
                }
                continue;
            }
            let next = running.answer.batches.next();
            let next = Self::wait(self.wire, ends, until, next).await;
            match next.map_err(|fault| running.ended(fault))? {
                None => return Ok((running.written().unwrap_or(written), true)),
                Some(Ok(_)) if running.is_silent => {}
                Some(batch) => {
                    let batch = batch.map_err(Refused::from)?;
                    let rows = Rows::new(&batch, &running.told, &running.formats);
                    running.rows = Some(rows.map_err(Refused::from)?);
                }
            }
        }
    }

    /// When the client's own patience is over.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.settings.statement_timeout().and_then(|timeout| Instant::now().checked_add(timeout))
    }
}

/// The earlier of two points in time, of which either may be never.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}
