//! Whatever a client does, it gets a clear error or is disconnected, and the node goes on serving others.

#[expect(dead_code, reason = "shared by several tests")]
mod common;

use std::time::{Duration, Instant};

use common::{Session, channel, config, frame, start};
use isogrid_core::{ErrorCode, Op, Outcome, PartitionId, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The node still answers a well-behaved client.
async fn assert_serves(node: &isogrid_node::Node) {
    let mut session = Session::open(node).await;
    session
        .call("sane", &[Op::put(b"k", b"v"), Op::Get { key: b"k" }], |replies| {
            assert!(matches!(&replies[1], Reply::Found(e) if e.value == b"v"));
        })
        .await;
}

#[tokio::test]
async fn a_garbage_frame_ends_its_session_with_a_reason() {
    let node = start(config());
    let mut other = Session::open(&node).await;
    for garbage in [
        b"garbage".to_vec(),
        vec![0; 500],
        vec![0xff; 64],
        frame("m", &[Op::put(b"k", b"v")])[..40].to_vec(),
    ] {
        let mut session = Session::open(&node).await;
        session.send(garbage).await;
        let error = session.receive().await.expect_err("must be refused");
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::FrameMalformed, Outcome::NotApplied)
        );
    }
    other
        .call("m", &[Op::Get { key: b"k" }], |replies| assert_eq!(replies, [Reply::Missing]))
        .await;
}

#[tokio::test]
async fn a_session_must_begin_with_a_hello() {
    let node = start(config());
    let mut client = isogrid_proto::pb::grid_client::GridClient::new(channel(&node).await);
    let rude = isogrid_proto::pb::SessionRequest { frame: frame("m", &[]), ..Default::default() };
    let mut replies =
        client.session(tokio_stream::iter([rude])).await.expect("a session").into_inner();
    let reply = replies.message().await.expect("a message").expect("a last word");
    assert!(reply.error.expect("an error").detail.contains("hello"));
    assert!(replies.message().await.expect("an end").is_none());
}

#[tokio::test]
async fn a_frame_too_large_is_refused_before_it_is_read() {
    let mut config = config();
    config.limits.frame_bytes_max = 100_000;
    let node = start(config);
    let mut session = Session::open(&node).await;
    session.send(vec![0x49; 200_000]).await;
    let error = session.receive().await.expect_err("must be refused");
    assert_eq!(error.code(), ErrorCode::FrameTooLarge);
    let mut session = Session::open(&node).await;
    session.send(vec![0x49; 100_500]).await;
    let error = session.receive().await.expect_err("must be refused");
    assert_eq!(error.code(), ErrorCode::FrameTooLarge);
    assert_serves(&node).await;
}

#[tokio::test]
async fn a_batch_too_large_is_refused() {
    let node = start(config());
    let mut session = Session::open(&node).await;
    session.send(frame("m", &vec![Op::Get { key: b"k" }; 1_025])).await;
    let error = session.receive().await.expect_err("must be refused");
    assert_eq!(error.code(), ErrorCode::BatchTooLarge);
    assert_serves(&node).await;
}

#[tokio::test]
async fn a_bad_operation_fails_alone() {
    let node = start(config());
    let mut session = Session::open(&node).await;
    let long_key = vec![b'k'; 5_000];
    let huge_value = vec![b'v'; (1 << 20) + 1];
    let nowhere = PartitionId(9_999);
    let ops = [
        Op::put(b"a", b"1"),
        Op::put(&long_key, b"1"),
        Op::put(b"b", &huge_value),
        Op::Len { partition: nowhere },
        Op::Get { key: b"a" },
    ];
    let code = |reply: &Reply<'_>| match reply {
        Reply::Failed(error) => {
            assert_eq!(error.outcome(), Outcome::NotApplied);
            Some(error.code())
        }
        _ => None,
    };
    session
        .call("m", &ops, |replies| {
            let codes: Vec<_> = replies.iter().map(code).collect();
            let expected = [
                None,
                Some(ErrorCode::KeyTooLong),
                Some(ErrorCode::ValueTooLarge),
                Some(ErrorCode::PartitionInvalid),
                None,
            ];
            assert_eq!(codes, expected);
        })
        .await;
}

#[tokio::test]
async fn replies_stop_growing_at_a_frame() {
    let node = start(config());
    let mut session = Session::open(&node).await;
    let value = vec![7; 1 << 20];
    let keys: Vec<String> = (0..10).map(|n| format!("k{n}")).collect();
    for key in &keys {
        session.call("m", &[Op::put(key.as_bytes(), &value)], |_| ()).await;
    }
    let ops: Vec<Op<'_>> = keys.iter().map(|key| Op::Get { key: key.as_bytes() }).collect();
    session
        .call("m", &ops, |replies| {
            let found = replies.iter().filter(|r| matches!(r, Reply::Found(_))).count();
            let left_out = |r: &&Reply<'_>| {
                matches!(r, Reply::Failed(error) if error.code() == ErrorCode::ReplyTooLarge)
            };
            assert_eq!((found, replies.iter().filter(left_out).count()), (4, 6));
        })
        .await;
}

#[tokio::test]
async fn replies_of_writes_stop_growing_too() {
    let node = start(config());
    let mut session = Session::open(&node).await;
    let value = vec![7; 1 << 20];
    let keys: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
    for key in &keys {
        session.call("m", &[Op::put(key.as_bytes(), &value)], |_| ()).await;
    }
    // Small requests with large replies, over several windows.
    let ops: Vec<Op<'_>> = keys
        .iter()
        .map(|key| Op::Delete {
            key: key.as_bytes(),
            condition: isogrid_core::Condition::Always,
            return_old: true,
        })
        .collect();
    let deleted = session
        .call("m", &ops, |replies| {
            let deleted = |r: &&Reply<'_>| matches!(r, Reply::Deleted { old: Some(_), .. });
            replies.iter().filter(deleted).count()
        })
        .await;
    assert_eq!(deleted, 4);
    let gets: Vec<Op<'_>> = keys.iter().map(|key| Op::Exists { key: key.as_bytes() }).collect();
    session
        .call("m", &gets, |replies| {
            let left = replies.iter().filter(|r| **r == Reply::Flag(true)).count();
            assert_eq!(left, 96, "what was refused was not applied");
        })
        .await;
}

#[tokio::test]
async fn a_refused_write_makes_no_map() {
    let node = start(config());
    let mut session = Session::open(&node).await;
    session
        .call("refused", &[Op::put(&[b'k'; 5_000], b"v")], |replies| {
            assert!(matches!(&replies[0], Reply::Failed(_)));
        })
        .await;
    assert_eq!(common::maps(&node).await, Vec::<String>::new());
}

#[test]
fn a_batch_that_cannot_be_numbered_is_refused_at_the_start() {
    let mut config = config();
    config.limits.batch_ops_max = 65_537;
    let error = isogrid_node::Node::start(config).err().expect("must be refused");
    assert_eq!(error.code(), ErrorCode::ConfigValueInvalid);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so() {
    let mut config = config();
    config.limits.connections_max = 3;
    let node = start(config);
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(Session::open(&node).await);
    }
    let refused = Session::try_open(channel(&node).await).await;
    let error = refused.err().expect("must be refused");
    assert_eq!(error.code(), ErrorCode::TooManyConnections);
    sessions.pop();
    let deadline = Instant::now() + common::PATIENCE;
    while Session::try_open(channel(&node).await).await.is_err() {
        assert!(Instant::now() < deadline, "a closed connection makes room for another");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sessions[0].call("m", &[Op::Get { key: b"k" }], |_| ()).await;
}

#[tokio::test]
async fn bytes_that_are_not_http2_close_the_connection() {
    let node = start(config());
    let mut socket = tokio::net::TcpStream::connect(node.grpc_addr()).await.expect("a connection");
    socket.write_all(b"*1\r\n$4\r\nPING\r\n and more that is no preface").await.expect("sent");
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(common::PATIENCE, socket.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "the node closes it");
    assert_serves(&node).await;
}

#[tokio::test]
async fn a_client_that_takes_no_replies_is_disconnected() {
    let mut config = config();
    config.limits.output_stall_ms = 300;
    let node = start(config);
    let mut session = Session::open(&node).await;
    let value = vec![7; 1 << 20];
    session.call("m", &[Op::put(b"k", &value)], |_| ()).await;
    // Each request asks for a megabyte; nobody takes the replies, so the windows fill and the node must give up.
    for _ in 0..100 {
        session.try_send(frame("m", &[Op::Get { key: b"k" }])).await;
    }
    let ended = tokio::time::timeout(common::PATIENCE, session.ended()).await;
    ended.expect("the node ends the connection");
    assert_serves(&node).await;
}
