//! What a request carries beside its operation.

use isogrid_core::{LogPosition, Timestamp};
use isogrid_replica::entry::Tag;
use isogrid_replica::{ReadMode, Request};

/// What is asked beside the operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// For writes: the name under which a retry is recognised.
    pub(crate) tag: Option<Tag>,
    /// For reads.
    pub(crate) mode: ReadMode,
    /// For reads: the answer must not be older.
    pub(crate) at_least: Option<LogPosition>,
    /// From when on the client no longer waits.
    pub(crate) deadline: Option<Timestamp>,
}

impl Asked {
    /// What a request asks.
    #[inline]
    pub(crate) fn of(request: &Request<'_>) -> Self {
        Asked {
            tag: request.tag,
            mode: request.mode,
            at_least: request.at_least,
            deadline: request.deadline,
        }
    }

    /// Asks it of a request.
    #[inline]
    pub(crate) fn apply(self, request: &mut Request<'_>) {
        request.tag = self.tag;
        request.mode = self.mode;
        request.at_least = self.at_least;
        request.deadline = self.deadline;
    }
}
