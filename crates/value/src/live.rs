//! What somebody keeps who watches the records that a filter means: [`Members`] all of their keys, [`Top`] the first few in an order. Both
//! are told what happens to the records, and say what that is for what they show: something enters, changes or leaves.
//!
//! News come partition by partition, each in order. A snapshot of a partition may come at any time: what is not in it is gone. Behind it
//! come changes that it may have shown already; versions tell them.

mod members;
mod top;

pub use members::Members;
pub use top::Top;

/// Where a record is, and which state of it is told.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The partition.
    pub partition: u16,
    /// The key.
    pub key: &'a [u8],
    /// The version.
    pub version: u64,
}

/// What a change is for what is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<P> {
    /// It was not shown, and is.
    Enter(Box<[u8]>, P),
    /// It is shown, and may have become another.
    Update(Box<[u8]>, P),
    /// It was shown, and is not.
    Leave(Box<[u8]>),
}

/// Whether news are of a snapshot, or of what was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// What is there.
    Snapshot,
    /// What was changed.
    Log,
}
