//! The rules between a replica and its disk: what of its log is written and when that counts, how an image of it is taken, and
//! what comes back. Synchronous; no clock, no randomness, no threads. A node runs this code, and so does the simulator.
//!
//! ```text
//!   Replica ──► OnDisk::unwritten ──► Unwritten ──► NodeLog::append ──► OnDisk::was_written ──► Event::Persisted
//!           ◄── OnDisk::imaged ◄── a snapshot ◄── OnDisk::image_page ◄── OnDisk::begin_image
//!           ◄── recover_share ◄── Recovery
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`on_disk`] | [`OnDisk`]: what of a replica's log was written, what is to be, and what waits for a sync |
//! | [`unwritten`] | [`Unwritten`]: what a window of steps left for the log |
//! | [`synced_maps`] | which entries count only when they are synced |
//! | [`imaging`] | images of partitions: when one may begin, what it is worth, what counts with it |
//! | [`needs`] | [`Needs`]: what the log must keep, and of which partitions images let it keep less |
//! | [`recover`] | replicas from what the disk has |
//!
//! Left to the callers: the disk itself, locks, threads, time, and what is told to people.

pub mod imaging;
pub mod needs;
pub mod on_disk;
pub mod recover;
pub mod synced_maps;
pub mod unwritten;

pub use imaging::{Imaging, Page, ReplayFrom, Void};
pub use needs::Needs;
pub use on_disk::{Counts, NothingFollows, OnDisk};
pub use recover::{Fault, Maker, Restored, Share, faults, recover_share};
pub use unwritten::{Part, Unwritten, What};

#[cfg(test)]
mod testing;
