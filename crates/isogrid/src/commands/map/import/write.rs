//! One batch into the map: puts that are sent together, each with the expiry of its row.

use std::time::{Duration, UNIX_EPOCH};

use isogrid_client::{Error, ErrorKind, Grid, Put};

use super::super::ByteMap;
use super::super::files::{BadRow, Position};
use super::batches::Batch;

/// How long a batch may take, retries included: longer than a failover.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// How many rows it had, good and bad.
    pub(super) rows: u64,
    /// How many bytes the rows have.
    pub(super) bytes: u64,
    /// How many were written.
    pub(super) written: u64,
    /// How many were not, since there was such a key.
    pub(super) present: u64,
    /// How many had expired.
    pub(super) expired: u64,
    /// The rows that could not be read, and those that the grid will never take.
    pub(super) bad: Vec<BadRow>,
    /// Whether the grid refused some of them.
    pub(super) is_refused: bool,
    /// Why others were not written.
    pub(super) failed: Option<Error>,
    /// Behind the last row.
    pub(super) end: Position,
}

/// Writes a batch. Doing it again changes nothing more.
pub(super) async fn write(grid: Grid, map: ByteMap, batch: Batch, if_absent: bool) -> Done {
    let mut done = Done {
        rows: batch.rows.len() as u64 + batch.expired + batch.bad.len() as u64,
        bytes: batch.bytes as u64,
        expired: batch.expired,
        bad: batch.bad,
        end: batch.end,
        ..Done::default()
    };
    if batch.rows.is_empty() {
        return done;
    }
    let mut pipeline = grid.pipeline().timeout(BATCH_TIMEOUT);
    let (mut puts, mut guarded) = (Vec::new(), Vec::new());
    for (_, row) in &batch.rows {
        let mut put = map.put(&row.key, &row.value);
        if let Some(at) = row.expires_at {
            put = put.expires_at(UNIX_EPOCH + Duration::from_millis(at.0));
        }
        if if_absent {
            guarded.push(pipeline.push(put.if_absent()));
        } else {
            puts.push(pipeline.push(put));
        }
    }
    let mut replies = match pipeline.send().await {
        Ok(replies) => replies,
        Err(error) => {
            done.failed = Some(error);
            return done;
        }
    };
    let lines = batch.rows.iter().map(|(line, _)| *line);
    let mut results = Vec::with_capacity(batch.rows.len());
    results.extend(puts.into_iter().map(|put| replies.take(put).map(|_| true)));
    results.extend(guarded.into_iter().map(|put| replies.take(put).map(|put| is_stored(&put))));
    for (line, result) in lines.zip(results) {
        done.note(line, result);
    }
    done
}

fn is_stored(put: &Put<bytes::Bytes>) -> bool {
    put.is_stored()
}

impl Done {
    fn note(&mut self, line: u64, result: Result<bool, Error>) {
        match result {
            Ok(true) => self.written += 1,
            Ok(false) => self.present += 1,
            // Sending it again as it is cannot work: it is the row that is wrong.
            Err(error) if error.kind() == ErrorKind::InvalidRequest => {
                self.is_refused = true;
                self.bad.push(BadRow { line, what: error.to_string() });
            }
            Err(error) => self.failed = Some(error),
        }
    }
}
