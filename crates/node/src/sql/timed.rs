//! [`Timed`]: how long a statement takes, whichever door it came through, so that slow ones stand in the slow log. What its reader takes
//! between two pieces of its rows is not its time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use isogrid_query::{Answer, Progress, Walked};

use super::Statements;
use crate::clock;
use crate::node::Shared;
use crate::report::SlowReport;

/// What a statement is called among operations.
const OPERATION: &str = "statement";

/// A statement that is timed. Dropped, it is over.
pub(crate) struct Timed {
    shared: Arc<Shared>,
    client: SocketAddr,
    /// What is shown of it, if it is slow.
    text: Box<dyn Fn() -> String + Send>,
    walked: Arc<Walked>,
    progress: Option<Arc<Progress>>,
    rows: u64,
    took: Duration,
    /// Since when something is done for it.
    since: Option<Instant>,
}

impl Statements {
    /// Times a statement of this client. `text` says it without values.
    pub(crate) fn time(
        &self,
        client: SocketAddr,
        text: impl Fn() -> String + Send + 'static,
    ) -> Timed {
        Timed {
            shared: Arc::clone(&self.shared),
            client,
            text: Box::new(text),
            walked: Arc::default(),
            progress: None,
            rows: 0,
            took: Duration::ZERO,
            since: None,
        }
    }
}

impl Timed {
    /// Who is to be told what it walks over.
    pub(crate) fn walked(&self) -> &Arc<Walked> {
        &self.walked
    }

    /// Its answer, timed as it begins and as its rows are taken.
    pub(crate) async fn answer<E>(
        mut self,
        begins: impl Future<Output = Result<Answer, E>>,
    ) -> Result<Answer, E> {
        self.works();
        let begun = begins.await;
        self.rests();
        let Answer { schema, batches, progress, route } = begun?;
        self.progress = progress.clone();
        let batches = stream::unfold((self, batches), |(mut timed, mut batches)| async move {
            timed.works();
            let next = batches.next().await;
            timed.rests();
            if let Some(Ok(batch)) = &next {
                timed.rows += batch.num_rows() as u64;
            }
            next.map(|batch| (batch, (timed, batches)))
        });
        Ok(Answer { schema, batches: Box::pin(batches), progress, route })
    }

    fn works(&mut self) {
        self.since = Some(Instant::now());
    }

    fn rests(&mut self) {
        self.took += self.since.take().map(|since| since.elapsed()).unwrap_or_default();
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        // It may have been given up in the middle.
        self.rests();
        let written = self.progress.as_ref().map_or(0, |progress| progress.written());
        self.shared.engine.slow_log().note_statement(self.took, || SlowReport {
            at_ms: clock::now().0,
            operation: OPERATION.to_owned(),
            client: self.client.to_string(),
            statement: (self.text)(),
            rows: self.rows.max(written),
            entries_scanned: self.walked.entries(),
            partitions_scanned: self.walked.partitions(),
            ..SlowReport::default()
        });
    }
}
