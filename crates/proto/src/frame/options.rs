//! What can be asked about an operation beside the operation itself: its request number, how certain a read must be, and
//! how new. Most operations of most frames have none of it, and pay nothing for it.
//!
//! ```text
//! ext u8 · [number u64 · ahead u16] · [staleness_ms u32] · [epoch u64 · seq u64 · loss_generation u32]
//! ```
//!
//! Bits of `ext`: 0 a request number, 1–2 the read mode, 3 a staleness bound, 4 a position.

use bytes::{BufMut, BytesMut};
use isogrid_core::{Error, ErrorCode, LogPosition, Receipt, RequestId, Result, SessionId};

use super::reader::{Reader, malformed};

const TAG: u8 = 1;
const MODE_SHIFT: u8 = 1;
const STALENESS: u8 = 1 << 3;
const AT_LEAST: u8 = 1 << 4;
const KNOWN: u8 = 0b1_1111;

/// The number of a write within its session and partition, and how far behind it the oldest unanswered one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteTag {
    /// The number; from one.
    pub number: u64,
    /// The number minus the smallest that the client still waits for.
    pub ahead: u16,
}

impl WriteTag {
    /// The smallest number that the client still waits for.
    pub fn first_incomplete(self) -> u64 {
        self.number.saturating_sub(u64::from(self.ahead))
    }

    /// The name of the request.
    pub fn request(self, session: SessionId) -> RequestId {
        RequestId { session, number: self.number }
    }
}

/// Which replicas may answer a read, and how certain the answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// The primary, under its lease: linearizable.
    Lease,
    /// The primary, after it has asked the in-sync replicas: linearizable, whatever the clocks do.
    Confirmed,
    /// Any in-sync replica that is not further behind than this.
    Backup {
        /// The most milliseconds.
        staleness_ms: u32,
    },
    /// Any replica, whatever it has.
    Any,
}

/// A position that the answer to a read must not be older than.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtLeast {
    /// The position in the partition's log.
    pub position: LogPosition,
    /// The loss generation of that log.
    pub loss_generation: u32,
}

impl From<&Receipt> for AtLeast {
    fn from(receipt: &Receipt) -> Self {
        AtLeast { position: receipt.position, loss_generation: receipt.loss_generation }
    }
}

/// What comes with an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpOptions {
    /// For writes: the name under which a retry is recognised, within the frame's session.
    pub tag: Option<WriteTag>,
    /// For reads; `None` for the map's default.
    pub mode: Option<ReadMode>,
    /// For reads: how new the answer must be at least.
    pub at_least: Option<AtLeast>,
}

impl OpOptions {
    /// Nothing special.
    pub const NONE: OpOptions = OpOptions { tag: None, mode: None, at_least: None };

    /// Options with this tag alone.
    pub fn tagged(number: u64, ahead: u16) -> Self {
        OpOptions { tag: Some(WriteTag { number, ahead }), ..OpOptions::NONE }
    }

    /// Whether there is nothing to write.
    #[inline]
    pub fn is_none(&self) -> bool {
        self.tag.is_none() && self.mode.is_none() && self.at_least.is_none()
    }
}

#[inline]
pub(super) fn encode(options: &OpOptions, out: &mut BytesMut) {
    let mode = match options.mode {
        None => 0,
        Some(ReadMode::Lease) => 1 << MODE_SHIFT,
        Some(ReadMode::Confirmed) => 2 << MODE_SHIFT,
        Some(ReadMode::Backup { .. }) => (3 << MODE_SHIFT) | STALENESS,
        Some(ReadMode::Any) => 3 << MODE_SHIFT,
    };
    let tag = if options.tag.is_some() { TAG } else { 0 };
    let at_least = if options.at_least.is_some() { AT_LEAST } else { 0 };
    out.put_u8(tag | mode | at_least);
    if let Some(tag) = options.tag {
        out.put_u64_le(tag.number);
        out.put_u16_le(tag.ahead);
    }
    if let Some(ReadMode::Backup { staleness_ms }) = options.mode {
        out.put_u32_le(staleness_ms);
    }
    if let Some(at_least) = &options.at_least {
        out.put_u64_le(at_least.position.epoch.0);
        out.put_u64_le(at_least.position.seq);
        out.put_u32_le(at_least.loss_generation);
    }
}

#[inline]
pub(super) fn decode(reader: &mut Reader<'_>) -> Result<OpOptions> {
    let ext = reader.u8()?;
    if ext & !KNOWN != 0 {
        let detail = format!("operation extension {ext:#04x}");
        return Err(Error::new(ErrorCode::ProtocolUnknown, detail));
    }
    let tag = match ext & TAG {
        0 => None,
        _ => Some(WriteTag { number: reader.u64()?, ahead: reader.u16()? }),
    };
    if tag.is_some_and(|tag| tag.number == 0 || u64::from(tag.ahead) >= tag.number) {
        return Err(malformed("a request number out of order"));
    }
    let mode = match ((ext >> MODE_SHIFT) & 3, ext & STALENESS != 0) {
        (0, false) => None,
        (1, false) => Some(ReadMode::Lease),
        (2, false) => Some(ReadMode::Confirmed),
        (3, true) => Some(ReadMode::Backup { staleness_ms: reader.u32()? }),
        (3, false) => Some(ReadMode::Any),
        _ => return Err(malformed("a staleness bound without a read that has one")),
    };
    let at_least = match ext & AT_LEAST {
        0 => None,
        _ => Some(AtLeast {
            position: LogPosition::new(reader.u64()?, reader.u64()?),
            loss_generation: reader.u32()?,
        }),
    };
    Ok(OpOptions { tag, mode, at_least })
}
