//! What operators ask: the state of the cluster and of its maps, as plain values.

use std::sync::Arc;
use std::time::Duration;

use isogrid_proto::pb;
use isogrid_proto::pb::admin_client::AdminClient;
use tonic::transport::Channel;

use crate::error::Result;
use crate::grid::Grid;
use crate::link::Link;
use crate::session::call_error;

/// The state of the cluster as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterStatus {
    /// One word: healthy, degraded or unavailable.
    pub health: String,
    /// Whether the loss of any one node would lose nothing beyond what each map's settings accept.
    pub safe: bool,
    /// The name of the cluster.
    pub cluster_id: String,
    /// The version of the partition table.
    pub table_version: u64,
    /// How many partitions there are.
    pub partitions_total: u32,
    /// How many of them nobody owns.
    pub partitions_unassigned: u32,
    /// The members.
    pub members: Vec<MemberStatus>,
}

/// The state of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberStatus {
    /// The member's name.
    pub node_id: String,
    /// Where it stands in its life.
    pub state: String,
    /// `host:port` for clients and peers.
    pub grpc_addr: String,
    /// `host:port` for gossip.
    pub gossip_addr: String,
    /// `host:port` for metrics and health.
    pub http_addr: String,
    /// What fails together with it; empty for none.
    pub zone: String,
    /// Its version.
    pub version: String,
    /// How long it has been up.
    pub uptime: Duration,
    /// How many cores serve connections.
    pub cores: u32,
    /// How many connections it has.
    pub connections: u32,
    /// How many maps it holds.
    pub maps: u32,
    /// How many entries it holds.
    pub entries: u64,
    /// Bytes of records, tables and indexes.
    pub data_bytes: u64,
    /// The resident memory of the process.
    pub resident_bytes: u64,
    /// The memory mark: above it, writes that need memory are refused.
    pub memory_limit_bytes: u64,
    /// How many operations it has served.
    pub operations_total: u64,
    /// Its background workers.
    pub workers: Vec<WorkerStatus>,
}

/// The state of a background worker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// The worker's name.
    pub name: String,
    /// What it does now, in a few words.
    pub state: String,
    /// How often it has run.
    pub rounds: u64,
}

/// A map's size and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MapInfo {
    /// The map's name.
    pub name: String,
    /// How many entries it has.
    pub entries: u64,
    /// How many bytes they take, overhead included.
    pub bytes: u64,
    /// Which records make room: none, lru or lfu.
    pub eviction: String,
    /// The most entries; zero for no limit.
    pub entries_max: u64,
    /// The most bytes; zero for no limit.
    pub bytes_max: u64,
}

impl Grid {
    /// The state of the cluster. Changes nothing; dropping the future is harmless.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let status = grid.status().await?;
    /// assert_eq!((status.health.as_str(), status.members.len()), ("healthy", 1));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn status(&self) -> Result<ClusterStatus> {
        let reply = self.admin_call(|mut admin, request| async move {
            admin.status(request.map(|()| pb::StatusRequest { all: true })).await
        });
        Ok(cluster_from_pb(reply.await?))
    }

    /// All maps with their sizes and settings. Changes nothing; dropping the future is harmless.
    pub async fn maps(&self) -> Result<Vec<MapInfo>> {
        self.list_maps(String::new()).await
    }

    /// One map's size and settings, or `None` if nothing was ever written to it. Changes nothing; dropping the future is
    /// harmless.
    pub async fn map_info(&self, name: &str) -> Result<Option<MapInfo>> {
        let maps = self.list_maps(name.to_owned()).await?;
        Ok(maps.into_iter().find(|map| map.name == name))
    }

    async fn list_maps(&self, map: String) -> Result<Vec<MapInfo>> {
        let reply = self.admin_call(|mut admin, request| async move {
            admin.list_maps(request.map(|()| pb::ListMapsRequest { map, all: true })).await
        });
        Ok(reply.await?.maps.into_iter().map(map_from_pb).collect())
    }

    /// Makes one call with the client's timeout, in its metadata and on this side.
    async fn admin_call<T, F>(
        &self,
        call: impl FnOnce(AdminClient<Channel>, tonic::Request<()>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = std::result::Result<tonic::Response<T>, tonic::Status>>,
    {
        let link = self.link();
        let timeout = link.settings.request_timeout;
        let mut request = tonic::Request::new(());
        request.set_timeout(timeout);
        let call = call(AdminClient::new(link.channel()), request);
        let reply = match tokio::time::timeout(timeout, call).await {
            Ok(reply) => reply,
            Err(_) => Err(tonic::Status::deadline_exceeded("no answer in time")),
        };
        let address = || link.addresses.lock().current().to_owned();
        Ok(reply.map_err(|status| call_error(&address(), &status))?.into_inner())
    }
}

/// Remembers the addresses of all members, so that the client survives the loss of its seeds.
pub(crate) async fn learn_members(link: Arc<Link>, channel: Channel) {
    let mut request = tonic::Request::new(pb::StatusRequest::default());
    request.set_timeout(link.settings.request_timeout);
    let mut admin = AdminClient::new(channel);
    match admin.status(request).await {
        Ok(reply) => {
            let mut addresses = link.addresses.lock();
            reply.get_ref().members.iter().for_each(|member| addresses.learn(&member.grpc_addr));
        }
        Err(status) => tracing::debug!(%status, "the members are not known yet"),
    }
}

fn cluster_from_pb(reply: pb::StatusReply) -> ClusterStatus {
    ClusterStatus {
        health: reply.health,
        safe: reply.safe,
        cluster_id: reply.cluster_id,
        table_version: reply.table_version,
        partitions_total: reply.partitions_total,
        partitions_unassigned: reply.partitions_unassigned,
        members: reply.members.into_iter().map(member_from_pb).collect(),
    }
}

fn member_from_pb(member: pb::MemberStatus) -> MemberStatus {
    let worker =
        |w: pb::WorkerStatus| WorkerStatus { name: w.name, state: w.state, rounds: w.rounds };
    MemberStatus {
        node_id: member.node_id,
        state: member.state,
        grpc_addr: member.grpc_addr,
        gossip_addr: member.gossip_addr,
        http_addr: member.http_addr,
        zone: member.zone,
        version: member.version,
        uptime: Duration::from_millis(member.uptime_ms),
        cores: member.cores,
        connections: member.connections,
        maps: member.maps,
        entries: member.entries,
        data_bytes: member.data_bytes,
        resident_bytes: member.resident_bytes,
        memory_limit_bytes: member.memory_limit_bytes,
        operations_total: member.operations_total,
        workers: member.workers.into_iter().map(worker).collect(),
    }
}

fn map_from_pb(map: pb::MapStatus) -> MapInfo {
    MapInfo {
        name: map.name,
        entries: map.entries,
        bytes: map.bytes,
        eviction: map.eviction,
        entries_max: map.entries_max,
        bytes_max: map.bytes_max,
    }
}
