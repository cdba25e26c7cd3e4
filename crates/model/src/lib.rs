//! Bounded models of one partition's protocol.
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
