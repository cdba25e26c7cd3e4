//! What is seen of an operation from outside: one span of `tracing`, named after OpenTelemetry's conventions for databases, made only
//! when somebody listens (target `isogrid_client::operation`, level DEBUG); and its part of a distributed trace, if it has one.

use std::sync::Arc;

use isogrid_core::TraceContext;
use tracing::{Level, Span};

use crate::error::Error;
use crate::tracer::{Traced, Tracer};

/// The target to switch on.
const TARGET: &str = "isogrid_client::operation";

/// What is seen of an operation.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) span: Span,
    traced: Option<Traced>,
}

impl Seen {
    /// Where the operation belongs in a trace, if it is traced.
    pub(crate) fn trace(&self) -> Option<&TraceContext> {
        self.traced.as_ref().map(|traced| &traced.context)
    }

    /// The operation was answered.
    pub(crate) fn answered(mut self: Box<Self>, error: Option<&Error>) {
        if let Some(traced) = &mut self.traced {
            traced.answered(error);
        }
        if let Some(error) = error {
            failed(&self.span, error);
        }
    }
}

/// What is to be seen of an operation, if anybody looks. Boxed, since nobody does at most operations.
#[inline]
pub(crate) fn of(
    tracer: &Tracer,
    operation: &'static str,
    map: &Arc<str>,
    operations: usize,
) -> Option<Box<Seen>> {
    let is_wanted = tracing::enabled!(target: TARGET, Level::DEBUG);
    (is_wanted || tracer.is_on()).then(|| new(tracer, operation, map, operations))
}

#[cold]
fn new(tracer: &Tracer, operation: &'static str, map: &Arc<str>, operations: usize) -> Box<Seen> {
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
    // Within the span, so that who is asked for the parent can name the span itself.
    let traced = if tracer.is_on() { span.in_scope(|| tracer.begin(operation, map)) } else { None };
    Box::new(Seen { span, traced })
}

/// Notes in the span how the operation failed.
#[cold]
fn failed(span: &Span, error: &Error) {
    span.record("error.type", tracing::field::display(error.code()));
    span.record("isogrid.attempts", error.attempts());
    if let Some(node) = error.node() {
        span.record("server.address", node);
    }
}
