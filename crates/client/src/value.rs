//! What operations give back: values with their versions, and the results of conditional writes.

use std::ops::Deref;
use std::time::Duration;

use isogrid_core::{Receipt, Timestamp, Version};
use isogrid_proto::frame::ReadMode;

/// Which replicas may answer a read.
///
/// | choice | who answers | what it may miss |
/// |---|---|---|
/// | `Primary` | the primary, without asking anybody | nothing |
/// | `Confirmed` | the primary, after a round trip to its backups | nothing, whatever the clocks do |
/// | `NearestBackup` | an in-sync replica, in the client's zone if there is one | what is younger than the bound |
/// | `Any` | any replica | anything |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadFrom {
    /// The primary, which holds a lease: linearizable.
    Primary,
    /// The primary, after it has asked the in-sync replicas: linearizable even if clocks run wrong.
    Confirmed,
    /// The nearest in-sync replica, if it is not further behind than this; else the primary.
    NearestBackup {
        /// The oldest that the answer may be.
        max_staleness: Duration,
    },
    /// The nearest replica, whatever it has.
    Any,
}

impl ReadFrom {
    pub(crate) fn mode(self) -> ReadMode {
        match self {
            ReadFrom::Primary => ReadMode::Lease,
            ReadFrom::Confirmed => ReadMode::Confirmed,
            ReadFrom::NearestBackup { max_staleness } => ReadMode::Backup {
                staleness_ms: u32::try_from(max_staleness.as_millis()).unwrap_or(u32::MAX),
            },
            ReadFrom::Any => ReadMode::Any,
        }
    }
}

/// What a write gave back, with its receipt. It can be used like what the write gave back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipted<T> {
    /// What the write gave back.
    pub value: T,
    pub(crate) receipt: Option<Receipt>,
}

impl<T> Receipted<T> {
    /// What is known of the safety of the write. `None` if nothing was written, since a condition did not hold or there was
    /// nothing to remove.
    pub fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }
}

impl<T> Deref for Receipted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A value with the version and expiry of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versioned<V> {
    /// The value.
    pub value: V,
    /// The version of the record: give it to `if_version` to write only if nobody else did.
    pub version: Version,
    /// When the record expires, if it does.
    pub expires_at: Option<Timestamp>,
}

/// What a write that returns the old value gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previous<V> {
    /// The version of the record now.
    pub version: Version,
    /// What was there before, if anything was.
    pub old: Option<Versioned<V>>,
}

/// The result of a conditional write: a lost race is a value, not an error.
///
/// ```
/// # use isogrid_client::testing::Cluster;
/// use isogrid_client::Put;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> isogrid_client::Result<()> {
/// # let cluster = Cluster::start(1).await?;
/// # let grid = cluster.grid().await?;
/// let seats = grid.map::<String, String>("seats");
/// assert!(seats.put("12a", &"ann".into()).if_absent().await?.is_stored());
/// match seats.put("12a", &"bob".into()).if_absent().await? {
///     Put::Stored(version) => panic!("sold twice: {version}"),
///     Put::Conflict(holder) => assert_eq!(holder.map(|h| h.value).as_deref(), Some("ann")),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the condition may not have held, and then nothing was written"]
pub enum Put<V, S = Version> {
    /// The write happened. Holds the record's version, or also the old value if it was asked for.
    Stored(S),
    /// The condition did not hold and nothing was written. Holds what stands there.
    Conflict(Option<Versioned<V>>),
}

impl<V, S> Put<V, S> {
    /// Whether the write happened.
    pub fn is_stored(&self) -> bool {
        matches!(self, Put::Stored(_))
    }

    /// What the write gave back, if it happened.
    pub fn stored(self) -> Option<S> {
        match self {
            Put::Stored(stored) => Some(stored),
            Put::Conflict(_) => None,
        }
    }
}

/// The result of a rename that gives way to what stands at the new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the record may not have moved"]
pub enum Rename<V> {
    /// The record moved. Holds its version at the new key.
    Renamed(Version),
    /// There was no record at the old key.
    Missing,
    /// There is a record at the new key, and nothing moved. Holds what stands there.
    Conflict(Versioned<V>),
}

impl<V> Rename<V> {
    /// Whether the record moved.
    pub fn is_renamed(&self) -> bool {
        matches!(self, Rename::Renamed(_))
    }
}

/// The result of a conditional removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the condition may not have held, and then nothing was removed"]
pub enum Delete<V> {
    /// The key was removed. Holds the removed value if it was asked for.
    Deleted(Option<Versioned<V>>),
    /// There was no such key.
    Missing,
    /// The record has another version and was left alone. Holds what stands there.
    Conflict(Versioned<V>),
}

impl<V> Delete<V> {
    /// Whether the key was removed.
    pub fn is_deleted(&self) -> bool {
        matches!(self, Delete::Deleted(_))
    }
}
