//! A council as the bytes of a snapshot: a mark, the version of the format, then MessagePack with names. A reader that
//! does not know the version says so instead of guessing.

use std::io;

use isogrid_cluster::Council;

use crate::record::{decode, encode};

/// What every snapshot begins with.
const MARK: &[u8; 4] = b"IGCS";
/// The version that this build writes and the newest that it reads.
const FORMAT: u32 = 1;

/// The bytes of a council.
pub(super) fn pack(council: &Council) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1 << 16);
    bytes.extend_from_slice(MARK);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&encode(council)?);
    Ok(bytes)
}

/// The council of these bytes.
pub(super) fn unpack(bytes: &[u8]) -> io::Result<Council> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let rest = bytes.strip_prefix(MARK.as_slice());
    let Some((format, content)) = rest.and_then(|rest| rest.split_first_chunk::<4>()) else {
        return Err(invalid("these bytes are no snapshot of a council".to_owned()));
    };
    let format = u32::from_le_bytes(*format);
    if format > FORMAT {
        return Err(invalid(format!("the snapshot's format {format} is newer than this build")));
    }
    decode(content)
}
