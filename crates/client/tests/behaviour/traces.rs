//! A traced operation is one trace from its caller over the owner to the backups, as a collector of OpenTelemetry sees it; others
//! tell nothing; and a collector that is gone disturbs nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isogrid_client::testing::{Cluster, ClusterOptions};
use isogrid_client::{Grid, Result, TraceContext, TraceExport, TraceParent};
use isogrid_otlp::proto::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use isogrid_otlp::proto::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use isogrid_otlp::proto::common::v1::KeyValue;
use isogrid_otlp::proto::common::v1::any_value::Value;
use isogrid_otlp::proto::trace::v1::span::SpanKind;
use isogrid_proto::pb;
use isogrid_proto::pb::grid_client::GridClient;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const TRACE: [u8; 16] = [0xab; 16];
const CALLER: [u8; 8] = [0xcd; 8];
const TRACEPARENT: &str = "00-abababababababababababababababab-cdcdcdcdcdcdcdcd-01";
const KEY: &str = "a key that nobody may see";
const VALUE: &str = "a value that nobody may see";
const PATIENCE: Duration = Duration::from_secs(30);

/// What a step says of itself.
#[derive(Clone, Debug)]
struct Told {
    /// The service and the instance that told it.
    by: (String, String),
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    kind: i32,
    time_ns: (u64, u64),
    attributes: BTreeMap<String, String>,
    state: String,
}

/// A collector that keeps what it is told.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Told>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> std::result::Result<Response<ExportTraceServiceResponse>, Status> {
        for of_service in request.into_inner().resource_spans {
            let source = texts(&of_service.resource.unwrap_or_default().attributes);
            let of = |name: &str| source.get(name).cloned().unwrap_or_default();
            let by = (of("service.name"), of("service.instance.id"));
            for span in of_service.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans) {
                self.0.lock().push(Told {
                    by: by.clone(),
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    name: span.name,
                    kind: span.kind,
                    time_ns: (span.start_time_unix_nano, span.end_time_unix_nano),
                    attributes: texts(&span.attributes),
                    state: span.trace_state,
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |one: &KeyValue| match one.value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|one| (one.key.clone(), text(one))).collect()
}

impl Collector {
    async fn start() -> (Collector, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it listens"));
        let collector = Collector::default();
        let service = TraceServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, endpoint)
    }

    /// What it was told, once that is so many steps.
    async fn until(&self, steps: usize) -> Vec<Told> {
        let begun = Instant::now();
        loop {
            let told = self.0.lock().clone();
            if told.len() >= steps || begun.elapsed() > PATIENCE {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn called<'t>(told: &'t [Told], name: &str) -> &'t Told {
    let found: Vec<_> = told.iter().filter(|one| one.name == name).collect();
    let [one] = found[..] else { panic!("{} steps are called {name}: {told:#?}", found.len()) };
    one
}

async fn cluster(nodes: usize, endpoint: &str, sample_one_of: u64) -> Result<Cluster> {
    let traces_to = Some(endpoint.to_owned());
    let options =
        ClusterOptions { traces_to, trace_one_of: sample_one_of, ..ClusterOptions::default() };
    Cluster::start_with(nodes, options).await
}

fn here() -> TraceParent {
    let context = TraceContext::new(TRACE, CALLER).expect("numbers");
    TraceParent::Sampled(context.with_state("vendor=x"))
}

async fn traced(cluster: &Cluster, endpoint: &str, parent: fn() -> TraceParent) -> Result<Grid> {
    let export = TraceExport::to(endpoint).service("shop");
    let builder = Grid::builder().seeds(cluster.endpoints());
    builder.trace_parent(parent).export_traces(export).build().await
}

#[tokio::test]
async fn a_put_is_one_trace_from_its_caller_to_its_backup() -> Result<()> {
    let (collector, endpoint) = Collector::start().await;
    let cluster = cluster(3, &endpoint, 0).await?;
    let grid = traced(&cluster, &endpoint, here).await?;
    grid.map::<String, String>("orders").put(KEY, &VALUE.to_owned()).await?;
    grid.close().await?;
    let told = collector.until(4).await;
    assert_eq!(told.len(), 4, "the caller, the owner, its waiting, one backup: {told:#?}");
    let puts: Vec<_> = told.iter().filter(|one| one.name == "put orders").collect();
    let client = puts.iter().find(|one| one.kind == SpanKind::Client as i32).expect("a client");
    let owner = puts.iter().find(|one| one.kind == SpanKind::Server as i32).expect("an owner");
    let (replicate, append) = (called(&told, "replicate"), called(&told, "append"));
    assert!(told.iter().all(|one| one.trace == TRACE && one.state == "vendor=x"));
    assert_eq!(client.parent, CALLER);
    assert_eq!(owner.parent, client.id);
    assert_eq!(replicate.parent, owner.id);
    assert_eq!(append.parent, replicate.id);
    assert_eq!((client.by.0.as_str(), owner.by.0.as_str()), ("shop", "isogrid"));
    assert_eq!(replicate.by, owner.by);
    assert!(append.by.1.starts_with("node-") && append.by.1 != owner.by.1, "another node");
    let attributes = |one: &Told, name: &str| one.attributes.get(name).cloned();
    for one in [client, owner] {
        assert_eq!(attributes(one, "db.collection.name").as_deref(), Some("orders"));
        assert_eq!(attributes(one, "db.operation.name").as_deref(), Some("put"));
    }
    let partition = attributes(owner, "isogrid.partition");
    assert!(partition.is_some() && partition == attributes(append, "isogrid.partition"));
    assert_eq!(attributes(replicate, "isogrid.replicas").as_deref(), Some("2"));
    for (inner, outer) in [(owner, client), (&replicate, owner)] {
        assert!(outer.time_ns.0 <= inner.time_ns.0 && inner.time_ns.0 <= inner.time_ns.1);
        assert!(inner.time_ns.1 <= outer.time_ns.1, "{inner:?} within {outer:?}");
    }
    let all = format!("{told:?}");
    assert!(!all.contains(KEY) && !all.contains(VALUE));
    Ok(())
}

#[tokio::test]
async fn what_nobody_records_is_not_told() -> Result<()> {
    let (collector, endpoint) = Collector::start().await;
    let cluster = cluster(2, &endpoint, 0).await?;
    for parent in [|| TraceParent::NotSampled, || TraceParent::None] {
        let grid = traced(&cluster, &endpoint, parent).await?;
        let map = grid.map::<u64, u64>("visits");
        map.put_many((0..50).map(|key| (key, key))).await?.all()?;
        map.get(&1).await?;
        grid.close().await?;
    }
    // All that came before it would have been told before it, too.
    let grid = traced(&cluster, &endpoint, here).await?;
    grid.map::<u64, u64>("visits").put(&1, &1).await?;
    grid.close().await?;
    let told = collector.until(4).await;
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(told.iter().all(|one| one.trace == TRACE));
    Ok(())
}

#[tokio::test]
async fn many_operations_of_one_call_are_parts_of_its_step() -> Result<()> {
    let (collector, endpoint) = Collector::start().await;
    let cluster = cluster(1, &endpoint, 0).await?;
    let grid = traced(&cluster, &endpoint, here).await?;
    grid.map::<u64, u64>("visits").put_many((0..40).map(|key| (key, key))).await?.all()?;
    grid.close().await?;
    let told = collector.until(41).await;
    assert_eq!(told.len(), 41, "one of the client, and one for each operation");
    let client = told.iter().find(|one| one.kind == SpanKind::Client as i32).expect("a client");
    let of_nodes = told.iter().filter(|one| one.kind == SpanKind::Server as i32);
    assert!(of_nodes.clone().all(|one| one.name == "put visits" && one.parent == client.id));
    Ok(())
}

#[tokio::test]
async fn without_an_exporter_the_owner_is_a_part_of_the_callers_step() -> Result<()> {
    let (collector, endpoint) = Collector::start().await;
    let cluster = cluster(1, &endpoint, 0).await?;
    let grid = Grid::builder().seeds(cluster.endpoints()).trace_parent(here).build().await?;
    grid.map::<u64, u64>("visits").put(&1, &1).await?;
    let told = collector.until(1).await;
    assert_eq!(called(&told, "put visits").parent, CALLER);
    Ok(())
}

#[tokio::test]
async fn every_door_takes_a_trace_in_and_brings_it_to_the_owner() -> Result<()> {
    let (collector, endpoint) = Collector::start().await;
    let cluster = cluster(2, &endpoint, 0).await?;
    let grid = cluster.grid().await?;
    grid.map::<String, String>("orders").put("made", &String::new()).await?;
    let members = grid.status().await?.members;
    // Each node is asked over each door: one of the two must ask the owner.
    for (member, endpoint) in members.iter().zip(cluster.endpoints()) {
        let mut client = GridClient::connect(format!("http://{endpoint}")).await.expect("a node");
        let (map, key) = ("orders".to_owned(), KEY.as_bytes().into());
        let mut request = Request::new(pb::GetRequest { map, key, ..pb::GetRequest::default() });
        request.metadata_mut().insert("traceparent", TRACEPARENT.parse().expect("text"));
        client.get(request).await.expect("an answer");
        let path = "/v1/maps/orders/entries/a%20key%20that%20nobody%20may%20see";
        http(&member.http_addr, path, &format!("traceparent: {TRACEPARENT}\r\n")).await;
    }
    let told = collector.until(4).await;
    assert_eq!(told.len(), 4, "{told:#?}");
    for one in &told {
        assert_eq!((one.name.as_str(), &one.trace[..]), ("get orders", &TRACE[..]));
        assert_eq!(one.parent, CALLER);
        assert_eq!(one.by, told[0].by, "it is always the owner");
    }
    Ok(())
}

#[tokio::test]
async fn a_node_begins_traces_for_clients_that_have_none() -> Result<()> {
    let (collector, endpoint) = Collector::start().await;
    let cluster = cluster(1, &endpoint, 10).await?;
    let grid = cluster.grid().await?;
    let map = grid.map::<u64, u64>("visits");
    for key in 0..30 {
        map.put(&key, &key).await?;
    }
    // Whoever decides himself decides for himself.
    let decided = traced(&cluster, &endpoint, || TraceParent::NotSampled).await?;
    for key in 0..30 {
        decided.map::<u64, u64>("others").put(&key, &key).await?;
    }
    cluster.stop(0).await?;
    let told = collector.0.lock().clone();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told.iter().all(|one| one.parent.is_empty() && one.name == "put visits"));
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_gone_disturbs_nobody() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it listens"));
    drop(listener);
    let cluster = cluster(2, &endpoint, 1).await?;
    let grid = traced(&cluster, &endpoint, here).await?;
    let map = grid.map::<u64, u64>("visits");
    for key in 0..200 {
        map.put(&key, &key).await?;
    }
    assert_eq!(map.get(&7).await?, Some(7));
    let address = grid.status().await?.members[0].http_addr.clone();
    let begun = Instant::now();
    loop {
        let page = http(&address, "/metrics", "").await;
        let dropped =
            page.lines().find_map(|line| line.strip_prefix("isogrid_traces_dropped_total "));
        if dropped.is_some_and(|dropped| dropped.parse::<f64>().is_ok_and(|count| count > 0.0)) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing was counted: {dropped:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// What a node answers over HTTP.
async fn http(address: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}
