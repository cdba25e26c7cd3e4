//! [`Unwritten`]: what a window of steps left for the log.

use isogrid_core::{LogPosition, PartitionId};
use isogrid_wal::Record;

/// A part of the log of one partition, or that it begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which partition.
    pub partition: PartitionId,
    /// Which of the window's slots it came from.
    pub slot: usize,
    /// What was written before.
    pub before: LogPosition,
    /// What is to be written.
    pub what: What,
}

/// What is to be written of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// What stands there is void.
    Reset {
        /// What it was void for before.
        before: u32,
    },
    /// Entries, which are these of the bytes.
    Entries {
        /// Where the first one stands.
        first: LogPosition,
        /// Where the last one stands.
        last: LogPosition,
        /// Where they begin in the bytes.
        begin: usize,
        /// Where they end there.
        end: usize,
        /// Whether they count only when they are synced.
        must_sync: bool,
    },
}

/// What a window of steps left for the log.
#[derive(Debug, Default)]
pub struct Unwritten {
    /// The entries of all parts.
    pub bytes: Vec<u8>,
    /// Of each partition what is to be written, if something is.
    pub parts: Vec<Part>,
}

impl Unwritten {
    /// Whether nothing is to be written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// As the log takes it.
    pub fn records(&self) -> Vec<Record<'_>> {
        let record = |part: &Part| {
            let partition = part.partition;
            match part.what {
                What::Reset { .. } => Record::Reset { partition },
                What::Entries { first, last, begin, end, .. } => {
                    Record::Entries { partition, first, last, entries: &self.bytes[begin..end] }
                }
            }
        };
        self.parts.iter().map(record).collect()
    }
}
