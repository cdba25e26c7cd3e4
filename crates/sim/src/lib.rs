//! A cluster in virtual time. One seed decides everything: who runs when, which message is lost, which node crashes, what
//! the clients ask. The same seed gives the same bytes, so that a failure of the night is a test of the morning.
//!
//! ```text
//!   seed ──► Random ──┬─► Schedule of faults ──► World (yours) ◄──► Network, EventQueue, NodeClock
//!                     └─► workload of clients ──►   │
//!                                                   ├──► Trace: lines and a hash of every event
//!                                                   ├──► Invariants: after each step
//!                                                   └──► History ──► oracles ──► Summary
//! ```
//!
//! What runs in it is yours: this crate has the parts, and none of them knows a replica.
//!
//! | module | what it is |
//! |---|---|
//! | [`random`] | [`Random`]: seeded, with streams by name; [`Rate`] |
//! | [`time`] | [`SimTime`] and [`NodeClock`]: drift, jumps, pauses |
//! | [`queue`] | [`EventQueue`]: what happens next |
//! | [`network`] | [`Network`]: latency, loss, cuts, clogs, bandwidth |
//! | [`faults`] | [`Fault`]: what can go wrong, and its line of text |
//! | [`schedule`] | [`Schedule`]: faults over time, drawn from a seed or written by hand; [`Profile`] |
//! | [`shrink`](mod@shrink) | the smallest schedule that still fails |
//! | [`trace`] | [`Trace`]: what happened, and the hash of it |
//! | [`client`] | [`History`](client::History) of operations, and the oracles that judge it |
//! | [`invariant`] | [`Invariant`]: what must hold after every step; [`Violation`] |
//! | [`sometimes`] | [`Sometimes`]: rare paths that must have been visited |
//! | [`summary`] | [`Summary`]: of one seed and of many, as a table and as JSON |
//! | [`runner`] | many seeds on a few threads; the check that a seed replays |
//! | [`grid`] | a whole grid: replicas, council and steward on machines that fail |
//! | [`golden`] | scripts with their expected output in one file |
//! | [`scale`] | a cluster of hundreds of nodes, to count what its control plane costs |

pub mod client;
pub mod faults;
pub mod golden;
pub mod grid;
pub mod invariant;
pub mod network;
pub mod queue;
pub mod random;
pub mod runner;
pub mod scale;
pub mod schedule;
pub mod shrink;
pub mod sometimes;
pub mod summary;
pub mod time;
pub mod trace;

pub use faults::{DiskFate, Fault, Forgery, ParseFaultError, TimedFault};
pub use invariant::{Invariant, Invariants, Violation};
pub use network::{Envelope, Links, Network, NodeIndex};
pub use queue::EventQueue;
pub use random::{Random, Rate};
pub use runner::{SeedRun, check_replay, run_seeds};
pub use schedule::{Profile, Schedule};
pub use shrink::shrink;
pub use sometimes::Sometimes;
pub use summary::Summary;
pub use time::{NodeClock, SimTime};
pub use trace::{Keep, Trace};
