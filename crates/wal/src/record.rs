//! [`Record`]: what stands in a segment. The enum is the data dictionary; its encoding is beside it and frozen.

use isogrid_core::{LogPosition, PartitionId};

use crate::input::Input;
use crate::place::Place;

/// Bytes before every record's body.
pub const RECORD_HEADER_BYTES: usize = 16;
/// The most bytes of a record's body.
pub const RECORD_BODY_BYTES_MAX: usize = 256 << 20;
/// Bytes of the two positions before a run's entries.
pub(crate) const RUN_HEADER_BYTES: usize = 32;
/// Bytes of a mark's body, and of a position alone.
const MARK_BYTES: usize = 16;

const KIND_ENTRIES: u8 = 1;
const KIND_RESET: u8 = 2;
const KIND_DURABLE: u8 = 3;
const KIND_IMAGE_BEGUN: u8 = 4;
/// The largest kind that this version knows.
pub(crate) const KIND_MAX: u8 = KIND_IMAGE_BEGUN;

/// What stands in the log. All numbers are frozen.
///
/// | kind | record | body |
/// |---|---|---|
/// | 1 | entries | first epoch u64, first seq u64, last epoch u64, last seq u64, the entries' bytes |
/// | 2 | reset | |
/// | 3 | durable | segment u64, offset u64; the header's partition is zero |
/// | 4 | image begun | epoch u64, seq u64 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A run of entries of one partition, one number after the other. If the partition has entries from the first number on,
    /// the run replaces them all: the log was cut there.
    Entries {
        /// Whose.
        partition: PartitionId,
        /// Where the first entry stands.
        first: LogPosition,
        /// Where the last entry stands.
        last: LogPosition,
        /// The entries, encoded. The log does not look into them.
        entries: &'a [u8],
    },
    /// All that stands before of this partition, snapshots included, is void.
    Reset {
        /// Whose.
        partition: PartitionId,
    },
    /// Everything before a place of the log was synced when this was written. The log writes these by itself.
    Durable {
        /// Up to where.
        place: Place,
    },
    /// What follows of this partition does not follow what stands before: it is for the image that is being made now. Without
    /// that image, what stands before is all there is.
    ImageBegun {
        /// Whose.
        partition: PartitionId,
        /// Where the image begins: the next entry that is written comes after this position.
        position: LogPosition,
    },
}

/// What the bytes before a body say.
///
/// | bytes | field | |
/// |---|---|---|
/// | 4 | length | of the body |
/// | 2 | partition | |
/// | 1 | kind | see [`Record`] |
/// | 1 | flags | zero |
/// | 4 | body crc | CRC32C of the body |
/// | 4 | header crc | CRC32C of storage id u128, segment u64, offset u64 and the twelve bytes above |
///
/// Because the crc covers where the record stands, bytes that look like a record elsewhere, in a value for example, are not
/// taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Bytes of the body.
    pub body_bytes: u32,
    /// Whose record it is.
    pub partition: PartitionId,
    /// Its kind.
    pub kind: u8,
    /// Flags; zero in this version.
    pub flags: u8,
    /// The crc of the body.
    pub body_crc: u32,
}

impl RecordHeader {
    /// The header in these bytes, if they are one at this offset.
    pub(crate) fn decode(seed: u32, offset: u64, bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let header = RecordHeader {
            body_bytes: input.u32()?,
            partition: PartitionId(input.u16()?),
            kind: input.u8()?,
            flags: input.u8()?,
            body_crc: input.u32()?,
        };
        // The cheap tests come first: a search tries every offset.
        let may_be = header.body_bytes as usize <= RECORD_BODY_BYTES_MAX;
        let crc = input.u32()?;
        (may_be && header_crc(seed, offset, &bytes[..12]) == crc).then_some(header)
    }

    /// Whether it is a durable mark's.
    pub(crate) fn is_mark(&self) -> bool {
        self.kind == KIND_DURABLE
    }

    /// Whether this version knows what it says.
    pub(crate) fn is_known(&self) -> bool {
        (KIND_ENTRIES..=KIND_MAX).contains(&self.kind) && self.flags == 0
    }
}

/// What the header crcs of a segment begin with.
pub(crate) fn segment_seed(storage: u128, number: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&storage.to_le_bytes()), &number.to_le_bytes())
}

fn header_crc(seed: u32, offset: u64, fields: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &offset.to_le_bytes()), fields)
}

impl<'a> Record<'a> {
    /// How many bytes it takes in the log.
    pub fn encoded_bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.body_bytes()
    }

    pub(crate) fn body_bytes(&self) -> usize {
        match self {
            Record::Entries { entries, .. } => RUN_HEADER_BYTES + entries.len(),
            Record::Reset { .. } => 0,
            Record::Durable { .. } | Record::ImageBegun { .. } => MARK_BYTES,
        }
    }

    /// Appends the record as it stands at an offset of a segment.
    pub(crate) fn encode(&self, seed: u32, offset: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + RECORD_HEADER_BYTES, 0);
        let (kind, partition) = match *self {
            Record::Entries { partition, first, last, entries } => {
                let mut positions = [0; RUN_HEADER_BYTES];
                let words = [first.epoch.0, first.seq, last.epoch.0, last.seq];
                for (to, word) in positions.chunks_exact_mut(8).zip(words) {
                    to.copy_from_slice(&word.to_le_bytes());
                }
                out.extend_from_slice(&positions);
                out.extend_from_slice(entries);
                (KIND_ENTRIES, partition)
            }
            Record::Reset { partition } => (KIND_RESET, partition),
            Record::Durable { place } => {
                out.extend_from_slice(&place.segment.to_le_bytes());
                out.extend_from_slice(&place.offset.to_le_bytes());
                (KIND_DURABLE, PartitionId(0))
            }
            Record::ImageBegun { partition, position } => {
                out.extend_from_slice(&position.epoch.0.to_le_bytes());
                out.extend_from_slice(&position.seq.to_le_bytes());
                (KIND_IMAGE_BEGUN, partition)
            }
        };
        let (header, body) = out[start..].split_at_mut(RECORD_HEADER_BYTES);
        header[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
        header[4..6].copy_from_slice(&partition.0.to_le_bytes());
        header[6] = kind;
        header[8..12].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
        let crc = header_crc(seed, offset, &header[..12]);
        header[12..].copy_from_slice(&crc.to_le_bytes());
    }

    /// The record of a header and a body whose crcs are right. `None` when the body breaks a rule all the same.
    pub(crate) fn decode(header: &RecordHeader, body: &'a [u8]) -> Option<Self> {
        let partition = header.partition;
        let mut input = Input(body);
        let record = match header.kind {
            KIND_ENTRIES => {
                let first = LogPosition::new(input.u64()?, input.u64()?);
                let last = LogPosition::new(input.u64()?, input.u64()?);
                let entries = input.take(input.0.len())?;
                Record::Entries { partition, first, last, entries }
            }
            KIND_RESET => Record::Reset { partition },
            KIND_DURABLE => Record::Durable { place: Place::new(input.u64()?, input.u64()?) },
            KIND_IMAGE_BEGUN => {
                let position = LogPosition::new(input.u64()?, input.u64()?);
                Record::ImageBegun { partition, position }
            }
            _ => return None,
        };
        (input.0.is_empty() && record.fault().is_none()).then_some(record)
    }

    /// What is wrong with the record, if something is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let Record::Entries { first, last, entries, .. } = self else {
            return None;
        };
        if first.seq == 0 || first.seq > last.seq || first.epoch > last.epoch {
            Some("a run's first and last position do not fit")
        } else if entries.is_empty() {
            Some("a run without entries")
        } else if self.body_bytes() > RECORD_BODY_BYTES_MAX {
            Some("a run with too many bytes")
        } else {
            None
        }
    }
}

#[cfg(test)]
#[path = "record_test.rs"]
pub(crate) mod tests;
