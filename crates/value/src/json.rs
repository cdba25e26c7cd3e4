//! [`AsJson`]: anything that MessagePack or JSON can say, as JSON: bytes are text of hexadecimal digits, names that are no text become it.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::cell::hex;

/// Takes a value as JSON.
pub(crate) struct AsJson;

impl<'v> DeserializeSeed<'v> for AsJson {
    type Value = Value;

    fn deserialize<D: Deserializer<'v>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'v> Visitor<'v> for AsJson {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(hex(value).into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'v>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    /// An extension of MessagePack: its kind and its bytes, as a list.
    fn visit_newtype_struct<D: Deserializer<'v>>(self, extension: D) -> Result<Value, D::Error> {
        extension.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'v>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(AsJson)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'v>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key_seed(AsJson)? {
            let name = match name {
                Value::String(name) => name,
                other => other.to_string(),
            };
            fields.insert(name, map.next_value_seed(AsJson)?);
        }
        Ok(Value::Object(fields))
    }
}
