//! The PostgreSQL protocol, version 3, as far as clients that read need it: simple and extended queries, values as text and
//! in binary, cancelling. How a statement is run is for whoever opens the door to say: [`Runner`].
//!
//! ```text
//!   socket ──► wire ──► message ──► connection ──► simple, extended ──► Runner
//!                                       │                                 │
//!                                    settings              rows ◄── encode ◄── batches
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`limits`] | every bound of a connection |
//! | `wire` | bytes in and out, with patience |
//! | `startup` | what is said before the first statement |
//! | `message` | what clients say |
//! | `reply` | what they are told |
//! | `connection` | one connection, from its first byte to its last |
//! | `command` | BEGIN, SET, SHOW and the like |
//! | `define` | statements that make, change, drop or show maps |
//! | `simple`, `extended` | the two ways to ask |
//! | `rows` | an answer on its way out |
//! | `encode`, `decode` | values as PostgreSQL writes them |
//! | `settings` | what SET sets and SHOW shows |
//! | [`cancel`] | how a statement is cancelled from another connection |
//! | `fault` | what goes wrong, and whether the connection survives it |

pub mod cancel;
mod command;
mod connection;
mod decode;
mod define;
mod encode;
mod extended;
mod fault;
pub mod limits;
mod message;
mod reply;
mod rows;
mod settings;
mod simple;
mod startup;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isogrid_query::arrow::datatypes::DataType;
use isogrid_query::pg::{PgDefinition, PgSession, Prepared, Refused};
use isogrid_query::{Answer, ScalarValue, Statement};

pub use cancel::Cancels;
pub use connection::{Door, serve};

/// What runs statements.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// How long a statement may take, with all that its client takes for the rows.
    fn patience(&self) -> Duration;

    /// Plans a statement. `given`: the types of its parameters, as far as the client says them.
    ///
    /// # Errors
    /// The statement cannot be planned, or too many run.
    async fn prepare(
        &self,
        statement: &Statement,
        given: Vec<Option<DataType>>,
        session: &PgSession,
    ) -> Result<Prepared, Refused>;

    /// Does what a statement about maps wants.
    ///
    /// # Errors
    /// It cannot be, or too many statements run.
    async fn define(&self, definition: &PgDefinition) -> Result<Answer, Refused>;

    /// Runs a planned statement. Its batches end with an error unless all have come.
    ///
    /// # Errors
    /// The statement fails before its first row, or too many run.
    async fn run(
        &self,
        prepared: &Arc<Prepared>,
        values: Vec<ScalarValue>,
        session: &PgSession,
    ) -> Result<Answer, Refused>;
}
