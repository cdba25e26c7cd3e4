//! Pages: those of scans, and what indexes have.

use bytes::{BufMut, BytesMut};
use isogrid_core::{Moment, Page, PageEntry, Result, Sought, Version};

use super::super::reader::Reader;
use super::{Front, GOES_ON, OF_STATE, entry, entry_flags, kind, put_entry};

pub(super) fn encode_page(front: Front<'_>, page: &Page<'_>, out: &mut BytesMut) {
    front.write(kind::PAGE, flags(page.next.is_some(), page.at), out);
    out.put_u64_le(page.next.unwrap_or(0));
    put_moment(page.at, out);
    put_entries(&page.entries, out);
}

pub(super) fn encode_sought(front: Front<'_>, found: &Sought<'_>, out: &mut BytesMut) {
    front.write(kind::SOUGHT, flags(found.next.is_some(), found.at), out);
    let next = found.next.unwrap_or_default();
    out.put_u16_le(next.len() as u16);
    out.put_slice(next);
    put_moment(found.at, out);
    put_entries(&found.entries, out);
}

fn flags(goes_on: bool, at: Option<Moment>) -> u8 {
    (if goes_on { GOES_ON } else { 0 }) | (if at.is_some() { OF_STATE } else { 0 })
}

fn put_moment(at: Option<Moment>, out: &mut BytesMut) {
    if let Some(moment) = at {
        out.put_u64_le(moment.version.0);
        out.put_u64_le(moment.records);
    }
}

fn read_moment(flags: u8, reader: &mut Reader<'_>) -> Result<Option<Moment>> {
    if flags & OF_STATE == 0 {
        return Ok(None);
    }
    Ok(Some(Moment { version: Version(reader.u64()?), records: reader.u64()? }))
}

fn put_entries(entries: &[PageEntry<'_>], out: &mut BytesMut) {
    out.put_u32_le(entries.len() as u32);
    for PageEntry { key, entry } in entries {
        out.put_u8(entry_flags(entry));
        out.put_u16_le(key.len() as u16);
        out.put_slice(key);
        put_entry(entry, out);
    }
}

pub(super) fn decode_page<'a>(flags: u8, reader: &mut Reader<'a>) -> Result<Page<'a>> {
    let next = reader.u64()?;
    let next = (flags & GOES_ON != 0).then_some(next);
    Ok(Page { next, at: read_moment(flags, reader)?, entries: read_entries(reader)? })
}

pub(super) fn decode_sought<'a>(flags: u8, reader: &mut Reader<'a>) -> Result<Sought<'a>> {
    let next_len = usize::from(reader.u16()?);
    let next = reader.bytes(next_len)?;
    let next = (flags & GOES_ON != 0).then_some(next);
    Ok(Sought { next, at: read_moment(flags, reader)?, entries: read_entries(reader)? })
}

fn read_entries<'a>(reader: &mut Reader<'a>) -> Result<Vec<PageEntry<'a>>> {
    let count = reader.u32()?;
    // Not `with_capacity(count)`: the count is untrusted, the entries that follow are real.
    let mut entries = Vec::new();
    for _ in 0..count {
        let flags = reader.u8()?;
        let key_len = usize::from(reader.u16()?);
        let key = reader.bytes(key_len)?;
        entries.push(PageEntry { key, entry: entry(flags, reader)? });
    }
    Ok(entries)
}
