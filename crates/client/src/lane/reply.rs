//! [`OwnedReply`]: a reply that outlives the frame it came in, with its values as slices of that frame.

use bytes::Bytes;
use isogrid_core::{Entry, Error, ErrorCode, PartitionId, Receipt, Reply, Timestamp, Version};

/// A value as the node sent it.
#[derive(Clone, Debug)]
pub(crate) struct OwnedEntry {
    pub(crate) value: Bytes,
    pub(crate) version: Version,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A page of a scan: keys and entries.
#[derive(Clone, Debug)]
pub(crate) struct OwnedPage {
    pub(crate) next: Option<u64>,
    pub(crate) entries: Vec<(Bytes, OwnedEntry)>,
}

/// What the node answered. The rare and large kinds are boxed to keep the common ones small.
#[derive(Clone, Debug)]
pub(crate) enum OwnedReply {
    Missing,
    Found(OwnedEntry),
    Flag(bool),
    Written {
        version: Version,
        old: Option<Box<OwnedEntry>>,
        receipt: Option<Receipt>,
    },
    Deleted {
        old: Option<Box<OwnedEntry>>,
        receipt: Option<Receipt>,
    },
    Conflict {
        current: Option<Box<OwnedEntry>>,
    },
    Integer(i64, Option<Receipt>),
    Float(f64, Option<Receipt>),
    Count(u64),
    Page(Box<OwnedPage>),
    Failed(Error),
    /// Not answered yet: a place kept in the answer to many operations.
    Awaited,
}

#[inline]
fn entry_of(entry: &Entry<'_>, frame: &Bytes) -> OwnedEntry {
    OwnedEntry {
        value: frame.slice_ref(entry.value),
        version: entry.version,
        expires_at: entry.expires_at,
    }
}

fn boxed(entry: Option<&Entry<'_>>, frame: &Bytes) -> Option<Box<OwnedEntry>> {
    entry.map(|entry| Box::new(entry_of(entry, frame)))
}

impl OwnedReply {
    /// Takes a reply out of the frame it borrows from.
    #[inline]
    pub(crate) fn from_frame(reply: Reply<'_>, receipt: Option<Receipt>, frame: &Bytes) -> Self {
        match reply {
            Reply::Missing => OwnedReply::Missing,
            Reply::Found(entry) => OwnedReply::Found(entry_of(&entry, frame)),
            Reply::Flag(flag) => OwnedReply::Flag(flag),
            Reply::Written { version, old } => {
                OwnedReply::Written { version, old: boxed(old.as_ref(), frame), receipt }
            }
            Reply::Deleted { old, .. } => {
                OwnedReply::Deleted { old: boxed(old.as_ref(), frame), receipt }
            }
            Reply::Conflict { current } => {
                OwnedReply::Conflict { current: boxed(current.as_ref(), frame) }
            }
            Reply::Integer { value, .. } => OwnedReply::Integer(value, receipt),
            Reply::Float { value, .. } => OwnedReply::Float(value, receipt),
            Reply::Count(count) => OwnedReply::Count(count),
            Reply::Page(page) => {
                let own = |e: &isogrid_core::PageEntry<'_>| {
                    (frame.slice_ref(e.key), entry_of(&e.entry, frame))
                };
                let entries = page.entries.iter().map(own).collect();
                OwnedReply::Page(Box::new(OwnedPage { next: page.next, entries }))
            }
            Reply::Sought(_) => {
                let detail = "an answer to what clients do not ask";
                OwnedReply::Failed(Error::new(ErrorCode::FrameMalformed, detail))
            }
            Reply::Failed(error) => OwnedReply::Failed(error),
        }
    }

    /// Whether the operation had come to a node that does not own its partition.
    #[inline]
    pub(crate) fn is_miss(&self) -> bool {
        matches!(self, OwnedReply::Failed(error) if error.code() == ErrorCode::NotOwner)
    }

    /// Says which partition the write was to; it is not on the wire.
    #[inline]
    pub(crate) fn in_partition(mut self, partition: PartitionId) -> Self {
        if let OwnedReply::Written { receipt: Some(receipt), .. }
        | OwnedReply::Deleted { receipt: Some(receipt), .. }
        | OwnedReply::Integer(_, Some(receipt))
        | OwnedReply::Float(_, Some(receipt)) = &mut self
        {
            receipt.partition = partition;
        }
        self
    }

    /// What is known of the safety of a write.
    pub(crate) fn receipt(&self) -> Option<Receipt> {
        match self {
            OwnedReply::Written { receipt, .. }
            | OwnedReply::Deleted { receipt, .. }
            | OwnedReply::Integer(_, receipt)
            | OwnedReply::Float(_, receipt) => *receipt,
            _ => None,
        }
    }

    /// The error of a reply that does not fit its operation.
    #[cold]
    pub(crate) fn unexpected(&self) -> Error {
        match self {
            OwnedReply::Failed(error) => error.clone(),
            other => {
                let kind = format!("{other:?}");
                let kind = kind.split([' ', '(']).next().unwrap_or_default();
                Error::new(ErrorCode::Internal, format!("the node answered with {kind}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_small_and_its_value_is_a_slice_of_the_frame() {
        assert!(std::mem::size_of::<OwnedReply>() <= 64, "{}", std::mem::size_of::<OwnedReply>());
        let frame = Bytes::from_static(b"....value");
        let entry = Entry { value: &frame[4..], version: Version(3), expires_at: None };
        let OwnedReply::Found(owned) = OwnedReply::from_frame(Reply::Found(entry), None, &frame)
        else {
            panic!("found stays found");
        };
        assert_eq!(owned.value.as_ptr(), frame[4..].as_ptr());
    }

    #[test]
    fn a_reply_of_the_wrong_kind_is_a_defect() {
        assert_eq!(OwnedReply::Flag(true).unexpected().code(), ErrorCode::Internal);
        assert!(OwnedReply::Flag(true).unexpected().detail().ends_with("Flag"));
    }
}
