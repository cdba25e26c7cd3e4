//! Reply frames: one reply for each operation of a request frame, in any order, in one frame or in several.
//!
//! A reply is `index u16 · kind u8 · flags u8 · [receipt]` and then, by kind: nothing (missing), an entry (found), the number
//! itself (flag u8, count u64), `version u64 · [entry]` (written, deleted), `[entry]` (conflict), `value u64 · version u64`
//! (integer, float), `next u64 · count u32 · {key_len u16 · key · entry}` (page), `next_len u16 ·
//! next · count u32 · {key_len u16 · key · entry}` (sought), or `code u16 · outcome u8 · length u16 ·
//! detail` (failed). The index is the operation's place in the request frame. An entry is `version u64 · value_len u32 ·
//! [expires u64] · value`. A receipt is `epoch u64 · seq u64 · loss_generation u32 · replicas u8 · receipt flags u8 · lag_ops
//! u32`, and bit 0 of its flags says "on disk". Flags: bit 0 "an entry follows", bit 1 "it expires", bit 2 "the scan goes on
//! at next", bit 7 "a receipt follows". In a page each entry has its own flags byte before its key length.

use bytes::{BufMut, Bytes, BytesMut};
use isogrid_core::{
    Entry, Error, Hlc, Outcome, Receipt, Reply, Result, TableVersion, Timestamp, Version,
};

use super::header::{HEADER_BYTES, Header, MAGIC_REPLY};
use super::reader::{Reader, malformed};
use super::receipt::{put_receipt, read_receipt};
use super::request::OPS_PER_FRAME_MAX;
use crate::status;

mod page;

/// What a reply is. Numbers are frozen.
mod kind {
    pub(super) const MISSING: u8 = 0;
    pub(super) const FOUND: u8 = 1;
    pub(super) const FLAG: u8 = 2;
    pub(super) const WRITTEN: u8 = 3;
    pub(super) const CONFLICT: u8 = 4;
    pub(super) const DELETED: u8 = 5;
    pub(super) const INTEGER: u8 = 6;
    pub(super) const FLOAT: u8 = 7;
    pub(super) const COUNT: u8 = 8;
    pub(super) const PAGE: u8 = 9;
    pub(super) const FAILED: u8 = 10;
    pub(super) const SOUGHT: u8 = 11;
}

const HAS_ENTRY: u8 = 1;
const EXPIRES: u8 = 1 << 1;
const GOES_ON: u8 = 1 << 2;
const OF_STATE: u8 = 1 << 3;
const HAS_RECEIPT: u8 = 1 << 7;

/// The longest error detail that travels; the rest is cut.
const DETAIL_BYTES_MAX: usize = 1_024;

/// Collects replies into a frame. They may come in any order, and a request frame may be answered by several frames.
#[derive(Debug, Default)]
pub struct ReplyWriter {
    /// The frame so far, behind room for a header.
    bytes: BytesMut,
    /// How many replies it holds.
    replies: u32,
    /// The length of the last frame: the next one is likely to need as much.
    last_bytes: usize,
}

impl ReplyWriter {
    /// An empty frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes so far.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The number of replies so far.
    pub fn replies(&self) -> usize {
        self.replies as usize
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.replies == 0
    }

    /// Adds the reply to the next operation, where all are answered in order.
    #[inline]
    pub fn push(&mut self, reply: &Reply<'_>) {
        self.put(self.replies(), reply);
    }

    /// Adds the reply to the operation with this index. Says how many bytes there are by now.
    #[inline]
    pub fn put(&mut self, index: usize, reply: &Reply<'_>) -> usize {
        self.put_any(index, reply, None)
    }

    /// Adds the reply to a write, with its receipt. Says how many bytes there are by now.
    #[inline]
    pub fn put_with_receipt(
        &mut self,
        index: usize,
        reply: &Reply<'_>,
        receipt: &Receipt,
    ) -> usize {
        self.put_any(index, reply, Some(receipt))
    }

    #[inline]
    fn put_any(&mut self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>) -> usize {
        debug_assert!(index < OPS_PER_FRAME_MAX, "a frame has no operation {index}");
        if self.bytes.is_empty() {
            self.bytes.reserve(self.last_bytes);
            self.bytes.put_bytes(0, HEADER_BYTES);
        }
        encode(Front { index: index as u16, receipt }, reply, &mut self.bytes);
        self.replies += 1;
        self.bytes.len()
    }

    /// Ends the frame and hands over what came so far; the writer is empty again. `clock` is not behind anything that the
    /// replies show.
    pub fn finish(&mut self, frame_id: u32, table_version: TableVersion, clock: Hlc) -> Bytes {
        self.last_bytes = self.bytes.len();
        if self.bytes.is_empty() {
            self.bytes.put_bytes(0, HEADER_BYTES);
        }
        let header = Header {
            magic: MAGIC_REPLY,
            frame_id,
            count: self.replies,
            deadline_ms: 0,
            dictionary: 0,
            table_version,
            session: None,
            is_gateway: false,
            clock,
        };
        self.bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        self.replies = 0;
        self.bytes.split().freeze()
    }
}

/// What stands before every reply.
#[derive(Clone, Copy)]
struct Front<'a> {
    index: u16,
    receipt: Option<&'a Receipt>,
}

impl Front<'_> {
    #[inline]
    fn write(&self, kind: u8, flags: u8, out: &mut BytesMut) {
        let [low, high] = self.index.to_le_bytes();
        match self.receipt {
            None => out.put_slice(&[low, high, kind, flags]),
            Some(receipt) => {
                out.put_slice(&[low, high, kind, flags | HAS_RECEIPT]);
                put_receipt(receipt, out);
            }
        }
    }
}

fn entry_flags(entry: &Entry<'_>) -> u8 {
    HAS_ENTRY | if entry.expires_at.is_some() { EXPIRES } else { 0 }
}

#[inline]
fn put_entry(entry: &Entry<'_>, out: &mut BytesMut) {
    out.reserve(20 + entry.value.len());
    out.put_u64_le(entry.version.0);
    out.put_u32_le(entry.value.len() as u32);
    if let Some(at) = entry.expires_at {
        out.put_u64_le(at.0);
    }
    out.put_slice(entry.value);
}

fn put_change(
    (front, kind): (Front<'_>, u8),
    version: Version,
    old: Option<&Entry<'_>>,
    out: &mut BytesMut,
) {
    front.write(kind, old.map_or(0, entry_flags), out);
    out.put_u64_le(version.0);
    if let Some(old) = old {
        put_entry(old, out);
    }
}

#[inline]
fn encode(front: Front<'_>, reply: &Reply<'_>, out: &mut BytesMut) {
    match reply {
        Reply::Missing => front.write(kind::MISSING, 0, out),
        Reply::Found(entry) => {
            front.write(kind::FOUND, entry_flags(entry), out);
            put_entry(entry, out);
        }
        Reply::Flag(flag) => {
            front.write(kind::FLAG, 0, out);
            out.put_u8(u8::from(*flag));
        }
        Reply::Written { version, old } => {
            put_change((front, kind::WRITTEN), *version, old.as_ref(), out);
        }
        Reply::Deleted { version, old } => {
            put_change((front, kind::DELETED), *version, old.as_ref(), out);
        }
        Reply::Conflict { current } => {
            front.write(kind::CONFLICT, current.as_ref().map_or(0, entry_flags), out);
            if let Some(current) = current {
                put_entry(current, out);
            }
        }
        Reply::Integer { value, version } => {
            put_number((front, kind::INTEGER), value.cast_unsigned(), *version, out);
        }
        Reply::Float { value, version } => {
            put_number((front, kind::FLOAT), value.to_bits(), *version, out);
        }
        Reply::Count(count) => {
            front.write(kind::COUNT, 0, out);
            out.put_u64_le(*count);
        }
        Reply::Page(page) => page::encode_page(front, page, out),
        Reply::Sought(found) => page::encode_sought(front, found, out),
        Reply::Failed(error) => encode_error(front, error, out),
    }
}

fn put_number((front, kind): (Front<'_>, u8), number: u64, version: Version, out: &mut BytesMut) {
    front.write(kind, 0, out);
    out.put_u64_le(number);
    out.put_u64_le(version.0);
}

fn encode_error(front: Front<'_>, error: &Error, out: &mut BytesMut) {
    let mut detail = error.detail();
    if detail.len() > DETAIL_BYTES_MAX {
        detail = &detail[..detail.floor_char_boundary(DETAIL_BYTES_MAX)];
    }
    front.write(kind::FAILED, 0, out);
    out.put_u16_le(error.code() as u16);
    out.put_u8(status::outcome_number(error.outcome()));
    out.put_u16_le(detail.len() as u16);
    out.put_slice(detail.as_bytes());
}

/// A reply and what stands before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered<'a> {
    /// The operation's place in the request frame. It is not checked: whoever wrote the frame may have chosen anything.
    pub index: usize,
    /// The reply.
    pub reply: Reply<'a>,
    /// What is known of the safety of a write. Its partition is not on the wire: it is the operation's.
    pub receipt: Option<Receipt>,
}

/// A received reply frame.
#[derive(Clone, Debug)]
pub struct ReplyFrame<'a> {
    /// The request frame this answers.
    pub frame_id: u32,
    /// The newest table version the node knows.
    pub table_version: TableVersion,
    /// The node's hybrid clock: not behind anything that the replies show.
    pub clock: Hlc,
    /// How many replies are in this frame.
    pub replies: usize,
    body: Reader<'a>,
}

impl<'a> ReplyFrame<'a> {
    /// Reads the header of a frame.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (header, body) = Header::decode(bytes, MAGIC_REPLY)?;
        Ok(Self {
            frame_id: header.frame_id,
            table_version: header.table_version,
            clock: header.clock,
            replies: header.count as usize,
            body: Reader::new(&bytes[body..]),
        })
    }

    /// The next reply.
    #[inline]
    pub fn next_reply(&mut self) -> Result<Answered<'a>> {
        decode(&mut self.body)
    }

    /// Checks that nothing is left once all replies were read.
    pub fn finish(&self) -> Result<()> {
        if self.body.is_empty() { Ok(()) } else { Err(malformed("bytes behind the replies")) }
    }
}

#[inline]
fn entry<'a>(flags: u8, reader: &mut Reader<'a>) -> Result<Entry<'a>> {
    let version = Version(reader.u64()?);
    let value_len = reader.u32()? as usize;
    let expires_at = if flags & EXPIRES != 0 { Some(Timestamp(reader.u64()?)) } else { None };
    Ok(Entry { value: reader.bytes(value_len)?, version, expires_at })
}

fn optional_entry<'a>(flags: u8, reader: &mut Reader<'a>) -> Result<Option<Entry<'a>>> {
    if flags & HAS_ENTRY == 0 { Ok(None) } else { entry(flags, reader).map(Some) }
}

#[inline]
fn decode<'a>(reader: &mut Reader<'a>) -> Result<Answered<'a>> {
    let index = usize::from(reader.u16()?);
    let kind = reader.u8()?;
    let flags = reader.u8()?;
    let receipt = if flags & HAS_RECEIPT == 0 { None } else { Some(read_receipt(reader)?) };
    let reply = decode_reply(kind, flags, reader)?;
    Ok(Answered { index, reply, receipt })
}

#[inline]
fn decode_reply<'a>(kind: u8, flags: u8, reader: &mut Reader<'a>) -> Result<Reply<'a>> {
    Ok(match kind {
        kind::MISSING => Reply::Missing,
        kind::FOUND => Reply::Found(entry(flags, reader)?),
        kind::FLAG => Reply::Flag(reader.u8()? != 0),
        kind::WRITTEN => {
            let version = Version(reader.u64()?);
            Reply::Written { version, old: optional_entry(flags, reader)? }
        }
        kind::DELETED => {
            let version = Version(reader.u64()?);
            Reply::Deleted { version, old: optional_entry(flags, reader)? }
        }
        kind::CONFLICT => Reply::Conflict { current: optional_entry(flags, reader)? },
        kind::INTEGER => {
            let value = reader.u64()?.cast_signed();
            Reply::Integer { value, version: Version(reader.u64()?) }
        }
        kind::FLOAT => {
            let value = f64::from_bits(reader.u64()?);
            Reply::Float { value, version: Version(reader.u64()?) }
        }
        kind::COUNT => Reply::Count(reader.u64()?),
        kind::PAGE => Reply::Page(page::decode_page(flags, reader)?),
        kind::SOUGHT => Reply::Sought(page::decode_sought(flags, reader)?),
        kind::FAILED => Reply::Failed(decode_error(reader)?),
        unknown => return Err(malformed(format!("reply kind {unknown}"))),
    })
}

fn decode_error(reader: &mut Reader<'_>) -> Result<Error> {
    let code = reader.u16()?;
    let outcome: Outcome = status::outcome_from_number(reader.u8()?);
    let length = usize::from(reader.u16()?);
    let detail = String::from_utf8_lossy(reader.bytes(length)?);
    Ok(status::error_from_parts(u32::from(code), outcome, &detail))
}
