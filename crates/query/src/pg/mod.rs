//! Statements of PostgreSQL's dialect: what its clients say beside reading maps, and what they ask of its catalogue.
//!
//! ```text
//!   text ──► PgStatement ──► rewrite ──► Prepared ──► rows
//!            (parse)      what DataFusion  (plan)
//!                         does not take
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `statement` | [`PgStatement`]: one statement, and [`Command`]: one about the session |
//! | `definition`, `routing` | statements about maps, and EXPLAIN ROUTING |
//! | `dialect` | how a statement is read |
//! | `rewrite` | from what clients write to what DataFusion takes |
//! | `casts`, `subqueries` | parts of that: casts, and questions about the catalogue within a question |
//! | `names` | what the columns of an answer are called |
//! | `prepare` | [`Prepared`]: a statement with its parameters and columns |
//! | `parameters` | the types of a statement's parameters |
//! | `refused` | [`Refused`]: an error with PostgreSQL's code for it |
//! | `lists` | [`list_items`]: the items of a list that is written as text |
//! | `functions` | the functions of PostgreSQL that clients call |
//! | `tables`, `rows` | the tables of `pg_catalog`, and what is in them |
//! | `oids` | the numbers that PostgreSQL gives to types and tables |

mod casts;
mod definition;
mod dialect;
mod functions;
mod lists;
mod names;
pub mod oids;
mod parameters;
mod prepare;
mod refused;
mod rewrite;
mod routing;
mod rows;
mod statement;
mod subqueries;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limits::Wishes;
use crate::pruned::SETTING;
pub use definition::PgDefinition;
pub use lists::list_items;
pub use prepare::Prepared;
pub use refused::Refused;
pub use statement::{Command, PgStatement};

/// The version of PostgreSQL that clients are told: they choose their questions by it.
pub const SERVER_VERSION: &str = "14.0";

/// The database that every connection is told to be in.
pub const DATABASE: &str = "isogrid";

/// What statements may ask of the connection that they come from.
#[derive(Clone, Debug, Default)]
pub struct PgSession {
    /// The name that the client gave.
    pub user: Arc<str>,
    /// What SHOW answers.
    pub settings: Arc<BTreeMap<String, String>>,
    /// The number of the connection.
    pub process: i32,
}

impl PgSession {
    /// What it wants of its statements.
    fn wishes(&self) -> Wishes {
        let require_pruned = self.settings.get(SETTING).is_some_and(|value| value == "on");
        Wishes { require_pruned, ..Wishes::default() }
    }
}
