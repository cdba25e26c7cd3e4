//! From cells to values: an object of these fields, or a value with some of its fields changed. What is not changed keeps its bytes, so
//! that a number with more digits than a reader can hold survives, and so does what only MessagePack has.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::cell::Cell;
use crate::fields::{Form, form};

/// A field by its name, and what it holds.
pub type NamedCell<'a> = (&'a str, Cell<'a>);

/// An object with these fields: of JSON, or of MessagePack if one of them holds bytes, which JSON does not have.
///
/// # Errors
/// In words: a field holds what neither can say.
pub fn object(fields: &[NamedCell<'_>]) -> Result<Vec<u8>, String> {
    match fields.iter().any(|(_, cell)| matches!(cell, Cell::Bytes(_))) {
        true => write_message_pack(&[], fields),
        false => write_json(&[], fields),
    }
}

/// A value with these fields, the others as they were, written as it was.
///
/// # Errors
/// In words: the value is no object, cannot be read, or is of JSON and a field is to hold what JSON does not have.
pub fn with_fields(value: &[u8], changes: &[NamedCell<'_>]) -> Result<Vec<u8>, String> {
    match form(value) {
        Form::Plain => {
            Err("it is no object of JSON or MessagePack, so it has no fields".to_owned())
        }
        Form::Json => write_json(&json_parts(value)?, changes),
        Form::MessagePack => write_message_pack(&message_pack_parts(value)?, changes),
    }
}

/// The fields as they are to be: the old ones in their order, changed or not, then those that are new. Of a name that occurs twice the
/// last counts, as it does for readers.
fn merged<'a, B: ?Sized>(
    old: &'a [(String, &'a B)],
    changes: &'a [NamedCell<'a>],
) -> Vec<(&'a str, Result<&'a B, &'a Cell<'a>>)> {
    let change = |name: &str| changes.iter().find(|(one, _)| *one == name).map(|(_, cell)| cell);
    let mut fields: Vec<(&str, Result<&B, &Cell<'_>>)> = Vec::with_capacity(old.len());
    for (place, (name, bytes)) in old.iter().enumerate() {
        match change(name) {
            None => fields.push((name, Ok(*bytes))),
            Some(cell) if old[..place].iter().all(|(before, _)| before != name) => {
                fields.push((name, Err(cell)));
            }
            Some(_) => {}
        }
    }
    let is_new = |name: &str| old.iter().all(|(one, _)| one != name);
    let new = changes.iter().filter(|(name, _)| is_new(name));
    fields.extend(new.map(|(name, cell)| (*name, Err(cell))));
    fields
}

fn write_json(old: &[(String, &RawValue)], changes: &[NamedCell<'_>]) -> Result<Vec<u8>, String> {
    let unwritten = |error: serde_json::Error| error.to_string();
    let mut out = vec![b'{'];
    for (place, (name, what)) in merged(old, changes).into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, name).map_err(unwritten)?;
        out.push(b':');
        match what {
            Ok(raw) => out.extend_from_slice(raw.get().as_bytes()),
            Err(Cell::Bytes(_)) => {
                return Err(format!("the field {name} is bytes, which JSON does not have"));
            }
            Err(Cell::Double(number)) if !number.is_finite() => {
                return Err(format!("the field {name} is {number}, which JSON does not have"));
            }
            Err(cell) => serde_json::to_writer(&mut out, &Written(cell)).map_err(unwritten)?,
        }
    }
    out.push(b'}');
    Ok(out)
}

fn json_parts(value: &[u8]) -> Result<Vec<(String, &RawValue)>, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(value);
    let parts = deserializer.deserialize_map(Parts).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(parts)
}

/// The fields of an object of JSON, each as it is written.
struct Parts;

impl<'v> Visitor<'v> for Parts {
    type Value = Vec<(String, &'v RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'v>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = map.next_entry()? {
            parts.push(part);
        }
        Ok(parts)
    }
}

fn write_message_pack(
    old: &[(String, &[u8])],
    changes: &[NamedCell<'_>],
) -> Result<Vec<u8>, String> {
    let fields = merged(old, changes);
    let mut out = Vec::new();
    match fields.len() {
        few @ 0..=15 => out.push(0x80 | few as u8),
        many @ 16..=0xffff => {
            out.push(0xde);
            out.extend_from_slice(&(many as u16).to_be_bytes());
        }
        most => {
            out.push(0xdf);
            out.extend_from_slice(&(most as u32).to_be_bytes());
        }
    }
    for (name, what) in fields {
        rmp_serde::encode::write(&mut out, name).map_err(|error| error.to_string())?;
        match what {
            Ok(bytes) => out.extend_from_slice(bytes),
            Err(cell) => rmp_serde::encode::write(&mut out, &Written(cell))
                .map_err(|error| error.to_string())?,
        }
    }
    Ok(out)
}

fn message_pack_parts(value: &[u8]) -> Result<Vec<(String, &[u8])>, String> {
    let broken = || "its MessagePack cannot be read".to_owned();
    let number = |from: usize, to: usize| {
        let bytes = value.get(from..to)?;
        Some(bytes.iter().fold(0, |sum: usize, byte| sum << 8 | usize::from(*byte)))
    };
    let (count, mut at) = match value.first() {
        Some(0xde) => (number(1, 3).ok_or_else(broken)?, 3),
        Some(0xdf) => (number(1, 5).ok_or_else(broken)?, 5),
        Some(marker) => (usize::from(marker & 0x0f), 1),
        None => return Err(broken()),
    };
    let mut parts = Vec::new();
    for _ in 0..count {
        let mut next = || {
            let rest = value.get(at..)?;
            let bytes = rest.get(..length(rest)?)?;
            at += bytes.len();
            Some(bytes)
        };
        let (name, what) = (next().ok_or_else(broken)?, next().ok_or_else(broken)?);
        let name =
            rmp_serde::from_slice(name).map_err(|_| "the name of a field is no text".to_owned())?;
        parts.push((name, what));
    }
    match at == value.len() {
        true => Ok(parts),
        false => Err("something follows its MessagePack".to_owned()),
    }
}

/// How many bytes the value of MessagePack has that stands at the beginning. Values within each other are counted, not gone into, so
/// that depth costs nothing.
fn length(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut pending) = (0_usize, 1_u64);
    while pending > 0 {
        pending -= 1;
        let marker = *bytes.get(at)?;
        at += 1;
        let said = |width: usize| {
            let digits = bytes.get(at..at + width)?;
            Some(digits.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)))
        };
        let (own, within): (u64, u64) = match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => (0, 0),
            0x80..=0x8f => (0, 2 * u64::from(marker & 0x0f)),
            0x90..=0x9f => (0, u64::from(marker & 0x0f)),
            0xa0..=0xbf => (u64::from(marker & 0x1f), 0),
            0xc1 => return None,
            0xc4 | 0xd9 => (1 + said(1)?, 0),
            0xc5 | 0xda => (2 + said(2)?, 0),
            0xc6 | 0xdb => (4 + said(4)?, 0),
            // Extensions have a byte for their kind.
            0xc7 => (2 + said(1)?, 0),
            0xc8 => (3 + said(2)?, 0),
            0xc9 => (5 + said(4)?, 0),
            0xcc | 0xd0 => (1, 0),
            0xcd | 0xd1 | 0xd4 => (2, 0),
            0xd5 => (3, 0),
            0xca | 0xce | 0xd2 => (4, 0),
            0xd6 => (5, 0),
            0xcb | 0xcf | 0xd3 => (8, 0),
            0xd7 => (9, 0),
            0xd8 => (17, 0),
            0xdc => (2, said(2)?),
            0xdd => (4, said(4)?),
            0xde => (2, 2 * said(2)?),
            0xdf => (4, 2 * said(4)?),
        };
        at = at.checked_add(usize::try_from(own).ok()?)?;
        pending += within;
    }
    (at <= bytes.len()).then_some(at)
}

/// A cell on its way into a value.
struct Written<'c>(&'c Cell<'c>);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Cell::Null => serializer.serialize_unit(),
            Cell::Boolean(value) => serializer.serialize_bool(*value),
            Cell::BigInt(value) => serializer.serialize_i64(*value),
            Cell::Double(value) => serializer.serialize_f64(*value),
            Cell::Text(value) => serializer.serialize_str(value),
            Cell::Bytes(value) => serializer.serialize_bytes(value),
            Cell::Nested(value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
#[path = "change_test.rs"]
mod tests;
