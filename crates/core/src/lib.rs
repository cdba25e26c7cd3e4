//! The vocabulary of the grid. Every other crate speaks these words; nothing here does IO, reads a clock or draws a
//! random number.
//!
//! | module | what it says |
//! |---|---|
//! | [`id`] | ids as newtypes, versions, points in time |
//! | [`slot`] | from a key to its slot and partition |
//! | [`op`] | [`Op`]: what a caller can ask, whichever door it came through |
//! | [`reply`] | [`Reply`]: what a partition answers |
//! | [`error`] | [`Error`]: what went wrong, its outcome, and what to do next |
//! | [`catalog`] | every error code with its explanation |
//! | [`limits`] | every limit, named, with its unit |
//! | [`histogram`] | how often something took how long |
//! | [`log`] | the words of a partition's log: positions, request ids, effects |
//! | [`map`] | the settings of a map |
//! | [`schema`] | the columns of a map |
//! | [`index`] | the indexes of a map |
//! | [`members`] | who is in the cluster |
//! | [`table`] | who owns which partition, as a versioned value |
//! | [`placement`] | who *should* own which partition |
//! | [`trace`] | where an operation belongs in a distributed trace |

pub mod catalog;
pub mod error;
pub mod histogram;
pub mod id;
pub mod index;
pub mod limits;
pub mod log;
pub mod map;
pub mod members;
pub mod op;
pub mod placement;
pub mod reply;
pub mod schema;
pub mod slot;
pub mod table;
pub mod trace;

pub use error::{Error, ErrorCode, ErrorKind, NextStep, Outcome, Result};
pub use histogram::Histogram;
pub use id::{
    Epoch, Incarnation, MapId, NodeId, PartitionId, SlotId, TableVersion, Timestamp, Version,
};
pub use index::{IndexColumn, IndexKind, MapIndex};
pub use limits::Limits;
pub use log::{
    Cause, Durability, Effect, EndedSessions, Hlc, LogPosition, Receipt, RequestId, SessionId,
    version_of,
};
pub use map::{Eviction, MapSettings};
pub use members::{Member, MemberState, Members};
pub use op::{Condition, Expiry, Moment, NumberFormat, Op, Scan, Seek, Target, View};
pub use reply::{Entry, Page, PageEntry, Reply, Sought};
pub use schema::{ColumnType, MapColumn, MapSchema};
pub use slot::PartitionCount;
pub use table::{PartitionEntry, Replica, Table, TableDelta};
pub use trace::{TraceContext, TraceParent, Traces};
