//! Pages as operations: scans and seeks, of what is there now and of one state.

use bytes::{BufMut, BytesMut};
use isogrid_core::{Moment, Result, Scan, Seek, Version, View};

use super::super::reader::{Reader, malformed};
use super::{Place, Start, WITH_VALUES, encode_partition, opcode};

pub(super) fn encode_scan(place: Place<'_>, scan: &Scan<'_>, out: &mut BytesMut) {
    let flags = if scan.with_values { WITH_VALUES } else { 0 };
    let opcode = match (scan.view, scan.filter) {
        (View::Latest, []) => opcode::SCAN,
        (View::Latest, _) => opcode::SCAN_FILTERED,
        _ => opcode::SCAN_STATE,
    };
    encode_partition((opcode, flags), place, scan.partition, out);
    out.put_u64_le(scan.cursor);
    out.put_u32_le(scan.entries_max);
    out.put_u16_le(scan.prefix.len() as u16);
    out.put_u16_le(scan.glob.len() as u16);
    out.put_slice(scan.prefix);
    out.put_slice(scan.glob);
    if opcode != opcode::SCAN {
        out.put_u32_le(scan.filter.len() as u32);
        out.put_slice(scan.filter);
    }
    put_view(scan.view, out);
}

/// Nothing for the present state: its operations have codes of their own.
fn put_view(view: View, out: &mut BytesMut) {
    let (number, moment) = match view {
        View::Latest => return,
        View::Begin => (0, Moment::default()),
        View::At(moment) => (1, moment),
        View::Done(moment) => (2, moment),
    };
    out.put_u8(number);
    out.put_u64_le(moment.version.0);
    out.put_u64_le(moment.records);
}

pub(super) fn encode_seek(place: Place<'_>, seek: &Seek<'_>, out: &mut BytesMut) {
    let opcode = if seek.view == View::Latest { opcode::SEEK } else { opcode::SEEK_STATE };
    encode_partition((opcode, 0), place, seek.partition, out);
    out.put_u32_le(seek.entries_max);
    let parts = [seek.index.as_bytes(), seek.from, seek.to];
    parts.iter().for_each(|part| out.put_u16_le(part.len() as u16));
    parts.iter().for_each(|part| out.put_slice(part));
    put_view(seek.view, out);
}

pub(super) fn decode_scan<'a>(start: &Start, reader: &mut Reader<'a>) -> Result<Scan<'a>> {
    let cursor = reader.u64()?;
    let entries_max = reader.u32()?;
    let prefix_len = usize::from(reader.u16()?);
    let glob_len = usize::from(reader.u16()?);
    Ok(Scan {
        partition: start.partition(),
        cursor,
        entries_max,
        prefix: reader.bytes(prefix_len)?,
        glob: reader.bytes(glob_len)?,
        filter: &[],
        with_values: start.flags & WITH_VALUES != 0,
        view: View::Latest,
    })
}

pub(super) fn decode_view(reader: &mut Reader<'_>) -> Result<View> {
    let number = reader.u8()?;
    let moment = Moment { version: Version(reader.u64()?), records: reader.u64()? };
    match number {
        0 => Ok(View::Begin),
        1 => Ok(View::At(moment)),
        2 => Ok(View::Done(moment)),
        _ => Err(malformed("a state is begun, gone on with or done with")),
    }
}

pub(super) fn decode_seek<'a>(start: &Start, reader: &mut Reader<'a>) -> Result<Seek<'a>> {
    let entries_max = reader.u32()?;
    let lens = [reader.u16()?, reader.u16()?, reader.u16()?].map(usize::from);
    let index = std::str::from_utf8(reader.bytes(lens[0])?)
        .map_err(|_| malformed("the name of an index is text"))?;
    let (from, to) = (reader.bytes(lens[1])?, reader.bytes(lens[2])?);
    Ok(Seek { partition: start.partition(), index, from, to, entries_max, view: View::Latest })
}
