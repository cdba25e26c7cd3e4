//! Codecs: how values become bytes. A map has one; every client of the map must use the same.
//!
//! Bounds stand on `C: Codec<V>` and not on serde, so that `Map<String, Bytes, Raw>` needs no serde of `Bytes`.

use std::borrow::Cow;

use bytes::Bytes;
use isogrid_core::NumberFormat;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// What a buffer for an encoded value begins with.
const ENCODED_BYTES_EXPECTED: usize = 128;

/// Turns values into bytes and back.
///
/// ```
/// use std::borrow::Cow;
/// use bytes::Bytes;
/// use isogrid_client::{Codec, Error, Result};
///
/// /// Temperatures as four bytes.
/// #[derive(Clone, Copy)]
/// struct Celsius;
///
/// impl Codec<f32> for Celsius {
///     fn encode<'v>(&self, value: &'v f32) -> Result<Cow<'v, [u8]>> {
///         Ok(value.to_be_bytes().to_vec().into())
///     }
///     fn decode(&self, bytes: Bytes) -> Result<f32> {
///         let bytes = bytes.as_ref().try_into().map_err(|_| Error::decode("not four bytes"))?;
///         Ok(f32::from_be_bytes(bytes))
///     }
/// }
/// # use isogrid_client::testing::Cluster;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> isogrid_client::Result<()> {
/// # let cluster = Cluster::start(1).await?;
/// # let grid = cluster.grid().await?;
/// let rooms = grid.map_with::<String, f32, _>("rooms", Celsius);
/// rooms.put("kitchen", &21.5).await?;
/// assert_eq!(rooms.get("kitchen").await?, Some(21.5));
/// # Ok(())
/// # }
/// ```
pub trait Codec<V>: Clone + Send + Sync + 'static {
    /// The bytes of a value. Fail with [`Error::encode`].
    fn encode<'v>(&self, value: &'v V) -> Result<Cow<'v, [u8]>>;

    /// The value in these bytes, which are a slice of the received frame. Fail with [`Error::decode`].
    fn decode(&self, bytes: Bytes) -> Result<V>;

    /// How numbers are written, so that the node can add to them.
    fn number_format(&self) -> NumberFormat {
        NumberFormat::Text
    }
}

/// MessagePack with named fields: the default. Fields can be added (with `#[serde(default)]`), removed and reordered
/// while old values stay readable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagePack;

impl<V: Serialize + DeserializeOwned> Codec<V> for MessagePack {
    #[inline]
    fn encode<'v>(&self, value: &'v V) -> Result<Cow<'v, [u8]>> {
        // Room for most values, so that the buffer seldom grows.
        let mut bytes = Vec::with_capacity(ENCODED_BYTES_EXPECTED);
        let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
        match value.serialize(&mut serializer) {
            Ok(()) => Ok(Cow::Owned(bytes)),
            Err(error) => Err(Error::encode(error.to_string())),
        }
    }

    #[inline]
    fn decode(&self, bytes: Bytes) -> Result<V> {
        rmp_serde::from_slice(&bytes).map_err(|error| Error::decode(error.to_string()))
    }

    fn number_format(&self) -> NumberFormat {
        NumberFormat::MessagePack
    }
}

/// JSON: readable through every door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json;

impl<V: Serialize + DeserializeOwned> Codec<V> for Json {
    fn encode<'v>(&self, value: &'v V) -> Result<Cow<'v, [u8]>> {
        match serde_json::to_vec(value) {
            Ok(bytes) => Ok(Cow::Owned(bytes)),
            Err(error) => Err(Error::encode(error.to_string())),
        }
    }

    fn decode(&self, bytes: Bytes) -> Result<V> {
        serde_json::from_slice(&bytes).map_err(|error| Error::decode(error.to_string()))
    }
}

/// Bytes as they are. With `Bytes` nothing is copied: a value is a slice of the frame it came in, and keeps that frame
/// (up to a few megabytes) in memory as long as it lives. Copy what you keep for long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw;

impl Codec<Bytes> for Raw {
    #[inline]
    fn encode<'v>(&self, value: &'v Bytes) -> Result<Cow<'v, [u8]>> {
        Ok(Cow::Borrowed(value))
    }

    #[inline]
    fn decode(&self, bytes: Bytes) -> Result<Bytes> {
        Ok(bytes)
    }
}

impl Codec<Vec<u8>> for Raw {
    fn encode<'v>(&self, value: &'v Vec<u8>) -> Result<Cow<'v, [u8]>> {
        Ok(Cow::Borrowed(value))
    }

    fn decode(&self, bytes: Bytes) -> Result<Vec<u8>> {
        Ok(bytes.to_vec())
    }
}

impl Codec<String> for Raw {
    fn encode<'v>(&self, value: &'v String) -> Result<Cow<'v, [u8]>> {
        Ok(Cow::Borrowed(value.as_bytes()))
    }

    fn decode(&self, bytes: Bytes) -> Result<String> {
        String::from_utf8(bytes.into()).map_err(|error| Error::decode(error.to_string()))
    }
}
