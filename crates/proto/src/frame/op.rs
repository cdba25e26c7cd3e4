//! One operation in a request frame.
//!
//! ```text
//! opcode u8 · flags u8 · [extension] · map u8 · key_len u16 · [value_len u32] · [version u64] · [expiry u64]
//!        · [delta u64] · [expected_len u32] · key · [value] · [expected]
//! ```
//!
//! Flags: bits 0–1 the condition, bits 2–3 the expiry, bit 4 "return the old value", bit 5 the number format, bit 6 "an
//! expected value follows", bit 7 "an extension follows" (see `options`). An operation on a partition has the partition's number where `key_len` stands; a scan goes on
//! with `cursor u64 · entries_max u32 · prefix_len u16 · glob_len u16 · prefix · glob`, its flag bit 4 asking for values, and one
//! with a filter, which has a code of its own, then with `filter_len u32 · filter`. A rename has the new key where the value stands. A seek goes on with `entries_max u32 · index_len u16 · from_len u16 · to_len u16 ·
//! index · from · to`. Those of a state that is kept for several pages have codes of their own, always a filter, and end with
//! `view u8 · version u64 · records u64`.

mod pages;

use bytes::{BufMut, BytesMut};
use isogrid_core::{
    Condition, Error, ErrorCode, Expiry, NumberFormat, Op, PartitionId, Result, Scan, Seek,
    Timestamp, Version, View,
};

use super::options::{self, OpOptions};
use super::reader::{Reader, malformed};

/// What an operation does. Numbers are frozen.
mod opcode {
    pub(super) const GET: u8 = 1;
    pub(super) const EXISTS: u8 = 2;
    pub(super) const TOUCH: u8 = 3;
    pub(super) const PUT: u8 = 4;
    pub(super) const DELETE: u8 = 5;
    pub(super) const COMPARE_AND_SET: u8 = 6;
    pub(super) const EXPIRE: u8 = 7;
    pub(super) const INCREMENT: u8 = 8;
    pub(super) const INCREMENT_FLOAT: u8 = 9;
    pub(super) const APPEND: u8 = 10;
    pub(super) const SCAN: u8 = 11;
    pub(super) const LEN: u8 = 12;
    pub(super) const CLEAR: u8 = 13;
    pub(super) const RENAME: u8 = 14;
    pub(super) const SEEK: u8 = 15;
    /// A scan with a filter: nodes that know none refuse it, and do not leave the filter out.
    pub(super) const SCAN_FILTERED: u8 = 16;
    /// Pages of one state.
    pub(super) const SCAN_STATE: u8 = 17;
    pub(super) const SEEK_STATE: u8 = 18;
}

const RETURN_OLD: u8 = 1 << 4;
const WITH_VALUES: u8 = 1 << 4;
const MESSAGE_PACK: u8 = 1 << 5;
const EXPECTED: u8 = 1 << 6;
const EXTENDED: u8 = 1 << 7;

/// Where an operation goes and what comes with it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The index of its map in the frame's dictionary.
    pub(super) map: u8,
    pub(super) options: &'a OpOptions,
}

impl Place<'_> {
    #[inline]
    fn write(&self, opcode: u8, flags: u8, out: &mut BytesMut) {
        if self.options.is_none() {
            out.put_slice(&[opcode, flags, self.map]);
        } else {
            out.put_slice(&[opcode, flags | EXTENDED]);
            options::encode(self.options, out);
            out.put_u8(self.map);
        }
    }
}

fn condition_bits(condition: Condition) -> (u8, Option<u64>) {
    match condition {
        Condition::Always => (0, None),
        Condition::IfAbsent => (1, None),
        Condition::IfPresent => (2, None),
        Condition::IfVersion(version) => (3, Some(version.0)),
    }
}

fn expiry_bits(expiry: Expiry) -> (u8, Option<u64>) {
    match expiry {
        Expiry::Never => (0, None),
        Expiry::Keep => (1 << 2, None),
        Expiry::AfterMs(ms) => (2 << 2, Some(ms)),
        Expiry::At(at) => (3 << 2, Some(at.0)),
    }
}

fn format_bits(format: NumberFormat) -> u8 {
    match format {
        NumberFormat::Text => 0,
        NumberFormat::MessagePack => MESSAGE_PACK,
    }
}

/// The parts of a key operation in the order of the wire.
#[derive(Default)]
struct KeyOp<'a> {
    opcode: u8,
    flags: u8,
    key: &'a [u8],
    value: Option<&'a [u8]>,
    version: Option<u64>,
    expiry: Option<u64>,
    delta: Option<u64>,
    expected: Option<&'a [u8]>,
}

impl KeyOp<'_> {
    #[inline]
    fn write(&self, place: Place<'_>, out: &mut BytesMut) {
        out.reserve(
            96 + self.key.len()
                + self.value.map_or(0, <[u8]>::len)
                + self.expected.map_or(0, <[u8]>::len),
        );
        place.write(self.opcode, self.flags, out);
        out.put_u16_le(self.key.len() as u16);
        if let Some(value) = self.value {
            out.put_u32_le(value.len() as u32);
        }
        for number in [self.version, self.expiry, self.delta].into_iter().flatten() {
            out.put_u64_le(number);
        }
        if let Some(expected) = self.expected {
            out.put_u32_le(expected.len() as u32);
        }
        out.put_slice(self.key);
        for bytes in [self.value, self.expected].into_iter().flatten() {
            out.put_slice(bytes);
        }
    }
}

/// Writes one operation. The caller has checked that the key and value lengths fit their fields.
#[inline]
pub(super) fn encode(place: Place<'_>, op: &Op<'_>, out: &mut BytesMut) {
    match *op {
        Op::Get { key } => KeyOp { opcode: opcode::GET, key, ..KeyOp::default() }.write(place, out),
        Op::Put { key, value, condition, expiry, return_old } => {
            let (condition, version) = condition_bits(condition);
            let (expires, expiry) = expiry_bits(expiry);
            let flags = condition | expires | if return_old { RETURN_OLD } else { 0 };
            KeyOp {
                opcode: opcode::PUT,
                flags,
                key,
                value: Some(value),
                version,
                expiry,
                ..KeyOp::default()
            }
            .write(place, out);
        }
        Op::Scan(scan) => pages::encode_scan(place, &scan, out),
        Op::Seek(seek) => pages::encode_seek(place, &seek, out),
        Op::Len { partition } => encode_partition((opcode::LEN, 0), place, partition, out),
        Op::Clear { partition } => encode_partition((opcode::CLEAR, 0), place, partition, out),
        _ => encode_rare(op).write(place, out),
    }
}

/// The key operations that are not worth a place on the hot path.
fn encode_rare<'a>(op: &Op<'a>) -> KeyOp<'a> {
    match *op {
        Op::Exists { key } => KeyOp { opcode: opcode::EXISTS, key, ..KeyOp::default() },
        Op::Touch { key } => KeyOp { opcode: opcode::TOUCH, key, ..KeyOp::default() },
        Op::Delete { key, condition, return_old } => {
            let (condition, version) = condition_bits(condition);
            let flags = condition | if return_old { RETURN_OLD } else { 0 };
            KeyOp { opcode: opcode::DELETE, flags, key, version, ..KeyOp::default() }
        }
        Op::CompareAndSet { key, expected, value, expiry } => {
            let (expires, expiry) = expiry_bits(expiry);
            let flags = expires | if expected.is_some() { EXPECTED } else { 0 };
            let opcode = opcode::COMPARE_AND_SET;
            KeyOp { opcode, flags, key, value: Some(value), expiry, expected, ..KeyOp::default() }
        }
        Op::Expire { key, expiry } => {
            let (flags, expiry) = expiry_bits(expiry);
            KeyOp { opcode: opcode::EXPIRE, flags, key, expiry, ..KeyOp::default() }
        }
        Op::Increment { key, delta, format, expiry } => {
            let (expires, expiry) = expiry_bits(expiry);
            let flags = expires | format_bits(format);
            let delta = Some(delta.cast_unsigned());
            KeyOp { opcode: opcode::INCREMENT, flags, key, expiry, delta, ..KeyOp::default() }
        }
        Op::IncrementFloat { key, delta, format, expiry } => {
            let (expires, expiry) = expiry_bits(expiry);
            let flags = expires | format_bits(format);
            let delta = Some(delta.to_bits());
            KeyOp { opcode: opcode::INCREMENT_FLOAT, flags, key, expiry, delta, ..KeyOp::default() }
        }
        Op::Append { key, value } => {
            KeyOp { opcode: opcode::APPEND, key, value: Some(value), ..KeyOp::default() }
        }
        Op::Rename { from, to, if_absent } => {
            let condition = if if_absent { Condition::IfAbsent } else { Condition::Always };
            let (flags, _) = condition_bits(condition);
            let opcode = opcode::RENAME;
            KeyOp { opcode, flags, key: from, value: Some(to), ..KeyOp::default() }
        }
        Op::Get { .. }
        | Op::Put { .. }
        | Op::Scan(_)
        | Op::Seek(_)
        | Op::Len { .. }
        | Op::Clear { .. } => {
            unreachable!("encoded by the caller")
        }
    }
}

fn encode_partition(
    (opcode, flags): (u8, u8),
    place: Place<'_>,
    partition: PartitionId,
    out: &mut BytesMut,
) {
    place.write(opcode, flags, out);
    out.put_u16_le(partition.0);
}

/// The flags that open every operation, and the number that stands before its own fields.
struct Start {
    flags: u8,
    number: u16,
}

impl Start {
    fn key<'a>(&self, reader: &mut Reader<'a>) -> Result<&'a [u8]> {
        reader.bytes(usize::from(self.number))
    }

    fn partition(&self) -> PartitionId {
        PartitionId(self.number)
    }

    fn condition(&self, reader: &mut Reader<'_>) -> Result<Condition> {
        Ok(match self.flags & 3 {
            0 => Condition::Always,
            1 => Condition::IfAbsent,
            2 => Condition::IfPresent,
            _ => Condition::IfVersion(Version(reader.u64()?)),
        })
    }

    fn expiry(&self, reader: &mut Reader<'_>) -> Result<Expiry> {
        Ok(match (self.flags >> 2) & 3 {
            0 => Expiry::Never,
            1 => Expiry::Keep,
            2 => Expiry::AfterMs(reader.u64()?),
            _ => Expiry::At(Timestamp(reader.u64()?)),
        })
    }

    fn format(&self) -> NumberFormat {
        if self.flags & MESSAGE_PACK != 0 { NumberFormat::MessagePack } else { NumberFormat::Text }
    }
}

/// Reads one operation, the index of its map in the frame's dictionary, and what comes with it.
#[inline]
pub(super) fn decode<'a>(reader: &mut Reader<'a>) -> Result<(u8, Op<'a>, OpOptions)> {
    let opcode = reader.u8()?;
    let flags = reader.u8()?;
    let options = if flags & EXTENDED == 0 { OpOptions::NONE } else { options::decode(reader)? };
    let map = reader.u8()?;
    let start = Start { flags, number: reader.u16()? };
    let op = match opcode {
        opcode::GET => Op::Get { key: start.key(reader)? },
        opcode::PUT => {
            let value_len = reader.u32()? as usize;
            let condition = start.condition(reader)?;
            let expiry = start.expiry(reader)?;
            let return_old = flags & RETURN_OLD != 0;
            let key = start.key(reader)?;
            Op::Put { key, value: reader.bytes(value_len)?, condition, expiry, return_old }
        }
        _ => decode_rare(opcode, &start, reader)?,
    };
    Ok((map, op, options))
}

fn decode_rare<'a>(opcode: u8, start: &Start, reader: &mut Reader<'a>) -> Result<Op<'a>> {
    Ok(match opcode {
        opcode::EXISTS => Op::Exists { key: start.key(reader)? },
        opcode::TOUCH => Op::Touch { key: start.key(reader)? },
        opcode::DELETE => {
            let condition = start.condition(reader)?;
            let return_old = start.flags & RETURN_OLD != 0;
            Op::Delete { key: start.key(reader)?, condition, return_old }
        }
        opcode::COMPARE_AND_SET => {
            let value_len = reader.u32()? as usize;
            let expiry = start.expiry(reader)?;
            let has_expected = start.flags & EXPECTED != 0;
            let expected_len = if has_expected { Some(reader.u32()? as usize) } else { None };
            let key = start.key(reader)?;
            let value = reader.bytes(value_len)?;
            let expected = expected_len.map(|length| reader.bytes(length)).transpose()?;
            Op::CompareAndSet { key, expected, value, expiry }
        }
        opcode::EXPIRE => {
            let expiry = start.expiry(reader)?;
            Op::Expire { key: start.key(reader)?, expiry }
        }
        opcode::INCREMENT => {
            let expiry = start.expiry(reader)?;
            let delta = reader.u64()?.cast_signed();
            Op::Increment { key: start.key(reader)?, delta, format: start.format(), expiry }
        }
        opcode::INCREMENT_FLOAT => {
            let expiry = start.expiry(reader)?;
            let delta = f64::from_bits(reader.u64()?);
            Op::IncrementFloat { key: start.key(reader)?, delta, format: start.format(), expiry }
        }
        opcode::APPEND => {
            let value_len = reader.u32()? as usize;
            Op::Append { key: start.key(reader)?, value: reader.bytes(value_len)? }
        }
        opcode::RENAME => {
            let to_len = reader.u32()? as usize;
            let if_absent = match start.condition(reader)? {
                Condition::Always => false,
                Condition::IfAbsent => true,
                _ => return Err(malformed("a condition that a rename does not have")),
            };
            let from = start.key(reader)?;
            Op::Rename { from, to: reader.bytes(to_len)?, if_absent }
        }
        opcode::SCAN => Op::Scan(pages::decode_scan(start, reader)?),
        opcode::SEEK => Op::Seek(pages::decode_seek(start, reader)?),
        opcode::SEEK_STATE => {
            let seek = pages::decode_seek(start, reader)?;
            Op::Seek(Seek { view: pages::decode_view(reader)?, ..seek })
        }
        code @ (opcode::SCAN_FILTERED | opcode::SCAN_STATE) => {
            let scan = pages::decode_scan(start, reader)?;
            let filter_len = reader.u32()? as usize;
            let filter = reader.bytes(filter_len)?;
            let is_of_state = code == opcode::SCAN_STATE;
            let view = if is_of_state { pages::decode_view(reader)? } else { View::Latest };
            Op::Scan(Scan { filter, view, ..scan })
        }
        opcode::LEN => Op::Len { partition: start.partition() },
        opcode::CLEAR => Op::Clear { partition: start.partition() },
        unknown => {
            return Err(Error::new(
                ErrorCode::ProtocolUnknown,
                format!("operation code {unknown}"),
            ));
        }
    })
}
