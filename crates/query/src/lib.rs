//! SQL over the maps of a grid. DataFusion plans and executes. This crate makes tables of maps, and says which partitions a
//! statement can concern.
//!
//! ```text
//!   statement ──► Sql ── plan ──► GridTable ── prune ──► GridScan ── pages ──► Columns ──► record batches
//!                                     │                     │
//!                                  sample                 Source   (what holds the maps: a node)
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `source` | [`Source`]: what holds the maps |
//! | `sql` | [`Sql`]: from a statement to a stream of batches |
//! | `session` | what one statement is planned and run in |
//! | `parse` | how the text of a statement is read |
//! | `nested` | values within values |
//! | `parameter` | values for a statement |
//! | `table`, `scan` | a map as a table, and the walk over its partitions |
//! | `prune`, `route` | which partitions a predicate leaves, and what names the only one |
//! | `index`, `seeking` | which index a predicate can use, and the rows that it has |
//! | `pruned`, `routing` | what is refused that leaves none out, and which partitions a statement needs |
//! | `pick` | statements that only pick rows |
//! | `plans` | plans of statements that were asked before |
//! | `advice` | an index that is not there and should be |
//! | `nested`, `json` | what looks into text of JSON |
//! | `sample` | the columns of a map, from some of its values |
//! | `beside`, `in_place` | joins and groups by what maps are partitioned by |
//! | `spread`, `codec` | where the parts of a statement run, and walks on their way there |
//! | `columns` | from values to columns |
//! | `subscribe` | what SUBSCRIBE statements watch |
//! | `ddl` | statements that make, change, drop and show maps and indexes |
//! | `write` | statements that write |
//! | `guard` | what is refused before it is parsed |
//! | `ipc`, `text` | answers on the wire, and as text |
//! | `unvalued` | statements without the values in them |
//! | [`pg`] | PostgreSQL's dialect and catalogue |
//! | `limits`, `budget`, `walked` | what a statement may use, and what it has walked over |
//! | `counts` | what statements did, in figures |
//! | `fault` | from DataFusion's errors to those of the grid |

mod access;
mod advice;
mod beside;
mod budget;
mod codec;
mod columns;
mod counts;
mod ddl;
mod fault;
mod guard;
mod guess;
mod in_place;
mod index;
mod ipc;
mod json;
mod limits;
mod nested;
mod parameter;
mod parse;
pub mod pg;
mod pick;
mod plans;
mod prune;
mod pruned;
mod route;
mod routing;
mod sample;
mod scan;
mod seeking;
mod session;
mod source;
mod spread;
mod sql;
mod subscribe;
mod table;
#[cfg(test)]
mod testing;
mod text;
mod unvalued;
mod walked;
mod write;

pub use counts::QueryCounts;
pub use guard::STACK_BYTES;
pub use limits::{QueryLimits, Wishes};
pub use parameter::Parameter;
pub use route::Route;
pub use source::{
    Change, FoundPage, IndexStanding, MapDefinition, NodePlace, Page, PagePlace, Row, SeekPlace,
    Source, Write, Written,
};
pub use spread::{PeerNode, Peers};
pub use sql::{Answer, Sql};
pub use subscribe::{Subscription, Watched};
pub use text::{RowText, ShownColumn};
pub use unvalued::unvalued;
pub use walked::Walked;
pub use write::Progress;

/// Batches in Arrow's format, and single values.
pub use datafusion::arrow;
pub use datafusion::common::ScalarValue;
pub use datafusion::error::DataFusionError as QueryError;
/// Statements as they are parsed.
pub use datafusion::sql::sqlparser::ast::Statement;
/// What runs parts of statements at other nodes.
pub use datafusion_distributed as distributed;
pub use url::Url;
