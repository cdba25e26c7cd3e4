//! [`OwnedReply`]: an answer that has to wait, with all it shows.

use isogrid_core::{Entry, Error, Page, PageEntry, Reply, Timestamp, Version};

/// A reply that borrows nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OwnedReply {
    Missing,
    Found(OwnedRecord),
    Flag(bool),
    Written(Version, Option<OwnedRecord>),
    Conflict(Option<OwnedRecord>),
    Deleted(Version, Option<OwnedRecord>),
    Integer(i64, Version),
    Float(f64, Version),
    Count(u64),
    Page(Option<u64>, Vec<(Box<[u8]>, OwnedRecord)>),
    Failed(Box<Error>),
}

/// A record that borrows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedRecord {
    value: Box<[u8]>,
    version: Version,
    expires_at: Option<Timestamp>,
}

impl OwnedRecord {
    fn of(entry: Entry<'_>) -> Self {
        let Entry { value, version, expires_at } = entry;
        OwnedRecord { value: value.into(), version, expires_at }
    }

    fn entry(&self) -> Entry<'_> {
        Entry { value: &self.value, version: self.version, expires_at: self.expires_at }
    }
}

impl OwnedReply {
    /// Keeps a reply.
    #[inline]
    pub(crate) fn of(reply: &Reply<'_>) -> Self {
        let record = |entry: &Option<Entry<'_>>| entry.map(OwnedRecord::of);
        match reply {
            Reply::Missing => OwnedReply::Missing,
            Reply::Found(entry) => OwnedReply::Found(OwnedRecord::of(*entry)),
            Reply::Flag(flag) => OwnedReply::Flag(*flag),
            Reply::Written { version, old } => OwnedReply::Written(*version, record(old)),
            Reply::Conflict { current } => OwnedReply::Conflict(record(current)),
            Reply::Deleted { version, old } => OwnedReply::Deleted(*version, record(old)),
            Reply::Integer { value, version } => OwnedReply::Integer(*value, *version),
            Reply::Float { value, version } => OwnedReply::Float(*value, *version),
            Reply::Count(count) => OwnedReply::Count(*count),
            Reply::Page(page) => {
                let own = |entry: &PageEntry<'_>| (entry.key.into(), OwnedRecord::of(entry.entry));
                OwnedReply::Page(page.next, page.entries.iter().map(own).collect())
            }
            Reply::Failed(error) => OwnedReply::Failed(Box::new(error.clone())),
        }
    }

    /// The reply again.
    pub(crate) fn reply<'s>(&'s self) -> Reply<'s> {
        match self {
            OwnedReply::Missing => Reply::Missing,
            OwnedReply::Found(record) => Reply::Found(record.entry()),
            OwnedReply::Flag(flag) => Reply::Flag(*flag),
            OwnedReply::Written(version, old) => {
                Reply::Written { version: *version, old: old.as_ref().map(OwnedRecord::entry) }
            }
            OwnedReply::Conflict(current) => {
                Reply::Conflict { current: current.as_ref().map(OwnedRecord::entry) }
            }
            OwnedReply::Deleted(version, old) => {
                Reply::Deleted { version: *version, old: old.as_ref().map(OwnedRecord::entry) }
            }
            OwnedReply::Integer(value, version) => {
                Reply::Integer { value: *value, version: *version }
            }
            OwnedReply::Float(value, version) => Reply::Float { value: *value, version: *version },
            OwnedReply::Count(count) => Reply::Count(*count),
            OwnedReply::Page(next, entries) => {
                let borrow = |(key, record): &'s (Box<[u8]>, OwnedRecord)| PageEntry {
                    key,
                    entry: record.entry(),
                };
                Reply::Page(Page { next: *next, entries: entries.iter().map(borrow).collect() })
            }
            OwnedReply::Failed(error) => Reply::Failed((**error).clone()),
        }
    }
}
