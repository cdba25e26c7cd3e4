//! [`Run`]: a statement that writes, under way. Rows are read, written batch by batch, and those that others changed meanwhile are read
//! again. Only so much is held as one batch has.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use isogrid_core::{Error, ErrorCode, PartitionId, Result};
use tokio::time::{Instant, timeout_at};

use super::plan::Plan;
use super::returning::Fate;
use super::rows::{Rows, Unwritable};
use super::tally::{Progress, Tally};
use super::{Present, What};
use crate::fault;
use crate::source::{Change, Write, Written};
use crate::sql::{Sql, too_long};

/// The most rows of a batch, about the most bytes, and the most rows of one partition: a node keeps the answers to so many open writes.
const BATCH_ROWS: usize = 512;
const BATCH_BYTES: usize = 1 << 20;
const PARTITION_ROWS: usize = 64;

/// How often a record is read again that others changed meanwhile, how many are at once, and how many bytes of keys wait for that.
const TRIES: u32 = 16;
const AGAIN_AT_ONCE: usize = 256;
const AGAIN_BYTES: usize = 4 << 20;

/// The longest pause before a record is read again.
const PAUSE_MS_MAX: u64 = 32;

/// How far a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Rows are to be read: all of them, or those that changed.
    Asking,
    /// They are read and written.
    Writing,
    /// All is written; the end is to be told.
    Ending,
    Over,
}

/// A statement under way.
pub(super) struct Run {
    sql: Sql,
    context: SessionContext,
    plan: Plan,
    until: Instant,
    tally: Tally,
    stage: Stage,
    reader: Option<Reader>,
    again: VecDeque<(Bytes, u32)>,
    again_bytes: usize,
}

/// What is read.
struct Reader {
    batches: SendableRecordBatchStream,
    rows: Option<Rows>,
    /// A write that did not fit into the last batch.
    held: Option<Write>,
    /// The only keys that count, and how often each was read.
    wanted: Option<BTreeMap<Bytes, u32>>,
    /// The keys that came, if one may come twice.
    came: Option<HashSet<Bytes>>,
}

/// Writes that go together.
#[derive(Default)]
struct Batch {
    writes: Vec<Write>,
    unwritable: Vec<Unwritable>,
    bytes: usize,
    keys: HashSet<Bytes>,
    of_partition: HashMap<PartitionId, usize>,
    is_last: bool,
}

impl Batch {
    /// Takes a write, or gives it back because it does not fit.
    fn take(&mut self, write: Write, partition: PartitionId) -> Option<Write> {
        let bytes = write.key.len() + value_bytes(&write);
        let of_partition = self.of_partition.entry(partition).or_default();
        let is_full = self.writes.len() >= BATCH_ROWS
            || *of_partition >= PARTITION_ROWS
            || self.bytes + bytes > BATCH_BYTES && !self.writes.is_empty();
        // Two writes of one key follow each other.
        if is_full || !self.keys.insert(write.key.clone()) {
            return Some(write);
        }
        *of_partition += 1;
        self.bytes += bytes;
        self.writes.push(write);
        None
    }
}

fn value_bytes(write: &Write) -> usize {
    match &write.change {
        Change::Put { value, .. } => value.len(),
        Change::Delete => 0,
    }
}

impl Run {
    pub(super) fn new(
        sql: Sql,
        context: SessionContext,
        plan: Plan,
        (until, progress): (Instant, Arc<Progress>),
    ) -> Self {
        Run {
            sql,
            context,
            plan,
            until,
            tally: Tally::new(progress),
            stage: Stage::Asking,
            reader: None,
            again: VecDeque::new(),
            again_bytes: 0,
        }
    }

    /// What is told: rows as they are written if the statement returns them, else one row at the end.
    pub(super) fn batches(self) -> Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>> {
        let batches = stream::unfold(Some(self), |run| async move {
            let mut run = run?;
            let counts = Arc::clone(&run.sql.grid.counts);
            match run.next().await {
                Ok(None) => None,
                Ok(Some(batch)) => {
                    counts.returns_rows(batch.num_rows());
                    Some((Ok(batch), Some(run)))
                }
                Err(error) => {
                    counts.fails();
                    Some((Err(error), None))
                }
            }
        });
        Box::pin(batches)
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.stage {
                Stage::Over => return Ok(None),
                Stage::Ending => {
                    self.stage = Stage::Over;
                    return self.end();
                }
                Stage::Asking => {
                    let asked = self.ask().await;
                    asked.map_err(|error| self.tally.interrupted(&error))?;
                    self.stage = Stage::Writing;
                }
                Stage::Writing => {
                    let step = self.step().await;
                    let fates = step.map_err(|error| self.tally.interrupted(&error))?;
                    if let Some(returning) = &self.plan.writing.returning
                        && !fates.is_empty()
                    {
                        let batch = returning.batch(&fates, self.plan.writing.what.done());
                        let batch = batch.map_err(|error| internal(&error))?;
                        if batch.num_rows() > 0 {
                            return Ok(Some(batch));
                        }
                    }
                }
            }
        }
    }

    /// What is told at the end.
    fn end(&self) -> Result<Option<RecordBatch>> {
        let returning = self.plan.writing.returning.as_ref();
        let tells_failures = returning.is_some_and(super::Returning::tells_failures);
        if let (Some(error), false) = (self.tally.error(), tells_failures) {
            return Err(error);
        }
        if returning.is_some() {
            return Ok(None);
        }
        self.tally.row(self.plan.writing.what.done()).map(Some).map_err(|error| internal(&error))
    }

    /// Begins to read: all rows, and later those that changed meanwhile.
    async fn ask(&mut self) -> Result<()> {
        let wanted = self.changed().await;
        let query = match &wanted {
            None => Ok(self.plan.query.clone()),
            Some(wanted) => {
                let keys: Vec<String> =
                    wanted.keys().map(|key| crate::columns::key_text(key)).collect();
                self.plan.of_keys(&keys)
            }
        };
        let memory_bytes = self.sql.limits.memory_bytes;
        let asking = async {
            let batches = self.sql.stream(self.context.state(), query?).await?;
            match self.plan.is_read_first {
                true => all(batches, memory_bytes).await,
                false => Ok(batches),
            }
        };
        let asked = timeout_at(self.until, asking).await.map_err(|_| self.late())?;
        let batches = asked.map_err(|error| fault::of_query(&error))?;
        let came = self.plan.may_repeat.then(HashSet::new);
        self.reader = Some(Reader { batches, rows: None, held: None, wanted, came });
        Ok(())
    }

    /// The keys that are to be read again, after a pause; `None` at the beginning.
    async fn changed(&mut self) -> Option<BTreeMap<Bytes, u32>> {
        let (_, tries) = self.again.front()?;
        let pause = (1_u64 << tries.min(&10)).min(PAUSE_MS_MAX);
        if *tries > 1 {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        let count = self.again.len().min(AGAIN_AT_ONCE);
        let wanted: BTreeMap<Bytes, u32> = self.again.drain(..count).collect();
        self.again_bytes -= wanted.keys().map(Bytes::len).sum::<usize>();
        Some(wanted)
    }

    /// Reads and writes one batch.
    async fn step(&mut self) -> Result<Vec<(Bytes, Fate)>> {
        let batch = self.gather().await?;
        if batch.is_last {
            // What was changed meanwhile is added below.
            self.stage = Stage::Ending;
        }
        let mut fates: Vec<(Bytes, Fate)> = Vec::with_capacity(batch.writes.len());
        let unwritable = batch.unwritable.into_iter();
        fates.extend(unwritable.map(|(key, error)| (key, Fate::Failed(error))));
        if !batch.writes.is_empty() {
            let patience = self.until.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                return Err(self.late());
            }
            let (source, map) = (&self.sql.grid.source, &self.plan.writing.map);
            if source.map(map).is_none() {
                let detail = format!("{map} was dropped while it was written to");
                return Err(Error::new(ErrorCode::MapUnknown, detail));
            }
            self.tally.sends(batch.writes.len());
            let answers = source.write(map, &batch.writes, patience).await;
            self.tally.sends(0);
            for (write, answer) in batch.writes.into_iter().zip(answers) {
                if let Some(fate) = self.fate(&write.key, answer) {
                    fates.push((write.key, fate));
                }
            }
        }
        let is_written = |(_, fate): &&(Bytes, Fate)| matches!(fate, Fate::Written(_));
        self.sql.grid.counts.writes_rows(fates.iter().filter(is_written).count());
        fates.iter().for_each(|(key, fate)| self.tally.note(key, fate));
        if self.stage == Stage::Ending && !self.again.is_empty() {
            self.stage = Stage::Asking;
        }
        Ok(fates)
    }

    /// The next writes.
    async fn gather(&mut self) -> Result<Batch> {
        let late = self.late();
        let (what, partitions) = (&self.plan.writing.what, self.sql.grid.source.partitions());
        let mut batch = Batch::default();
        let Some(reader) = &mut self.reader else {
            return Err(Error::new(ErrorCode::Internal, "nothing is read"));
        };
        loop {
            let held = reader.held.take();
            let is_held = held.is_some();
            let next = match held {
                Some(write) => Some(Ok(write)),
                None => reader.rows.as_mut().and_then(|rows| rows.next(what)),
            };
            match next {
                Some(Ok(write)) if !is_held && !reader.wants(&write.key) => {}
                Some(Ok(write)) => {
                    let partition = partitions.partition_of_key(&write.key);
                    reader.held = batch.take(write, partition);
                    if reader.held.is_some() {
                        return Ok(batch);
                    }
                }
                Some(Err(unwritable)) => {
                    batch.unwritable.push(unwritable);
                    if batch.unwritable.len() >= BATCH_ROWS {
                        return Ok(batch);
                    }
                }
                None => {
                    let read = timeout_at(self.until, reader.batches.next()).await;
                    let Some(read) = read.map_err(|_| late.clone())? else {
                        batch.is_last = true;
                        return Ok(batch);
                    };
                    let read = read.map_err(|error| fault::of_query(&error))?;
                    let rows = Rows::new(&read, &self.plan.uses);
                    reader.rows =
                        Some(rows.map_err(|error| {
                            Error::new(ErrorCode::QueryFailed, error.to_string())
                        })?);
                }
            }
        }
    }

    /// What became of a write; `None` where that is not decided yet, or there was nothing to do.
    fn fate(&mut self, key: &Bytes, answer: Result<Written>) -> Option<Fate> {
        match (answer, &self.plan.writing.what) {
            (Ok(Written::Done(version)), _) => Some(Fate::Written(Some(version))),
            (Err(error), _) if error.outcome() == isogrid_core::Outcome::Applied => {
                Some(Fate::Written(None))
            }
            (Err(error), _) => Some(Fate::Failed(error)),
            (Ok(_), What::Insert { present: Present::Skipped, .. }) => Some(Fate::Skipped),
            (Ok(_), What::Insert { .. }) => {
                Some(Fate::Failed(Error::new(ErrorCode::KeyPresent, "")))
            }
            // What went has nothing to be changed or deleted.
            (Ok(Written::Absent), _) => None,
            (Ok(Written::Other), _) => self.changed_meanwhile(key),
        }
    }

    fn changed_meanwhile(&mut self, key: &Bytes) -> Option<Fate> {
        let wanted = self.reader.as_ref().and_then(|reader| reader.wanted.as_ref());
        let tries = wanted.and_then(|wanted| wanted.get(key)).copied().unwrap_or_default() + 1;
        if tries >= TRIES || self.again_bytes + key.len() > AGAIN_BYTES {
            let detail = format!("it was read {tries} times");
            return Some(Fate::Failed(Error::new(ErrorCode::RecordChanged, detail)));
        }
        self.again_bytes += key.len();
        self.again.push_back((key.clone(), tries));
        None
    }

    fn late(&self) -> Error {
        too_long(self.sql.limits.timeout)
    }
}

impl Reader {
    /// Whether a key counts: a key that is no text may be shown as another one is, and one may come again.
    fn wants(&mut self, key: &Bytes) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains_key(key))
            && self.came.as_mut().is_none_or(|came| came.insert(key.clone()))
    }
}

/// All that a query finds, held in memory: the statement writes what it reads, and would read what it wrote.
async fn all(
    mut batches: SendableRecordBatchStream,
    memory_bytes: usize,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let (schema, mut held, mut bytes) = (batches.schema(), Vec::new(), 0);
    while let Some(batch) = batches.try_next().await? {
        bytes += batch.get_array_memory_size();
        if bytes > memory_bytes {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "the statement reads the map that it writes, so all that it reads is held in memory: {bytes} bytes, at most {memory_bytes}"
            )));
        }
        held.push(Ok(batch));
    }
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(held))))
}

fn internal(error: &datafusion::arrow::error::ArrowError) -> Error {
    Error::new(ErrorCode::Internal, error.to_string())
}
