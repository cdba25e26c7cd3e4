//! The way out to the peer service of other nodes: connections, links and questions.

use std::error::Error as StdError;
use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use isogrid_cluster::ClusterId;
use isogrid_core::{Incarnation, Replica, Traces};
use isogrid_proto::pb::peer_client::PeerClient;
use isogrid_proto::pb::{LinkBatch, LinkHello, PeerQuestion};
use isogrid_proto::status::error_from_status;
use isogrid_proto::trace::traces_to_pb;
use tonic::transport::{Channel, Endpoint};
use tonic::{ConnectError, Status};

use super::peer::TURNED_AWAY_KEY;
use crate::peers::codec::BATCH_VERSION;
use crate::peers::limits::{PeerLimits, QUESTION_BYTES_MAX};
use crate::peers::message::{AskFailed, AskKind};

/// The flow-control windows of a connection to another node. Only answers come back over it.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// The room around the body of an answer.
const ENVELOPE_BYTES: usize = 1_024;

/// Who speaks, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct Greeting {
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) own: Replica,
    /// Which life is meant; zero: whichever.
    pub(crate) to: Incarnation,
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectFailed {
    /// Nobody listens there.
    pub(crate) is_refused: bool,
    /// In words.
    pub(crate) why: String,
}

/// How a link ended.
#[derive(Debug)]
pub(crate) enum LinkEnded {
    /// The other node ended it in order: it stops.
    Closed,
    /// The other node does not want it.
    TurnedAway(String),
    /// The connection broke.
    Broken(String),
}

/// Connects to a node: a connection of its own.
pub(crate) async fn connect(address: &str, limits: &PeerLimits) -> Result<Channel, ConnectFailed> {
    let failed = |why: String| ConnectFailed { is_refused: false, why };
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| failed(chain(&error)))?
        .connect_timeout(limits.connect_timeout)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout)
        .keep_alive_while_idle(true);
    // A name that resolves to several addresses, or resolves slowly, must not take longer either.
    match tokio::time::timeout(limits.connect_timeout * 2, endpoint.connect()).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(ConnectFailed { is_refused: is_refused(&error), why: chain(&error) }),
        Err(_) => Err(failed("it takes too long to connect".to_owned())),
    }
}

/// Opens a link and keeps it until it ends.
pub(crate) async fn link(
    channel: Channel,
    greeting: Greeting,
    batches: impl Stream<Item = Bytes> + Send + 'static,
) -> LinkEnded {
    let hello = LinkHello {
        cluster_id: cluster_text(greeting.cluster),
        node_id: greeting.own.node.to_string(),
        incarnation: greeting.own.incarnation.0,
        to_incarnation: greeting.to.0,
        format: u32::from(BATCH_VERSION),
    };
    let first = LinkBatch { hello: Some(hello), batch: Bytes::new() };
    let batches = batches.map(|batch| LinkBatch { hello: None, batch });
    let messages = futures::stream::once(std::future::ready(first)).chain(batches);
    match PeerClient::new(channel).link(messages).await {
        Ok(_) => LinkEnded::Closed,
        Err(status) if is_turned_away(&status) => {
            LinkEnded::TurnedAway(status.message().to_owned())
        }
        Err(status) => LinkEnded::Broken(chain(&status)),
    }
}

/// Asks. The other error is for a connection that is of no use any more.
pub(crate) async fn ask(
    channel: Channel,
    greeting: Greeting,
    kind: AskKind,
    (body, traces): (Bytes, Traces),
) -> Result<Bytes, (AskFailed, ChannelState)> {
    let question = PeerQuestion {
        cluster_id: cluster_text(greeting.cluster),
        node_id: greeting.own.node.to_string(),
        incarnation: greeting.own.incarnation.0,
        kind: kind as u32,
        body,
        to_incarnation: greeting.to.0,
        traces: traces_to_pb(&traces),
    };
    let mut client = PeerClient::new(channel)
        .max_decoding_message_size(QUESTION_BYTES_MAX + ENVELOPE_BYTES)
        .max_encoding_message_size(QUESTION_BYTES_MAX + ENVELOPE_BYTES);
    match client.ask(question).await {
        Ok(answer) => Ok(answer.into_inner().body),
        Err(status) => Err(ask_failed(&status)),
    }
}

/// Whether a connection can be used for the next question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelState {
    /// The other node answered over it.
    Alive,
    /// It broke.
    Broken,
}

fn ask_failed(status: &Status) -> (AskFailed, ChannelState) {
    if is_turned_away(status) {
        return (AskFailed::Unreachable(status.message().to_owned()), ChannelState::Alive);
    }
    if let Some(error) = error_from_status(status) {
        return (AskFailed::Refused(error), ChannelState::Alive);
    }
    let why = chain(status);
    let not_sent = find::<ConnectError>(status).is_some();
    let failed = if not_sent { AskFailed::Unreachable(why) } else { AskFailed::Unknown(why) };
    (failed, ChannelState::Broken)
}

/// A cluster's id as text.
pub(crate) fn cluster_text(cluster: Option<ClusterId>) -> String {
    cluster.map(|cluster| format!("{:032x}", cluster.0)).unwrap_or_default()
}

fn is_turned_away(status: &Status) -> bool {
    status.metadata().contains_key(TURNED_AWAY_KEY)
}

fn is_refused(error: &(dyn StdError + 'static)) -> bool {
    find::<io::Error>(error).is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
}

/// The first cause of a type.
fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    causes(error).find_map(|cause| cause.downcast_ref::<T>())
}

/// An error with its causes.
fn chain(error: &(dyn StdError + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// An error and what caused it, in turn.
fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}
