//! The words of distributed tracing: where an operation belongs in a trace, as the W3C's `traceparent` says it, and what is told of
//! a step once it is done. Only traces that somebody records come this far; everything else carries nothing.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// The number of a trace; never all zeros.
pub type TraceId = [u8; 16];

/// The number of a step of a trace, called a span; never all zeros.
pub type SpanId = [u8; 8];

/// How long a `tracestate` may be; a longer one is left behind.
pub const TRACE_STATE_BYTES_MAX: usize = 512;

/// Where something belongs in a trace that is recorded: the trace, and the step that it is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    /// Nothing for what the trace begins with.
    span: Option<SpanId>,
    /// What others have said in `tracestate`; handed on unread.
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// A part of this step of this trace. Numbers that are all zeros mean nothing.
    pub fn new(trace: TraceId, span: SpanId) -> Option<Self> {
        let is_set = trace != TraceId::default() && span != SpanId::default();
        is_set.then_some(Self { trace, span: Some(span), state: None })
    }

    /// What a trace begins with.
    pub fn root(trace: TraceId) -> Option<Self> {
        (trace != TraceId::default()).then_some(Self { trace, span: None, state: None })
    }

    /// The same, with what others say of the trace. What is no `tracestate` is left out.
    pub fn with_state(mut self, state: &str) -> Self {
        let is_printable = state.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let fits = !state.is_empty() && state.len() <= TRACE_STATE_BYTES_MAX;
        self.state = (fits && is_printable).then(|| Arc::from(state));
        self
    }

    /// The same trace, as a part of another step.
    pub fn within(&self, span: SpanId) -> Self {
        Self { span: Some(span), ..self.clone() }
    }

    /// The trace.
    pub fn trace(&self) -> TraceId {
        self.trace
    }

    /// The step that it is a part of; none for what the trace begins with.
    pub fn span(&self) -> Option<SpanId> {
        self.span
    }

    /// What others have said in `tracestate`.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The value of the header `traceparent`; none for what the trace begins with.
    pub fn traceparent(&self) -> Option<String> {
        let span = self.span?;
        Some(format!("00-{}-{}-01", Hex(&self.trace), Hex(&span)))
    }
}

/// What a caller says of the trace that it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TraceParent {
    /// Nothing.
    #[default]
    None,
    /// It is in one that nobody records.
    NotSampled,
    /// It is in this one.
    Sampled(TraceContext),
}

impl TraceParent {
    /// Reads the headers `traceparent` and `tracestate`. What cannot be read counts as nothing, as the W3C wants it.
    pub fn from_headers(traceparent: Option<&str>, tracestate: Option<&str>) -> Self {
        let Some((context, is_sampled)) = traceparent.and_then(read_traceparent) else {
            return TraceParent::None;
        };
        match (is_sampled, tracestate) {
            (false, _) => TraceParent::NotSampled,
            (true, None) => TraceParent::Sampled(context),
            (true, Some(state)) => TraceParent::Sampled(context.with_state(state)),
        }
    }
}

/// Reads `version-trace-span-flags`. Later versions may go on behind the flags.
fn read_traceparent(text: &str) -> Option<(TraceContext, bool)> {
    let mut parts = text.trim().split('-');
    let version: [u8; 1] = from_hex(parts.next()?)?;
    let context = TraceContext::new(from_hex(parts.next()?)?, from_hex(parts.next()?)?)?;
    let flags: [u8; 1] = from_hex(parts.next()?)?;
    let is_read = match version[0] {
        0 => parts.next().is_none(),
        0xff => false,
        _ => true,
    };
    is_read.then_some((context, flags[0] & 1 == 1))
}

/// Reads lower-case hexadecimal digits, exactly as many as are needed.
fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Neighbouring operations that belong to one place of one trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedOps {
    /// The place of the first among the operations that travel together.
    pub first: u32,
    /// How many they are.
    pub ops: u32,
    /// Where they belong.
    pub context: TraceContext,
}

/// Which of the operations that travel together belong to traces. Most often none: then it takes no room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces(Vec<TracedOps>);

impl Traces {
    /// Whether none does.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds operations behind all earlier ones; what does not stand behind them is left out.
    pub fn push(&mut self, first: u32, ops: u32, context: TraceContext) {
        let end = self.0.last().map_or(0, |last| last.first.saturating_add(last.ops));
        if first >= end && ops > 0 {
            self.0.push(TracedOps { first, ops, context });
        }
    }

    /// Where the operation at this place belongs, if it is traced.
    pub fn of(&self, place: u32) -> Option<&TraceContext> {
        let behind = self.0.partition_point(|traced| traced.first <= place);
        let traced = self.0[..behind].last()?;
        (place - traced.first < traced.ops).then_some(&traced.context)
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &TracedOps> {
        self.0.iter()
    }
}

/// Which side of a call a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Neither.
    Internal,
    /// The one that is asked.
    Server,
    /// The one that asks.
    Client,
}

/// What is told of a step beside its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanValue {
    /// Text.
    Text(String),
    /// A number.
    Number(u64),
}

impl From<&str> for SpanValue {
    fn from(text: &str) -> Self {
        SpanValue::Text(text.to_owned())
    }
}

impl From<u64> for SpanValue {
    fn from(number: u64) -> Self {
        SpanValue::Number(number)
    }
}

/// A step of a trace that is done. It never tells a key or a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its own number.
    pub id: SpanId,
    /// The trace, and the step that it is a part of.
    pub within: TraceContext,
    /// Which side of a call it is.
    pub kind: SpanKind,
    /// What was done.
    pub name: String,
    /// When it began and ended, in nanoseconds since 1970.
    pub time_ns: (u64, u64),
    /// What else is told of it, by name.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// How it failed, if it did.
    pub error: Option<String>,
}

/// Takes what is told of steps. It must never wait: what it has no room for is dropped and counted.
pub trait SpanSink: fmt::Debug + Send + Sync {
    /// A number for a trace that begins.
    fn new_trace(&self) -> TraceId;
    /// A number for a step.
    fn new_span(&self) -> SpanId;
    /// A step is done.
    fn take(&self, span: Span);
    /// How many steps were told on, and how many were dropped.
    fn counts(&self) -> SpanCounts;
    /// Ends once what was taken by now is told on or dropped.
    fn flush(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// What became of steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// Told on.
    pub exported: u64,
    /// Dropped: there was no room, or nobody took them.
    pub dropped: u64,
}

#[cfg(test)]
#[path = "trace_test.rs"]
mod tests;
