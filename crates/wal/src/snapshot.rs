//! Snapshots: the data of one partition at a position, as the caller's pages of record bytes, compressed.
//!
//! ```text
//!  header │ sessions │ block … block │ footer
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`writer`] | [`SnapshotWriter`]: writes, then publishes under the final name |
//! | [`reader`] | [`SnapshotReader`]: block by block, verified |

pub mod reader;
pub mod writer;

use isogrid_core::{Hlc, LogPosition, PartitionId};

use crate::input::Input;
use crate::place::Place;
use crate::segment::{FORMAT, FORMAT_MINOR, is_known_format};

pub use reader::{Block, SnapshotReader};
pub use writer::{SnapshotEnd, SnapshotWriter};

/// The most bytes of records in one block, before compression.
pub const SNAPSHOT_BLOCK_BYTES_MAX: usize = 32 << 20;
/// The most bytes of sessions.
pub const SNAPSHOT_SESSIONS_BYTES_MAX: usize = 1 << 30;

pub(crate) const HEADER_BYTES: usize = 96;
pub(crate) const BLOCK_HEADER_BYTES: usize = 16;
pub(crate) const FOOTER_BYTES: usize = 44;

const MAGIC: [u8; 8] = *b"ISOGSNAP";
const FOOTER_MAGIC: [u8; 4] = *b"SEND";
/// Blocks are LZ4 blocks, without a length before them.
const CODEC_LZ4: u8 = 1;

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// Whose data.
    pub partition: PartitionId,
    /// All entries up to here are in the data; all of them are committed.
    pub position: LogPosition,
    /// From where the log has the entries after the position: `NodeLog::replay_from`.
    pub replay_from: Place,
    /// The hybrid clock at the position.
    pub hlc: Hlc,
    /// How often the history was declared lost.
    pub loss_generation: u32,
    /// Encoded sessions at the position.
    pub sessions: Vec<u8>,
}

/// The fixed part of a header, the bytes of the sessions behind it.
///
/// | bytes | field | |
/// |---|---|---|
/// | 8 | magic | `ISOGSNAP` |
/// | 2 | format | |
/// | 2 | minor | |
/// | 16 | storage | whose it is |
/// | 2 | partition | |
/// | 1 | codec | 1: LZ4 blocks |
/// | 1 | flags | zero |
/// | 8 | epoch | of the position |
/// | 8 | seq | of the position |
/// | 8 | replay segment | |
/// | 8 | replay offset | |
/// | 8 | hlc | |
/// | 4 | loss generation | |
/// | 4 | sessions length | |
/// | 4 | sessions crc | CRC32C of the sessions |
/// | 8 | reserved | zero |
/// | 4 | crc | CRC32C of the bytes above |
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) format: u16,
    pub(crate) minor: u16,
    pub(crate) storage: u128,
    pub(crate) codec: u8,
    pub(crate) flags: u8,
    /// Its sessions are read separately.
    pub(crate) head: SnapshotHead,
    pub(crate) sessions_bytes: u32,
    pub(crate) sessions_crc: u32,
}

impl Header {
    pub(crate) fn new(storage: u128, head: SnapshotHead) -> Self {
        Header {
            format: FORMAT,
            minor: FORMAT_MINOR,
            storage,
            codec: CODEC_LZ4,
            flags: 0,
            sessions_bytes: head.sessions.len() as u32,
            sessions_crc: crc32c::crc32c(&head.sessions),
            head,
        }
    }

    /// The header's bytes, without the sessions.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let head = &self.head;
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.format.to_le_bytes());
        out.extend_from_slice(&self.minor.to_le_bytes());
        out.extend_from_slice(&self.storage.to_le_bytes());
        out.extend_from_slice(&head.partition.0.to_le_bytes());
        out.extend_from_slice(&[self.codec, self.flags]);
        for word in [
            head.position.epoch.0,
            head.position.seq,
            head.replay_from.segment,
            head.replay_from.offset,
            head.hlc.0,
        ] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&head.loss_generation.to_le_bytes());
        out.extend_from_slice(&self.sessions_bytes.to_le_bytes());
        out.extend_from_slice(&self.sessions_crc.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// The header in these bytes, without its sessions. A format that is not known is for the caller to refuse.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let fields = bytes.get(..HEADER_BYTES - 4)?;
        let mut input = Input(bytes);
        if input.take(MAGIC.len())? != MAGIC {
            return None;
        }
        let (format, minor, storage) = (input.u16()?, input.u16()?, input.u128()?);
        let partition = PartitionId(input.u16()?);
        let (codec, flags) = (input.u8()?, input.u8()?);
        let position = LogPosition::new(input.u64()?, input.u64()?);
        let replay_from = Place::new(input.u64()?, input.u64()?);
        let hlc = Hlc(input.u64()?);
        let loss_generation = input.u32()?;
        let sessions = Vec::new();
        let head =
            SnapshotHead { partition, position, replay_from, hlc, loss_generation, sessions };
        let (sessions_bytes, sessions_crc) = (input.u32()?, input.u32()?);
        input.take(8)?;
        let header =
            Header { format, minor, storage, codec, flags, head, sessions_bytes, sessions_crc };
        (input.u32()? == crc32c::crc32c(fields)).then_some(header)
    }

    /// Whether this version can read what follows.
    pub(crate) fn is_known(&self) -> bool {
        is_known_format(self.format, self.minor) && self.codec == CODEC_LZ4 && self.flags == 0
    }
}

/// What stands before the bytes of a block.
///
/// | bytes | field | |
/// |---|---|---|
/// | 4 | length | of the records' bytes |
/// | 4 | stored length | of the compressed bytes that follow |
/// | 4 | records | how many |
/// | 4 | crc | CRC32C of the twelve bytes above and the compressed bytes |
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockHeader {
    pub(crate) bytes: u32,
    pub(crate) stored: u32,
    pub(crate) records: u32,
    pub(crate) crc: u32,
}

impl BlockHeader {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let (bytes, stored, records) = (input.u32()?, input.u32()?, input.u32()?);
        Some(BlockHeader { bytes, stored, records, crc: input.u32()? })
    }
}

/// The end of a snapshot. What has no whole footer is not a snapshot.
///
/// | bytes | field | |
/// |---|---|---|
/// | 4 | magic | `SEND` |
/// | 4 | blocks | how many |
/// | 8 | records | how many |
/// | 8 | bytes | of records |
/// | 8 | complete epoch | of the entry that the log must reach for the snapshot to be valid |
/// | 8 | complete seq | of that entry |
/// | 4 | crc | CRC32C of all bytes of the file above |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) blocks: u32,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) complete_at: LogPosition,
}

impl Footer {
    /// The footer's bytes, without the crc.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FOOTER_MAGIC.to_vec();
        out.extend_from_slice(&self.blocks.to_le_bytes());
        for word in [self.records, self.bytes, self.complete_at.epoch.0, self.complete_at.seq] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// The footer in these bytes, and the crc of the whole file.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, u32)> {
        let mut input = Input(bytes);
        if input.take(4)? != FOOTER_MAGIC {
            return None;
        }
        let blocks = input.u32()?;
        let (records, bytes) = (input.u64()?, input.u64()?);
        let complete_at = LogPosition::new(input.u64()?, input.u64()?);
        Some((Footer { blocks, records, bytes, complete_at }, input.u32()?))
    }
}

/// A snapshot on disk, all of whose bytes are what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its path.
    pub path: String,
    /// Whose data.
    pub partition: PartitionId,
    /// All entries up to here are in the data.
    pub position: LogPosition,
    /// From where the log is replayed.
    pub replay_from: Place,
    /// The data may hold what entries up to here changed.
    pub complete_at: LogPosition,
    /// The hybrid clock at the position.
    pub hlc: Hlc,
    /// How often the history was declared lost.
    pub loss_generation: u32,
    /// How many blocks.
    pub blocks: u32,
    /// How many records.
    pub records: u64,
    /// Bytes of the records.
    pub bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

#[cfg(test)]
#[path = "snapshot_test.rs"]
mod tests;
