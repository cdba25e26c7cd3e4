//! What the peer service makes of those who do not speak as nodes do.

use std::time::Duration;

use bytes::Bytes;
use isogrid_proto::pb::peer_client::PeerClient;
use tonic::Code;
use tonic::transport::Channel;

use super::*;
use crate::peers::testing::{CLUSTER, TestNode, append};

async fn client(node: &TestNode) -> PeerClient<Channel> {
    PeerClient::connect(format!("http://{}", node.address)).await.expect("it listens")
}

fn hello() -> LinkHello {
    LinkHello {
        cluster_id: cluster_text(Some(CLUSTER)),
        node_id: "a".to_owned(),
        incarnation: 1,
        to_incarnation: 1,
        format: 1,
    }
}

/// How a link ends that says this.
async fn link(node: &TestNode, hello: Option<LinkHello>, batch: Vec<u8>) -> Result<(), Status> {
    let first = LinkBatch { hello, batch: Bytes::new() };
    let second = LinkBatch { hello: None, batch: Bytes::from(batch) };
    let messages = tokio_stream::iter([first, second]);
    let mut client = client(node).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), client.link(messages)).await;
    ended.expect("it ends").map(drop)
}

#[tokio::test]
async fn a_link_without_a_good_hello_is_turned_away() {
    let node = TestNode::start("b", 1);
    let mut others = vec![None];
    others.push(Some(LinkHello { cluster_id: String::new(), ..hello() }));
    others.push(Some(LinkHello { cluster_id: "8".to_owned(), ..hello() }));
    others.push(Some(LinkHello { to_incarnation: 2, ..hello() }));
    others.push(Some(LinkHello { node_id: String::new(), ..hello() }));
    others.push(Some(LinkHello { node_id: "b".to_owned(), ..hello() }));
    others.push(Some(LinkHello { node_id: "x".repeat(257), ..hello() }));
    for other in others {
        let status = link(&node, other.clone(), Vec::new()).await.expect_err("turned away");
        assert_eq!(status.code(), Code::FailedPrecondition, "{other:?}");
        assert!(status.metadata().contains_key(TURNED_AWAY_KEY));
    }
    assert_eq!(link(&node, Some(hello()), Vec::new()).await.map_err(|s| s.code()), Ok(()));
}

#[tokio::test]
async fn a_link_that_brings_garbage_is_ended() {
    let node = TestNode::start("b", 1);
    for garbage in [vec![9], vec![1, 1, 2], vec![1, 1, 0, 0, 0, 0]] {
        let status = link(&node, Some(hello()), garbage).await.expect_err("malformed");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    let mut good = vec![1];
    crate::peers::codec::encode(&append(1, 1, 5), &mut good);
    link(&node, Some(hello()), good).await.expect("well made");
    assert_eq!(node.recorder.heard(), [append(1, 1, 5)]);
}

#[tokio::test]
async fn a_question_of_an_unknown_kind_is_refused_with_an_error() {
    let node = TestNode::start("b", 1);
    let question = PeerQuestion {
        cluster_id: cluster_text(Some(CLUSTER)),
        node_id: "a".to_owned(),
        incarnation: 1,
        kind: 99,
        body: Bytes::new(),
        to_incarnation: 1,
        traces: Vec::new(),
    };
    let status = client(&node).await.ask(question).await.expect_err("unknown");
    let error = isogrid_proto::status::error_from_status(&status).expect("an error of ours");
    assert_eq!(error.code(), ErrorCode::ProtocolUnknown);
}
