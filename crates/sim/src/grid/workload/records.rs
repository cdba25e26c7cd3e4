//! Keys and values of the workload, as bytes and as the oracles name them.

use isogrid_core::MapId;

use super::{COUNTERS, EXPIRING, KEYS, MOVING, REGISTERS};
use crate::client::history::{Finals, KeyId, Seen, Side, Value, ValueId};

/// The bytes of a key.
pub(crate) fn key_bytes(key: KeyId) -> Vec<u8> {
    format!("key-{}", key.0).into_bytes()
}

/// The bytes of one of the two keys of a pair. Their tag is the key of the pair, so that all three lie in one partition.
pub(crate) fn side_bytes(key: KeyId, side: Side) -> Vec<u8> {
    format!("{{key-{}}}{side:?}", key.0).into_bytes()
}

/// All pairs of keys, side by side.
pub(crate) fn pairs() -> impl Iterator<Item = (KeyId, Side, Vec<u8>)> {
    let pair = |number| KeyId(MOVING.0 * 1_000 + number);
    (0..KEYS)
        .map(pair)
        .flat_map(|key| [Side::Left, Side::Right].map(|side| (key, side, side_bytes(key, side))))
}

/// What stored bytes say.
pub(crate) fn value_of(map: MapId, value: Option<&[u8]>) -> Value {
    match value {
        None => Value::Absent,
        Some(bytes) if map == COUNTERS => {
            let text = std::str::from_utf8(bytes).unwrap_or_default();
            Value::Number(text.parse().unwrap_or(i64::MIN))
        }
        Some(bytes) => match bytes.try_into() {
            Ok(number) => Value::Written(ValueId(u64::from_le_bytes(number))),
            Err(_) => Value::Written(ValueId(u64::MAX)),
        },
    }
}

/// The keys that are checked, with their maps.
pub(crate) fn checked_keys() -> impl Iterator<Item = (KeyId, MapId)> {
    [REGISTERS, COUNTERS, EXPIRING]
        .into_iter()
        .flat_map(|map| (0..KEYS).map(move |number| (KeyId(map.0 * 1_000 + number), map)))
}

/// The state at the end, from a closure that reads a record.
pub(crate) fn finals(mut read: impl FnMut(MapId, &[u8]) -> Option<(u64, Vec<u8>)>) -> Finals {
    let mut finals = Finals::new();
    for (key, map) in checked_keys() {
        if let Some((version, value)) = read(map, &key_bytes(key)) {
            finals.insert(key, Seen { version, value: value_of(map, Some(&value)) });
        }
    }
    finals
}
