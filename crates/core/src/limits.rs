//! Every limit of the grid, named, with its unit last. Each is a configuration key `limits.<name>`.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};

/// The longest key a record can hold, whatever is configured.
pub const KEY_BYTES_HARD_MAX: usize = 65_535;

/// The largest value a record can hold, whatever is configured.
pub const VALUE_BYTES_HARD_MAX: usize = 16 << 20;

/// The longest name of a map.
pub const MAP_NAME_BYTES_MAX: usize = 128;

/// The limits a node enforces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest key.
    pub key_bytes_max: usize,
    /// The largest value; at most 16 MiB.
    pub value_bytes_max: usize,
    /// The largest frame a client may send, and about the largest a node answers with.
    pub frame_bytes_max: usize,
    /// The most operations of one frame or typed batch.
    pub batch_ops_max: usize,
    /// The most operations a client has in flight on one connection.
    pub in_flight_ops_max: usize,
    /// The most connections of one node.
    pub connections_max: usize,
    /// The most connections of PostgreSQL's clients.
    pub pg_connections_max: usize,
    /// The most connections over HTTP, streams included.
    pub http_connections_max: usize,
    /// How long a client may leave its replies unread before it is disconnected.
    pub output_stall_ms: u64,
    /// The most maps of one node.
    pub maps_max: usize,
    /// The most entries of one page of a scan.
    pub scan_entries_max: usize,
    /// The most statements of SQL that run at once.
    pub sql_statements_max: usize,
    /// The memory of one statement, and of each part of one that comes from another node.
    pub sql_memory_bytes_max: usize,
    /// How long one statement may take, in milliseconds.
    pub sql_time_ms_max: u64,
    /// The most rows of an answer; 0 for no limit.
    pub sql_rows_max: u64,
    /// The most entries that one statement walks over at one node; 0 for no limit.
    pub sql_scanned_entries_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_bytes_max: 4 << 10,
            value_bytes_max: 1 << 20,
            frame_bytes_max: 4 << 20,
            batch_ops_max: 1_024,
            in_flight_ops_max: 1_024,
            connections_max: 10_000,
            pg_connections_max: 256,
            http_connections_max: 1_024,
            output_stall_ms: 30_000,
            maps_max: 1_024,
            scan_entries_max: 1_000,
            sql_statements_max: 16,
            sql_memory_bytes_max: 64 << 20,
            sql_time_ms_max: 5_000,
            sql_rows_max: 0,
            sql_scanned_entries_max: 0,
        }
    }
}

impl Limits {
    /// Refuses a key that is too long.
    pub fn check_key(&self, key: &[u8]) -> Result<()> {
        if key.len() > self.key_bytes_max {
            return Err(too_much(ErrorCode::KeyTooLong, key.len(), self.key_bytes_max));
        }
        Ok(())
    }

    /// Refuses a value that is too large.
    pub fn check_value(&self, value: &[u8]) -> Result<()> {
        if value.len() > self.value_bytes_max {
            return Err(too_much(ErrorCode::ValueTooLarge, value.len(), self.value_bytes_max));
        }
        Ok(())
    }
}

fn too_much(code: ErrorCode, bytes: usize, bytes_max: usize) -> Error {
    Error::new(code, format!("{bytes} bytes, at most {bytes_max}"))
}

/// Refuses a map name that is empty, too long or has a forbidden character.
pub fn check_map_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
    if name.is_empty() || name.len() > MAP_NAME_BYTES_MAX || !name.bytes().all(allowed) {
        let shown: String = name.chars().take(40).collect();
        return Err(Error::new(ErrorCode::MapNameInvalid, format!("{shown:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_the_last_value_allowed() {
        let limits = Limits { key_bytes_max: 3, value_bytes_max: 2, ..Limits::default() };
        assert!(limits.check_key(b"abc").is_ok());
        assert_eq!(limits.check_key(b"abcd").map_err(|e| e.code()), Err(ErrorCode::KeyTooLong));
        assert!(limits.check_value(b"ab").is_ok());
        assert_eq!(limits.check_value(b"abc").map_err(|e| e.code()), Err(ErrorCode::ValueTooLarge));
    }

    #[test]
    fn map_names_are_plain() {
        assert!(check_map_name("orders.v2_eu-west:hot").is_ok());
        for bad in ["", "with space", "ümlaut", "a/b", &"x".repeat(129)] {
            assert!(check_map_name(bad).is_err(), "{bad:?}");
        }
    }
}
