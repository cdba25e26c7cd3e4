//! The first 48 bytes of every frame. All numbers are little-endian.
//!
//! | offset | width | request | reply |
//! |---|---|---|---|
//! | 0 | 1 | magic `0x49` | magic `0x69` |
//! | 1 | 1 | version | version |
//! | 2 | 1 | header length: a later version may add fields behind these | the same |
//! | 3 | 1 | flags, zero | flags, zero |
//! | 4 | 4 | frame id, chosen by the client | the id of the request frame |
//! | 8 | 4 | number of operations | number of replies in this frame |
//! | 12 | 4 | deadline in ms from receipt, zero for none | zero |
//! | 16 | 4 | offset of the map dictionary | zero |
//! | 20 | 4 | zero | zero |
//! | 24 | 8 | table version the client routed by | table version of the node |
//! | 32 | 8 | the session of the tagged writes, zero for none | zero |
//! | 40 | 1 | options: bit 0 gateway | zero |
//! | 41 | 7 | the newest hybrid clock that the client has seen, in units of 16 ticks, rounded up; zero for none | the node's |

use isogrid_core::{Error, ErrorCode, Hlc, Result, SessionId, TableVersion};

use super::reader::{Reader, malformed};

/// The newest frame version this library speaks.
pub const FRAME_VERSION: u8 = 2;

/// The length of this version's header.
pub const HEADER_BYTES: usize = 48;

/// The first byte of a request frame.
pub(super) const MAGIC_REQUEST: u8 = 0x49;

/// The first byte of a reply frame.
pub(super) const MAGIC_REPLY: u8 = 0x69;

/// The option of a client that knows no other node: forward what is not yours.
const GATEWAY: u8 = 1;

/// Where the clock stands, to the end of the header.
const AT_CLOCK: usize = 41;
const CLOCK_BYTES: usize = HEADER_BYTES - AT_CLOCK;

/// A header's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) magic: u8,
    pub(super) frame_id: u32,
    pub(super) count: u32,
    pub(super) deadline_ms: u32,
    pub(super) dictionary: u32,
    pub(super) table_version: TableVersion,
    pub(super) session: Option<SessionId>,
    pub(super) is_gateway: bool,
    pub(super) clock: Hlc,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = self.magic;
        bytes[1] = FRAME_VERSION;
        bytes[2] = HEADER_BYTES as u8;
        bytes[4..8].copy_from_slice(&self.frame_id.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.count.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.deadline_ms.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.dictionary.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.table_version.0.to_le_bytes());
        let session = self.session.map_or(0, |session| session.0);
        bytes[32..40].copy_from_slice(&session.to_le_bytes());
        bytes[40] = if self.is_gateway { GATEWAY } else { 0 };
        let clock = self.clock.coarse().0 / Hlc::WIRE_TICKS;
        bytes[AT_CLOCK..].copy_from_slice(&clock.to_le_bytes()[..CLOCK_BYTES]);
        bytes
    }

    /// Reads a header and says where the operations or replies begin.
    pub(super) fn decode(frame: &[u8], magic: u8) -> Result<(Header, usize)> {
        let mut reader = Reader::new(frame);
        let found = reader.u8()?;
        if found != magic {
            return Err(malformed(format!("first byte {found:#04x}, expected {magic:#04x}")));
        }
        let version = reader.u8()?;
        if version != FRAME_VERSION {
            return Err(Error::new(
                ErrorCode::ProtocolUnknown,
                format!("frame version {version}, this side speaks {FRAME_VERSION}"),
            ));
        }
        let length = usize::from(reader.u8()?);
        if length < HEADER_BYTES || length > frame.len() {
            return Err(malformed(format!("header of {length} bytes")));
        }
        let _flags = reader.u8()?;
        let frame_id = reader.u32()?;
        let count = reader.u32()?;
        let deadline_ms = reader.u32()?;
        let dictionary = reader.u32()?;
        let _reserved = reader.u32()?;
        let table_version = TableVersion(reader.u64()?);
        let session = Some(SessionId(reader.u64()?)).filter(|session| session.0 != 0);
        let options = reader.u8()?;
        if options & !GATEWAY != 0 {
            let detail = format!("frame options {options:#04x}");
            return Err(Error::new(ErrorCode::ProtocolUnknown, detail));
        }
        let is_gateway = options & GATEWAY != 0;
        let mut clock = [0; 8];
        clock[..CLOCK_BYTES].copy_from_slice(reader.bytes(CLOCK_BYTES)?);
        let clock = Hlc(u64::from_le_bytes(clock).saturating_mul(Hlc::WIRE_TICKS));
        let header = Header {
            magic,
            frame_id,
            count,
            deadline_ms,
            dictionary,
            table_version,
            session,
            is_gateway,
            clock,
        };
        Ok((header, length))
    }
}
