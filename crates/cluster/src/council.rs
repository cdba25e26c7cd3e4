//! What the cluster has agreed on: [`Council`], a value that every voter brings to the same state by applying the same
//! [`Command`]s in the same order. It decides nothing by itself and knows no time: replicas, nodes and the steward
//! propose, and a proposal that is stale, doubled or nonsense is [`Outcome::Refused`] and changes nothing; only a refused
//! handover gives its entry a new `ver`, for its primary to read.
//!
//! | module | what |
//! |---|---|
//! | [`command`], [`outcome`] | what can be proposed, and what comes of it |
//! | [`state`] | the council's content and how it is read |
//! | [`node`], [`partition`], [`map`], [`session`], [`ledger`] | the parts of the content |
//! | [`limits`] | how far the content can grow |
//! | [`rules`] | switches with which tests prove that each rule is needed |
//!
//! Nothing but a whole command is ever visible: one command makes at most one new version of the table.

mod apply;
mod apply_changes;
mod apply_down;
mod apply_loss;
mod apply_register;
mod apply_settings;
mod choose;
pub mod command;
mod draft;
pub mod ledger;
pub mod limits;
pub mod map;
pub mod node;
pub mod outcome;
pub mod partition;
#[doc(hidden)]
pub mod rules;
pub mod session;
mod snapshot;
pub mod state;

#[cfg(test)]
mod council_test;
#[cfg(test)]
mod limits_test;
#[cfg(test)]
mod random_test;
#[cfg(test)]
mod register_test;

pub use command::{Authority, Change, ChangeKind, Command, CreateCluster};
pub use ledger::{LossCause, LossRecord};
pub use map::{Acknowledge, Durability, MapMode, MapRecord, ReadMode};
pub use node::{Intent, NodeRecord, StorageProof, StorageRecord};
pub use outcome::{ChangeOutcome, Fenced, Outcome, Refusal, Registered};
pub use partition::{PartitionFacts, Report};
#[doc(hidden)]
pub use rules::Rules;
pub use session::Sessions;
pub use state::{Cluster, Council, LossPolicy};
