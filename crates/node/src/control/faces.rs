//! What control needs of the node's other parts, so that tests can stand in for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isogrid_cluster::council::CreateCluster;
use isogrid_cluster::gossip::Load;
use isogrid_cluster::heartbeat::Lead;
use isogrid_cluster::{ClusterId, Command, Council, Directive, Outcome, VoterId};
use isogrid_core::{LogPosition, NodeId, PartitionId, Result, SessionId};
use isogrid_replica::{Now, Ticks};
use tokio::sync::watch;

use super::view::View;
use crate::gossip::{Gossip, OwnNews, Seen};
use crate::peers::Peers;
use crate::peers::message::{AskFailed, AskKind, LinkMessage, PeerAddress};
use crate::peers::pulse::Heard;
use isogrid_council::{CouncilLeader, CouncilService, ProposeFailed};

/// The parts of the node that control works with.
#[derive(Clone)]
pub(crate) struct Faces {
    pub(crate) gossip: Arc<dyn GossipFace>,
    pub(crate) council: Arc<dyn CouncilFace>,
    pub(crate) peers: Arc<dyn PeersFace>,
    pub(crate) engine: Arc<dyn EngineFace>,
}

/// What is said of nodes all the time.
pub(crate) trait GossipFace: Send + Sync {
    /// Tells the others what is new of this node.
    fn publish(&self, news: OwnNews);

    /// The other nodes.
    fn members(&self) -> watch::Receiver<Arc<BTreeMap<NodeId, Seen>>>;
}

/// The council's service of this node.
#[tonic::async_trait]
pub(crate) trait CouncilFace: Send + Sync {
    /// This voter, whether it votes or not.
    fn voter(&self) -> VoterId;

    /// Whether it has ever heard of a council.
    fn is_initialized(&self) -> bool;

    /// Forms the council of a new cluster. Can be done again when it failed.
    async fn form(&self, create: CreateCluster) -> Result<()>;

    /// Proposes a command, where this node leads.
    async fn propose(&self, command: Command) -> Result<Outcome, ProposeFailed>;

    /// Makes sure that this node leads and has applied all that was acknowledged before the call.
    async fn confirm(&self) -> Result<(), ProposeFailed>;

    /// The council as far as it was applied here.
    fn state(&self) -> watch::Receiver<Arc<Council>>;

    /// Who leads as far as this voter knows.
    fn leader(&self) -> watch::Receiver<Option<CouncilLeader>>;

    /// Whether this node leads, and a majority has answered it a moment ago.
    fn has_quorum(&self) -> bool;

    /// Who votes.
    fn voters(&self) -> BTreeMap<VoterId, NodeId>;

    /// Makes these the voters, where this node leads.
    async fn change_voters(&self, voters: BTreeMap<VoterId, NodeId>) -> Result<()>;
}

/// The links and questions to other nodes.
#[tonic::async_trait]
pub(crate) trait PeersFace: Send + Sync {
    /// This node belongs to a cluster from now on.
    fn set_cluster(&self, cluster: ClusterId);

    /// Where the other nodes are.
    fn set_addresses(&self, addresses: BTreeMap<NodeId, PeerAddress>);

    /// Sends a message over the link. It may be lost.
    fn send(&self, to: &NodeId, message: &LinkMessage);

    /// Asks a node.
    async fn ask(
        &self,
        to: &NodeId,
        kind: AskKind,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, AskFailed>;

    /// When each node was heard last.
    fn heard(&self) -> BTreeMap<NodeId, Heard>;

    /// Changes when there is evidence of a death.
    fn evidence(&self) -> watch::Receiver<u64>;
}

/// The partitions of this node.
pub(crate) trait EngineFace: Send + Sync {
    /// The view has changed: replicas are opened, told and closed. Called one at a time, in the order of the views.
    fn learn(&self, view: &Arc<View>);

    /// What is led here.
    fn leads(&self) -> Vec<Lead>;

    /// Sessions of which a client was heard here since this was last asked.
    fn kept_alive(&self) -> Vec<SessionId>;

    /// The last entry of each log here.
    fn positions(&self) -> Vec<(PartitionId, LogPosition)>;

    /// The council's leader has answered a heartbeat that was sent then.
    fn council_answered(&self, sent_at: Ticks);

    /// The steward wants something of a primary here.
    fn direct(&self, directive: &Directive);

    /// The clocks by which leases are measured.
    fn now(&self) -> Now;

    /// How loaded this node is.
    fn load(&self) -> Load {
        Load::default()
    }

    /// Whether all that is here is where a stop of the whole cluster may leave it. Data that are only in memory are lost
    /// in such a stop: there is nothing to write.
    fn is_flushed(&self) -> bool {
        true
    }
}

impl GossipFace for Gossip {
    fn publish(&self, news: OwnNews) {
        Gossip::publish(self, news);
    }

    fn members(&self) -> watch::Receiver<Arc<BTreeMap<NodeId, Seen>>> {
        Gossip::members(self)
    }
}

#[tonic::async_trait]
impl CouncilFace for CouncilService {
    fn voter(&self) -> VoterId {
        CouncilService::voter(self)
    }

    fn is_initialized(&self) -> bool {
        CouncilService::is_initialized(self)
    }

    async fn form(&self, create: CreateCluster) -> Result<()> {
        CouncilService::form(self, create).await
    }

    async fn propose(&self, command: Command) -> Result<Outcome, ProposeFailed> {
        CouncilService::propose(self, command).await
    }

    async fn confirm(&self) -> Result<(), ProposeFailed> {
        CouncilService::confirm(self).await
    }

    fn state(&self) -> watch::Receiver<Arc<Council>> {
        CouncilService::state(self)
    }

    fn leader(&self) -> watch::Receiver<Option<CouncilLeader>> {
        CouncilService::leader(self)
    }

    fn has_quorum(&self) -> bool {
        CouncilService::has_quorum(self)
    }

    fn voters(&self) -> BTreeMap<VoterId, NodeId> {
        CouncilService::voters(self)
    }

    async fn change_voters(&self, voters: BTreeMap<VoterId, NodeId>) -> Result<()> {
        CouncilService::change_voters(self, voters).await
    }
}

/// Control runs on the first core: its messages go over that core's links.
const CORE: usize = 0;

#[tonic::async_trait]
impl PeersFace for Peers {
    fn set_cluster(&self, cluster: ClusterId) {
        Peers::set_cluster(self, cluster);
    }

    fn set_addresses(&self, addresses: BTreeMap<NodeId, PeerAddress>) {
        Peers::set_addresses(self, addresses);
    }

    fn send(&self, to: &NodeId, message: &LinkMessage) {
        Peers::send(self, CORE, to, message);
        Peers::flush(self, CORE);
    }

    async fn ask(
        &self,
        to: &NodeId,
        kind: AskKind,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, AskFailed> {
        Peers::ask(self, to, kind, body, timeout).await
    }

    fn heard(&self) -> BTreeMap<NodeId, Heard> {
        Peers::heard(self)
    }

    fn evidence(&self) -> watch::Receiver<u64> {
        Peers::evidence(self)
    }
}
