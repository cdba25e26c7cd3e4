//! [`Unwritten`]: what a window of steps left for the log.

use isogrid_core::{LogPosition, PartitionId};
use isogrid_wal::Record;

/// A part of the log of one partition, or that it begins anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) partition: PartitionId,
    /// What was written before.
    pub(crate) before: LogPosition,
    pub(crate) what: What,
}

/// What is to be written of a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// What stands there is void.
    Reset {
        /// What it was void for before.
        before: u32,
    },
    /// Entries, which are these of the bytes.
    Entries {
        first: LogPosition,
        last: LogPosition,
        begin: usize,
        end: usize,
        /// Whether they count only when they are synced.
        must_sync: bool,
    },
}

/// What a window of steps left for the log.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    pub(crate) bytes: Vec<u8>,
    pub(crate) parts: Vec<Part>,
}

impl Unwritten {
    /// As the log takes it.
    pub(super) fn records(&self) -> Vec<Record<'_>> {
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
