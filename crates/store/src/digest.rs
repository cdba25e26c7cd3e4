//! The digest of a partition's content: a sum over its records, so that it does not depend on the order in which they
//! came, and each write changes it in constant time. Two replicas with equal digests have equal data.

use isogrid_core::MapId;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::raw::RecordRef;

/// Odd constants with well-mixed bits (from xxh64), so that version, expiry and key length land in different places.
const VERSION_FACTOR: u64 = 0x9e37_79b1_85eb_ca87;
const EXPIRY_FACTOR: u64 = 0xc2b2_ae3d_27d4_eb4f;
const KEY_LEN_FACTOR: u64 = 0x1656_67b1_9e37_79f9;

/// What a record adds to its map's digest: key, value, version and expiry, but not how it was used. The key and the value
/// lie side by side, so one pass hashes both; the key's length tells them apart.
#[inline]
pub(crate) fn of_record(record: RecordRef<'_>) -> u128 {
    // Never is told from the first millisecond of 1970 by adding one.
    let expiry = record.expires_at().map_or(0, |at| at.0.wrapping_add(1));
    let seed = record.version().0.wrapping_mul(VERSION_FACTOR)
        ^ expiry.wrapping_mul(EXPIRY_FACTOR).rotate_left(32)
        ^ (record.shape().key_len() as u64).wrapping_mul(KEY_LEN_FACTOR);
    xxh3_128_with_seed(record.key_and_value(), seed)
}

/// What a map adds to its partition's digest. An odd factor keeps all of the map's digest; an empty map adds nothing.
pub(crate) fn of_map(map: MapId, digest: u128) -> u128 {
    let factor = xxh3_128_with_seed(&map.0.to_le_bytes(), VERSION_FACTOR) | 1;
    digest.wrapping_mul(factor)
}
