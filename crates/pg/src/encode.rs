//! Values as PostgreSQL writes them, as text and in binary. The columns of a batch are made what the types that were told
//! stand for, then values are written row by row.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};
use isogrid_core::{Error, ErrorCode, Result};
use isogrid_query::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, StringBuilder,
};
use isogrid_query::arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use isogrid_query::arrow::datatypes::{
    DataType, Date32Type, Field, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Schema,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt32Type,
};
use isogrid_query::arrow::error::ArrowError;
use isogrid_query::arrow::record_batch::RecordBatch;
use isogrid_query::arrow::temporal_conversions::{
    date32_to_datetime, time64us_to_time, timestamp_us_to_datetime,
};
use isogrid_query::arrow::util::display::{ArrayFormatter, FormatOptions};
use isogrid_query::pg::oids::{self, PgType};

use crate::message::Formats;

/// From 1970 to 2000, where PostgreSQL begins to count.
const DAYS_TO_2000: i32 = 10_957;
const MICROS_TO_2000: i64 = DAYS_TO_2000 as i64 * 86_400_000_000;

/// A batch whose rows can be written.
pub(crate) struct Rows {
    columns: Vec<Column>,
    next: usize,
    rows: usize,
}

struct Column {
    values: ArrayRef,
    pg_type: PgType,
    is_list: bool,
    is_binary: bool,
}

impl Rows {
    /// The rows of a batch, with the columns that were told.
    pub(crate) fn new(batch: &RecordBatch, told: &Schema, formats: &Formats) -> Result<Self> {
        let column = |(place, field): (usize, &std::sync::Arc<Field>)| {
            let (pg_type, is_list) = oids::type_of(field.data_type());
            let values = batch.column(place);
            let values = if is_list { list_of(pg_type, values) } else { plain_of(pg_type, values) };
            let values = values.map_err(|error| failed(&error))?;
            Ok(Column { values, pg_type, is_list, is_binary: formats.is_binary(place) })
        };
        let columns = told.fields().iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
        Ok(Rows { columns, next: 0, rows: batch.num_rows() })
    }

    /// Writes a row; false if there is none left.
    pub(crate) fn write(&mut self, out: &mut BytesMut) -> bool {
        if self.next >= self.rows {
            return false;
        }
        crate::reply::message(out, b'D', |out| {
            out.put_u16(self.columns.len() as u16);
            self.columns.iter().for_each(|column| column.write(self.next, out));
        });
        self.next += 1;
        true
    }
}

fn failed(error: &ArrowError) -> Error {
    Error::new(ErrorCode::QueryFailed, error.to_string())
}

/// What Arrow has for a type of PostgreSQL.
fn kept_as(pg_type: PgType) -> DataType {
    match pg_type {
        oids::BOOL => DataType::Boolean,
        oids::INT2 => DataType::Int16,
        oids::INT4 => DataType::Int32,
        oids::INT8 => DataType::Int64,
        oids::OID => DataType::UInt32,
        oids::FLOAT4 => DataType::Float32,
        oids::FLOAT8 => DataType::Float64,
        oids::BYTEA => DataType::Binary,
        oids::DATE => DataType::Date32,
        oids::TIME => DataType::Time64(TimeUnit::Microsecond),
        oids::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        oids::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        // Decimal numbers go by their text.
        _ => DataType::Utf8,
    }
}

fn plain_of(pg_type: PgType, values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let kept = kept_as(pg_type);
    if can_cast_types(values.data_type(), &kept) && !is_shown(values.data_type()) {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        return cast_with_options(values, &kept, &options);
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(values, &options)?;
    let mut shown = StringBuilder::new();
    for row in 0..values.len() {
        match values.is_null(row) {
            true => shown.append_null(),
            false => shown.append_value(formatter.value(row).try_to_string()?),
        }
    }
    Ok(std::sync::Arc::new(shown.finish()))
}

/// Types that are shown as text because PostgreSQL has nothing like them.
fn is_shown(data_type: &DataType) -> bool {
    data_type.is_nested() || matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

fn list_of(pg_type: PgType, values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let item = Field::new_list_field(kept_as(pg_type), true);
    let kept = DataType::List(std::sync::Arc::new(item));
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(values, &kept, &options)
}

impl Column {
    fn write(&self, row: usize, out: &mut BytesMut) {
        if self.values.is_null(row) {
            return out.put_i32(-1);
        }
        sized(out, |out| match (self.is_list, self.is_binary) {
            (false, false) => write_text(&self.values, row, self.pg_type, out),
            (false, true) => write_binary(&self.values, row, self.pg_type, out),
            (true, is_binary) => {
                let list: &ListArray = self.values.as_list();
                match is_binary {
                    true => write_list_binary(&list.value(row), self.pg_type, out),
                    false => write_list_text(&list.value(row), self.pg_type, out),
                }
            }
        });
    }
}

/// A length, and what `body` writes.
fn sized(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let begin = out.len();
    out.put_i32(0);
    body(out);
    let length = (out.len() - begin - 4) as u32;
    out[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
}

fn write_text(values: &ArrayRef, row: usize, pg_type: PgType, out: &mut BytesMut) {
    // Writing into memory does not fail.
    let _ = match pg_type {
        oids::BOOL => write!(out, "{}", if boolean(values).value(row) { 't' } else { 'f' }),
        oids::INT2 => write!(out, "{}", values.as_primitive::<Int16Type>().value(row)),
        oids::INT4 => write!(out, "{}", values.as_primitive::<Int32Type>().value(row)),
        oids::INT8 => write!(out, "{}", values.as_primitive::<Int64Type>().value(row)),
        oids::OID => write!(out, "{}", values.as_primitive::<UInt32Type>().value(row)),
        oids::FLOAT4 => {
            let value = values.as_primitive::<Float32Type>().value(row);
            write_float(f64::from(value), (value.to_string(), format!("{value:e}")), out)
        }
        oids::FLOAT8 => {
            let value = values.as_primitive::<Float64Type>().value(row);
            write_float(value, (value.to_string(), format!("{value:e}")), out)
        }
        oids::BYTEA => {
            out.put_slice(b"\\x");
            let bytes = values.as_binary::<i32>().value(row);
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
        }
        oids::DATE => {
            let date = date32_to_datetime(values.as_primitive::<Date32Type>().value(row));
            date.map_or(Ok(()), |date| write!(out, "{}", date.date()))
        }
        oids::TIME => {
            let micros = values.as_primitive::<Time64MicrosecondType>().value(row);
            time64us_to_time(micros).map_or(Ok(()), |time| write!(out, "{time}"))
        }
        oids::TIMESTAMP | oids::TIMESTAMPTZ => {
            let micros = values.as_primitive::<TimestampMicrosecondType>().value(row);
            let zone = if pg_type == oids::TIMESTAMPTZ { "+00" } else { "" };
            timestamp_us_to_datetime(micros).map_or(Ok(()), |at| write!(out, "{at}{zone}"))
        }
        _ => {
            out.put_slice(values.as_string::<i32>().value(row).as_bytes());
            Ok(())
        }
    };
}

/// As PostgreSQL writes them: very large and very small ones with an exponent of two digits or more.
fn write_float(
    value: f64,
    (plain, short): (String, String),
    out: &mut BytesMut,
) -> std::fmt::Result {
    if value.is_nan() {
        return out.write_str("NaN");
    }
    if value.is_infinite() {
        return out.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    if value == 0.0 || (1e-4..1e15).contains(&value.abs()) {
        return out.write_str(&plain);
    }
    match short.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            write!(out, "{digits}e{sign}{exponent:0>2}")
        }
        None => out.write_str(&short),
    }
}

fn write_binary(values: &ArrayRef, row: usize, pg_type: PgType, out: &mut BytesMut) {
    match pg_type {
        oids::BOOL => out.put_u8(u8::from(boolean(values).value(row))),
        oids::INT2 => out.put_i16(values.as_primitive::<Int16Type>().value(row)),
        oids::INT4 => out.put_i32(values.as_primitive::<Int32Type>().value(row)),
        oids::INT8 => out.put_i64(values.as_primitive::<Int64Type>().value(row)),
        oids::OID => out.put_u32(values.as_primitive::<UInt32Type>().value(row)),
        oids::FLOAT4 => out.put_f32(values.as_primitive::<Float32Type>().value(row)),
        oids::FLOAT8 => out.put_f64(values.as_primitive::<Float64Type>().value(row)),
        oids::BYTEA => out.put_slice(values.as_binary::<i32>().value(row)),
        oids::DATE => {
            let days = values.as_primitive::<Date32Type>().value(row);
            out.put_i32(days.saturating_sub(DAYS_TO_2000));
        }
        oids::TIME => out.put_i64(values.as_primitive::<Time64MicrosecondType>().value(row)),
        oids::TIMESTAMP | oids::TIMESTAMPTZ => {
            let micros = values.as_primitive::<TimestampMicrosecondType>().value(row);
            out.put_i64(micros.saturating_sub(MICROS_TO_2000));
        }
        oids::NUMERIC => write_numeric(values.as_string::<i32>().value(row), out),
        _ => out.put_slice(values.as_string::<i32>().value(row).as_bytes()),
    }
}

/// A decimal number in groups of four digits: how many, the weight of the first, sign, digits behind the point.
fn write_numeric(text: &str, out: &mut BytesMut) {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (0x4000u16, rest),
        None => (0, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.trim_start_matches('0');
    let front = "0".repeat((4 - whole.len() % 4) % 4);
    let back = "0".repeat((4 - fraction.len() % 4) % 4);
    let digits = format!("{front}{whole}{fraction}{back}");
    let mut weight = (front.len() + whole.len()) as i16 / 4 - 1;
    let mut groups: Vec<u16> = digits
        .as_bytes()
        .chunks(4)
        .map(|group| group.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
        .collect();
    while groups.first() == Some(&0) {
        groups.remove(0);
        weight -= 1;
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    out.put_u16(groups.len() as u16);
    out.put_i16(if groups.is_empty() { 0 } else { weight });
    out.put_u16(if groups.is_empty() { 0 } else { sign });
    out.put_u16(fraction.len() as u16);
    groups.iter().for_each(|group| out.put_u16(*group));
}

fn write_list_text(items: &ArrayRef, pg_type: PgType, out: &mut BytesMut) {
    out.put_u8(b'{');
    for row in 0..items.len() {
        if row > 0 {
            out.put_u8(b',');
        }
        if items.is_null(row) {
            out.put_slice(b"NULL");
            continue;
        }
        let mut item = BytesMut::new();
        write_text(items, row, pg_type, &mut item);
        let is_plain = |byte: &u8| !b"{},\"\\ \t\r\n".contains(byte);
        if !item.is_empty() && item.iter().all(is_plain) && !item.eq_ignore_ascii_case(b"null") {
            out.put_slice(&item);
            continue;
        }
        out.put_u8(b'"');
        for byte in item {
            if matches!(byte, b'"' | b'\\') {
                out.put_u8(b'\\');
            }
            out.put_u8(byte);
        }
        out.put_u8(b'"');
    }
    out.put_u8(b'}');
}

fn write_list_binary(items: &ArrayRef, pg_type: PgType, out: &mut BytesMut) {
    out.put_i32(i32::from(!items.is_empty()));
    out.put_i32(i32::from(items.null_count() > 0));
    out.put_u32(pg_type.oid);
    if items.is_empty() {
        return;
    }
    out.put_i32(items.len() as i32);
    out.put_i32(1);
    for row in 0..items.len() {
        match items.is_null(row) {
            true => out.put_i32(-1),
            false => sized(out, |out| write_binary(items, row, pg_type, out)),
        }
    }
}

fn boolean(values: &ArrayRef) -> &BooleanArray {
    values.as_boolean()
}

#[cfg(test)]
#[path = "encode_test.rs"]
mod tests;
