//! [`Tally`]: what became of all rows, as one row or as one error. It never says of a row whose fate is not known that it was not written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use isogrid_core::{Error, Outcome};

use super::returning::Fate;
use crate::columns::key_text;

/// How many keys an error names, and how much of each.
const NAMED_MAX: usize = 3;
const KEY_CHARS: usize = 64;

/// How far a statement that writes is.
#[derive(Debug, Default)]
pub struct Progress {
    written: AtomicU64,
    /// Rows that were sent, and of which nothing was heard yet.
    sent: AtomicU64,
}

impl Progress {
    /// How many rows were written.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// What is told of a statement that ends in the middle; `None` when nothing was sent yet.
    pub fn told(&self) -> Option<String> {
        match (self.written(), self.sent.load(Ordering::Relaxed)) {
            (0, 0) => None,
            (written, 0) => Some(format!("{written} rows were written")),
            (written, sent) => Some(format!("{written} rows were written, and {sent} more may be")),
        }
    }

    pub(super) fn sends(&self, rows: usize) {
        self.sent.store(rows as u64, Ordering::Relaxed);
    }
}

/// What became of the rows so far.
#[derive(Debug)]
pub(super) struct Tally {
    progress: Arc<Progress>,
    skipped: u64,
    failed: u64,
    unknown: u64,
    /// The first of those that failed, as they are told.
    named: Vec<String>,
    /// The error that speaks for all.
    worst: Option<Error>,
}

/// The columns of an answer that is a count.
pub(super) fn schema(done: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(done, DataType::Int64, false)]))
}

impl Tally {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Tally { progress, skipped: 0, failed: 0, unknown: 0, named: Vec::new(), worst: None }
    }

    /// Rows are on their way.
    pub(super) fn sends(&self, rows: usize) {
        self.progress.sends(rows);
    }

    /// Notes what became of a row.
    pub(super) fn note(&mut self, key: &[u8], fate: &Fate) {
        match fate {
            Fate::Written(_) => {
                self.progress.written.fetch_add(1, Ordering::Relaxed);
            }
            Fate::Skipped => self.skipped += 1,
            Fate::Failed(error) => self.fails(key, error),
        }
    }

    fn fails(&mut self, key: &[u8], error: &Error) {
        let is_unknown = error.outcome() == Outcome::Unknown;
        match is_unknown {
            true => self.unknown += 1,
            false => self.failed += 1,
        }
        if self.named.len() < NAMED_MAX {
            self.named.push(named(key, error));
        }
        let is_worse = self
            .worst
            .as_ref()
            .is_none_or(|worst| is_unknown && worst.outcome() != Outcome::Unknown);
        if is_worse {
            self.worst = Some(error.clone());
        }
    }

    /// The error of a statement some of whose rows were not written.
    pub(super) fn error(&self) -> Option<Error> {
        let worst = self.worst.as_ref()?;
        let (written, failed, unknown) = (self.progress.written(), self.failed, self.unknown);
        let rows = written + failed + unknown + self.skipped;
        let named = self.named.join("; ");
        let detail = match (rows, failed, unknown) {
            (1, ..) => named,
            (_, _, 0) => {
                format!("{failed} of {rows} rows were not written, {written} were: {named}")
            }
            (_, 0, _) => format!(
                "of {unknown} of {rows} rows it is not known whether they were written, {written} were: {named}"
            ),
            _ => format!(
                "{failed} of {rows} rows were not written, of {unknown} it is not known, {written} were: {named}"
            ),
        };
        Some(Error::new(worst.code(), detail).with_outcome(self.outcome()))
    }

    /// The error of a statement that ended before all was read.
    pub(super) fn interrupted(&self, error: &Error) -> Error {
        let written = self.progress.written();
        let mut detail = error.detail().to_owned();
        if self.outcome() != Outcome::NotApplied {
            detail += &format!("; {written} rows were written before, and they stay");
        }
        if self.failed + self.unknown > 0 {
            let (failed, unknown) = (self.failed, self.unknown);
            detail += &format!(
                "; {failed} were not, and of {unknown} it is not known: {}",
                self.named.join("; ")
            );
        }
        Error::new(error.code(), detail).with_outcome(self.outcome())
    }

    /// Whether anything of the whole statement was done. Some of it is neither all nor nothing.
    fn outcome(&self) -> Outcome {
        match self.progress.written() + self.unknown {
            0 => Outcome::NotApplied,
            _ => Outcome::Unknown,
        }
    }

    /// The row of a statement that did all.
    pub(super) fn row(&self, done: &str) -> Result<RecordBatch, ArrowError> {
        let written = Int64Array::from(vec![self.progress.written() as i64]);
        RecordBatch::try_new(schema(done), vec![Arc::new(written)])
    }
}

fn named(key: &[u8], error: &Error) -> String {
    let text = key_text(key);
    let shown = match text.char_indices().nth(KEY_CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    };
    let (code, what, detail) = (error.code(), error.code().explanation().what, error.detail());
    let said = if detail.is_empty() { String::new() } else { format!(": {detail}") };
    match detail.contains(&format!("key {shown}")) {
        true => format!("{code}{said}"),
        false => format!("key {shown}: {code} {what}{said}"),
    }
}

#[cfg(test)]
mod tests {
    use isogrid_core::ErrorCode;

    use super::*;

    fn tally(fates: &[Fate]) -> Tally {
        let mut tally = Tally::new(Arc::default());
        for (place, fate) in fates.iter().enumerate() {
            tally.note(format!("k{place}").as_bytes(), fate);
        }
        tally
    }

    fn failed(code: ErrorCode) -> Fate {
        Fate::Failed(Error::new(code, ""))
    }

    #[test]
    fn one_row_fails_with_its_own_error() {
        let error = tally(&[failed(ErrorCode::KeyPresent)]).error().expect("it failed");
        assert_eq!((error.code(), error.outcome()), (ErrorCode::KeyPresent, Outcome::NotApplied));
        assert_eq!(error.detail(), "key \"k0\": IG-0130 key is there already");
        assert_eq!(tally(&[Fate::Skipped, Fate::Written(None)]).error(), None);
    }

    #[test]
    fn what_is_not_known_is_never_said_not_to_have_been_done() {
        let fates = [
            Fate::Written(Some(1)),
            failed(ErrorCode::KeyPresent),
            failed(ErrorCode::ConnectionLost),
            Fate::Skipped,
        ];
        let error = tally(&fates).error().expect("some failed");
        assert_eq!((error.code(), error.outcome()), (ErrorCode::ConnectionLost, Outcome::Unknown));
        let begin = "1 of 4 rows were not written, of 1 it is not known, 1 were: key \"k1\"";
        assert!(error.detail().starts_with(begin), "{}", error.detail());
        let late = Error::new(ErrorCode::ConnectionLost, "node b");
        let nothing = tally(&[]).interrupted(&late);
        assert_eq!(nothing.outcome(), Outcome::NotApplied, "it was only read");
        let some = tally(&[Fate::Written(None)]).interrupted(&late);
        assert_eq!(some.outcome(), Outcome::Unknown);
        assert!(some.detail().contains("1 rows were written before"), "{}", some.detail());
    }

    #[test]
    fn few_keys_are_named() {
        let error = tally(&vec![failed(ErrorCode::KeyPresent); 10]).error().expect("they failed");
        assert_eq!(error.detail().matches("IG-0130").count(), NAMED_MAX);
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
}
