//! A file cut into batches, on a thread of its own: reading may wait, and the client must not.
//!
//! Batches are written several at a time and in no order. So that of two rows with one key the later one stays, the second
//! begins a batch that waits for all before it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use isogrid_core::Timestamp;
use tokio::sync::mpsc;

use super::super::files::{BadRow, Position, ReadFault, Row, RowReader};

/// How many rows a batch has.
pub(super) const BATCH_ROWS: usize = 512;

/// After how many bytes a batch ends.
const BATCH_BYTES: usize = 1 << 20;

/// How many batches are written at the same time.
pub(super) const BATCHES_IN_FLIGHT: usize = 8;

/// How many batches may wait for their turn.
const BATCHES_WAITING_MAX: usize = 4;

/// Rows that are written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The rows with their lines. No two have the same key.
    pub(super) rows: Vec<(u64, Row)>,
    /// Whether a row has the key of one in a batch before, which must be written first.
    pub(super) waits: bool,
    /// How many rows were left out since they have expired.
    pub(super) expired: u64,
    /// The rows that could not be read.
    pub(super) bad: Vec<BadRow>,
    /// Behind the last row.
    pub(super) end: Position,
    /// How many bytes the rows have.
    pub(super) bytes: usize,
}

/// What comes out of a file.
#[derive(Debug)]
pub(super) enum Message {
    /// Rows to write.
    Batch(Batch),
    /// Nothing more comes.
    Fault(ReadFault),
}

/// Reads a file to its end, or to its first bad row.
pub(super) fn read(
    reader: Box<dyn RowReader>,
    skip_bad: bool,
) -> io::Result<mpsc::Receiver<Message>> {
    let (sender, receiver) = mpsc::channel(BATCHES_WAITING_MAX);
    thread::Builder::new().name("reader".into()).spawn(move || {
        let mut cutter = Cutter::new(reader, skip_bad);
        while let Some(message) = cutter.next() {
            // Nobody wants the rest.
            if sender.blocking_send(message).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

struct Cutter {
    reader: Box<dyn RowReader>,
    skip_bad: bool,
    /// What was read and belongs to the next batch.
    next: Batch,
    /// The hash of each key, and the number of the last batch that has it.
    seen: HashMap<u64, u64>,
    hasher: RandomState,
    batches: u64,
    fault: Option<ReadFault>,
    is_over: bool,
}

impl Cutter {
    fn new(reader: Box<dyn RowReader>, skip_bad: bool) -> Cutter {
        Cutter {
            reader,
            skip_bad,
            next: Batch::default(),
            seen: HashMap::new(),
            hasher: RandomState::new(),
            batches: 0,
            fault: None,
            is_over: false,
        }
    }

    fn next(&mut self) -> Option<Message> {
        if self.is_over {
            return self.fault.take().map(Message::Fault);
        }
        let batch = self.fill();
        if self.is_over && batch.rows.is_empty() && batch.expired == 0 && batch.bad.is_empty() {
            return self.fault.take().map(Message::Fault);
        }
        Some(Message::Batch(batch))
    }

    fn fill(&mut self) -> Batch {
        let mut batch = std::mem::take(&mut self.next);
        self.batches += 1;
        self.forget_old_keys();
        let now = now();
        for (_, row) in &batch.rows {
            self.seen.insert(self.hasher.hash_one(&row.key), self.batches);
        }
        while batch.rows.len() < BATCH_ROWS && batch.bytes < BATCH_BYTES {
            match self.reader.next() {
                Ok(Some((_, row))) if row.expires_at.is_some_and(|at| at <= now) => {
                    batch.expired += 1;
                }
                Ok(Some((line, row))) => {
                    let hash = self.hasher.hash_one(&row.key);
                    let before = self.seen.insert(hash, self.batches);
                    let in_flight = BATCHES_IN_FLIGHT as u64;
                    if before.is_some_and(|before| before + in_flight > self.batches) {
                        self.next.begin_with(line, row, self.reader.position());
                        return batch;
                    }
                    batch.take(line, row);
                }
                Ok(None) => {
                    self.is_over = true;
                    break;
                }
                Err(ReadFault::Bad(bad)) if self.skip_bad => batch.bad.push(bad),
                Err(fault) => {
                    (self.fault, self.is_over) = (Some(fault), true);
                    return batch;
                }
            }
            batch.end = self.reader.position();
        }
        batch
    }

    /// Keys of batches that are certainly written need not be known.
    fn forget_old_keys(&mut self) {
        if self.seen.len() > 4 * BATCHES_IN_FLIGHT * BATCH_ROWS {
            let kept = self.batches.saturating_sub(BATCHES_IN_FLIGHT as u64);
            self.seen.retain(|_, batch| *batch > kept);
        }
    }
}

impl Batch {
    fn take(&mut self, line: u64, row: Row) {
        self.bytes += row.key.len() + row.value.len();
        self.rows.push((line, row));
    }

    fn begin_with(&mut self, line: u64, row: Row, end: Position) {
        (self.waits, self.end) = (true, end);
        self.take(line, row);
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[path = "batches_test.rs"]
mod tests;
