//! One partition's data: the records of its maps in memory, with versions, expiry, eviction, scans and a digest.
//! Synchronous and deterministic: no clock, no randomness, no IO. A node keeps each [`Partition`] behind a mutex.
//!
//! From the operation down to the memory:
//!
//! | module | what it does |
//! |---|---|
//! | [`partition`] | [`Partition`]: all maps of a partition, single operations and batches |
//! | `execute` | what each operation means |
//! | `apply` | effects and copied records of another replica |
//! | `rename` | a record moves to another key, as one change |
//! | `replay` | what a change of roles needs: effects that can be taken back, a version to begin from |
//! | `undo` | taking changes back, until they are settled |
//! | [`journal`] | [`Changes`]: what the last call changed, and what stood there before |
//! | [`walk`] | all records page by page, for copies |
//! | [`buckets`] | [`BucketDigests`]: where two replicas differ |
//! | `map_store` | one map: every change, with its version, journal and accounts |
//! | `content` | one map's records, with their indexes and digest |
//! | `index` | the indexes of a map's fields |
//! | `room` | what a write does at a limit or over the memory mark |
//! | `eviction` | how cold a record is |
//! | `expiry` | which record expires next |
//! | `scan`, `glob` | pages in hash order, and their filters |
//! | `number` | numbers as codecs write them |
//! | `digest` | the sum over all records |
//! | [`hot`] | [`HotKeys`]: which keys of a map are asked for most |
//! | [`usage`] | [`MapUsage`]: what a map uses on the whole node |
//! | `table` | extendible hashing: directory, segments |
//! | `segment`, `bucket` | up to 64 cache lines of slots with linear probing |
//! | [`hash`] | [`KeyHash`], and which of its bits choose what |
//! | `shape`, `record` | the parts of a record |
//! | `raw` | the only unsafe code: a record's memory, a slot's bits, prefetch |

mod apply;
mod bucket;
pub mod buckets;
mod content;
mod digest;
mod eviction;
mod execute;
mod expiry;
mod glob;
pub mod hash;
mod held;
pub mod hot;
mod index;
pub mod journal;
mod map_store;
#[cfg(test)]
mod model_test;
mod number;
pub mod partition;
mod raw;
mod record;
mod rename;
mod replay;
#[cfg(test)]
mod replication_test;
mod room;
mod scan;
mod segment;
mod shape;
mod table;
mod undo;
pub mod usage;
pub mod walk;

pub use buckets::BucketDigests;
pub use hash::{KeyHash, hash_key};
pub use hot::{HotKey, HotKeys};
pub use index::IndexState;
pub use journal::{Changes, Executed};
pub use partition::{Context, Partition, Request, Step};
pub use raw::{prefetch_all, prefetch_end};
pub use usage::MapUsage;
pub use walk::{WalkCursor, Walked, WalkedRecord};
