//! Entries in files, as `map export` writes them and `map import` reads them: the rows, their formats, and where a copy
//! stands that was interrupted.
//!
//! | module | what it does |
//! |---|---|
//! | [`jsonl`], [`csv`], [`parquet`] | one format each, both ways |
//! | [`expiry`] | when a row expires, as text |
//! | [`base64`] | bytes that are not text |
//! | [`checkpoint`] | what is kept beside the file to go on from |

pub(super) mod base64;
pub(super) mod checkpoint;
pub(super) mod csv;
mod expiry;
pub(super) mod jsonl;
pub(super) mod parquet;

use std::path::Path;
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use clap::ValueEnum;
use isogrid_core::Timestamp;
use isogrid_core::limits::{KEY_BYTES_HARD_MAX, VALUE_BYTES_HARD_MAX};
use serde::{Deserialize, Serialize};

use crate::exit::{Failure, wrong_argument};
use crate::text::thousands;

/// The file name that means standard input or output.
pub(super) const STANDARD: &str = "-";

/// The longest a row of text can be: everything in it written as `\u00xx`.
const ROW_BYTES_MAX: usize = 6 * (KEY_BYTES_HARD_MAX + VALUE_BYTES_HARD_MAX) + 4096;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FileFormat {
    /// One JSON object per line
    Jsonl,
    /// Apache Parquet
    Parquet,
    /// Comma-separated values, with a head line
    Csv,
}

impl FileFormat {
    /// What the user says, or else what the end of the file's name says.
    pub(super) fn of(file: &str, told: Option<FileFormat>) -> Result<FileFormat, Failure> {
        if let Some(told) = told {
            return Ok(told);
        }
        let end = Path::new(file).extension().and_then(|end| end.to_str()).unwrap_or_default();
        match end.to_ascii_lowercase().as_str() {
            _ if file == STANDARD => Ok(FileFormat::Jsonl),
            "jsonl" | "ndjson" => Ok(FileFormat::Jsonl),
            "parquet" => Ok(FileFormat::Parquet),
            "csv" => Ok(FileFormat::Csv),
            _ => Err(wrong_argument(format!(
                "{file} ends with none of .jsonl, .ndjson, .parquet, .csv: say --format"
            ))),
        }
    }

    /// The format's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            FileFormat::Jsonl => "jsonl",
            FileFormat::Parquet => "parquet",
            FileFormat::Csv => "csv",
        }
    }
}

/// One entry in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The key.
    pub(super) key: Bytes,
    /// The value.
    pub(super) value: Bytes,
    /// When it expires, if it does.
    pub(super) expires_at: Option<Timestamp>,
    /// Which version it had: told, never restored.
    pub(super) version: Option<u64>,
}

/// Turns rows into a file's bytes.
pub(super) trait Encoder: Send {
    /// What the file begins with.
    fn head(&mut self, out: &mut Vec<u8>);

    /// Adds a row: to `out`, or to what is written when the encoder is flushed.
    fn row(&mut self, row: &Row, out: &mut Vec<u8>) -> io::Result<()>;

    /// About how many bytes wait to be flushed.
    fn pending_bytes(&self) -> usize;

    /// Writes what waits; `at` is where in the file it will begin.
    fn flush(&mut self, at: u64, out: &mut Vec<u8>) -> io::Result<()>;

    /// What the file ends with; everything is flushed.
    fn tail(&self, out: &mut Vec<u8>) -> io::Result<()>;

    /// What else must be known to go on with the file after the last flush.
    fn state(&self) -> io::Result<Vec<u8>>;
}

/// The encoder of a format, which goes on from `state` unless that is empty.
pub(super) fn encoder(format: FileFormat, state: &[u8]) -> io::Result<Box<dyn Encoder>> {
    Ok(match format {
        FileFormat::Jsonl => Box::new(jsonl::JsonlEncoder),
        FileFormat::Csv => Box::new(csv::CsvEncoder),
        FileFormat::Parquet => Box::new(parquet::write::ParquetEncoder::new(state)?),
    })
}

/// How far a file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Where the next row begins: in bytes, or in rows where the format has no lines.
    pub(super) at: u64,
    /// How many lines, or rows, come before it.
    pub(super) lines: u64,
}

/// A row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    /// The line it begins at, or its number; from one.
    pub(super) line: u64,
    /// What is wrong with it.
    pub(super) what: String,
}

/// Why there is no row.
#[derive(Debug)]
pub(super) enum ReadFault {
    /// This one is bad; the next can be read.
    Bad(BadRow),
    /// The file cannot be read on.
    Io(io::Error),
}

impl From<io::Error> for ReadFault {
    fn from(error: io::Error) -> Self {
        ReadFault::Io(error)
    }
}

/// Reads the rows of a file, one after the other.
pub(super) trait RowReader: Send {
    /// The next row with its line; none at the end.
    fn next(&mut self) -> Result<Option<(u64, Row)>, ReadFault>;

    /// Behind the last row that was read, good or bad.
    fn position(&self) -> Position;
}

/// Bytes of a row that are given as text or encoded, but not both.
fn one_of(
    name: &str,
    text: Option<Bytes>,
    encoded: Option<Result<Bytes, String>>,
) -> Result<Bytes, String> {
    match (text, encoded) {
        (Some(text), None) => Ok(text),
        (None, Some(bytes)) => bytes.map_err(|what| format!("{name}_base64: {what}")),
        (None, None) => Err(format!("there is no {name}")),
        (Some(_), Some(_)) => Err(format!("{name} is there twice, as text and as bytes")),
    }
}

/// A number of rows for people.
pub(super) fn rows_text(rows: u64) -> String {
    if rows == 1 { "1 row".into() } else { format!("{} rows", thousands(rows)) }
}

/// How long so many rows took, for people.
pub(super) fn pace(rows: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64().max(f64::EPSILON);
    format!("in {seconds:.2} s ({}/s)", thousands((rows as f64 / seconds) as u64))
}

/// An error of a file, with its name.
pub(super) fn of_file(file: &dyn fmt::Display, error: io::Error) -> Failure {
    Failure::Io(io::Error::new(error.kind(), format!("{file}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_for_people() {
        assert_eq!((rows_text(0), rows_text(1)), ("0 rows".into(), "1 row".into()));
        assert_eq!(rows_text(4_000), "4,000 rows");
        assert_eq!(pace(3_000, Duration::from_millis(1_500)), "in 1.50 s (2,000/s)");
        assert!(pace(1, Duration::ZERO).starts_with("in 0.00 s ("));
    }

    #[test]
    fn the_end_of_a_name_says_the_format_unless_it_is_told() {
        let format = |file: &str| FileFormat::of(file, None).ok();
        assert_eq!(format("a.jsonl"), Some(FileFormat::Jsonl));
        assert_eq!(format("a.NDJSON"), Some(FileFormat::Jsonl));
        assert_eq!(format("b/a.parquet"), Some(FileFormat::Parquet));
        assert_eq!(format("a.b.csv"), Some(FileFormat::Csv));
        assert_eq!(format("-"), Some(FileFormat::Jsonl));
        for none in ["a", "a.txt", "csv", "a.csv.gz"] {
            assert_eq!(format(none), None, "{none}");
        }
        assert_eq!(FileFormat::of("a", Some(FileFormat::Csv)).ok(), Some(FileFormat::Csv));
    }
}
