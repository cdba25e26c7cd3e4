//! What operators ask and want: the state of the cluster and of its maps, as plain values.
//!
//! | module | what lives there |
//! |---|---|
//! | [`operator`] | [`Operator`]: a connection to one node's admin service |
//! | [`status`] | the state of the cluster |
//! | [`dump`] | what a backup asks |
//! | [`insight`] | slow operations, hot keys, big keys |
//! | [`cluster`] | partitions, a key's place, plans, stops |
//! | [`maps`] | maps with their settings and modes |
//! | [`clients`] | who is connected |

mod clients;
mod cluster;
mod dump;
mod history;
mod insight;
mod maps;
mod operator;
mod status;

use std::sync::Arc;

use isogrid_proto::pb;
use isogrid_proto::pb::admin_client::AdminClient;
use tonic::transport::Channel;

use crate::error::Result;
use crate::grid::Grid;
use crate::link::Link;
use crate::session::call_error;

pub use clients::{ClientInfo, ClientList};
pub use cluster::{
    Holder, Intent, KeyPlace, LogPoint, PartitionList, PartitionStatus, Plan, PlannedMove,
    StopBlocker, StopProof, StopVerdict,
};
pub use dump::{Dump, DumpAsk, DumpPiece, NodeClock};
pub use history::{History, HistoryPoint, NodeHistory};
pub use insight::{BigKey, BigKeys, HotKey, HotKeys, HotMap, NodeSlowLog, SlowLog, SlowOperation};
pub use maps::{IndexInfo, MapChange, MapExpect, MapInfo, MapList, PutMapOutcome};
pub use operator::Operator;
pub use status::{
    ClusterStatus, CouncilStatus, LagStatus, LossStatus, MemberStatus, MoveStatus, RecoveryStatus,
    WorkerStatus,
};

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
        Ok(reply.await?.into())
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
        Ok(reply.await?.maps.into_iter().map(MapInfo::from).collect())
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
