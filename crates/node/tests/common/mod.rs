//! A node in this process, and a client that speaks bare frames to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isogrid_core::{Error, Op, Reply};
use isogrid_node::{Config, Node};
use isogrid_proto::frame::{FRAME_VERSION, FrameHead, ReplyFrame, RequestWriter};
use isogrid_proto::pb::grid_client::GridClient;
use isogrid_proto::pb::{Hello, SessionReply, SessionRequest, Welcome};
use isogrid_proto::status::{error_from_pb, error_from_status};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration with free ports.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.node.grpc_addr = "127.0.0.1:0".into();
    config.node.gossip_addr = "127.0.0.1:0".into();
    config.node.http_addr = "127.0.0.1:0".into();
    config.node.cores = 2;
    config
}

/// Starts a node.
pub(crate) fn start(config: Config) -> Node {
    Node::start(config).expect("a node on free ports starts")
}

/// A connection to a node.
pub(crate) async fn channel(node: &Node) -> Channel {
    Endpoint::from_shared(format!("http://{}", node.grpc_addr()))
        .expect("an address is a good endpoint")
        .connect()
        .await
        .expect("the node listens")
}

/// A session of bare frames.
pub(crate) struct Session {
    pub(crate) welcome: Welcome,
    requests: mpsc::Sender<SessionRequest>,
    replies: Streaming<SessionReply>,
}

impl Session {
    /// Opens a session.
    pub(crate) async fn open(node: &Node) -> Session {
        Session::try_open(channel(node).await).await.expect("the node welcomes")
    }

    /// Opens a session over a connection, or says why the node refuses.
    pub(crate) async fn try_open(channel: Channel) -> Result<Session, Error> {
        let (requests, outgoing) = mpsc::channel(16);
        let hello = Hello { frame_version: u32::from(FRAME_VERSION), ..Hello::default() };
        let first = SessionRequest { hello: Some(hello), ..SessionRequest::default() };
        requests.send(first).await.expect("the channel is open");
        let mut client = GridClient::new(channel).max_decoding_message_size(usize::MAX);
        let replies = client.session(ReceiverStream::new(outgoing)).await;
        let mut replies = replies.map_err(|s| error_from_status(&s).expect("an error of ours"))?;
        let welcome = replies.get_mut().message().await.expect("a message").expect("not the end");
        let welcome = welcome.welcome.expect("the first message is a welcome");
        Ok(Session { welcome, requests, replies: replies.into_inner() })
    }

    /// Sends bytes as a frame.
    pub(crate) async fn send(&self, frame: impl Into<Bytes>) {
        let request = SessionRequest { frame: frame.into(), ..SessionRequest::default() };
        self.requests.send(request).await.expect("the session is open");
    }

    /// The next reply frame, or the error with which the node ends the session.
    pub(crate) async fn receive(&mut self) -> Result<Bytes, Error> {
        let message = tokio::time::timeout(PATIENCE, self.replies.message());
        match message.await.expect("an answer in time") {
            Ok(Some(SessionReply { error: Some(error), .. })) => Err(error_from_pb(&error)),
            Ok(Some(reply)) => Ok(reply.frame),
            Ok(None) => panic!("the session ended without a word"),
            Err(status) => Err(error_from_status(&status).unwrap_or_else(|| panic!("{status}"))),
        }
    }

    /// Executes operations on one map and gives the replies to `check`.
    pub(crate) async fn call<T>(
        &mut self,
        map: &str,
        ops: &[Op<'_>],
        check: impl FnOnce(Vec<Reply<'_>>) -> T,
    ) -> T {
        self.send(frame(map, ops)).await;
        // Some are known at once, others when they are committed: in as many frames as it takes.
        let mut frames = Vec::new();
        let mut answered = 0;
        while answered < ops.len() {
            let bytes = self.receive().await.expect("a reply frame");
            answered += ReplyFrame::parse(&bytes).expect("a good frame").replies;
            frames.push(bytes);
        }
        let mut replies: Vec<Option<Reply<'_>>> = ops.iter().map(|_| None).collect();
        for bytes in &frames {
            let mut reply = ReplyFrame::parse(bytes).expect("a good frame");
            for _ in 0..reply.replies {
                let answered = reply.next_reply().expect("a good reply");
                let earlier = replies[answered.index].replace(answered.reply);
                assert!(earlier.is_none(), "operation {} is answered twice", answered.index);
            }
        }
        check(replies.into_iter().map(|reply| reply.expect("each is answered")).collect())
    }
}

/// A request frame.
pub(crate) fn frame(map: &str, ops: &[Op<'_>]) -> Bytes {
    let map: Arc<str> = Arc::from(map);
    let mut writer = RequestWriter::new();
    for op in ops {
        assert!(writer.push(&map, op));
    }
    writer.finish(&FrameHead { frame_id: 1, deadline_ms: 5_000, ..FrameHead::default() })
}

/// The names of the node's maps.
pub(crate) async fn maps(node: &Node) -> Vec<String> {
    let mut admin = isogrid_proto::pb::admin_client::AdminClient::new(channel(node).await);
    let reply = admin.list_maps(isogrid_proto::pb::ListMapsRequest::default()).await;
    reply.expect("an answer").into_inner().maps.into_iter().map(|map| map.name).collect()
}

impl Session {
    /// Waits until the connection takes no more requests.
    pub(crate) async fn ended(&self) {
        self.requests.closed().await;
    }

    /// Sends bytes as a frame; says whether the session still took them.
    pub(crate) async fn try_send(&self, frame: Bytes) -> bool {
        let request = SessionRequest { frame, ..SessionRequest::default() };
        self.requests.send(request).await.is_ok()
    }
}

/// How many bytes the node's data takes.
pub(crate) async fn data_bytes(node: &Node) -> u64 {
    let mut admin = isogrid_proto::pb::admin_client::AdminClient::new(channel(node).await);
    let reply = admin.status(isogrid_proto::pb::StatusRequest::default()).await;
    reply.expect("an answer").into_inner().members[0].data_bytes
}
