//! [`Tracer`]: which operations belong to distributed traces, and the client's own part of them. A client that was told nothing of
//! traces asks one question per operation: whether it was told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use isogrid_core::trace::{Span, SpanId, SpanKind, SpanSink, SpanValue};
use isogrid_core::{TraceContext, TraceParent};

use crate::error::Error;

/// Says which trace the caller is in.
type Asked = Arc<dyn Fn() -> TraceParent + Send + Sync>;

/// What a client was told of traces.
#[derive(Clone, Default)]
pub(crate) struct Tracer {
    pub(crate) parent: Option<Asked>,
    /// Takes the client's own steps. Without it the nodes' steps are parts of the caller's.
    pub(crate) sink: Option<Arc<dyn SpanSink>>,
    /// Of so many operations whose caller is in no trace one begins a trace; nought: none.
    pub(crate) sample_one_of: u64,
    /// How many such operations there were.
    seen: Arc<AtomicU64>,
}

impl Tracer {
    /// Whether anything was told.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.parent.is_some() || self.sink.is_some()
    }

    /// An operation begins: its part of a trace, if it is traced.
    #[cold]
    pub(crate) fn begin(&self, operation: &'static str, map: &Arc<str>) -> Option<Traced> {
        let asked = self.parent.as_ref().map_or(TraceParent::None, |parent| parent());
        let within = match asked {
            TraceParent::NotSampled => return None,
            TraceParent::Sampled(context) => context,
            TraceParent::None => self.root()?,
        };
        let Some(sink) = &self.sink else { return Some(Traced { context: within, own: None }) };
        let id = sink.new_span();
        let context = within.within(id);
        let (sink, map, began_ns) = (Arc::clone(sink), Arc::clone(map), now_ns());
        let own = Own { sink, id, within, operation, map, began_ns, error: Some(GIVEN_UP.into()) };
        Some(Traced { context, own: Some(own) })
    }

    /// What a trace begins with, if it is this operation's turn to begin one.
    fn root(&self) -> Option<TraceContext> {
        let sink = self.sink.as_ref().filter(|_| self.sample_one_of > 0)?;
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        seen.is_multiple_of(self.sample_one_of).then(|| TraceContext::root(sink.new_trace()))?
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Tracer");
        shown.field("has_parent", &self.parent.is_some()).field("sink", &self.sink);
        shown.field("sample_one_of", &self.sample_one_of).finish()
    }
}

impl PartialEq for Tracer {
    fn eq(&self, other: &Self) -> bool {
        let are_off = !self.is_on() && !other.is_on();
        are_off || Arc::ptr_eq(&self.seen, &other.seen)
    }
}

/// What is told of an operation whose caller left before its answer.
const GIVEN_UP: &str = "the caller did not wait";

/// An operation's part of a trace. It is told once this is dropped.
#[derive(Debug)]
pub(crate) struct Traced {
    /// What the nodes' steps are parts of.
    pub(crate) context: TraceContext,
    own: Option<Own>,
}

/// The client's own step.
#[derive(Debug)]
struct Own {
    sink: Arc<dyn SpanSink>,
    id: SpanId,
    within: TraceContext,
    operation: &'static str,
    map: Arc<str>,
    began_ns: u64,
    error: Option<String>,
}

impl Traced {
    /// The operation was answered.
    pub(crate) fn answered(&mut self, error: Option<&Error>) {
        if let Some(own) = &mut self.own {
            own.error = error.map(|error| error.code().to_string());
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let Some(own) = self.own.take() else { return };
        let mut attributes: Vec<(&str, SpanValue)> = vec![
            ("db.system.name", "isogrid".into()),
            ("db.collection.name", (&*own.map).into()),
            ("db.operation.name", own.operation.into()),
        ];
        attributes.extend(own.error.as_deref().map(|error| ("error.type", error.into())));
        own.sink.take(Span {
            id: own.id,
            within: own.within,
            kind: SpanKind::Client,
            name: format!("{} {}", own.operation, own.map),
            time_ns: (own.began_ns, now_ns()),
            attributes,
            error: own.error,
        });
    }
}

fn now_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
