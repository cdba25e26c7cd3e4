//! Bounded models of one partition's protocol: each explores every state that a few nodes can reach, with messages lost,
//! delayed and reordered, and with arbitrary false suspicion. The rules are those of the replication protocol (R1 to R12,
//! and its sections); each model says which it stands for. A mutant breaks one rule, and must be seen to fail.
//!
//! | model | what it shows |
//! |---|---|
//! | [`write`](mod@write) | no acknowledged write is lost |
//! | [`lease`] | no read is stale |
//! | [`disk`] | nothing is lost over restarts, power losses and lost disks that the protocol promises to survive |
//! | [`once`] | a request is executed at most once, and has one answer |
//!
//! Each has a `state`, the `actions` it offers, the `steps` they take, its `properties`, and its `mutant`s. What they share:
//!
//! | module | what it is |
//! |---|---|
//! | [`nodes`], [`log`](mod@log), [`message`] | the words: nodes, members, entries, what travels |
//! | [`council`] | the owner of epoch, primary and in-sync set, as one atomic service |
//! | [`replica`] | a node's copy: its promise, its log, and what it believes as primary |
//! | [`bounds`], [`protocol`], [`checker`] | how much may happen, what a model is, how it is searched |
//!
//! The tests search small bounds to the end. For larger ones:
//! `cargo run --release -p isogrid-model -- lease --mutant none --epochs 3 --seconds 200`
//!
//! Not modelled: snapshots, the inside of the council, an in-sync minimum above one, several partitions per node pair (one
//! mutant apart), disks that go back in time, and pauses that the guest's clock does not count.

pub mod bounds;
pub mod checker;
pub mod council;
pub mod disk;
pub mod lease;
pub mod log;
pub mod message;
pub mod nodes;
pub mod once;
pub mod protocol;
pub mod replica;
pub mod write;
