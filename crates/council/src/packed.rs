//! Plain data as MessagePack, with the names of fields, so that versions may differ.
//!
//! The readers of all types share one reader of MessagePack: as many of them as there are types took an eighth of the time in which this crate is
//! compiled, and nothing here is read often.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The value that these bytes are.
///
/// # Errors
/// They are none of this type.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    let mut reader = <dyn erased_serde::Deserializer<'_>>::erase(&mut reader);
    erased_serde::deserialize(&mut reader).map_err(|error| error.to_string())
}

/// A value as bytes.
///
/// # Errors
/// Some part of it cannot be written: it is no plain data.
pub fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    write_into(&mut bytes, value)?;
    Ok(bytes)
}

/// Adds a value's bytes to others.
///
/// # Errors
/// As for [`write()`].
pub fn write_into<T: Serialize>(bytes: &mut Vec<u8>, value: &T) -> Result<(), String> {
    let mut writer = rmp_serde::Serializer::new(bytes).with_struct_map();
    let value: &dyn erased_serde::Serialize = value;
    value.serialize(&mut writer).map_err(|error| error.to_string())
}
