//! [`Segment`]: a buffer of encoded entries that follow each other, with the offset of each. Segments are filled, read in
//! runs, dropped whole and used again.

use isogrid_core::Hlc;
use isogrid_store::prefetch_end;

use crate::entry::hlc_at;

/// Encoded entries in one buffer.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// The number of the first entry in the buffer.
    pub(super) first: u64,
    /// Bytes appended to the log before this segment: the scale on which distances are measured.
    pub(super) start: u64,
    /// When the newest entry was made.
    pub(super) newest: Hlc,
    /// The entries, one after the other.
    pub(super) bytes: Vec<u8>,
    /// Where in the buffer each entry begins.
    offsets: Vec<u32>,
}

impl Segment {
    /// How many entries there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// The number of the last entry; a segment in the log is never empty.
    #[inline]
    pub(super) fn last(&self) -> u64 {
        self.first + self.offsets.len() as u64 - 1
    }

    /// The memory that the buffers take.
    pub(super) fn allocated(&self) -> usize {
        self.bytes.capacity() + self.offsets.capacity() * size_of::<u32>()
    }

    /// Makes the buffer ready for entries from `first` on.
    pub(super) fn begin(&mut self, first: u64, start: u64) {
        self.bytes.clear();
        self.offsets.clear();
        self.first = first;
        self.start = start;
    }

    /// Notes that an entry is about to be written at the end of the buffer.
    #[inline]
    pub(super) fn open_entry(&mut self, hlc: Hlc) {
        self.offsets.push(u32::try_from(self.bytes.len()).expect("a segment is small"));
        self.newest = hlc;
    }

    /// Asks for where the next entry will be written.
    #[inline]
    pub(super) fn prefetch_end(&self) {
        prefetch_end(&self.bytes);
        prefetch_end(&self.offsets);
    }

    /// Where the entry with this index begins; the end of the buffer for the index after the last.
    #[inline]
    pub(super) fn offset(&self, index: usize) -> usize {
        self.offsets.get(index).map_or(self.bytes.len(), |offset| *offset as usize)
    }

    /// The bytes of the entry with this index.
    #[inline]
    pub(super) fn entry(&self, index: usize) -> &[u8] {
        &self.bytes[self.offset(index)..self.offset(index + 1)]
    }

    /// How many entries of `from..to` fit into `bytes_max`.
    pub(super) fn fitting(&self, from: usize, to: usize, bytes_max: usize) -> usize {
        let start = self.offset(from);
        if self.offset(to) - start <= bytes_max {
            return to - from;
        }
        self.offsets[from + 1..to].partition_point(|end| *end as usize - start <= bytes_max)
    }

    /// Keeps only the first `len` entries, and at least one.
    pub(super) fn truncate(&mut self, len: usize) {
        let end = self.offset(len);
        self.bytes.truncate(end);
        self.offsets.truncate(len);
        self.newest = hlc_at(self.entry(len - 1));
    }
}
