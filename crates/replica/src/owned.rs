//! [`OwnedReply`]: an answer that has to wait, with all it shows.

use isogrid_core::{Entry, Error, Moment, Page, PageEntry, Reply, Sought, Timestamp, Version};

/// A reply that borrows nothing. Small, because nearly all show no record and every write keeps one until its commit.
#[derive(Clone, Debug, PartialEq)]
// Moved as whole words: a payload that began right behind a one-byte tag would be read back before it is written.
#[repr(C)]
pub(crate) enum OwnedReply {
    Missing,
    Found(Box<OwnedRecord>),
    Flag(bool),
    Written(Version, Option<Box<OwnedRecord>>),
    Conflict(Option<Box<OwnedRecord>>),
    Deleted(Version, Option<Box<OwnedRecord>>),
    Integer(i64, Version),
    Float(f64, Version),
    Count(u64),
    Page(Box<OwnedPage>),
    Sought(Box<OwnedSought>),
    Failed(Box<Error>),
}

/// A record that borrows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedRecord {
    value: Box<[u8]>,
    version: Version,
    expires_at: Option<Timestamp>,
}

/// A page that borrows nothing: where the next one begins, and keys with their records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedPage {
    next: Option<u64>,
    at: Option<Moment>,
    entries: Vec<(Box<[u8]>, OwnedRecord)>,
}

/// The same of what an index has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedSought {
    next: Option<Box<[u8]>>,
    at: Option<Moment>,
    entries: Vec<(Box<[u8]>, OwnedRecord)>,
}

fn own(entry: &PageEntry<'_>) -> (Box<[u8]>, OwnedRecord) {
    (entry.key.into(), OwnedRecord::of(entry.entry))
}

fn borrow((key, record): &(Box<[u8]>, OwnedRecord)) -> PageEntry<'_> {
    PageEntry { key, entry: record.entry() }
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
        let record =
            |entry: &Option<Entry<'_>>| entry.map(|entry| Box::new(OwnedRecord::of(entry)));
        match reply {
            Reply::Missing => OwnedReply::Missing,
            Reply::Found(entry) => OwnedReply::Found(Box::new(OwnedRecord::of(*entry))),
            Reply::Flag(flag) => OwnedReply::Flag(*flag),
            Reply::Written { version, old } => OwnedReply::Written(*version, record(old)),
            Reply::Conflict { current } => OwnedReply::Conflict(record(current)),
            Reply::Deleted { version, old } => OwnedReply::Deleted(*version, record(old)),
            Reply::Integer { value, version } => OwnedReply::Integer(*value, *version),
            Reply::Float { value, version } => OwnedReply::Float(*value, *version),
            Reply::Count(count) => OwnedReply::Count(*count),
            Reply::Page(page) => {
                let entries = page.entries.iter().map(own).collect();
                OwnedReply::Page(Box::new(OwnedPage { next: page.next, at: page.at, entries }))
            }
            Reply::Sought(found) => {
                let entries = found.entries.iter().map(own).collect();
                let next = found.next.map(Box::from);
                OwnedReply::Sought(Box::new(OwnedSought { next, at: found.at, entries }))
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
                Reply::Written { version: *version, old: old.as_deref().map(OwnedRecord::entry) }
            }
            OwnedReply::Conflict(current) => {
                Reply::Conflict { current: current.as_deref().map(OwnedRecord::entry) }
            }
            OwnedReply::Deleted(version, old) => {
                Reply::Deleted { version: *version, old: old.as_deref().map(OwnedRecord::entry) }
            }
            OwnedReply::Integer(value, version) => {
                Reply::Integer { value: *value, version: *version }
            }
            OwnedReply::Float(value, version) => Reply::Float { value: *value, version: *version },
            OwnedReply::Count(count) => Reply::Count(*count),
            OwnedReply::Page(page) => {
                let entries = page.entries.iter().map(borrow).collect();
                Reply::Page(Page { next: page.next, at: page.at, entries })
            }
            OwnedReply::Sought(found) => {
                let entries = found.entries.iter().map(borrow).collect();
                Reply::Sought(Sought { next: found.next.as_deref(), at: found.at, entries })
            }
            OwnedReply::Failed(error) => Reply::Failed((**error).clone()),
        }
    }
}

#[cfg(test)]
#[path = "owned_test.rs"]
mod tests;
