//! The compact frame: many operations, or their replies, as one run of bytes. The layout is frozen per version and
//! described in docs/wire.md; the modules `header`, `op`, `options` and `reply` are its data dictionary.
//!
//! A frame is written by [`RequestWriter`] or [`ReplyWriter`] and read by [`RequestFrame`] or [`ReplyFrame`]. Readers
//! borrow from the bytes they were given and never trust them.

pub mod header;
mod op;
mod options;
mod reader;
mod receipt;
mod reply;
mod request;

#[cfg(test)]
mod frame_test;

pub use header::{FRAME_VERSION, HEADER_BYTES};
pub use options::{AtLeast, OpOptions, ReadMode, WriteTag};
pub use reply::{Answered, ReplyFrame, ReplyWriter};
pub use request::{FrameHead, MAPS_PER_FRAME_MAX, OPS_PER_FRAME_MAX, RequestFrame, RequestWriter};
