//! [`Walk`]: goes through one segment, record by record, and says where bytes are not what was written.

use std::io;

use crate::disk::DiskFile;
use crate::record::{KIND_MAX, RECORD_HEADER_BYTES, Record, RecordHeader};
use crate::segment::SEGMENT_HEADER_BYTES;

/// How much is read in one go.
const READ_BYTES: usize = 1 << 20;

/// A way through one segment.
pub(crate) struct Walk<F> {
    file: F,
    seed: u32,
    offset: u64,
    /// Where the records should end.
    end: u64,
    /// Where the file's bytes end, at most `end`.
    available: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

/// What stands at an offset.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A record.
    Record {
        /// Where.
        offset: u64,
        /// Where it ends.
        next: u64,
        /// Its header.
        header: RecordHeader,
        /// The record.
        record: Record<'a>,
    },
    /// A record that a newer version wrote.
    Unknown {
        /// Its header.
        header: RecordHeader,
    },
    /// A record with a good header and another body than was written.
    BadBody {
        /// Where.
        offset: u64,
        /// Its header.
        header: RecordHeader,
        /// What is wrong.
        why: &'static str,
    },
    /// Bytes that are no record.
    Lost {
        /// Where.
        offset: u64,
        /// What is wrong.
        why: &'static str,
        /// Whether they may be the beginning of a write that did not get through: the rest is not there.
        is_short: bool,
    },
}

impl<F: DiskFile> Walk<F> {
    /// A way through a segment up to where its records should end.
    pub(crate) fn new(file: F, seed: u32, end: u64, has_header: bool) -> io::Result<Self> {
        let available = file.length()?.min(end);
        let offset = if has_header { SEGMENT_HEADER_BYTES as u64 } else { 0 };
        Ok(Walk { file, seed, offset, end, available, buffer: Vec::new(), buffer_at: 0 })
    }

    /// What comes next; bodies of records that are not wanted are not looked at, and they are not told.
    pub(crate) fn next(
        &mut self,
        wants: &dyn Fn(&RecordHeader) -> bool,
    ) -> io::Result<Option<Step<'_>>> {
        loop {
            let offset = self.offset;
            if offset >= self.available {
                return Ok(self.missing_end());
            }
            let held = self.load(offset, RECORD_HEADER_BYTES)?;
            let Some(header) = RecordHeader::decode(self.seed, offset, self.bytes(offset, held))
            else {
                return self.lost(offset).map(Some);
            };
            let body_at = offset + RECORD_HEADER_BYTES as u64;
            let next = body_at + u64::from(header.body_bytes);
            self.offset = next;
            if next > self.available {
                // What followed cannot be known either.
                self.offset = self.available;
                let why = "a record ends too early";
                return Ok(Some(Step::Lost { offset, why, is_short: true }));
            }
            if !header.is_known() {
                return Ok(Some(Step::Unknown { header }));
            }
            if !wants(&header) {
                continue;
            }
            self.load(body_at, header.body_bytes as usize)?;
            let body = self.bytes(body_at, header.body_bytes as usize);
            let why = if crc32c::crc32c(body) != header.body_crc {
                "the record's bytes do not match its checksum"
            } else if let Some(record) = Record::decode(&header, body) {
                return Ok(Some(Step::Record { offset, next, header, record }));
            } else {
                "the record breaks a rule of the format"
            };
            return Ok(Some(Step::BadBody { offset, header, why }));
        }
    }

    /// The file ends before its records should: told once.
    fn missing_end(&mut self) -> Option<Step<'static>> {
        let is_short = self.available < self.end;
        self.end = self.available;
        let why = "the segment is shorter than it was";
        is_short.then_some(Step::Lost { offset: self.available, why, is_short })
    }

    /// Looks for the next record behind bytes that are none.
    fn lost(&mut self, offset: u64) -> io::Result<Step<'static>> {
        let mut next = None;
        for at in offset + 1.. {
            let held = self.load(at, RECORD_HEADER_BYTES)?;
            if held < RECORD_HEADER_BYTES {
                break;
            }
            let bytes = self.bytes(at, held);
            // Cheap first: every offset is tried.
            let may_be = (1..=KIND_MAX).contains(&bytes[6]) && bytes[7] == 0;
            if may_be && RecordHeader::decode(self.seed, at, bytes).is_some() {
                next = Some(at);
                break;
            }
        }
        self.offset = next.unwrap_or(self.available);
        let why = match offset {
            0 => "the segment's header does not match its checksum",
            _ => "the record's header does not match its checksum",
        };
        let is_short = self.available - offset < RECORD_HEADER_BYTES as u64;
        Ok(Step::Lost { offset, why, is_short })
    }

    /// Makes sure that bytes are in the buffer; says how many of them there are.
    fn load(&mut self, offset: u64, count: usize) -> io::Result<usize> {
        let there = self.available.saturating_sub(offset).min(count as u64) as usize;
        let buffered = self.buffer_at..self.buffer_at + self.buffer.len() as u64;
        if !(buffered.start <= offset && offset + there as u64 <= buffered.end) {
            let wanted = (self.available - offset).min(there.max(READ_BYTES) as u64) as usize;
            self.buffer.resize(wanted, 0);
            self.buffer_at = offset;
            let read = self.file.read_at(offset, &mut self.buffer)?;
            self.buffer.truncate(read);
            if read < there {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was read",
                ));
            }
        }
        Ok(there)
    }

    fn bytes(&self, offset: u64, count: usize) -> &[u8] {
        let start = (offset - self.buffer_at) as usize;
        &self.buffer[start..start + count]
    }
}

/// The first bytes of a file, at most so many.
pub(crate) fn first_bytes<F: DiskFile>(file: &F, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}
