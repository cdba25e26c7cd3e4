//! The peer service: where links and questions of other nodes arrive. Who does not mean this life of this node, or is of
//! another cluster, is turned away before anything of it is read.

use std::sync::Arc;

use isogrid_core::{Error, ErrorCode, Incarnation, NodeId, Replica};
use isogrid_proto::pb::peer_server::{Peer, PeerServer};
use isogrid_proto::pb::{LinkBatch, LinkEnd, LinkHello, PeerAnswer, PeerQuestion};
use isogrid_proto::status::error_to_status;
use isogrid_proto::trace::traces_from_pb;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, warn};

use super::peer_client::cluster_text;
use crate::clients::Did;
use crate::connection::ConnectionState;
use crate::peers::Peers;
use crate::peers::codec::decode;
use crate::peers::limits::{QUESTION_BYTES_MAX, RECEIVED_BYTES_MAX};
use crate::peers::message::{AskKind, LinkMessage, PeerHandler};
use crate::peers::pulse::Pulse;

/// Says that a link or question was not looked at: it was not for this life, or not for this cluster.
pub(super) const TURNED_AWAY_KEY: &str = "isogrid-turned-away";

/// The longest name of a node.
const NODE_NAME_BYTES_MAX: usize = 256;

/// Room for the envelope of a message.
const ENVELOPE_BYTES: usize = 1_024;

/// After a batch of this size others have a turn.
const LONG_BATCH_BYTES: usize = 64 << 10;

/// The peer service of one core.
pub(crate) struct PeerService {
    peers: Arc<Peers>,
    handler: Arc<dyn PeerHandler>,
    core: usize,
    stopping: CancellationToken,
}

impl PeerService {
    /// The service of one core, with its limits. Links end when `stopping` does.
    pub(crate) fn server(
        peers: Arc<Peers>,
        handler: Arc<dyn PeerHandler>,
        core: usize,
        stopping: CancellationToken,
    ) -> PeerServer<PeerService> {
        let bytes_max = RECEIVED_BYTES_MAX.max(QUESTION_BYTES_MAX) + ENVELOPE_BYTES;
        PeerServer::new(PeerService { peers, handler, core, stopping })
            .max_decoding_message_size(bytes_max)
            .max_encoding_message_size(bytes_max)
    }

    /// Receives batches until the link ends.
    async fn receive(
        &self,
        from: &Replica,
        pulse: &Pulse,
        mut batches: Streaming<LinkBatch>,
    ) -> Result<(), Status> {
        while let Some(LinkBatch { batch, .. }) = batches.message().await? {
            if batch.is_empty() || self.peers.is_cut_off() {
                continue;
            }
            let mut messages = decode(&batch).map_err(|malformed| {
                warn!(node = %from.node, %malformed, "a link was ended");
                Status::invalid_argument(malformed.to_string())
            })?;
            pulse.received(batch.len(), messages.len());
            messages.retain(|message| !matches!(message, LinkMessage::Ping));
            if !messages.is_empty() {
                self.handler.receive(self.core, from, messages);
            }
            if batch.len() >= LONG_BATCH_BYTES {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// The sender of a hello, if it may link.
    fn greet(&self, hello: &LinkHello) -> Result<Replica, Status> {
        self.check_cluster(&hello.cluster_id, false)?;
        self.check_life(hello.to_incarnation)?;
        self.sender(&hello.node_id, hello.incarnation)
    }

    fn check_cluster(&self, cluster: &str, is_for_strangers: bool) -> Result<(), Status> {
        let own = cluster_text(self.peers.cluster());
        if cluster == own && !own.is_empty() {
            return Ok(());
        }
        let is_unknown = own.is_empty() || cluster.is_empty();
        match is_unknown {
            true if is_for_strangers => Ok(()),
            true => Err(turned_away("not both nodes belong to a cluster yet")),
            false => Err(turned_away(&format!("this node belongs to cluster {own}"))),
        }
    }

    fn check_life(&self, meant: u64) -> Result<(), Status> {
        let own = self.peers.own();
        match meant == 0 || meant == own.incarnation.0 {
            true => Ok(()),
            false => Err(turned_away(&format!(
                "this is life {} of {}, not life {meant}",
                own.incarnation.0, own.node
            ))),
        }
    }

    fn sender(&self, name: &str, incarnation: u64) -> Result<Replica, Status> {
        if name.is_empty() || name.len() > NODE_NAME_BYTES_MAX {
            return Err(turned_away("no good name of a node"));
        }
        if name == self.peers.own().node.as_str() {
            return Err(turned_away("another node has the same name"));
        }
        Ok(Replica { node: NodeId::new(name), incarnation: Incarnation(incarnation) })
    }

    async fn answer(&self, question: PeerQuestion) -> Result<PeerAnswer, Status> {
        let Some(kind) = AskKind::from_number(question.kind) else {
            let detail = format!("question of kind {}", question.kind);
            return Err(error_to_status(&Error::new(ErrorCode::ProtocolUnknown, detail)));
        };
        self.check_cluster(&question.cluster_id, kind.is_for_strangers())?;
        self.check_life(question.to_incarnation)?;
        let from = self.sender(&question.node_id, question.incarnation)?;
        if let Some(pulse) = self.peers.pulse(&from.node) {
            pulse.speaks(from.incarnation);
        }
        let answered = match kind {
            AskKind::Forward => {
                let traces = traces_from_pb(&question.traces);
                self.handler.forward(&from, question.body, traces).await
            }
            _ => self.handler.ask(&from, kind, question.body).await,
        };
        let body = answered.map_err(|error| error_to_status(&error))?;
        Ok(PeerAnswer { body })
    }
}

#[tonic::async_trait]
impl Peer for PeerService {
    async fn link(
        &self,
        request: Request<Streaming<LinkBatch>>,
    ) -> Result<Response<LinkEnd>, Status> {
        self.peers.until_connected().await;
        let connection = connection(&request);
        let mut batches = request.into_inner();
        let first = batches.message().await?.and_then(|batch| batch.hello);
        let hello = first.ok_or_else(|| turned_away("the first message must be a hello"))?;
        let from = self.greet(&hello)?;
        let Some(_place) = self.peers.admit_link() else {
            return Err(turned_away("too many links"));
        };
        let Some(pulse) = self.peers.pulse(&from.node) else {
            return Err(turned_away("too many nodes"));
        };
        if let Some(connection) = connection {
            connection.become_peer();
            connection.client.is_another_node(from.node.as_str());
            connection.client.does(Did::Link);
        }
        pulse.speaks(from.incarnation);
        debug!(node = %from.node, life = from.incarnation.0, core = self.core, "link opened");
        tokio::select! {
            ended = self.receive(&from, &pulse, batches) => ended?,
            () = self.stopping.cancelled() => {}
        }
        Ok(Response::new(LinkEnd {}))
    }

    async fn ask(&self, request: Request<PeerQuestion>) -> Result<Response<PeerAnswer>, Status> {
        self.peers.until_connected().await;
        let connection = connection(&request);
        let question = request.into_inner();
        // A stranger may ask, but its connection counts like a client's.
        let is_member = self.check_cluster(&question.cluster_id, false).is_ok();
        let name = question.node_id.clone();
        let answer = self.answer(question).await?;
        if let Some(connection) = connection.filter(|_| is_member) {
            connection.become_peer();
            connection.client.is_another_node(&name);
            connection.client.does(Did::Question);
        }
        Ok(Response::new(answer))
    }
}

fn connection<T>(request: &Request<T>) -> Option<Arc<ConnectionState>> {
    request.extensions().get::<Arc<ConnectionState>>().cloned()
}

fn turned_away(why: &str) -> Status {
    let mut status = Status::failed_precondition(why);
    status.metadata_mut().insert(TURNED_AWAY_KEY, MetadataValue::from_static("1"));
    status
}

#[cfg(test)]
#[path = "peer_test.rs"]
mod tests;
