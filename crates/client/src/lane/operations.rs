//! What callers bring to a lane.

use std::sync::Arc;

use isogrid_core::{Op, SessionId, TraceContext};
use isogrid_proto::frame::OpOptions;

use super::slots::Room;

/// One operation of a caller.
pub(crate) struct Item<'a> {
    /// Its place among the caller's.
    pub(crate) index: u32,
    pub(crate) map: &'a Arc<str>,
    pub(crate) op: &'a Op<'a>,
    pub(crate) options: OpOptions,
    /// The session of its tag.
    pub(crate) session: Option<SessionId>,
    /// Where it belongs in a trace, if it is traced.
    pub(crate) trace: Option<&'a TraceContext>,
    /// About how many bytes it takes.
    pub(crate) bytes: usize,
}

/// What a caller brings to a lane: one operation, or many that are answered together.
pub(crate) trait Operations {
    /// How much room they take.
    fn room(&self) -> Room;

    /// Whether the answer is a list.
    fn are_many(&self) -> bool;

    /// Shows each operation.
    fn each(&self, show: impl FnMut(&Item<'_>));
}
