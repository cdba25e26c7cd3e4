//! Which operations belong to distributed traces, to and from the wire. What cannot be read is passed over: a trace is never a reason
//! to refuse an operation.

use isogrid_core::{TraceContext, Traces};

use crate::pb;

/// To the wire.
pub fn traces_to_pb(traces: &Traces) -> Vec<pb::TracedOperations> {
    let to_pb = |traced: &isogrid_core::trace::TracedOps| pb::TracedOperations {
        first: traced.first,
        operations: traced.ops,
        trace_id: traced.context.trace().to_vec().into(),
        span_id: traced.context.span().map(|span| span.to_vec()).unwrap_or_default().into(),
        trace_state: traced.context.state().unwrap_or_default().to_owned(),
    };
    traces.iter().map(to_pb).collect()
}

/// From the wire.
pub fn traces_from_pb(traces: &[pb::TracedOperations]) -> Traces {
    let mut read = Traces::default();
    for traced in traces {
        if let Some(context) = context(traced) {
            read.push(traced.first, traced.operations, context);
        }
    }
    read
}

fn context(traced: &pb::TracedOperations) -> Option<TraceContext> {
    let trace = <[u8; 16]>::try_from(&traced.trace_id[..]).ok()?;
    let context = match traced.span_id.len() {
        0 => TraceContext::root(trace)?,
        _ => TraceContext::new(trace, <[u8; 8]>::try_from(&traced.span_id[..]).ok()?)?,
    };
    Some(context.with_state(&traced.trace_state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_come_back_as_they_went() {
        let mut traces = Traces::default();
        let context = TraceContext::new([1; 16], [2; 8]).expect("numbers");
        traces.push(0, 1, context.clone().with_state("vendor=x"));
        traces.push(3, 4, context);
        traces.push(9, 1, TraceContext::root([3; 16]).expect("a number"));
        assert_eq!(traces_from_pb(&traces_to_pb(&traces)), traces);
        assert!(traces_to_pb(&Traces::default()).is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let good = pb::TracedOperations {
            first: 0,
            operations: 1,
            trace_id: vec![1; 16].into(),
            span_id: vec![2; 8].into(),
            trace_state: String::new(),
        };
        let short = pb::TracedOperations { trace_id: vec![1; 15].into(), ..good.clone() };
        let long = pb::TracedOperations { span_id: vec![1; 9].into(), ..good.clone() };
        let nought = pb::TracedOperations { trace_id: vec![0; 16].into(), ..good.clone() };
        let none = pb::TracedOperations { operations: 0, ..good.clone() };
        let read = traces_from_pb(&[short, long, nought, none, good]);
        assert_eq!(read.iter().count(), 1);
        assert!(read.of(0).is_some());
    }
}
