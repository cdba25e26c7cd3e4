//! One session: connecting, shaking hands, and handing replies to the lane until the connection ends.

use std::sync::Arc;
use std::time::Duration;

use isogrid_core::limits::{KEY_BYTES_HARD_MAX, VALUE_BYTES_HARD_MAX};
use isogrid_core::{Error, ErrorCode, Limits, PartitionCount};
use isogrid_proto::frame::FRAME_VERSION;
use isogrid_proto::pb;
use isogrid_proto::pb::grid_client::GridClient;
use isogrid_proto::status;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::lane::{Lane, Outgoing};

/// HTTP/2 windows and frames large enough that a megabyte of replies is not chopped into round trips.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const HTTP_FRAME_BYTES_MAX: u32 = 1 << 20;

/// The largest message taken from a node. Far above what nodes send (about `limits.frame_bytes_max`, or one value); a node
/// that sends more is broken.
pub(crate) const REPLY_BYTES_MAX: usize = 256 << 20;

/// How often an idle peer is asked whether it lives, and how long it may take to say so.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The name of this library and its version, as nodes are told.
const LIBRARY: &str = concat!("isogrid-client/", env!("CARGO_PKG_VERSION"));

/// What the node said in the handshake.
#[derive(Clone, Debug)]
pub(crate) struct Welcome {
    pub(crate) node: Arc<str>,
    pub(crate) cluster: String,
    pub(crate) partitions: PartitionCount,
    pub(crate) cores: usize,
    pub(crate) core: usize,
    pub(crate) limits: Limits,
}

/// A connection after the handshake.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) welcome: Welcome,
    /// The transport, for calls beside the session.
    pub(crate) channel: Channel,
    replies: Streaming<pb::SessionReply>,
}

/// The transport to an address, with the settings all connections share.
pub(crate) fn endpoint(address: &str, connect_timeout: Duration) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .and_then(|endpoint| endpoint.user_agent(LIBRARY))
        .map_err(|error| Error::new(ErrorCode::EndpointInvalid, format!("{address:?}: {error}")))?;
    Ok(endpoint
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(HTTP_FRAME_BYTES_MAX)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT))
}

/// The error of a call that failed before it reached the grid, or that the grid refused.
pub(crate) fn call_error(address: &str, status: &tonic::Status) -> Error {
    status::error_from_status(status).unwrap_or_else(|| {
        Error::new(ErrorCode::CannotConnect, format!("{address}: {}", status.message()))
    })
}

/// What a transport error says, down to its cause: "connection refused", not "transport error".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Opens a connection for a lane and shakes hands.
pub(crate) async fn open(
    lane: &Arc<Lane>,
    address: &str,
    client_name: &str,
    connect_timeout: Duration,
) -> Result<Session, Error> {
    let handshake = shake_hands(lane, address, client_name, connect_timeout);
    let opened = tokio::time::timeout(connect_timeout, handshake).await;
    opened.unwrap_or_else(|_| {
        let waited_ms = connect_timeout.as_millis();
        let detail = format!("{address}: no handshake within {waited_ms} ms");
        Err(Error::new(ErrorCode::CannotConnect, detail))
    })
}

async fn shake_hands(
    lane: &Arc<Lane>,
    address: &str,
    client_name: &str,
    connect_timeout: Duration,
) -> Result<Session, Error> {
    let cannot = |why: String| Error::new(ErrorCode::CannotConnect, format!("{address}: {why}"));
    let channel = endpoint(address, connect_timeout)?
        .connect()
        .await
        .map_err(|error| cannot(root_cause(&error)))?;
    let mut client = GridClient::new(channel.clone())
        .max_decoding_message_size(REPLY_BYTES_MAX)
        .max_encoding_message_size(usize::MAX);
    let hello = pb::Hello {
        frame_version: u32::from(FRAME_VERSION),
        client_name: client_name.to_owned(),
        library: LIBRARY.to_owned(),
        decides_traces: false,
    };
    let outgoing = Outgoing::new(Arc::clone(lane), hello);
    let response = client.session(outgoing).await.map_err(|s| call_error(address, &s))?;
    let mut replies = response.into_inner();
    let first = replies.message().await.map_err(|s| call_error(address, &s))?;
    let first = first.ok_or_else(|| cannot("the node hung up".to_owned()))?;
    if let Some(error) = &first.error {
        return Err(status::error_from_pb(error));
    }
    let welcome = first.welcome.ok_or_else(|| cannot("not a node of the grid".to_owned()))?;
    Ok(Session { welcome: welcome_from_pb(welcome)?, channel, replies })
}

fn welcome_from_pb(welcome: pb::Welcome) -> Result<Welcome, Error> {
    let defect = |what: String| Error::new(ErrorCode::Internal, what);
    if welcome.frame_version != u32::from(FRAME_VERSION) {
        let detail =
            format!("frame version {}, this side speaks {FRAME_VERSION}", welcome.frame_version);
        return Err(Error::new(ErrorCode::ProtocolUnknown, detail));
    }
    let partitions = u16::try_from(welcome.partitions).ok().and_then(PartitionCount::new);
    let partitions =
        partitions.ok_or_else(|| defect(format!("{} partitions", welcome.partitions)))?;
    let limits = Limits {
        key_bytes_max: (welcome.key_bytes_max as usize).min(KEY_BYTES_HARD_MAX),
        value_bytes_max: (welcome.value_bytes_max as usize).min(VALUE_BYTES_HARD_MAX),
        frame_bytes_max: welcome.frame_bytes_max as usize,
        batch_ops_max: welcome.batch_ops_max as usize,
        in_flight_ops_max: welcome.in_flight_ops_max as usize,
        ..Limits::default()
    };
    let cores = (welcome.cores as usize).max(1);
    let core = (welcome.core as usize).min(cores - 1);
    let (node, cluster) = (welcome.node_id.into(), welcome.cluster_id);
    Ok(Welcome { node, cluster, partitions, cores, core, limits })
}

impl Session {
    /// Hands replies to the lane until the connection ends; returns why it did. What the client's table lacks is told
    /// before the replies that it explains, so that their callers find the new way.
    pub(crate) async fn pump(&mut self, lane: &Lane, take_delta: impl Fn(&[u8])) -> Error {
        let lost = |why: &str| Error::new(ErrorCode::ConnectionLost, why);
        let mut wakers = Vec::new();
        loop {
            let reply = match self.replies.message().await {
                Ok(Some(reply)) => reply,
                Ok(None) => return lost("the node ended the session"),
                Err(status) => {
                    return status::error_from_status(&status)
                        .unwrap_or_else(|| lost(&root_cause(&status)));
                }
            };
            if let Some(error) = &reply.error {
                return status::error_from_pb(error);
            }
            if !reply.table.is_empty() {
                take_delta(&reply.table);
            }
            if let Err(error) = lane.complete(&reply.frame, &mut wakers) {
                tracing::error!(%error, "a node's replies cannot be trusted; closing its connection");
                return error;
            }
        }
    }
}
