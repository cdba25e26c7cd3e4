//! Parquet: an ordinary file of one row group after the other, which every tool reads.
//!
//! | column | type |
//! |---|---|
//! | `key`, `value` | text, where the bytes are UTF-8 |
//! | `key_bytes`, `value_bytes` | the bytes, where they are not |
//! | `expires_at` | a time in milliseconds, UTC; null if the entry does not expire |
//! | `version` | an unsigned integer |
//!
//! Its index stands at the end. So that an interrupted file can be gone on with, every row group is made in memory, put
//! behind the last one, and what the index will say of it is kept in the checkpoint.

pub(in crate::commands::map) mod read;
pub(super) mod write;

use std::io;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;

/// The columns, in the order in which they are written.
const COLUMNS: [&str; 6] = ["key", "key_bytes", "value", "value_bytes", "expires_at", "version"];

/// How the library says that it was built without a compression.
const COMPRESSION_MISSING: &str = "Disabled feature at compile time";

const SCHEMA: &str = "message entries {
    OPTIONAL BYTE_ARRAY key (STRING);
    OPTIONAL BYTE_ARRAY key_bytes;
    OPTIONAL BYTE_ARRAY value (STRING);
    OPTIONAL BYTE_ARRAY value_bytes;
    OPTIONAL INT64 expires_at (TIMESTAMP(MILLIS,true));
    OPTIONAL INT64 version (INTEGER(64,false));
}";

fn schema() -> io::Result<TypePtr> {
    Ok(Arc::new(parse_message_type(SCHEMA).map_err(fault)?))
}

/// An error of the format as one of the file.
fn fault(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        ParquetError::General(what) if what.starts_with(COMPRESSION_MISSING) => {
            let what = "it is compressed in another way than Snappy, Zstandard or LZ4";
            io::Error::new(io::ErrorKind::InvalidData, what)
        }
        ParquetError::General(what) | ParquetError::EOF(what) | ParquetError::NYI(what) => {
            io::Error::new(io::ErrorKind::InvalidData, format!("not readable as Parquet: {what}"))
        }
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

#[cfg(test)]
#[path = "parquet_test.rs"]
mod tests;
