//! Numbers in values: how an increment reads what a codec wrote and writes what that codec reads.

use std::io::Write;

use isogrid_core::{Error, ErrorCode, NumberFormat, Result};

/// The longest text of a number: the smallest float has 326 characters.
const NUMBER_BYTES_MAX: usize = 352;

/// A number as bytes, without an allocation.
pub(crate) struct Written {
    bytes: [u8; NUMBER_BYTES_MAX],
    len: usize,
}

impl Written {
    /// The bytes to store.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn from_parts(marker: u8, number: &[u8]) -> Self {
        let mut written = Written { bytes: [0; NUMBER_BYTES_MAX], len: 1 + number.len() };
        written.bytes[0] = marker;
        written.bytes[1..=number.len()].copy_from_slice(number);
        written
    }

    fn from_text(text: std::fmt::Arguments<'_>) -> Self {
        let mut bytes = [0; NUMBER_BYTES_MAX];
        let mut free = &mut bytes[..];
        free.write_fmt(text).expect("the buffer holds every number");
        let len = NUMBER_BYTES_MAX - free.len();
        Written { bytes, len }
    }
}

/// The integer in a value (`None`: no value, which counts as zero) plus `delta`.
pub(crate) fn add_integer(value: Option<&[u8]>, delta: i64, format: NumberFormat) -> Result<i64> {
    let present = match (value, format) {
        (None, _) => 0,
        (Some(bytes), NumberFormat::Text) => text_integer(bytes)?,
        (Some(bytes), NumberFormat::MessagePack) => match unpack(bytes)? {
            Packed::Integer(integer) => integer,
            Packed::Float(_) => return Err(not_a_number("it is a float")),
        },
    };
    let sum = present + i128::from(delta);
    i64::try_from(sum).map_err(|_| Error::new(ErrorCode::NumberOverflow, sum.to_string()))
}

/// The number in a value (`None`: no value, which counts as zero) plus `delta`.
pub(crate) fn add_float(value: Option<&[u8]>, delta: f64, format: NumberFormat) -> Result<f64> {
    let present = match (value, format) {
        (None, _) => 0.0,
        (Some(bytes), NumberFormat::Text) => text_float(bytes)?,
        (Some(bytes), NumberFormat::MessagePack) => match unpack(bytes)? {
            Packed::Integer(integer) => integer as f64,
            Packed::Float(float) => float,
        },
    };
    // Adding zero makes the negative zero a plain one, which people expect to see.
    let sum = present + delta + 0.0;
    if !sum.is_finite() {
        return Err(Error::new(ErrorCode::NumberOverflow, sum.to_string()));
    }
    Ok(sum)
}

/// An integer as the codec writes it.
pub(crate) fn write_integer(integer: i64, format: NumberFormat) -> Written {
    match format {
        NumberFormat::Text => Written::from_text(format_args!("{integer}")),
        NumberFormat::MessagePack => pack_integer(integer),
    }
}

/// A float as the codec writes it: in text the shortest that reads back as the same number, never with an exponent.
pub(crate) fn write_float(float: f64, format: NumberFormat) -> Written {
    match format {
        NumberFormat::Text => Written::from_text(format_args!("{float}")),
        NumberFormat::MessagePack => Written::from_parts(0xcb, &float.to_be_bytes()),
    }
}

/// One way to write each integer: no plus, no spaces, no leading zeros, no minus zero. What is longer is text that happens
/// to look like a number, and must not change its form.
fn text_integer(bytes: &[u8]) -> Result<i128> {
    let (is_negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let has_one_form = match digits {
        [] => false,
        [b'0', ..] => digits.len() == 1 && !is_negative,
        _ => digits.iter().all(u8::is_ascii_digit),
    };
    if !has_one_form {
        return Err(not_a_number("it is not a decimal integer"));
    }
    // Longer integers fit no 64 bits, whatever is added.
    if digits.len() > 20 {
        return Err(Error::new(ErrorCode::NumberOverflow, "it has more than 20 digits"));
    }
    let magnitude =
        digits.iter().fold(0i128, |number, digit| number * 10 + i128::from(digit - b'0'));
    let integer = if is_negative { -magnitude } else { magnitude };
    let is_stored_integer = i64::try_from(integer).is_ok() || u64::try_from(integer).is_ok();
    if !is_stored_integer {
        return Err(Error::new(ErrorCode::NumberOverflow, integer.to_string()));
    }
    Ok(integer)
}

fn text_float(bytes: &[u8]) -> Result<f64> {
    let is_plain = |byte: &u8| byte.is_ascii_digit() || b".-+eE".contains(byte);
    let text = str::from_utf8(bytes).ok().filter(|text| !text.starts_with('+'));
    text.filter(|text| text.bytes().all(|byte| is_plain(&byte)))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| not_a_number("it is not a decimal number"))
}

enum Packed {
    Integer(i128),
    Float(f64),
}

/// Reads any MessagePack number; nothing may follow it.
fn unpack(bytes: &[u8]) -> Result<Packed> {
    let Some((&marker, body)) = bytes.split_first() else {
        return Err(not_a_number("it is empty"));
    };
    let integer = match (marker, body) {
        (0x00..=0x7f, []) => i128::from(marker),
        (0xe0..=0xff, []) => i128::from(marker as i8),
        (0xcc..=0xcf, _) if body.len() == 1 << (marker - 0xcc) => {
            body.iter().fold(0, |number, &byte| number << 8 | i128::from(byte))
        }
        (0xd0..=0xd3, _) if body.len() == 1 << (marker - 0xd0) => {
            let sign = if body[0] & 0x80 == 0 { 0 } else { -1 };
            body.iter().fold(sign, |number: i128, &byte| number << 8 | i128::from(byte))
        }
        (0xca, &[a, b, c, d]) => return Ok(Packed::Float(f32::from_be_bytes([a, b, c, d]).into())),
        (0xcb, _) if body.len() == 8 => {
            let bits = body.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
            return Ok(Packed::Float(f64::from_bits(bits)));
        }
        _ => return Err(not_a_number("it is not a MessagePack number")),
    };
    Ok(Packed::Integer(integer))
}

/// The shortest form, as `rmp-serde` writes it: unsigned if it can be.
fn pack_integer(integer: i64) -> Written {
    let bytes = integer.to_be_bytes();
    match integer {
        -0x20..=0x7f => Written::from_parts(bytes[7], &[]),
        0x80..=0xff => Written::from_parts(0xcc, &bytes[7..]),
        0x100..=0xffff => Written::from_parts(0xcd, &bytes[6..]),
        0x1_0000..=0xffff_ffff => Written::from_parts(0xce, &bytes[4..]),
        0x1_0000_0000.. => Written::from_parts(0xcf, &bytes),
        -0x80..-0x20 => Written::from_parts(0xd0, &bytes[7..]),
        -0x8000..-0x80 => Written::from_parts(0xd1, &bytes[6..]),
        -0x8000_0000..-0x8000 => Written::from_parts(0xd2, &bytes[4..]),
        _ => Written::from_parts(0xd3, &bytes),
    }
}

fn not_a_number(detail: &str) -> Error {
    Error::new(ErrorCode::NotANumber, detail)
}

#[cfg(test)]
#[path = "number_test.rs"]
mod tests;
