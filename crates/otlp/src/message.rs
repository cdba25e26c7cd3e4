//! From steps to the messages of the protocol.

use isogrid_core::trace::{Span, SpanKind, SpanValue};

use crate::proto::collector::trace::v1::ExportTraceServiceRequest;
use crate::proto::common::v1::any_value::Value;
use crate::proto::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use crate::proto::resource::v1::Resource;
use crate::proto::trace::v1::span::SpanKind as Kind;
use crate::proto::trace::v1::status::StatusCode;
use crate::proto::trace::v1::{ResourceSpans, ScopeSpans, Span as Told, Status};

/// The flag of whatever is recorded.
const SAMPLED: u32 = 1;

/// One attribute.
pub(crate) fn attribute(key: &str, value: SpanValue) -> KeyValue {
    let value = match value {
        SpanValue::Text(text) => Value::StringValue(text),
        SpanValue::Number(number) => Value::IntValue(number.min(i64::MAX as u64) as i64),
    };
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// One message for many steps.
pub(crate) fn request(
    resource: Resource,
    version: &str,
    spans: Vec<Span>,
) -> ExportTraceServiceRequest {
    let (name, version) = ("isogrid".to_owned(), version.to_owned());
    let scope = InstrumentationScope { name, version, ..InstrumentationScope::default() };
    let of_scope = ScopeSpans {
        scope: Some(scope),
        spans: spans.into_iter().map(told).collect(),
        ..ScopeSpans::default()
    };
    let of_resource = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![of_scope],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![of_resource] }
}

fn told(span: Span) -> Told {
    let kind = match span.kind {
        SpanKind::Internal => Kind::Internal,
        SpanKind::Server => Kind::Server,
        SpanKind::Client => Kind::Client,
    };
    let status = span.error.map(|message| Status { message, code: StatusCode::Error.into() });
    let attributes = span.attributes.into_iter().map(|(key, value)| attribute(key, value));
    Told {
        trace_id: span.within.trace().to_vec(),
        span_id: span.id.to_vec(),
        trace_state: span.within.state().unwrap_or_default().to_owned(),
        parent_span_id: span.within.span().map(|parent| parent.to_vec()).unwrap_or_default(),
        name: span.name,
        kind: kind.into(),
        start_time_unix_nano: span.time_ns.0,
        end_time_unix_nano: span.time_ns.1,
        attributes: attributes.collect(),
        status,
        flags: SAMPLED,
        ..Told::default()
    }
}
