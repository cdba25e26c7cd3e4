//! Rows out of Parquet files, also of those that other tools wrote.

use std::collections::VecDeque;
use std::fs::File;
use std::io;

use bytes::Bytes;
use isogrid_core::Timestamp;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::super::{BadRow, Position, ReadFault, Row, RowReader, one_of};
use super::{COLUMNS, fault};

/// How many rows are taken out of the columns at a time.
const ROWS_AT_ONCE: usize = 128;

/// What a number in the column of times counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl Unit {
    fn of(column: &ColumnDescriptor) -> Unit {
        match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Timestamp(time)), _) => match time.unit {
                TimeUnit::MILLIS => Unit::Milliseconds,
                TimeUnit::MICROS => Unit::Microseconds,
                TimeUnit::NANOS => Unit::Nanoseconds,
            },
            (_, ConvertedType::TIMESTAMP_MICROS) => Unit::Microseconds,
            _ => Unit::Milliseconds,
        }
    }

    /// What is before 1970 has expired like all that has.
    fn time(self, number: i64) -> Timestamp {
        let number = u64::try_from(number).unwrap_or(0);
        Timestamp(match self {
            Unit::Milliseconds => number,
            Unit::Microseconds => number / 1_000,
            Unit::Nanoseconds => number / 1_000_000,
        })
    }
}

/// Reads the rows of a file.
pub(in crate::commands::map) struct ParquetReader {
    file: SerializedFileReader<File>,
    /// Where in the file each of [`COLUMNS`] is.
    places: [Option<usize>; COLUMNS.len()],
    unit: Unit,
    next_group: usize,
    /// The columns of the row group that is being read, in the order of [`COLUMNS`].
    columns: [Option<ColumnReader>; COLUMNS.len()],
    left_in_group: usize,
    ready: VecDeque<Result<Row, String>>,
    rows: u64,
}

impl ParquetReader {
    /// Reads the rows that follow so many.
    pub(in crate::commands::map) fn open(file: File, rows: u64) -> io::Result<ParquetReader> {
        let file = SerializedFileReader::new(file).map_err(fault)?;
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let mut places = [None; COLUMNS.len()];
        let mut unit = Unit::Milliseconds;
        for (index, column) in schema.columns().iter().enumerate() {
            let name = column.path().string();
            let place = COLUMNS.iter().position(|known| *known == name);
            let wanted = place.map(|place| if place < 4 { Type::BYTE_ARRAY } else { Type::INT64 });
            let is_flat = column.max_rep_level() == 0 && column.max_def_level() <= 1;
            match (place, wanted) {
                (Some(place), Some(wanted)) if column.physical_type() == wanted && is_flat => {
                    places[place] = Some(index);
                    if COLUMNS[place] == "expires_at" {
                        unit = Unit::of(column);
                    }
                }
                (Some(_), Some(wanted)) => {
                    let is = column.physical_type();
                    return Err(invalid(format!("its column {name} is {is}, not {wanted}")));
                }
                _ => {
                    let known = COLUMNS.join(", ");
                    return Err(invalid(format!("it has a column {name:?}; known are {known}")));
                }
            }
        }
        for pair in [[0, 1], [2, 3]] {
            if pair.iter().all(|column| places[*column].is_none()) {
                return Err(invalid(format!("it has no column {:?}", COLUMNS[pair[0]])));
            }
        }
        let mut reader = ParquetReader {
            file,
            places,
            unit,
            next_group: 0,
            columns: Default::default(),
            left_in_group: 0,
            ready: VecDeque::new(),
            rows: 0,
        };
        reader.skip(rows)?;
        Ok(reader)
    }

    /// How many rows the file has.
    pub(in crate::commands::map) fn rows_len(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    fn skip(&mut self, rows: u64) -> io::Result<()> {
        while self.rows < rows && self.next_group()? {
            let left = rows - self.rows;
            let skipped = left.min(self.left_in_group as u64) as usize;
            // A row group that is skipped whole is not read at all.
            if skipped < self.left_in_group {
                for column in self.columns.iter_mut().flatten() {
                    skip_records(column, skipped)?;
                }
            }
            self.left_in_group -= skipped;
            self.rows += skipped as u64;
        }
        Ok(())
    }

    /// Goes to the next row group, unless the last one was the last.
    fn next_group(&mut self) -> io::Result<bool> {
        if self.next_group >= self.file.num_row_groups() {
            return Ok(false);
        }
        let group = self.file.get_row_group(self.next_group).map_err(fault)?;
        self.next_group += 1;
        self.left_in_group = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        for (column, place) in self.columns.iter_mut().zip(self.places) {
            let reader = place.map(|place| group.get_column_reader(place).map_err(fault));
            *column = reader.transpose()?;
        }
        Ok(true)
    }

    /// Takes some rows out of the columns; none at the end of the file.
    fn fill(&mut self) -> io::Result<()> {
        while self.left_in_group == 0 {
            if !self.next_group()? {
                return Ok(());
            }
        }
        let count = self.left_in_group.min(ROWS_AT_ONCE);
        let unit = self.unit;
        let [key, key_bytes, value, value_bytes, expires_at, version] = &mut self.columns;
        let mut key = byte_values(key, count)?;
        let mut key_bytes = byte_values(key_bytes, count)?;
        let mut value = byte_values(value, count)?;
        let mut value_bytes = byte_values(value_bytes, count)?;
        let mut expires_at = numbers(expires_at, count)?;
        let mut version = numbers(version, count)?;
        for _ in 0..count {
            let pair = |name, text: &mut Values<Bytes>, bytes: &mut Values<Bytes>| {
                one_of(name, text.pop_front().flatten(), bytes.pop_front().flatten().map(Ok))
            };
            let (key, value) = (
                pair("key", &mut key, &mut key_bytes),
                pair("value", &mut value, &mut value_bytes),
            );
            let expires_at = expires_at.pop_front().flatten().map(|number| unit.time(number));
            let version = version.pop_front().flatten().map(i64::cast_unsigned);
            let row = key.and_then(|key| Ok(Row { key, value: value?, expires_at, version }));
            self.ready.push_back(row);
        }
        self.left_in_group -= count;
        Ok(())
    }
}

impl RowReader for ParquetReader {
    fn next(&mut self) -> Result<Option<(u64, Row)>, ReadFault> {
        if self.ready.is_empty() {
            self.fill()?;
        }
        let Some(row) = self.ready.pop_front() else { return Ok(None) };
        self.rows += 1;
        match row {
            Ok(row) => Ok(Some((self.rows, row))),
            Err(what) => Err(ReadFault::Bad(BadRow { line: self.rows, what })),
        }
    }

    fn position(&self) -> Position {
        Position { at: self.rows, lines: self.rows }
    }
}

/// What a column has in some rows.
type Values<T> = VecDeque<Option<T>>;

fn byte_values(column: &mut Option<ColumnReader>, count: usize) -> io::Result<Values<Bytes>> {
    match column {
        None => Ok(VecDeque::new()),
        Some(ColumnReader::ByteArrayColumnReader(column)) => {
            let values: Values<ByteArray> = values(column, count)?;
            // Copied, so that no row keeps its page in memory.
            let bytes = |value: ByteArray| Bytes::copy_from_slice(value.data());
            Ok(values.into_iter().map(|value| value.map(bytes)).collect())
        }
        Some(_) => Err(invalid("a column of another type than the file's index says".into())),
    }
}

fn numbers(column: &mut Option<ColumnReader>, count: usize) -> io::Result<Values<i64>> {
    match column {
        None => Ok(VecDeque::new()),
        Some(ColumnReader::Int64ColumnReader(column)) => values(column, count),
        Some(_) => Err(invalid("a column of another type than the file's index says".into())),
    }
}

/// Exactly so many rows of a column.
fn values<T: DataType>(column: &mut ColumnReaderImpl<T>, count: usize) -> io::Result<Values<T::T>> {
    let (mut levels, mut present) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut rows = 0;
    while rows < count {
        let read = column.read_records(count - rows, Some(&mut levels), None, &mut present);
        let (read, _, _) = read.map_err(fault)?;
        if read == 0 {
            return Err(invalid("a column ends before its row group".into()));
        }
        rows += read;
    }
    let mut present = present.into_iter();
    // A column that is never null has no levels.
    if levels.is_empty() {
        return Ok(present.map(Some).collect());
    }
    Ok(levels.into_iter().map(|level| if level > 0 { present.next() } else { None }).collect())
}

fn skip_records(column: &mut ColumnReader, count: usize) -> io::Result<()> {
    let skipped = match column {
        ColumnReader::ByteArrayColumnReader(column) => column.skip_records(count),
        ColumnReader::Int64ColumnReader(column) => column.skip_records(count),
        _ => Ok(count),
    };
    match skipped.map_err(fault)? {
        all if all == count => Ok(()),
        _ => Err(invalid("a column ends before its row group".into())),
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
