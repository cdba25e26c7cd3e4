//! Several batches at a time, in the order of the file: what is done is always a beginning of it, and that is what the
//! checkpoint says.

use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use indicatif::ProgressBar;
use isogrid_client::Grid;
use tokio::sync::mpsc;

use crate::commands::stop::StopSignals;
use crate::exit::Failure;
use crate::output::tell;

use super::super::files::{BadRow, Position, ReadFault, of_file};
use super::super::{ByteMap, byte_map};
use super::ImportArgs;
use super::batches::{BATCHES_IN_FLIGHT, Batch, Message};
use super::source::Source;
use super::write::{Done, write};

/// How often a checkpoint is written.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// How many bytes may lie between two checkpoints.
const CHECKPOINT_BYTES: u64 = 32 << 20;

/// How many bad rows are shown; the others are only counted.
const BAD_SHOWN_MAX: u64 = 20;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    /// How many rows were read, good and bad.
    pub(super) rows: u64,
    /// How many were written.
    pub(super) written: u64,
    /// How many were not, since there was such a key.
    pub(super) present: u64,
    /// How many had expired.
    pub(super) expired: u64,
    /// How many were bad.
    pub(super) bad: u64,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// All rows are done.
    Whole,
    /// By a signal.
    Interrupted,
    /// At a bad row.
    Bad(BadRow),
    /// By a failure of the grid or the file.
    Failed(Failure),
}

type Writing = Pin<Box<dyn Future<Output = Done>>>;

/// An import under way.
pub(super) struct Work<'a> {
    grid: &'a Grid,
    map: ByteMap,
    args: &'a ImportArgs,
    source: &'a mut Source,
    bar: ProgressBar,
    in_flight: FuturesOrdered<Writing>,
    totals: Totals,
    /// Everything before it is done, so many rows.
    done: (Position, u64),
    /// Whether a batch failed: what follows it is not done, whatever is written.
    is_broken: bool,
    saved_at: Instant,
    unsaved_bytes: u64,
    can_save: bool,
    ended: Option<Ended>,
}

impl<'a> Work<'a> {
    /// Prepares to write.
    pub(super) fn new(
        grid: &'a Grid,
        args: &'a ImportArgs,
        (source, bar): (&'a mut Source, ProgressBar),
    ) -> Work<'a> {
        Work {
            grid,
            map: byte_map(grid, &args.map),
            args,
            done: (source.begin(), source.rows_before()),
            source,
            bar,
            in_flight: FuturesOrdered::new(),
            totals: Totals::default(),
            is_broken: false,
            saved_at: Instant::now(),
            unsaved_bytes: 0,
            can_save: true,
            ended: None,
        }
    }

    /// What was done.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Writes all batches, and says how it ended. Whatever has begun is waited for.
    pub(super) async fn run(
        &mut self,
        mut batches: mpsc::Receiver<Message>,
    ) -> Result<Ended, Failure> {
        let mut signals = StopSignals::listen(false)?;
        let mut waiting: Option<Batch> = None;
        while self.ended.is_none() {
            if self.in_flight.is_empty()
                && let Some(batch) = waiting.take()
            {
                self.begin(batch);
            }
            let takes_more = waiting.is_none() && self.in_flight.len() < BATCHES_IN_FLIGHT;
            tokio::select! {
                Some(done) = self.in_flight.next(), if !self.in_flight.is_empty() => self.note(done),
                message = batches.recv(), if takes_more => match message {
                    Some(Message::Batch(batch)) if batch.waits => waiting = Some(batch),
                    Some(Message::Batch(batch)) => self.begin(batch),
                    Some(Message::Fault(ReadFault::Bad(bad))) => self.ended = Some(Ended::Bad(bad)),
                    Some(Message::Fault(ReadFault::Io(error))) => {
                        let failure = of_file(&self.args.from, error);
                        self.ended = Some(Ended::Failed(failure));
                    }
                    None => self.ended = Some(Ended::Whole),
                },
                _ = signals.next() => self.ended = Some(Ended::Interrupted),
            }
        }
        // The reader has nobody to read for any more.
        drop(batches);
        while let Some(done) = self.in_flight.next().await {
            self.note(done);
        }
        let ended = self.ended.take().unwrap_or(Ended::Whole);
        let kept = match ended {
            Ended::Whole => self.source.forget(),
            _ if self.done.0 == self.source.begin() => Ok(()),
            _ => self.source.save(self.done.0, self.done.1),
        };
        self.warn(kept);
        Ok(ended)
    }

    fn begin(&mut self, batch: Batch) {
        let (grid, map) = (self.grid.clone(), self.map.clone());
        let writing = write(grid, map, batch, self.args.if_absent);
        self.in_flight.push_back(Box::pin(writing));
    }

    /// Adds up what became of a batch.
    fn note(&mut self, done: Done) {
        let is_clean = done.failed.is_none() && (self.args.skip_bad || !done.is_refused);
        self.totals.rows += done.rows;
        self.totals.written += done.written;
        self.totals.present += done.present;
        self.totals.expired += done.expired;
        if let Some(error) = done.failed {
            self.end(Ended::Failed(error.into()));
        } else if !is_clean && let Some(bad) = done.bad.first() {
            self.totals.bad += done.bad.len() as u64;
            self.end(Ended::Bad(bad.clone()));
        } else {
            done.bad.iter().for_each(|bad| self.show(bad));
        }
        self.is_broken |= !is_clean;
        if !self.is_broken {
            self.done = (done.end, self.done.1 + done.rows);
            self.bar.set_position(done.end.at);
            self.unsaved_bytes += done.bytes;
            let is_time = self.saved_at.elapsed() >= CHECKPOINT_INTERVAL;
            if self.can_save && (is_time || self.unsaved_bytes >= CHECKPOINT_BYTES) {
                let saved = self.source.save(self.done.0, self.done.1);
                self.warn(saved);
                (self.saved_at, self.unsaved_bytes) = (Instant::now(), 0);
            }
        }
    }

    /// The first reason to end is the one that is told, but a failure of the grid is told before what the file has.
    fn end(&mut self, ended: Ended) {
        if !matches!(self.ended, Some(Ended::Failed(_))) {
            self.ended = Some(ended);
        }
    }

    fn show(&mut self, bad: &BadRow) {
        self.totals.bad += 1;
        let (file, BadRow { line, what }) = (&self.args.from, bad);
        let text = match self.totals.bad {
            count if count <= BAD_SHOWN_MAX => format!("left out: {file}:{line}: {what}"),
            count if count == BAD_SHOWN_MAX + 1 => "more bad rows are only counted".to_owned(),
            _ => return,
        };
        self.bar.suspend(|| tell(text));
    }

    /// An import goes on where no checkpoint can be written; it only cannot be gone on with.
    fn warn(&mut self, kept: std::io::Result<()>) {
        if let Err(error) = kept
            && self.can_save
        {
            self.can_save = false;
            let file = &self.args.from;
            let text = format!("warning: no checkpoint can be kept beside {file}: {error}");
            self.bar.suspend(|| tell(text));
        }
    }
}
