//! Cells as bytes that sort as the cells do: nothing, false, true, numbers, text, bytes, and then all else. What is written for one
//! cell is never the beginning of what is written for another, so several can stand one behind the other.

use isogrid_core::IndexKind;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::cell::Cell;
use crate::time::millis;

/// The longest key of an index: a longer one is cut, and stands for all that begin so.
pub const INDEX_KEY_BYTES_MAX: usize = 256;

/// What a cell is, as the byte before it.
mod tag {
    pub(super) const NULL: u8 = 0x08;
    pub(super) const FALSE: u8 = 0x10;
    pub(super) const TRUE: u8 = 0x18;
    pub(super) const NUMBER: u8 = 0x20;
    pub(super) const TEXT: u8 = 0x28;
    pub(super) const BYTES: u8 = 0x30;
    pub(super) const NESTED: u8 = 0x38;
}

/// Behind the last byte of text; a zero within it is followed by another byte, and sorts behind this.
const END: [u8; 2] = [0, 1];
const ZERO: [u8; 2] = [0, 0xff];

/// Adds a cell. Numbers are equal that are equal, however they are written; of a column with points in time, text that is one is
/// the number of its milliseconds.
pub fn push_cell(cell: &Cell<'_>, is_time: bool, key: &mut Vec<u8>) {
    match cell {
        Cell::Null => key.push(tag::NULL),
        Cell::Boolean(false) => key.push(tag::FALSE),
        Cell::Boolean(true) => key.push(tag::TRUE),
        Cell::BigInt(number) => push_whole(*number, key),
        Cell::Double(number) => push_double(*number, key),
        Cell::Text(text) => push_text(text, is_time, key),
        Cell::Bytes(bytes) => push_bytes(tag::BYTES, bytes, key),
        Cell::Nested(value) => push_json(value, is_time, key),
    }
}

/// The same of JSON: of a part of a list or an object.
pub fn push_json(value: &Value, is_time: bool, key: &mut Vec<u8>) {
    match value {
        Value::Null => key.push(tag::NULL),
        Value::Bool(value) => push_cell(&Cell::Boolean(*value), is_time, key),
        Value::String(text) => push_text(text, is_time, key),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => push_whole(number, key),
            (None, number) => push_double(number.unwrap_or(f64::NAN), key),
        },
        Value::Array(_) | Value::Object(_) => {
            push_bytes(tag::NESTED, value.to_string().as_bytes(), key);
        }
    }
}

fn push_text(text: &str, is_time: bool, key: &mut Vec<u8>) {
    match is_time.then(|| millis(text)).flatten() {
        Some(time) => push_whole(time, key),
        None => push_bytes(tag::TEXT, text.as_bytes(), key),
    }
}

fn push_bytes(tag: u8, bytes: &[u8], key: &mut Vec<u8>) {
    key.reserve(bytes.len() + 3);
    key.push(tag);
    let mut parts = bytes.split(|byte| *byte == 0);
    key.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        key.extend_from_slice(&ZERO);
        key.extend_from_slice(part);
    }
    key.extend_from_slice(&END);
}

/// The largest floating-point number that is not larger, and what is missing: less than 1,024, for that is how far apart they are at
/// the most where whole numbers end.
fn push_whole(number: i64, key: &mut Vec<u8>) {
    let mut below = number as f64;
    // As a wider number: the one above the largest is one too many.
    if below as i128 > i128::from(number) {
        below = below.next_down();
    }
    let missing = i128::from(number) - below as i128;
    push_number(below, missing as u16, key);
}

fn push_double(number: f64, key: &mut Vec<u8>) {
    // There are two zeros, and any number of what is no number: before all others or behind them.
    let number = match number {
        0.0 => 0.0,
        _ if number.is_nan() => f64::NAN.copysign(number),
        _ => number,
    };
    push_number(number, 0, key);
}

fn push_number(number: f64, missing: u16, key: &mut Vec<u8>) {
    let bits = number.to_bits();
    let sign = 1_u64 << 63;
    let ordered = if bits & sign == 0 { bits | sign } else { !bits };
    key.push(tag::NUMBER);
    key.extend_from_slice(&ordered.to_be_bytes());
    key.extend_from_slice(&missing.to_be_bytes());
}

/// As an index of this kind keeps it: of equalities alone eight bytes are enough to find the few that may be meant.
pub fn finish_key(kind: IndexKind, key: &mut Vec<u8>) {
    match kind {
        IndexKind::Hash => {
            let hash = xxh3_64(key);
            key.clear();
            key.extend_from_slice(&hash.to_be_bytes());
        }
        IndexKind::Ordered | IndexKind::Inverted => key.truncate(INDEX_KEY_BYTES_MAX),
    }
}

/// The first key behind all that begin so; empty when there is none.
pub fn key_behind(prefix: &[u8]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if last < 0xff {
            key.push(last + 1);
            break;
        }
    }
    key
}

#[cfg(test)]
#[path = "order_test.rs"]
mod tests;
