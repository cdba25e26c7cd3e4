//! The doors for everyone else: unary calls, typed batches, scans, health and reflection over gRPC, and health over HTTP.

#[expect(dead_code, reason = "shared by several tests")]
mod common;

use bytes::Bytes;
use common::{channel, config, start};
use isogrid_core::{ErrorCode, Outcome};
use isogrid_proto::pb::grid_client::GridClient;
use isogrid_proto::pb::operation_reply::Reply;
use isogrid_proto::pb::{self, operation::Operation};
use isogrid_proto::status::{error_from_pb, error_from_status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::transport::Channel;

async fn client(node: &isogrid_node::Node) -> GridClient<Channel> {
    GridClient::new(channel(node).await)
}

fn put(map: &str, key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest {
        map: map.to_owned(),
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        ..pb::PutRequest::default()
    }
}

fn get(map: &str, key: &str) -> pb::GetRequest {
    let key = Bytes::copy_from_slice(key.as_bytes());
    pb::GetRequest { map: map.to_owned(), key, ..pb::GetRequest::default() }
}

#[tokio::test]
async fn unary_calls_read_and_write() {
    let node = start(config());
    let mut client = client(&node).await;
    let written = client.put(put("m", "k", "41")).await.expect("written").into_inner().reply;
    let Some(Reply::Written(pb::Written { version, .. })) = written else { panic!("{written:?}") };
    let increment = pb::IncrementRequest {
        map: "m".into(),
        key: Bytes::from_static(b"k"),
        delta: 1,
        ..pb::IncrementRequest::default()
    };
    let reply = client.increment(increment).await.expect("added").into_inner().reply;
    assert!(matches!(reply, Some(Reply::Integer(pb::Integer { value: 42, .. }))), "{reply:?}");
    let stale = pb::PutRequest {
        condition: Some(pb::Condition {
            condition: Some(pb::condition::Condition::IfVersion(version)),
        }),
        ..put("m", "k", "0")
    };
    let reply = client.put(stale).await.expect("answered").into_inner().reply;
    let Some(Reply::Conflict(pb::Conflict { current: Some(current) })) = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(current.value, "42");
    let reply = client.get(get("m", "absent")).await.expect("answered").into_inner().reply;
    assert_eq!(reply, Some(Reply::Missing(pb::Missing {})));
}

#[tokio::test]
async fn a_rename_is_a_call_of_its_own() {
    let node = start(config());
    let mut client = client(&node).await;
    let rename = |from: &str, to: &str, if_absent| pb::RenameRequest {
        map: "m".into(),
        from: Bytes::copy_from_slice(from.as_bytes()),
        to: Bytes::copy_from_slice(to.as_bytes()),
        if_absent,
        request_id: None,
    };
    let missing = client.rename(rename("{t}a", "{t}b", false)).await.expect("answered");
    assert_eq!(missing.into_inner().reply, Some(Reply::Missing(pb::Missing {})));
    client.put(put("m", "{t}a", "1")).await.expect("written");
    let moved = client.rename(rename("{t}a", "{t}b", true)).await.expect("moved").into_inner();
    assert!(matches!(moved.reply, Some(Reply::Written(_))) && moved.receipt.is_some(), "{moved:?}");
    client.put(put("m", "{t}a", "2")).await.expect("written");
    let there = client.rename(rename("{t}a", "{t}b", true)).await.expect("answered").into_inner();
    assert!(matches!(there.reply, Some(Reply::Conflict(_))), "{there:?}");
    let status = client.rename(rename("{t}a", "b", false)).await.expect_err("two partitions");
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let error = error_from_status(&status).expect("an error of ours");
    assert_eq!((error.code(), error.outcome()), (ErrorCode::KeysApart, Outcome::NotApplied));
}

#[tokio::test]
async fn a_failed_call_is_a_status_with_the_number_of_the_error() {
    let node = start(config());
    let mut client = client(&node).await;
    let status = client.get(get("no such map!", "k")).await.expect_err("must fail");
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let error = error_from_status(&status).expect("an error of ours");
    assert_eq!((error.code(), error.outcome()), (ErrorCode::MapNameInvalid, Outcome::NotApplied));
    client.put(put("m", "k", "text")).await.expect("written");
    let increment = pb::IncrementRequest {
        map: "m".into(),
        key: Bytes::from_static(b"k"),
        delta: 1,
        ..pb::IncrementRequest::default()
    };
    let status = client.increment(increment).await.expect_err("must fail");
    assert_eq!(error_from_status(&status).map(|e| e.code()), Some(ErrorCode::NotANumber));
}

#[tokio::test]
async fn a_batch_answers_each_operation_in_its_place() {
    let node = start(config());
    let mut client = client(&node).await;
    let operations = [
        Some(Operation::Put(put("a", "k", "1"))),
        None,
        Some(Operation::Put(put("bad name", "k", "1"))),
        Some(Operation::Get(get("a", "k"))),
        Some(Operation::Get(get("b", "k"))),
    ];
    let request = pb::BatchRequest {
        operations: operations.map(|operation| pb::Operation { operation }).to_vec(),
    };
    let replies = client.batch(request).await.expect("answered").into_inner().replies;
    let replies: Vec<Reply> = replies.into_iter().filter_map(|reply| reply.reply).collect();
    let code = |reply: &Reply| match reply {
        Reply::Error(error) => Some(error_from_pb(error).code()),
        _ => None,
    };
    assert!(matches!(replies[0], Reply::Written(_)));
    assert_eq!(code(&replies[1]), Some(ErrorCode::RequestIncomplete));
    assert_eq!(code(&replies[2]), Some(ErrorCode::MapNameInvalid));
    assert!(matches!(&replies[3], Reply::Found(entry) if entry.value == "1"));
    assert_eq!(replies[4], Reply::Missing(pb::Missing {}));
}

#[tokio::test]
async fn a_scan_streams_the_whole_map_once() {
    let node = start(config());
    let mut client = client(&node).await;
    for number in 0..300 {
        client.put(put("m", &format!("user:{number}"), "v")).await.expect("written");
    }
    client.put(put("m", "other", "v")).await.expect("written");
    let request = pb::ScanRequest {
        map: "m".into(),
        prefix: Bytes::from_static(b"user:"),
        page_entries_max: 7,
        with_values: true,
        ..pb::ScanRequest::default()
    };
    let mut pages = client.scan(request).await.expect("a stream").into_inner();
    let mut keys = Vec::new();
    while let Some(page) = pages.message().await.expect("a page") {
        assert!(page.entries.iter().all(|e| e.entry.as_ref().is_some_and(|e| e.value == "v")));
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
    }
    assert_eq!(keys.len(), 300);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 300, "no key comes twice");
    let whole = pb::LenRequest { map: "m".into(), ..pb::LenRequest::default() };
    let reply = client.len(whole).await.expect("counted").into_inner().reply;
    assert_eq!(reply, Some(Reply::Count(301)));
    let whole = pb::ClearRequest { map: "m".into(), ..pb::ClearRequest::default() };
    let reply = client.clear(whole).await.expect("cleared").into_inner().reply;
    assert_eq!(reply, Some(Reply::Count(301)));
}

#[tokio::test]
async fn health_and_status_tell_the_truth() {
    let node = start(config());
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel(&node).await);
    let request = tonic_health::pb::HealthCheckRequest { service: "isogrid.v1.Grid".into() };
    let serving = health.check(request).await.expect("answered").into_inner().status();
    assert_eq!(serving, tonic_health::pb::health_check_response::ServingStatus::Serving);
    let mut admin = pb::admin_client::AdminClient::new(channel(&node).await);
    let status = admin.status(pb::StatusRequest::default()).await.expect("answered").into_inner();
    assert_eq!((status.health.as_str(), status.safe), ("healthy", false), "one node is not safe");
    assert_eq!(status.members[0].node_id, node.id().as_str());
    assert!(status.members[0].connections >= 2);
    let workers: Vec<&str> = status.members[0].workers.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(workers, ["history", "janitor-0", "janitor-1", "pulse-0", "pulse-1"]);
}

#[tokio::test]
async fn reflection_lists_the_services() {
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    };
    let node = start(config());
    let mut client = ServerReflectionClient::new(channel(&node).await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let replies = client.server_reflection_info(tokio_stream::iter([request])).await;
    let reply = replies.expect("a stream").into_inner().message().await.expect("a message");
    let response = reply.expect("a reply").message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = response else {
        panic!("{response:?}")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in ["isogrid.v1.Grid", "isogrid.v1.Admin", "grpc.health.v1.Health"] {
        assert!(names.contains(&service), "{names:?}");
    }
}

#[tokio::test]
async fn http_tells_probes_how_it_is() {
    let node = start(config());
    for (path, wanted) in [
        ("/health/live", "live"),
        ("/health/ready", "ready"),
        ("/health/startup", "started"),
        ("/", "\"name\""),
    ] {
        let begun = std::time::Instant::now();
        loop {
            let answer = http_get(&node, path).await;
            if answer.starts_with("HTTP/1.1 200") && answer.contains(wanted) {
                break;
            }
            // It becomes ready in a moment.
            assert!(begun.elapsed().as_secs() < 10, "{answer}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

async fn http_get(node: &isogrid_node::Node, path: &str) -> String {
    let mut socket = tokio::net::TcpStream::connect(node.http_addr()).await.expect("open");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    answer
}
