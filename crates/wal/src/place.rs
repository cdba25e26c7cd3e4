//! [`Place`]: where in the node's log; and the names of files.

use std::fmt;

use isogrid_core::{LogPosition, PartitionId};

/// The folder of the log's segments.
pub const LOG_FOLDER: &str = "log";
/// The folder of snapshots.
pub const SNAPSHOT_FOLDER: &str = "snap";
/// What a snapshot is called while it is being written.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// A place in the node's log: a segment and a byte in it. Places grow with time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The number of the segment, from one.
    pub segment: u64,
    /// The offset in its file.
    pub offset: u64,
}

impl Place {
    /// A place.
    pub fn new(segment: u64, offset: u64) -> Self {
        Place { segment, offset }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

/// The path of a segment.
pub(crate) fn segment_path(number: u64) -> String {
    format!("{LOG_FOLDER}/{number:020}.log")
}

/// The number in a segment's file name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let number = digits.parse().ok()?;
    (number > 0 && format!("{number:020}") == digits).then_some(number)
}

/// The path of a snapshot.
pub(crate) fn snapshot_path(partition: PartitionId, position: LogPosition) -> String {
    format!("{SNAPSHOT_FOLDER}/{}-{}-{}.snap", partition.0, position.epoch.0, position.seq)
}

/// What the name of a snapshot's file says.
pub(crate) fn snapshot_name(name: &str) -> Option<(PartitionId, LogPosition)> {
    let mut parts = name.strip_suffix(".snap")?.split('-');
    let mut number = || parts.next()?.parse::<u64>().ok();
    let partition = PartitionId(u16::try_from(number()?).ok()?);
    let position = LogPosition::new(number()?, number()?);
    let path = snapshot_path(partition, position);
    (path.rsplit('/').next() == Some(name)).then_some((partition, position))
}
