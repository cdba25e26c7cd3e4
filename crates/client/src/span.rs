//! Tracing: one span per operation, named after OpenTelemetry's conventions for databases, and made only when somebody
//! listens (target `isogrid_client::operation`, level DEBUG).

use std::sync::Arc;

use tracing::{Level, Span};

use crate::error::Error;

/// The target to switch on.
const TARGET: &str = "isogrid_client::operation";

/// The span of an operation, if anybody wants it. Boxed, since most operations have none.
#[inline]
pub(crate) fn of(operation: &'static str, map: &Arc<str>, operations: usize) -> Option<Box<Span>> {
    tracing::enabled!(target: TARGET, Level::DEBUG).then(|| new(operation, map, operations))
}

#[cold]
fn new(operation: &'static str, map: &Arc<str>, operations: usize) -> Box<Span> {
    let span = tracing::debug_span!(
        target: TARGET,
        "operation",
        otel.name = format!("{operation} {map}"),
        otel.kind = "client",
        db.system.name = "isogrid",
        db.collection.name = %map,
        db.operation.name = operation,
        db.operation.batch.size = tracing::field::Empty,
        error.r#type = tracing::field::Empty,
        server.address = tracing::field::Empty,
        isogrid.attempts = tracing::field::Empty,
    );
    if operations > 1 {
        span.record("db.operation.batch.size", operations as u64);
    }
    Box::new(span)
}

/// Notes in the span how the operation failed.
#[cold]
pub(crate) fn failed(span: &Span, error: &Error) {
    span.record("error.type", tracing::field::display(error.code()));
    span.record("isogrid.attempts", error.attempts());
    if let Some(node) = error.node() {
        span.record("server.address", node);
    }
}
