//! [`SegmentHeader`]: what every segment of the log begins with.

use crate::input::Input;

/// Bytes of a segment's header.
pub const SEGMENT_HEADER_BYTES: usize = 48;
/// The format of segments and snapshots. Another number has another layout.
pub const FORMAT: u16 = 1;
/// The minor version of the format: what a higher one adds can be told apart by kinds and flags.
pub const FORMAT_MINOR: u16 = 0;

const MAGIC: [u8; 8] = *b"ISOGLOG\n";

/// The beginning of a segment.
///
/// | bytes | field | |
/// |---|---|---|
/// | 8 | magic | `ISOGLOG\n` |
/// | 2 | format | [`FORMAT`] |
/// | 2 | minor | [`FORMAT_MINOR`] |
/// | 16 | storage | whose it is |
/// | 8 | number | of this segment, the same as in its name |
/// | 8 | previous end | where the records of the segment before end; what stands behind is not part of the log |
/// | 4 | crc | CRC32C of the bytes above |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The format.
    pub format: u16,
    /// The minor version of the format.
    pub minor: u16,
    /// Whose it is.
    pub storage: u128,
    /// The number of the segment.
    pub number: u64,
    /// Where the records of the segment before end; zero if there is none.
    pub previous_end: u64,
}

impl SegmentHeader {
    pub(crate) fn new(storage: u128, number: u64, previous_end: u64) -> Self {
        SegmentHeader { format: FORMAT, minor: FORMAT_MINOR, storage, number, previous_end }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.format.to_le_bytes());
        out.extend_from_slice(&self.minor.to_le_bytes());
        out.extend_from_slice(&self.storage.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.previous_end.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// The header in these bytes. A format that is not known is for the caller to refuse.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let fields = bytes.get(..SEGMENT_HEADER_BYTES - 4)?;
        let mut input = Input(bytes);
        let magic = input.take(MAGIC.len())?;
        let header = SegmentHeader {
            format: input.u16()?,
            minor: input.u16()?,
            storage: input.u128()?,
            number: input.u64()?,
            previous_end: input.u64()?,
        };
        (magic == MAGIC && input.u32()? == crc32c::crc32c(fields)).then_some(header)
    }
}

/// Whether this version knows a format.
pub(crate) fn is_known_format(format: u16, minor: u16) -> bool {
    format == FORMAT && (format, minor) <= (FORMAT, FORMAT_MINOR)
}

/// What this version knows, in words.
pub(crate) fn known_format() -> String {
    format!("format {FORMAT}.{FORMAT_MINOR}")
}
