//! Comma-separated values with a head line: `key,key_base64,value,value_base64,expires_at,version`.
//!
//! Of `key` and `key_base64` one is filled, and of `value` and `value_base64`; when both are empty, so is what they stand
//! for. Text with control characters is base64 too, since the tools that read such files stumble over it.

use std::collections::VecDeque;
use std::io::{self, Read};

use bytes::Bytes;
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use super::{
    BadRow, Encoder, Position, ROW_BYTES_MAX, ReadFault, Row, RowReader, base64, expiry, one_of,
};

/// The columns, in the order in which they are written.
const COLUMNS: [&str; 6] = ["key", "key_base64", "value", "value_base64", "expires_at", "version"];

/// Writes rows. It keeps nothing between them.
#[derive(Debug)]
pub(super) struct CsvEncoder;

impl Encoder for CsvEncoder {
    fn head(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(COLUMNS.join(",").as_bytes());
        out.push(b'\n');
    }

    fn row(&mut self, row: &Row, out: &mut Vec<u8>) -> io::Result<()> {
        put_bytes(&row.key, out);
        out.push(b',');
        put_bytes(&row.value, out);
        out.push(b',');
        if let Some(at) = row.expires_at {
            let text = expiry::text(at).unwrap_or_else(|| at.0.to_string());
            out.extend_from_slice(text.as_bytes());
        }
        out.push(b',');
        if let Some(version) = row.version {
            out.extend_from_slice(version.to_string().as_bytes());
        }
        out.push(b'\n');
        Ok(())
    }

    fn pending_bytes(&self) -> usize {
        0
    }

    fn flush(&mut self, _at: u64, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn tail(&self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn state(&self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// Two fields: text, and base64 of what is none.
fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let is_plain = |character: char| !character.is_control() || "\t\n\r".contains(character);
    match str::from_utf8(bytes) {
        Ok(text) if text.chars().all(is_plain) => {
            put_text(text, out);
            out.push(b',');
        }
        _ => {
            out.push(b',');
            base64::encode_into(bytes, out);
        }
    }
}

/// A field in quotes if it needs them.
fn put_text(text: &str, out: &mut Vec<u8>) {
    let needs_quotes = text.contains(['"', ',', '\n', '\r']) || text.trim() != text;
    if !needs_quotes {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Which field of a row is what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::map) struct Columns {
    places: [Option<usize>; COLUMNS.len()],
    count: usize,
}

impl Columns {
    /// Reads the head line.
    fn of(head: &ByteRecord) -> Result<Columns, String> {
        let mut places = [None; COLUMNS.len()];
        for (index, name) in head.iter().enumerate() {
            let name = String::from_utf8_lossy(name);
            let place = COLUMNS.iter().position(|column| *column == name);
            let slot = place.and_then(|place| places.get_mut(place)).ok_or_else(|| {
                format!("the head line has a column {name:?}; known are {}", COLUMNS.join(", "))
            })?;
            if slot.replace(index).is_some() {
                return Err(format!("the head line has two columns {name:?}"));
            }
        }
        for pair in [[0, 1], [2, 3]] {
            if pair.iter().all(|column| places[*column].is_none()) {
                return Err(format!("the head line has no column {:?}", COLUMNS[pair[0]]));
            }
        }
        Ok(Columns { places, count: head.len() })
    }

    /// A field; none if there is no such column or it is empty.
    fn field<'r>(&self, column: usize, record: &'r ByteRecord) -> Option<&'r [u8]> {
        record.get(self.places[column]?).filter(|field| !field.is_empty())
    }

    fn bytes(&self, column: usize, record: &ByteRecord) -> Result<Bytes, String> {
        let name = COLUMNS[column];
        let text = self.field(column, record);
        let encoded = self.field(column + 1, record).map(base64::decode);
        if text.is_some_and(|text| str::from_utf8(text).is_err()) {
            return Err(format!("{name} is not UTF-8: put it into {name}_base64"));
        }
        if text.is_none() && encoded.is_none() {
            return Ok(Bytes::new());
        }
        one_of(name, text.map(Bytes::copy_from_slice), encoded)
    }

    fn row(&self, record: &ByteRecord) -> Result<Row, String> {
        if record.len() != self.count {
            let (fields, columns) = (record.len(), self.count);
            return Err(format!("it has {fields} fields, and the head line has {columns}"));
        }
        let text = |column| {
            let field = self.field(column, record);
            field.map(|field| String::from_utf8_lossy(field).into_owned())
        };
        let version = text(5).map(|text| text.parse()).transpose();
        Ok(Row {
            key: self.bytes(0, record)?,
            value: self.bytes(2, record)?,
            expires_at: text(4).map(|text| expiry::parse(&text)).transpose()?,
            version: version.map_err(|_| "version is not a number".to_owned())?,
        })
    }
}

/// An input that ends with an error when one row takes more than the longest could: a quote that is never closed must
/// not take all memory. It also knows where lines end, which the parser does not say of files with carriage returns.
struct Bounded {
    input: Box<dyn Read + Send>,
    left: usize,
    bytes: u64,
    /// Where the line feeds are that no row was read over yet.
    line_feeds: VecDeque<u64>,
}

impl Bounded {
    fn new(input: Box<dyn Read + Send>) -> Bounded {
        Bounded { input, left: ROW_BYTES_MAX, bytes: 0, line_feeds: VecDeque::new() }
    }

    /// Counts the line feeds before this place that were not counted before, and says whether the last one is right
    /// before it.
    fn pass(&mut self, place: u64) -> (u64, bool) {
        let count = self.line_feeds.partition_point(|at| *at < place);
        let last = self.line_feeds.drain(..count).next_back();
        (count as u64, last.is_some_and(|last| last + 1 == place))
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let what = format!("a row is longer than {ROW_BYTES_MAX} bytes: is a quote open?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let read = self.input.read(buffer)?;
        self.left = self.left.saturating_sub(read);
        let line_feeds = (self.bytes..).zip(&buffer[..read]).filter(|(_, byte)| **byte == b'\n');
        self.line_feeds.extend(line_feeds.map(|(at, _)| at));
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Reads the rows of a file.
pub(in crate::commands::map) struct CsvReader {
    reader: Reader<Bounded>,
    record: ByteRecord,
    columns: Option<Columns>,
    base: Position,
    /// How many line feeds were read over.
    lines: u64,
    /// The line that the last row begins at.
    line: u64,
}

impl CsvReader {
    /// Reads rows from here on. Without columns the input begins with the head line.
    pub(in crate::commands::map) fn new(
        input: Box<dyn Read + Send>,
        columns: Option<Columns>,
        base: Position,
    ) -> CsvReader {
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(256 << 10)
            .from_reader(Bounded::new(input));
        CsvReader { reader, record: ByteRecord::new(), columns, base, lines: base.lines, line: 0 }
    }

    /// The columns, from the head line if that is still to be read; none if the input is empty.
    pub(in crate::commands::map) fn columns(&mut self) -> Result<Option<Columns>, ReadFault> {
        if self.columns.is_none() && self.read()? {
            let columns = Columns::of(&self.record);
            self.columns = Some(columns.map_err(invalid)?);
        }
        Ok(self.columns.clone())
    }

    fn read(&mut self) -> Result<bool, ReadFault> {
        self.reader.get_mut().left = ROW_BYTES_MAX;
        match self.reader.read_byte_record(&mut self.record) {
            Ok(is_there) => {
                let end = self.reader.position().byte();
                let (count, ends_with_line_feed) = self.reader.get_mut().pass(end);
                self.lines += count;
                let last = self.lines + u64::from(!ends_with_line_feed);
                let within = self.record.as_slice().iter().filter(|byte| **byte == b'\n').count();
                self.line = last.saturating_sub(within as u64);
                Ok(is_there)
            }
            Err(error) if error.is_io_error() => match error.into_kind() {
                ErrorKind::Io(error) => Err(ReadFault::Io(error)),
                _ => unreachable!("it is an error of the input"),
            },
            Err(error) => Err(invalid(error.to_string())),
        }
    }
}

/// What makes the whole file unreadable.
fn invalid(what: String) -> ReadFault {
    ReadFault::Io(io::Error::new(io::ErrorKind::InvalidData, what))
}

impl RowReader for CsvReader {
    fn next(&mut self) -> Result<Option<(u64, Row)>, ReadFault> {
        let Some(columns) = self.columns()? else { return Ok(None) };
        if !self.read()? {
            return Ok(None);
        }
        let line = self.line;
        match columns.row(&self.record) {
            Ok(row) => Ok(Some((line, row))),
            Err(what) => Err(ReadFault::Bad(BadRow { line, what })),
        }
    }

    fn position(&self) -> Position {
        Position { at: self.base.at + self.reader.position().byte(), lines: self.lines }
    }
}

#[cfg(test)]
#[path = "csv_test.rs"]
mod tests;
