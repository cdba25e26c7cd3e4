//! The other nodes: links to them, and questions.

pub(crate) mod message;
