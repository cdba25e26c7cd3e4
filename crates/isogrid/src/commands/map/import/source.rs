//! The file of an import: where it is read on, and the checkpoint that says so.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::exit::{Failure, wrong_argument};

use super::super::files::checkpoint::{self, ImportPoint};
use super::super::files::csv::{Columns, CsvReader};
use super::super::files::jsonl::JsonlReader;
use super::super::files::parquet::read::ParquetReader;
use super::super::files::{FileFormat, Position, ReadFault, RowReader, STANDARD, of_file};

/// How much of a file is read at once.
const READ_BYTES: usize = 1 << 20;

/// How many bytes before the position tell another file from this one.
const BEFORE_BYTES: u64 = 4096;

/// A file that is imported.
pub(super) struct Source {
    file: String,
    /// None for standard input.
    path: Option<PathBuf>,
    begin: ImportPoint,
}

/// A file that can be read.
pub(super) struct Opened {
    /// Reads its rows, from where the import begins.
    pub(super) reader: Box<dyn RowReader>,
    /// How long it is, in what positions count; none if that is not known.
    pub(super) length: Option<u64>,
}

impl Source {
    /// Finds out where to begin.
    pub(super) fn find(
        file: &str,
        format: FileFormat,
        resume: bool,
        (cluster, map): (&str, &str),
    ) -> Result<Source, Failure> {
        let begin = ImportPoint {
            version: checkpoint::VERSION,
            cluster: cluster.to_owned(),
            map: map.to_owned(),
            format,
            position: Position::default(),
            before_crc: 0,
            rows: 0,
        };
        if file == STANDARD {
            let refused = if format == FileFormat::Parquet {
                Some("Parquet needs a file: it is read from its end")
            } else {
                resume.then_some("--resume needs a file: standard input cannot be read again")
            };
            return match refused {
                Some(refused) => Err(wrong_argument(refused)),
                None => Ok(Source { file: file.to_owned(), path: None, begin }),
            };
        }
        let path = PathBuf::from(file);
        if checkpoint::of_export(&path).exists() {
            return Err(wrong_argument(format!(
                "the export to {file} was interrupted: finish it with `isogrid map export … --resume`"
            )));
        }
        let mut source = Source { file: file.to_owned(), path: Some(path), begin };
        if resume {
            source.go_on()?;
        }
        Ok(source)
    }

    /// Begins where the checkpoint says, if there is one.
    fn go_on(&mut self) -> Result<(), Failure> {
        let Some(path) = &self.path else { return Ok(()) };
        let beside = checkpoint::of_import(path);
        let shown = beside.display();
        let refused = |what: &dyn std::fmt::Display| {
            wrong_argument(format!("{shown}: {what}; without --resume all is imported again"))
        };
        let point = checkpoint::load::<ImportPoint>(&beside).map_err(|error| refused(&error))?;
        let Some(point) = point else { return Ok(()) };
        let begin = &self.begin;
        if (point.version, point.format) != (begin.version, begin.format) {
            return Err(refused(&"it is of another format"));
        }
        if (&point.cluster, &point.map) != (&begin.cluster, &begin.map) {
            let what = format!("it is of an import into {:?} of another cluster or map", point.map);
            return Err(refused(&what));
        }
        let before = before_crc(path, point.format, point.position);
        if before.map_err(|error| of_file(&self.file, error))? != Some(point.before_crc) {
            return Err(refused(&format!("{} has changed since", self.file)));
        }
        self.begin = point;
        Ok(())
    }

    /// Where the import begins.
    pub(super) fn begin(&self) -> Position {
        self.begin.position
    }

    /// How many rows were done before.
    pub(super) fn rows_before(&self) -> u64 {
        self.begin.rows
    }

    /// Whether positions count rows, not bytes.
    pub(super) fn counts_rows(&self) -> bool {
        self.begin.format == FileFormat::Parquet
    }

    /// Opens the file where the import begins.
    pub(super) fn open(&self) -> Result<Opened, Failure> {
        self.open_file().map_err(|error| of_file(&self.file, error))
    }

    fn open_file(&self) -> io::Result<Opened> {
        let (format, begin) = (self.begin.format, self.begin.position);
        let Some(path) = &self.path else {
            let reader: Box<dyn RowReader> = match format {
                FileFormat::Csv => Box::new(CsvReader::new(Box::new(io::stdin()), None, begin)),
                _ => Box::new(JsonlReader::new(Box::new(BufReader::new(io::stdin())), begin)),
            };
            return Ok(Opened { reader, length: None });
        };
        let mut file = File::open(path)?;
        if format == FileFormat::Parquet {
            let reader = ParquetReader::open(file, begin.at)?;
            let length = Some(reader.rows_len());
            return Ok(Opened { reader: Box::new(reader), length });
        }
        // A named pipe has none.
        let length = Some(file.metadata()?.len()).filter(|length| *length > 0);
        let mut columns = None;
        if begin.at > 0 {
            if format == FileFormat::Csv {
                let head = Box::new(File::open(path)?);
                columns = head_of(CsvReader::new(head, None, Position::default()))?;
            }
            file.seek(SeekFrom::Start(begin.at))?;
        }
        let reader: Box<dyn RowReader> = match format {
            FileFormat::Csv => Box::new(CsvReader::new(Box::new(file), columns, begin)),
            _ => {
                let input = BufReader::with_capacity(READ_BYTES, file);
                Box::new(JsonlReader::new(Box::new(input), begin))
            }
        };
        Ok(Opened { reader, length })
    }

    /// Notes that all before this position is done.
    pub(super) fn save(&self, position: Position, rows: u64) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let Some(before_crc) = before_crc(path, self.begin.format, position)? else {
            return Ok(());
        };
        let point = ImportPoint { position, before_crc, rows, ..self.begin.clone() };
        checkpoint::save(&checkpoint::of_import(path), &point)
    }

    /// Forgets how far it was: it is done.
    pub(super) fn forget(&self) -> io::Result<()> {
        match &self.path {
            Some(path) if checkpoint::of_import(path).exists() => {
                checkpoint::remove(&checkpoint::of_import(path))
            }
            _ => Ok(()),
        }
    }
}

fn head_of(mut reader: CsvReader) -> io::Result<Option<Columns>> {
    reader.columns().map_err(|fault| match fault {
        ReadFault::Io(error) => error,
        ReadFault::Bad(bad) => io::Error::new(io::ErrorKind::InvalidData, bad.what),
    })
}

/// A checksum of what stands before a position; none if the file ends before it. A Parquet file is told by its index,
/// which stands at its end.
fn before_crc(path: &Path, format: FileFormat, position: Position) -> io::Result<Option<u32>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let end = if format == FileFormat::Parquet { length } else { position.at };
    if end > length {
        return Ok(None);
    }
    let begin = end.saturating_sub(BEFORE_BYTES);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(end - begin).read_to_end(&mut bytes)?;
    Ok(Some(crc32c::crc32c(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSONL: FileFormat = FileFormat::Jsonl;

    #[test]
    fn what_follows_the_position_may_change_and_what_precedes_it_may_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jsonl");
        let find = |resume| {
            let file = path.to_str().expect("text");
            Source::find(file, JSONL, resume, ("c", "m"))
        };
        std::fs::write(&path, "one\ntwo\nthree\n").expect("written");
        let begun = find(true).expect("there is nothing to go on with");
        assert_eq!((begun.begin(), begun.rows_before()), (Position::default(), 0));
        let behind_two = Position { at: 8, lines: 2 };
        begun.save(behind_two, 2).expect("written");
        for (text, is_known) in [
            ("one\ntwo\nthree\n", true),
            ("one\ntwo\n", true),
            ("one\ntwo\nmended and longer\n", true),
            ("one\ntoo\nthree\n", false),
            ("one\n", false),
        ] {
            std::fs::write(&path, text).expect("written");
            let found = find(true);
            assert_eq!(found.is_ok(), is_known, "{text}");
            if let Ok(found) = found {
                assert_eq!((found.begin(), found.rows_before()), (behind_two, 2));
            }
            assert_eq!(find(false).expect("from the beginning").rows_before(), 0);
        }
        let file = path.to_str().expect("text");
        for other in [("c", "other"), ("other", "m")] {
            assert!(Source::find(file, JSONL, true, other).is_err(), "{other:?}");
        }
        assert!(Source::find(file, FileFormat::Csv, true, ("c", "m")).is_err());
        begun.forget().expect("removed");
        assert_eq!(find(true).expect("nothing is kept").rows_before(), 0);
        begun.forget().expect("nothing to remove is no fault");
    }

    #[test]
    fn standard_input_cannot_be_read_again() {
        let find = |format, resume| Source::find(STANDARD, format, resume, ("c", "m")).is_ok();
        assert!(find(JSONL, false) && find(FileFormat::Csv, false));
        assert!(!find(JSONL, true) && !find(FileFormat::Parquet, false));
    }
}
