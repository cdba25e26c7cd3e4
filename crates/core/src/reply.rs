//! [`Reply`]: what a partition answers. It borrows from the record table under the partition's lock (on the server) or
//! from the received frame (on the client), so that a value is copied once on its way.

use crate::error::Error;
use crate::id::{Timestamp, Version};
use crate::op::Moment;

/// A value with its version and expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The value.
    pub value: &'a [u8],
    /// The version of the record.
    pub version: Version,
    /// When the record expires, if it does.
    pub expires_at: Option<Timestamp>,
}

/// One entry of a scan's page. The value is empty when the scan did not ask for values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageEntry<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Value, version and expiry.
    pub entry: Entry<'a>,
}

/// A page of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page<'a> {
    /// Where the next page begins; `None` when the partition is done.
    pub next: Option<u64>,
    /// The state that the next page shows, if it is kept.
    pub at: Option<Moment>,
    /// The entries found.
    pub entries: Vec<PageEntry<'a>>,
}

/// A page of what an index has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought<'a> {
    /// Where the next page begins; `None` when there is no more.
    pub next: Option<&'a [u8]>,
    /// The state that the next page shows, if it is kept.
    pub at: Option<Moment>,
    /// The entries found.
    pub entries: Vec<PageEntry<'a>>,
}

/// The answer to one operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<'a> {
    /// There is no such key (get, delete, expire, if-present).
    Missing,
    /// The value of a get.
    Found(Entry<'a>),
    /// Yes or no (exists, touch).
    Flag(bool),
    /// The write happened; this is its version, and the old entry if it was asked for and there was one.
    Written {
        /// The version of the record now.
        version: Version,
        /// What was there before.
        old: Option<Entry<'a>>,
    },
    /// The condition did not hold; nothing was written. This is what stands there.
    Conflict {
        /// The present entry.
        current: Option<Entry<'a>>,
    },
    /// The key was removed.
    Deleted {
        /// The version of the removal.
        version: Version,
        /// What was there before.
        old: Option<Entry<'a>>,
    },
    /// The integer after an increment, or the length after an append.
    Integer {
        /// The number.
        value: i64,
        /// The version of the record now.
        version: Version,
    },
    /// The number after a floating-point increment.
    Float {
        /// The number.
        value: f64,
        /// The version of the record now.
        version: Version,
    },
    /// A count (len, clear).
    Count(u64),
    /// A page of a scan.
    Page(Page<'a>),
    /// A page of what an index has.
    Sought(Sought<'a>),
    /// The operation failed.
    Failed(Error),
}
