//! From a value's bytes to cells. A value says itself how it is written: an object of JSON begins with `{`, a map of MessagePack
//! as no text does. Its fields are the columns; all else has none.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::cell::{Cell, hex};
use crate::json::AsJson;

/// The deepest value that is read, in JSON and in MessagePack: a reader calls itself for each level.
const DEPTH_MAX: usize = 128;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An object of JSON.
    Json,
    /// A map of MessagePack.
    MessagePack,
    /// Something without fields.
    Plain,
}

pub(crate) fn form(value: &[u8]) -> Form {
    match value {
        [b'{', ..] => Form::Json,
        // These two begin text when such a byte follows, and a map then would have more than 32,767 fields.
        [0xde | 0xdf, 0x80..=0xbf, ..] => Form::Plain,
        [0x80..=0x8f | 0xde | 0xdf, ..] => Form::MessagePack,
        _ => Form::Plain,
    }
}

/// Whether a value is an object. It may still not be one that can be read.
pub fn has_fields(value: &[u8]) -> bool {
    form(value) != Form::Plain
}

/// Takes a value's fields: `take` says of a name where its cell is to go, if anywhere.
///
/// # Errors
/// The value is not what its beginning says.
pub fn fields<'v>(value: &'v [u8], take: &mut dyn Take<'v>) -> Result<(), String> {
    match form(value) {
        Form::Plain => Ok(()),
        Form::Json => {
            let mut deserializer = serde_json::Deserializer::from_slice(value);
            (&mut deserializer)
                .deserialize_map(Fields(take))
                .and_then(|()| deserializer.end())
                .map_err(|error| error.to_string())
        }
        Form::MessagePack => {
            message_pack(value).deserialize_map(Fields(take)).map_err(|error| error.to_string())
        }
    }
}

fn message_pack(
    value: &[u8],
) -> rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'_, [u8]>> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(value);
    deserializer.set_max_depth(DEPTH_MAX);
    deserializer
}

/// What is done with a value's fields.
pub trait Take<'v> {
    /// Where the field of this name goes; `None` when it is not wanted.
    fn place(&mut self, name: &str) -> Option<usize>;

    /// A field that is wanted.
    fn put(&mut self, place: usize, cell: Cell<'v>);
}

/// The text of a whole value: its JSON, or what it is if it has none.
pub fn text(value: &[u8]) -> String {
    match form(value) {
        Form::MessagePack => {
            from_message_pack(value).map_or_else(|| hex(value), |json| json.to_string())
        }
        Form::Json | Form::Plain => plain_text(value),
    }
}

/// Text as it is; else what a scalar of MessagePack says; else the bytes.
fn plain_text(value: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(value)
        && !text.chars().any(|c| c.is_control() && !c.is_whitespace())
    {
        return text.to_owned();
    }
    match from_message_pack(value) {
        Some(serde_json::Value::String(text)) => text,
        Some(json) => json.to_string(),
        None => hex(value),
    }
}

/// What a value of MessagePack says, as JSON; `None` when it is none, or something follows it.
pub fn from_message_pack(value: &[u8]) -> Option<serde_json::Value> {
    let mut rest = value;
    let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
    deserializer.set_max_depth(DEPTH_MAX);
    let json = AsJson.deserialize(&mut deserializer).ok()?;
    rest.is_empty().then_some(json)
}

struct Fields<'t, 'v>(&'t mut dyn Take<'v>);

impl<'v> Visitor<'v> for Fields<'_, 'v> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'v>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Name(self.0))? {
            match place {
                Some(place) => {
                    let cell = map.next_value_seed(AsCell)?;
                    self.0.put(place, cell);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A field's name, as the place where it goes.
struct Name<'t, 'v>(&'t mut dyn Take<'v>);

impl<'v> DeserializeSeed<'v> for Name<'_, 'v> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'v>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'v> Visitor<'v> for Name<'_, 'v> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field, which is text")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.place(name))
    }
}

struct AsCell;

impl<'v> DeserializeSeed<'v> for AsCell {
    type Value = Cell<'v>;

    fn deserialize<D: Deserializer<'v>>(self, deserializer: D) -> Result<Cell<'v>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'v> Visitor<'v> for AsCell {
    type Value = Cell<'v>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has too, or bytes")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Cell<'v>, E> {
        Ok(Cell::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Cell<'v>, E> {
        Ok(Cell::BigInt(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Cell<'v>, E> {
        // What is too large for SQL's whole numbers is about as large as a number.
        Ok(i64::try_from(value).map_or(Cell::Double(value as f64), Cell::BigInt))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Cell<'v>, E> {
        Ok(Cell::Double(value))
    }

    fn visit_borrowed_str<E>(self, value: &'v str) -> Result<Cell<'v>, E> {
        Ok(Cell::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Cell<'v>, E> {
        Ok(Cell::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_borrowed_bytes<E>(self, value: &'v [u8]) -> Result<Cell<'v>, E> {
        Ok(Cell::Bytes(Cow::Borrowed(value)))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Cell<'v>, E> {
        Ok(Cell::Bytes(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Cell<'v>, E> {
        Ok(Cell::Null)
    }

    fn visit_none<E>(self) -> Result<Cell<'v>, E> {
        Ok(Cell::Null)
    }

    fn visit_some<D: Deserializer<'v>>(self, deserializer: D) -> Result<Cell<'v>, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'v>>(self, extension: D) -> Result<Cell<'v>, D::Error> {
        AsJson.visit_newtype_struct(extension).map(Cell::Nested)
    }

    fn visit_seq<A: SeqAccess<'v>>(self, list: A) -> Result<Cell<'v>, A::Error> {
        AsJson.visit_seq(list).map(Cell::Nested)
    }

    fn visit_map<A: MapAccess<'v>>(self, map: A) -> Result<Cell<'v>, A::Error> {
        AsJson.visit_map(map).map(Cell::Nested)
    }
}

#[cfg(test)]
#[path = "fields_test.rs"]
mod tests;
