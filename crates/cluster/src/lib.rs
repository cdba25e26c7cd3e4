//! The decisions of a cluster, pure: nothing here has a clock, randomness or IO. Time comes in as an argument, and what
//! is to be done comes out as values.
//!
//! ```text
//!   gossip: evidence ──> steward ── commands ──> council ── table deltas ──> reconcile: open, update, close
//!                           └────── directives ──> primaries
//! ```
//!
//! | module | what it decides |
//! |---|---|
//! | [`council`] | what is committed: nodes, table, maps, sessions, losses |
//! | [`steward`] | the next steps from the table as it is to the table as it should be |
//! | [`bootstrap`] | who forms a cluster, who joins one, who votes |
//! | [`reconcile`] | which replicas a node opens, updates and closes |
//! | [`gossip`] | what nodes tell each other, and what to make of it |
//! | [`heartbeat`] | what a node tells the council's leader, and what that makes of it |
//! | [`id`] | ids and times |

pub mod bootstrap;
pub mod council;
pub mod gossip;
pub mod heartbeat;
pub mod id;
pub mod reconcile;
pub mod steward;

#[cfg(test)]
mod testing;

pub use council::{Command, Council, Outcome};
pub use id::{BootId, ClusterId, Millis, StorageId, VoterId};
pub use steward::{Directive, Evidence, Orders, Steward};
