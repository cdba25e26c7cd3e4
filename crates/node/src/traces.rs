//! [`Tracer`]: what this node tells of distributed traces, and to whom. Without a collector it tells nothing, and whoever asks learns
//! that at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use isogrid_core::trace::{Span, SpanCounts, SpanId, SpanSink};
use isogrid_core::{NodeId, Result, TraceContext, TraceParent, Traces};
use parking_lot::Mutex;

use crate::config::TracingConfig;

/// What this node tells of traces.
#[derive(Default)]
pub(crate) struct Tracer {
    sink: Option<Arc<dyn SpanSink>>,
    /// Of so many operations that come without a trace one begins one; nought: none.
    sample_one_of: u64,
    /// How many such operations came.
    seen: AtomicU64,
    /// What tells them, until somebody runs it.
    task: Mutex<Option<BoxFuture<'static, ()>>>,
}

/// A sink, and what runs behind it.
type Opened = (Arc<dyn SpanSink>, BoxFuture<'static, ()>);

#[cfg(feature = "otel")]
fn open(config: &TracingConfig, node: &NodeId) -> Result<Option<Opened>> {
    let Some(endpoint) = &config.endpoint else { return Ok(None) };
    let source = isogrid_otlp::Source {
        service: config.service.clone(),
        instance: Some(node.to_string()),
        version: crate::VERSION.to_owned(),
    };
    let (exporter, task) = isogrid_otlp::Exporter::new(endpoint, source).ok_or_else(|| {
        let detail = format!("tracing.endpoint = {endpoint:?} is no address");
        isogrid_core::Error::new(isogrid_core::ErrorCode::ConfigValueInvalid, detail)
    })?;
    Ok(Some((Arc::new(exporter), Box::pin(task.run()))))
}

/// The configuration is refused before, if it wants traces.
#[cfg(not(feature = "otel"))]
fn open(_: &TracingConfig, _: &NodeId) -> Result<Option<Opened>> {
    Ok(None)
}

impl Tracer {
    /// Tells what the configuration wants told.
    pub(crate) fn open(config: &TracingConfig, node: &NodeId) -> Result<Self> {
        Ok(match open(config, node)? {
            Some((sink, task)) => {
                Self { task: Mutex::new(Some(task)), ..Self::new(sink, config.sample_one_of) }
            }
            None => Self::default(),
        })
    }

    /// What tells the steps, to be run by whoever takes it.
    pub(crate) fn take_task(&self) -> Option<BoxFuture<'static, ()>> {
        self.task.lock().take()
    }

    /// Tells steps, and begins traces at one of so many operations.
    pub(crate) fn new(sink: Arc<dyn SpanSink>, sample_one_of: u64) -> Self {
        Self { sink: Some(sink), sample_one_of, ..Self::default() }
    }

    /// Whether anything is told.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    /// A number for a step, if steps are told.
    pub(crate) fn new_span(&self) -> Option<SpanId> {
        self.sink.as_ref().map(|sink| sink.new_span())
    }

    /// A step is done.
    pub(crate) fn tell(&self, span: Span) {
        if let Some(sink) = &self.sink {
            sink.take(span);
        }
    }

    /// What became of the steps.
    pub(crate) fn counts(&self) -> SpanCounts {
        self.sink.as_ref().map(|sink| sink.counts()).unwrap_or_default()
    }

    /// Tells what is left.
    pub(crate) async fn flush(&self) {
        if let Some(sink) = &self.sink {
            sink.flush().await;
        }
    }

    /// Which of operations that come without a trace begin one.
    #[inline]
    pub(crate) fn sample(&self, ops: usize) -> Traces {
        if self.sample_one_of == 0 { Traces::default() } else { self.sample_some(ops as u64) }
    }

    #[cold]
    fn sample_some(&self, ops: u64) -> Traces {
        let mut traces = Traces::default();
        let Some(sink) = &self.sink else { return traces };
        let one_of = self.sample_one_of;
        let seen = self.seen.fetch_add(ops, Ordering::Relaxed) % one_of;
        let mut place = if seen == 0 { 0 } else { one_of - seen };
        while place < ops {
            if let Some(context) = TraceContext::root(sink.new_trace()) {
                traces.push(place as u32, 1, context);
            }
            place += one_of;
        }
        traces
    }

    /// Where the operations of one call belong whose caller says this of its trace.
    pub(crate) fn of_call(&self, parent: &TraceParent, ops: usize) -> Traces {
        match parent {
            TraceParent::NotSampled => Traces::default(),
            TraceParent::None => self.sample(ops),
            TraceParent::Sampled(context) => {
                let mut traces = Traces::default();
                traces.push(0, ops as u32, context.clone());
                traces
            }
        }
    }
}

/// Only those of the operations that are at these places, in their new order.
pub(crate) fn at_places(traces: &Traces, places: impl Iterator<Item = usize>) -> Traces {
    let mut found = Traces::default();
    if !traces.is_empty() {
        for (new, old) in places.enumerate() {
            if let Some(context) = traces.of(old as u32) {
                found.push(new as u32, 1, context.clone());
            }
        }
    }
    found
}

/// What a call's headers say of its trace.
pub(crate) fn parent_of<'h>(header: impl Fn(&str) -> Option<&'h str>) -> TraceParent {
    TraceParent::from_headers(header("traceparent"), header("tracestate"))
}

#[cfg(test)]
pub(crate) mod testing {
    //! Keeps what is told.

    use std::pin::Pin;

    use isogrid_core::trace::TraceId;
    use parking_lot::Mutex;

    use super::*;

    /// A sink that keeps everything.
    #[derive(Debug, Default)]
    pub(crate) struct Kept {
        pub(crate) spans: Mutex<Vec<Span>>,
        made: AtomicU64,
    }

    impl SpanSink for Kept {
        fn new_trace(&self) -> TraceId {
            let mut id = [7; 16];
            id[..8].copy_from_slice(&self.new_span());
            id
        }

        fn new_span(&self) -> SpanId {
            (self.made.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes()
        }

        fn take(&self, span: Span) {
            self.spans.lock().push(span);
        }

        fn counts(&self) -> SpanCounts {
            SpanCounts { exported: self.spans.lock().len() as u64, dropped: 0 }
        }

        fn flush(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(std::future::ready(()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracer(sample_one_of: u64) -> Tracer {
        Tracer::new(Arc::<testing::Kept>::default(), sample_one_of)
    }

    fn places(traces: &Traces) -> Vec<u32> {
        traces.iter().map(|traced| traced.first).collect()
    }

    #[test]
    fn one_of_so_many_operations_begins_a_trace_however_they_come() {
        let tracer = tracer(4);
        let found: Vec<_> = [1, 2, 3, 5, 1].map(|ops| places(&tracer.sample(ops))).into();
        // The first, the fifth, the ninth.
        assert_eq!(found, [vec![0], vec![], vec![1], vec![2], vec![]]);
        assert_eq!(places(&tracer.sample(9)), [0, 4, 8], "several of a large frame");
    }

    #[test]
    fn no_trace_begins_unless_that_is_wanted() {
        assert!(tracer(0).sample(1_000).is_empty());
        assert!(Tracer::default().sample(1_000).is_empty());
        assert!(tracer(1).of_call(&TraceParent::NotSampled, 1).is_empty());
        assert_eq!(places(&tracer(1).of_call(&TraceParent::None, 2)), [0, 1]);
    }

    #[test]
    fn operations_take_their_traces_along() {
        let mut traces = Traces::default();
        traces.push(1, 2, TraceContext::root([1; 16]).expect("a number"));
        assert_eq!(places(&at_places(&traces, [0, 2, 5].into_iter())), [1]);
    }
}
