//! What the operations see in a record beyond its parts.

use isogrid_core::{Entry, Timestamp};

use crate::raw::RecordRef;

impl<'a> RecordRef<'a> {
    /// Value, version and expiry, as replies carry them.
    #[inline]
    pub(crate) fn entry(self) -> Entry<'a> {
        Entry { value: self.value(), version: self.version(), expires_at: self.expires_at() }
    }

    /// Whether the record is to be treated as absent.
    #[inline]
    pub(crate) fn is_expired(self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|at| at <= now)
    }
}
