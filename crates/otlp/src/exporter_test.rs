//! The exporter against a collector that speaks the protocol and against none.

use std::collections::BTreeMap;

use crate::proto::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use crate::proto::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use crate::proto::common::v1::any_value::Value;
use crate::proto::common::v1::{AnyValue, KeyValue};
use isogrid_core::TraceContext;
use isogrid_core::trace::SpanKind;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use super::*;

/// Keeps what it is told, and refuses so many spans of each message.
struct Collector {
    told: mpsc::Sender<ExportTraceServiceRequest>,
    refused: i64,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.told.send(request.into_inner()).await.expect("the test listens");
        let error_message = "too many".to_owned();
        let refused = ExportTracePartialSuccess { rejected_spans: self.refused, error_message };
        Ok(Response::new(ExportTraceServiceResponse { partial_success: Some(refused) }))
    }
}

async fn collector(refused: i64) -> (String, mpsc::Receiver<ExportTraceServiceRequest>) {
    let (told, messages) = mpsc::channel(64);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it listens"));
    let service = TraceServiceServer::new(Collector { told, refused });
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (endpoint, messages)
}

fn exporter(endpoint: &str) -> (Exporter, ExporterTask) {
    let source =
        Source { service: "shop".into(), instance: Some("node-0".into()), version: "1.2".into() };
    Exporter::new(endpoint, source).expect("an address")
}

fn span(name: &str) -> Span {
    let within = TraceContext::new([7; 16], [5; 8]).expect("numbers").with_state("vendor=x");
    Span {
        id: [6; 8],
        within,
        kind: SpanKind::Server,
        name: name.to_owned(),
        time_ns: (1_000, 3_000),
        attributes: vec![("db.collection.name", "orders".into()), ("isogrid.partition", 9.into())],
        error: Some("IG-0201".to_owned()),
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|one| (one.key.clone(), text(&one.value))).collect()
}

#[tokio::test]
async fn a_collector_is_told_all_of_a_step() {
    let (endpoint, mut messages) = collector(0).await;
    let (exporter, task) = exporter(&endpoint);
    tokio::spawn(task.run());
    exporter.take(span("put orders"));
    exporter.flush().await;
    let message = messages.recv().await.expect("a message");
    let [of_service] = &message.resource_spans[..] else { panic!("{message:?}") };
    let resource = texts(&of_service.resource.as_ref().expect("a source").attributes);
    let expected =
        [("service.instance.id", "node-0"), ("service.name", "shop"), ("service.version", "1.2")];
    assert_eq!(resource, expected.map(|(key, text)| (key.to_owned(), text.to_owned())).into());
    let told = &of_service.scope_spans[0].spans[0];
    assert_eq!((&told.trace_id[..], &told.span_id[..]), (&[7; 16][..], &[6; 8][..]));
    assert_eq!((&told.parent_span_id[..], told.trace_state.as_str()), (&[5; 8][..], "vendor=x"));
    assert_eq!((told.name.as_str(), told.kind), ("put orders", 2));
    assert_eq!((told.start_time_unix_nano, told.end_time_unix_nano), (1_000, 3_000));
    let status = told.status.as_ref().expect("it failed");
    assert_eq!((status.code, status.message.as_str()), (2, "IG-0201"));
    let attributes = texts(&told.attributes);
    assert_eq!(attributes["db.collection.name"], "orders");
    assert_eq!(attributes["isogrid.partition"], "9");
    assert_eq!(exporter.counts(), SpanCounts { exported: 1, dropped: 0 });
}

#[tokio::test]
async fn steps_travel_together_and_in_their_order() {
    let (endpoint, mut messages) = collector(0).await;
    let (exporter, task) = exporter(&endpoint);
    let count = SPANS_PER_MESSAGE_MAX + 1;
    for number in 0..count {
        exporter.take(span(&number.to_string()));
    }
    tokio::spawn(task.run());
    exporter.flush().await;
    let mut names = Vec::new();
    for expected in [SPANS_PER_MESSAGE_MAX, 1] {
        let message = messages.recv().await.expect("a message");
        let spans = &message.resource_spans[0].scope_spans[0].spans;
        assert_eq!(spans.len(), expected);
        names.extend(spans.iter().map(|span| span.name.clone()));
    }
    assert_eq!(names, (0..count).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted() {
    let (endpoint, _messages) = collector(2).await;
    let (exporter, task) = exporter(&endpoint);
    (0..3).for_each(|_| exporter.take(span("get")));
    tokio::spawn(task.run());
    exporter.flush().await;
    assert_eq!(exporter.counts(), SpanCounts { exported: 1, dropped: 2 });
}

#[tokio::test]
async fn without_a_collector_steps_are_dropped_and_nobody_waits() {
    // A port that nobody listens at any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it listens"));
    drop(listener);
    let (exporter, task) = exporter(&endpoint);
    (0..5).for_each(|_| exporter.take(span("get")));
    tokio::spawn(task.run());
    exporter.flush().await;
    assert_eq!(exporter.counts(), SpanCounts { exported: 0, dropped: 5 });
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let (exporter, _task) = exporter("http://127.0.0.1:1");
    for _ in 0..SPANS_QUEUE_LEN_MAX + 3 {
        exporter.take(span("get"));
    }
    assert_eq!(exporter.counts(), SpanCounts { exported: 0, dropped: 3 });
}
