//! JSON lines: `{"key":"u1","value":"Ann","expires_at":"2026-11-20T20:50:34.769Z","version":3}`.
//!
//! A value that is a JSON object or array stands there as such, byte for byte; other text is a string, and what is not
//! text is base64 under `key_base64` or `value_base64`.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{
    BadRow, Encoder, Position, ROW_BYTES_MAX, ReadFault, Row, RowReader, base64, expiry, one_of,
};

/// What some editors put at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Writes lines. It keeps nothing between them.
#[derive(Debug)]
pub(super) struct JsonlEncoder;

impl Encoder for JsonlEncoder {
    fn head(&mut self, _out: &mut Vec<u8>) {}

    fn row(&mut self, row: &Row, out: &mut Vec<u8>) -> io::Result<()> {
        match str::from_utf8(&row.key) {
            Ok(text) => {
                out.extend_from_slice(b"{\"key\":");
                serde_json::to_writer(&mut *out, text)?;
            }
            Err(_) => put_base64("{\"key_base64\":\"", &row.key, out),
        }
        match str::from_utf8(&row.value) {
            Ok(text) => {
                out.extend_from_slice(b",\"value\":");
                if is_one_line_of_json(text) {
                    out.extend_from_slice(text.as_bytes());
                } else {
                    serde_json::to_writer(&mut *out, text)?;
                }
            }
            Err(_) => put_base64(",\"value_base64\":\"", &row.value, out),
        }
        if let Some(at) = row.expires_at {
            out.extend_from_slice(b",\"expires_at\":");
            match expiry::text(at) {
                Some(text) => serde_json::to_writer(&mut *out, &text)?,
                None => serde_json::to_writer(&mut *out, &at.0)?,
            }
        }
        if let Some(version) = row.version {
            out.extend_from_slice(b",\"version\":");
            serde_json::to_writer(&mut *out, &version)?;
        }
        out.extend_from_slice(b"}\n");
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

fn put_base64(before: &str, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(before.as_bytes());
    base64::encode_into(bytes, out);
    out.push(b'"');
}

/// Whether a text can stand in a line as it is: an object or an array that begins and ends with its brackets and has no
/// line breaks. Only then is what is read back, the raw text of the value, the same bytes.
fn is_one_line_of_json(text: &str) -> bool {
    let is_bracketed = (text.starts_with('{') && text.ends_with('}'))
        || (text.starts_with('[') && text.ends_with(']'));
    is_bracketed && !text.contains(['\n', '\r']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A line, as it is read. What is unknown is refused: a misspelt `expires_at` must not make an entry stay for ever.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key_base64: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    value_base64: Option<Cow<'a, str>>,
    #[serde(borrow)]
    expires_at: Option<&'a RawValue>,
    version: Option<u64>,
}

/// Reads one line.
fn parse(line: &[u8]) -> Result<Row, String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|error| {
        // It is one line: the place in it is what counts.
        error.to_string().replace(" at line 1 column ", " at column ")
    })?;
    let owned = |text: Cow<'_, str>| Bytes::from(text.into_owned());
    let value = line.value.map(value_bytes).transpose()?;
    let encoded = |text: Option<Cow<'_, str>>| text.map(|text| base64::decode(text.as_bytes()));
    let expires_at = match line.expires_at.map(RawValue::get) {
        None => None,
        Some(text) if text.starts_with('"') => {
            let text: String = serde_json::from_str(text).map_err(|error| error.to_string())?;
            Some(expiry::parse(&text)?)
        }
        Some(number) => Some(expiry::parse(number)?),
    };
    Ok(Row {
        key: one_of("key", line.key.map(owned), encoded(line.key_base64))?,
        value: one_of("value", value, encoded(line.value_base64))?,
        expires_at,
        version: line.version,
    })
}

/// A string's text, or the text of any other JSON value as it stands there.
fn value_bytes(value: &RawValue) -> Result<Bytes, String> {
    if !value.get().starts_with('"') {
        return Ok(Bytes::copy_from_slice(value.get().as_bytes()));
    }
    let text: String =
        serde_json::from_str(value.get()).map_err(|error| format!("value: {error}"))?;
    Ok(Bytes::from(text))
}

/// Reads the lines of a file.
pub(in crate::commands::map) struct JsonlReader {
    input: Box<dyn BufRead + Send>,
    position: Position,
    line: Vec<u8>,
}

impl JsonlReader {
    /// Reads lines from here on; the input begins at this position of the file.
    pub(in crate::commands::map) fn new(
        input: Box<dyn BufRead + Send>,
        position: Position,
    ) -> JsonlReader {
        JsonlReader { input, position, line: Vec::new() }
    }

    /// Reads a line, and says whether it is complete; one that is too long is read to its end and not kept.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let limit = ROW_BYTES_MAX as u64;
        let mut read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.line)? as u64;
        let is_whole = read < limit || self.line.ends_with(b"\n");
        if !is_whole {
            loop {
                let here = self.input.fill_buf()?;
                let end = here.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
                let (ends, length) = (end.is_some() || here.is_empty(), end.unwrap_or(here.len()));
                self.input.consume(length);
                read += length as u64;
                if ends {
                    break;
                }
            }
        }
        self.position.at += read;
        self.position.lines += u64::from(read > 0);
        Ok(is_whole)
    }
}

impl RowReader for JsonlReader {
    fn next(&mut self) -> Result<Option<(u64, Row)>, ReadFault> {
        loop {
            let is_first = self.position.at == 0;
            let is_whole = self.read_line()?;
            if self.line.is_empty() {
                return Ok(None);
            }
            let mark = if is_first { BYTE_ORDER_MARK } else { b"" };
            let line = self.line.strip_prefix(mark).unwrap_or(&self.line);
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let number = self.position.lines;
            let row = match is_whole {
                true => parse(line),
                false => Err(format!("it is longer than {ROW_BYTES_MAX} bytes")),
            };
            return match row {
                Ok(row) => Ok(Some((number, row))),
                Err(what) => Err(ReadFault::Bad(BadRow { line: number, what })),
            };
        }
    }

    fn position(&self) -> Position {
        self.position
    }
}

#[cfg(test)]
#[path = "jsonl_test.rs"]
mod tests;
