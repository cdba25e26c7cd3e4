//! Durability on disk: one log per node for all its partitions, and snapshots per partition. Synchronous; no clock, no
//! randomness, no threads; all IO goes through a [`Disk`]. The format is in docs/wal-format.md.
//!
//! ```text
//!  open ──> NodeLog: append, sync, prune          SnapshotWriter: block …, publish
//!      └──> Recovery: partitions, snapshot, replay
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`disk`] | [`Disk`]: what is asked of a file system; [`os_disk`] is one, `faulty_disk` one that fails as told |
//! | [`record`] | [`Record`]: what stands in the log: the data dictionary |
//! | [`segment`] | the header of a segment |
//! | [`log`] | [`NodeLog`]: writes |
//! | [`sync`], [`next`], [`prune`] | [`SyncJob`], [`NextJob`], [`PruneJob`]: what takes long, beside the appends |
//! | `index` | which segments hold what |
//! | [`snapshot`] | [`SnapshotWriter`] and [`SnapshotReader`] |
//! | `walk` | goes through one segment |
//! | `survey` | goes through a folder: what is there, what is damaged |
//! | `track` | what recovery knows of one partition |
//! | [`recovery`] | [`open`] and [`Recovery`] |
//! | [`inspect`](mod@inspect) | looks, changes nothing |
//! | [`place`] | where in the log; names of files |
//! | [`error`] | [`WalError`] |

pub mod disk;
pub mod error;
#[cfg(any(test, feature = "testing"))]
pub mod faulty_disk;
mod index;
mod input;
pub mod inspect;
pub mod log;
pub mod next;
pub mod os_disk;
pub mod place;
pub mod prune;
pub mod record;
pub mod recovery;
pub mod segment;
pub mod snapshot;
mod survey;
pub mod sync;
mod track;
mod walk;

pub use disk::{Disk, DiskFile};
pub use error::{Damage, Result, WalError};
pub use inspect::{Item, Verified, inspect, verify};
pub use log::{LogSettings, NodeLog, Written};
pub use next::{NextDone, NextJob};
pub use os_disk::OsDisk;
pub use place::Place;
pub use prune::{PruneDone, PruneJob};
pub use record::Record;
pub use recovery::{Recovery, Run, open};
pub use snapshot::{SnapshotEnd, SnapshotHead, SnapshotInfo, SnapshotReader, SnapshotWriter};
pub use survey::Remark;
pub use sync::{SyncDone, SyncJob};
pub use track::Recovered;

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod testing;
