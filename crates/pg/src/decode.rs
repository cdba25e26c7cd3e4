//! Values of parameters, as clients write them.

use bytes::{Buf, Bytes};
use isogrid_query::ScalarValue;
use isogrid_query::arrow::datatypes::{DataType, Field, TimeUnit};
use isogrid_query::pg::oids::{self, PgType};
use isogrid_query::pg::{Refused, list_items};

use crate::fault::refused;

const MICROS_TO_2000: i64 = 946_684_800_000_000;
const DAYS_TO_2000: i32 = 10_957;

/// The type that a client says a parameter has; `None` if it does not say, or says it is text that may become anything.
pub(crate) fn given(oid: u32) -> Option<DataType> {
    // 705: unknown.
    if matches!(oid, 0 | 705) {
        return None;
    }
    let list = |one: &PgType| {
        DataType::List(std::sync::Arc::new(Field::new_list_field(kept_as(one.oid), true)))
    };
    let listed = oids::TYPES.iter().find(|one| one.array == oid);
    Some(listed.map_or_else(|| kept_as(oid), list))
}

/// What is kept of a type.
fn kept_as(oid: u32) -> DataType {
    let micros = |zone: Option<&str>| {
        DataType::Timestamp(TimeUnit::Microsecond, zone.map(std::sync::Arc::from))
    };
    match TYPE_OF.iter().find(|(one, _)| one.oid == oid) {
        Some((_, data_type)) => data_type.clone(),
        None if oid == oids::TIMESTAMP.oid => micros(None),
        None if oid == oids::TIMESTAMPTZ.oid => micros(Some("UTC")),
        // All else has a text.
        None => DataType::Utf8,
    }
}

const TYPE_OF: &[(PgType, DataType)] = &[
    (oids::BOOL, DataType::Boolean),
    (oids::BYTEA, DataType::Binary),
    (oids::INT2, DataType::Int16),
    (oids::INT4, DataType::Int32),
    (oids::INT8, DataType::Int64),
    (oids::OID, DataType::UInt32),
    (oids::FLOAT4, DataType::Float32),
    (oids::FLOAT8, DataType::Float64),
    (oids::DATE, DataType::Date32),
    (oids::NUMERIC, DataType::Decimal128(38, 10)),
];

/// The value of a parameter: `oid` says how it is written, `wanted` what the statement takes.
pub(crate) fn value(
    bytes: Option<&Bytes>,
    (oid, is_binary): (u32, bool),
    wanted: &DataType,
) -> Result<ScalarValue, Refused> {
    let Some(bytes) = bytes else {
        return ScalarValue::try_new_null(wanted).map_err(|error| unfit(oid, &error.to_string()));
    };
    let read = match is_binary {
        true => binary(bytes.clone(), oid)?,
        false => text(bytes, oid)?,
    };
    if read.data_type() == *wanted {
        return Ok(read);
    }
    read.cast_to(wanted).map_err(|error| unfit(oid, &error.to_string()))
}

fn unfit(oid: u32, why: &str) -> Refused {
    let why = why.lines().next().unwrap_or_default();
    refused("22P02", format!("a value for a parameter of type {oid}: {why}"))
}

fn text(bytes: &Bytes, oid: u32) -> Result<ScalarValue, Refused> {
    let text = std::str::from_utf8(bytes).map_err(|_| refused("22021", "text that is not UTF8"))?;
    if let Some(one) = oids::TYPES.iter().find(|one| oid != 0 && one.array == oid) {
        let items = list_items(text).ok_or_else(|| unfit(oid, "a list is {a,b}"))?;
        let item = |item: Option<String>| match item {
            Some(text) => plain_text(&text, one.oid),
            None => {
                ScalarValue::try_new_null(&kept_as(one.oid)).map_err(|e| unfit(oid, &e.to_string()))
            }
        };
        let items = items.into_iter().map(item).collect::<Result<Vec<_>, _>>()?;
        let list = ScalarValue::new_list_nullable(&items, &kept_as(one.oid));
        return Ok(ScalarValue::List(list));
    }
    plain_text(text, oid)
}

fn plain_text(text: &str, oid: u32) -> Result<ScalarValue, Refused> {
    let kept = kept_as(oid);
    if kept == DataType::Binary {
        return Ok(ScalarValue::Binary(Some(
            bytes_of(text).ok_or_else(|| unfit(oid, "not \\x…"))?,
        )));
    }
    let read = ScalarValue::from(text);
    if kept == DataType::Utf8 {
        return Ok(read);
    }
    // A day may be said with a zone, which it does not have.
    let day = text.trim().split(' ').next().filter(|_| kept == DataType::Date32);
    ScalarValue::from(day.unwrap_or(text.trim()))
        .cast_to(&kept)
        .map_err(|error| unfit(oid, &error.to_string()))
}

/// `\x00ff`, or the text's own bytes.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("\\x") else { return Some(text.as_bytes().to_vec()) };
    if digits.len() % 2 != 0 || !digits.is_ascii() {
        return None;
    }
    let byte = |place| u8::from_str_radix(&digits[place..place + 2], 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn binary(mut bytes: Bytes, oid: u32) -> Result<ScalarValue, Refused> {
    let length = bytes.len();
    let sized = |wanted: usize| match length == wanted {
        true => Ok(()),
        false => Err(refused("22P03", format!("{length} bytes for a value of type {oid}"))),
    };
    if let Some(one) = oids::TYPES.iter().find(|one| oid != 0 && one.array == oid) {
        return list(bytes, *one).ok_or_else(|| unfit(oid, "a list in binary"))?;
    }
    if let Some(one) = oids::TYPES.iter().find(|one| one.oid == oid && one.length > 0)
        && kept_as(oid) != DataType::Utf8
    {
        sized(one.length as usize)?;
    }
    Ok(match kept_as(oid) {
        DataType::Boolean => ScalarValue::from(bytes.get_u8() != 0),
        DataType::Int16 => ScalarValue::from(bytes.get_i16()),
        DataType::Int32 => ScalarValue::from(bytes.get_i32()),
        DataType::Int64 => ScalarValue::from(bytes.get_i64()),
        DataType::UInt32 => ScalarValue::from(bytes.get_u32()),
        DataType::Float32 => ScalarValue::from(bytes.get_f32()),
        DataType::Float64 => ScalarValue::from(bytes.get_f64()),
        DataType::Binary => ScalarValue::Binary(Some(bytes.to_vec())),
        DataType::Date32 => ScalarValue::Date32(Some(bytes.get_i32().saturating_add(DAYS_TO_2000))),
        DataType::Timestamp(_, zone) => {
            let micros = bytes.get_i64().saturating_add(MICROS_TO_2000);
            ScalarValue::TimestampMicrosecond(Some(micros), zone)
        }
        DataType::Decimal128(..) => {
            let text = numeric(bytes).ok_or_else(|| unfit(oid, "a decimal number in binary"))?;
            plain_text(&text, oid)?
        }
        _ if is_text(oid) => text(&bytes, oid)?,
        _ => return Err(refused("0A000", format!("values of type {oid} in binary"))),
    })
}

/// Types whose binary form is their text.
fn is_text(oid: u32) -> bool {
    // Not said, json and xml beside those that the catalogue knows.
    matches!(oid, 0 | 114 | 142)
        || oids::TYPES.iter().any(|one| one.oid == oid && matches!(one.category, "S" | "X"))
}

/// A list of one dimension.
fn list(mut bytes: Bytes, one: PgType) -> Option<Result<ScalarValue, Refused>> {
    let number = |bytes: &mut Bytes| (bytes.len() >= 4).then(|| bytes.get_i32());
    let dimensions = number(&mut bytes)?;
    let (_has_null, _item_type) = (number(&mut bytes)?, number(&mut bytes)?);
    let count = match dimensions {
        0 => 0,
        1 => usize::try_from(number(&mut bytes)?).ok()?,
        _ => return None,
    };
    if dimensions == 1 {
        number(&mut bytes)?;
    }
    if count * 4 > bytes.len() {
        return None;
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        let item = match usize::try_from(number(&mut bytes)?) {
            Err(_) => ScalarValue::try_new_null(&kept_as(one.oid)).ok()?,
            Ok(length) if length > bytes.len() => return None,
            Ok(length) => match binary(bytes.split_to(length), one.oid) {
                Ok(item) => item,
                Err(refused) => return Some(Err(refused)),
            },
        };
        items.push(item);
    }
    Some(Ok(ScalarValue::List(ScalarValue::new_list_nullable(&items, &kept_as(one.oid)))))
}

/// The text of a decimal number from its groups of four digits.
fn numeric(mut bytes: Bytes) -> Option<String> {
    if bytes.len() < 8 {
        return None;
    }
    let (count, weight) = (usize::from(bytes.get_u16()), i32::from(bytes.get_i16()));
    let (sign, behind) = (bytes.get_u16(), usize::from(bytes.get_u16()));
    if bytes.len() != count * 2 || !matches!(sign, 0 | 0x4000) || weight.abs() > 16 || behind > 64 {
        return None;
    }
    let groups: Vec<u16> = (0..count).map(|_| bytes.get_u16()).collect();
    let group = |place: i32| {
        let found = usize::try_from(place).ok().and_then(|place| groups.get(place));
        format!("{:04}", found.copied().unwrap_or(0))
    };
    let whole: String = (0..=weight).map(&group).collect();
    let fraction: String =
        (0..behind.div_ceil(4) as i32).map(|place| group(weight + 1 + place)).collect();
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let minus = if sign == 0 { "" } else { "-" };
    match fraction.get(..behind) {
        Some("") | None => Some(format!("{minus}{whole}")),
        Some(fraction) => Some(format!("{minus}{whole}.{fraction}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn read(bytes: &[u8], oid: u32, is_binary: bool) -> Result<ScalarValue, Refused> {
        let wanted = given(oid).unwrap_or(DataType::Utf8);
        value(Some(&Bytes::copy_from_slice(bytes)), (oid, is_binary), &wanted)
    }

    #[test]
    fn values_are_read_as_text_and_in_binary() {
        for (oid, text, binary) in [
            (16, "t", &[1][..]),
            (21, "-2", &[255, 254]),
            (23, "258", &[0, 0, 1, 2]),
            (20, "1", &[0, 0, 0, 0, 0, 0, 0, 1]),
            (701, "1.5", &1.5f64.to_be_bytes()),
            (25, "tea", b"tea"),
            (17, "\\x00ff", &[0, 255]),
            (1082, "2000-01-02", &[0, 0, 0, 1]),
            (1114, "2000-01-01 00:00:00.000001", &1i64.to_be_bytes()),
            (1184, "2000-01-01 01:00:00+01", &0i64.to_be_bytes()),
            (1700, "-12345.678", &[0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 9, 41, 26, 124]),
            (
                1016,
                "{1}",
                &[
                    0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0,
                    0, 0, 0, 0, 0, 1,
                ],
            ),
        ] {
            let of_text = read(text.as_bytes(), oid, false).expect("text");
            assert_eq!(of_text, read(binary, oid, true).expect("binary"), "{oid}");
            assert!(!of_text.is_null(), "{oid}");
        }
        let none = value(None, (23, true), &DataType::Int32).expect("null");
        assert_eq!(none, ScalarValue::Int32(None));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (oid, bytes, is_binary, state) in [
            (23, &b"x"[..], false, "22P02"),
            (23, b"x", true, "22P03"),
            (25, b"\xff", false, "22021"),
            (17, b"\\x0", false, "22P02"),
            (1007, b"1,2", false, "22P02"),
            (1007, b"\0\0\0\x01", true, "22P02"),
            (2950, b"0123456789abcdef", true, "0A000"),
        ] {
            let refused = read(bytes, oid, is_binary).expect_err("it does not fit");
            assert_eq!(refused.state, state, "{oid} {bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            place in 0..oids::TYPES.len(),
            is_list in any::<bool>(),
            is_binary in any::<bool>(),
        ) {
            let one = oids::TYPES[place];
            let _ = read(&bytes, if is_list { one.array } else { one.oid }, is_binary);
        }
    }
}
