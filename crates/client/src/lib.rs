//! The smart client of Isogrid: typed maps over a partitioned in-memory data grid.
//!
//! ```
//! # use isogrid_client::testing::Cluster;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> isogrid_client::Result<()> {
//! # let cluster = Cluster::start(1).await?;
//! # let address = cluster.endpoints().remove(0);
//! use isogrid_client::Grid;
//!
//! let grid = Grid::connect(&format!("isogrid://{address}")).await?;
//! let users = grid.map::<String, String>("users");
//! users.put("u1", &"Ann".into()).await?;
//! assert_eq!(users.get("u1").await?.as_deref(), Some("Ann"));
//! # Ok(())
//! # }
//! ```
//!
//! # What to expect
//!
//! - **Speed without batching by hand.** Operations of many tasks gather into frames by themselves. For top speed: one
//!   [`Grid`] per thread, each on a `current_thread` runtime.
//! - **Every call ends.** It has a deadline (2 seconds unless told otherwise), which also travels to the node.
//! - **Only what is safe is retried**: reads, what certainly changed nothing, and writes within a session, which no node
//!   executes twice. [`Error::outcome`] says what is known of one that failed.
//! - **Operations go straight to the owners of their keys.** The client keeps the cluster's table, and is put right in one
//!   hop when it was old.
//! - **Memory is bounded.** Callers beyond [`in_flight_ops_max`](GridBuilder::in_flight_ops_max) wait their turn.
//! - **Dropping a future** gives up its answer and frees its place; it never harms a connection.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `blocking` | the same client for programs without an async runtime |
//! | `sql` | statements of SQL, answered as batches of Arrow |
//! | `testing` | nodes inside the process of a test |
//!
//! # The modules, for those who change them
//!
//! | module | what lives there |
//! |---|---|
//! | `builder`, `url` | how a client is set up |
//! | `grid`, `map` | the handles |
//! | `ops`, `many`, `scan`, `aggregate`, `watch`, `pipeline` | the operations, each file with its options and results |
//! | `key`, `codec`, `value`, `error` | what goes in and comes out |
//! | `prepared` | an operation that can be sent more than once |
//! | `call`, `batch`, `attempts`, `retry` | one operation, or many, from the first poll to the reply |
//! | `lane` | one connection and everything that waits for it: the hot path |
//! | `routes`, `nodes`, `topology` | from a partition to its lane |
//! | `numbers` | the names of writes, so that a retry is never executed twice |
//! | `owners` | calls beside the sessions, one per owner |
//! | `link`, `control`, `session`, `addresses`, `clock` | connecting, reconnecting, keeping up with the cluster, keeping time |
//! | `admin`, `span` | status, tracing |

#![deny(missing_docs)]

mod addresses;
mod admin;
mod aggregate;
mod attempts;
mod batch;
#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod call;
mod clock;
mod codec;
mod control;
mod error;
mod grid;
mod key;
mod lane;
mod link;
mod many;
mod map;
mod news;
mod nodes;
mod numbers;
pub mod ops;
mod owners;
mod pipeline;
mod prepared;
mod retry;
mod routes;
mod scan;
mod session;
mod span;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "testing")]
pub mod testing;
mod topology;
#[cfg(feature = "otel")]
mod trace_export;
mod tracer;
mod url;
mod value;
mod watch;

/// Batches of rows: see [`Grid::sql`].
#[cfg(feature = "sql")]
pub use arrow;

pub use admin::{
    BigKey, BigKeys, ClientInfo, ClientList, ClusterStatus, CouncilStatus, Dump, DumpAsk,
    DumpPiece, History, HistoryPoint, Holder, HotKey, HotKeys, HotMap, IndexInfo, Intent, KeyPlace,
    LagStatus, LogPoint, LossStatus, MapChange, MapExpect, MapInfo, MapList, MemberStatus,
    MoveStatus, NodeClock, NodeHistory, NodeSlowLog, Operator, PartitionList, PartitionStatus,
    Plan, PlannedMove, PutMapOutcome, RecoveryStatus, SlowLog, SlowOperation, StopBlocker,
    StopProof, StopVerdict, WorkerStatus,
};
pub use aggregate::{Aggregate, Group};
pub use builder::GridBuilder;
pub use codec::{Codec, Json, MessagePack, Raw};
pub use error::{Error, Result};
pub use grid::{Grid, Stats};
pub use isogrid_core::{
    Durability, ErrorCode, ErrorKind, LogPosition, NextStep, NumberFormat, Outcome, Receipt,
    Timestamp, TraceContext, TraceParent, Version,
};
pub use isogrid_value::{Constant, Field, Filter, col};
pub use key::{Decimal, Key, KeyBytes, OwnedKey};
pub use many::{DeleteMany, GetMany, PutMany, Report};
pub use map::Map;
pub use ops::Operation;
pub use pipeline::{Pipeline, Replies, Ticket};
pub use retry::Retry;
pub use scan::{Scan, ScanKeys, ScanPage, ScanPages, ScanStream, ScanToken};
#[cfg(feature = "sql")]
pub use sql::{Answer, Sql, SqlValue, Subscription};
#[cfg(feature = "otel")]
pub use trace_export::TraceExport;
pub use value::{Delete, Previous, Put, ReadFrom, Receipted, Rename, Versioned};
pub use watch::{
    Event, Live, LiveEvent, LiveStream, LiveTop, RemovalCause, Watch, WatchStream, WatchToken,
};
