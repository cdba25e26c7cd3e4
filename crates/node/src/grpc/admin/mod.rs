//! The operators' door: the state of the cluster, its nodes and its maps, and what operators want of them. Each node
//! answers from what it knows of what was committed, asks the others for their figures, and takes to the council's leader
//! what only that can decide.
//!
//! | module | what it answers |
//! |---|---|
//! | `status` | how the cluster and its nodes are |
//! | `partitions` | who holds which partition, and where a key lives |
//! | `plan` | what would move |
//! | `nodes` | what is wanted of nodes, and whether one can be stopped |
//! | `maps` | maps, with their sizes and settings |
//! | `change` | a change of a map's settings |
//! | `dump` | the data, for a backup of the cluster |
//! | `clients` | who is connected |
//! | `json` | the same answers, for those who ask over HTTP |
//! | `insight` | slow operations, hot keys, big keys |

mod change;
mod clients;
mod dump;
mod insight;
pub(crate) mod json;
mod maps;
mod nodes;
mod partitions;
mod plan;
mod status;

#[cfg(feature = "sql")]
pub(crate) use change::{described, described_index, described_schema};
#[cfg(feature = "sql")]
pub(crate) use maps::{list, put};

use std::sync::Arc;

use isogrid_core::Error;
use isogrid_proto::pb;
use isogrid_proto::status::error_to_status;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::admitted;
use crate::clients::Did;
use crate::node::Shared;

pub(super) struct AdminService {
    shared: Arc<Shared>,
    /// Ends streams when the node stops.
    stopping: CancellationToken,
}

impl AdminService {
    pub(super) fn new(shared: Arc<Shared>, stopping: CancellationToken) -> Self {
        Self { shared, stopping }
    }
}

fn reply<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| error_to_status(&error))
}

#[tonic::async_trait]
impl pb::admin_server::Admin for AdminService {
    type DumpStream = dump::Pieces;

    async fn dump(
        &self,
        request: Request<pb::DumpRequest>,
    ) -> Result<Response<Self::DumpStream>, Status> {
        admitted(&request, Did::Admin)?;
        reply(dump::dump(&self.shared, request.get_ref(), self.stopping.clone()))
    }

    async fn fence(
        &self,
        request: Request<pb::FenceRequest>,
    ) -> Result<Response<pb::FenceReply>, Status> {
        let connection = admitted(&request, Did::Admin)?;
        reply(dump::fence(&self.shared, connection.core, request.get_ref()))
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusReply>, Status> {
        admitted(&request, Did::Admin)?;
        Ok(Response::new(status::status(&self.shared, request.get_ref().all).await))
    }

    async fn partitions(
        &self,
        request: Request<pb::PartitionsRequest>,
    ) -> Result<Response<pb::PartitionsReply>, Status> {
        admitted(&request, Did::Admin)?;
        Ok(Response::new(partitions::partitions(&self.shared, request.get_ref()).await))
    }

    async fn trace(
        &self,
        request: Request<pb::TraceRequest>,
    ) -> Result<Response<pb::TraceReply>, Status> {
        admitted(&request, Did::Admin)?;
        reply(partitions::trace(&self.shared, request.get_ref()))
    }

    async fn plan(
        &self,
        request: Request<pb::PlanRequest>,
    ) -> Result<Response<pb::PlanReply>, Status> {
        admitted(&request, Did::Admin)?;
        reply(plan::plan(&self.shared, &request.get_ref().without).await)
    }

    async fn set_intent(
        &self,
        request: Request<pb::SetIntentRequest>,
    ) -> Result<Response<pb::SetIntentReply>, Status> {
        admitted(&request, Did::Admin)?;
        reply(nodes::set_intent(&self.shared, request.get_ref()).await)
    }

    async fn can_stop(
        &self,
        request: Request<pb::CanStopRequest>,
    ) -> Result<Response<pb::CanStopReply>, Status> {
        admitted(&request, Did::Admin)?;
        reply(nodes::can_stop(&self.shared, &request.get_ref().node).await)
    }

    async fn remove_node(
        &self,
        request: Request<pb::RemoveNodeRequest>,
    ) -> Result<Response<pb::RemoveNodeReply>, Status> {
        admitted(&request, Did::Admin)?;
        reply(nodes::remove(&self.shared, &request.get_ref().node).await)
    }

    async fn put_map(
        &self,
        request: Request<pb::PutMapRequest>,
    ) -> Result<Response<pb::PutMapReply>, Status> {
        admitted(&request, Did::Admin)?;
        reply(maps::put(&self.shared, request.get_ref()).await)
    }

    async fn drop_map(
        &self,
        request: Request<pb::DropMapRequest>,
    ) -> Result<Response<pb::DropMapReply>, Status> {
        admitted(&request, Did::Admin)?;
        let existed = self.shared.control.drop_map(&request.get_ref().name).await;
        reply(existed.map(|existed| pb::DropMapReply { existed }))
    }

    async fn list_maps(
        &self,
        request: Request<pb::ListMapsRequest>,
    ) -> Result<Response<pb::ListMapsReply>, Status> {
        admitted(&request, Did::Admin)?;
        reply(maps::list(&self.shared, request.get_ref()).await)
    }

    async fn clients(
        &self,
        request: Request<pb::ClientsRequest>,
    ) -> Result<Response<pb::ClientsReply>, Status> {
        admitted(&request, Did::Admin)?;
        Ok(Response::new(clients::list(&self.shared, request.get_ref()).await))
    }

    async fn end_client(
        &self,
        request: Request<pb::EndClientRequest>,
    ) -> Result<Response<pb::EndClientReply>, Status> {
        admitted(&request, Did::Admin)?;
        reply(clients::end(&self.shared, request.get_ref()).await)
    }

    async fn node_config(
        &self,
        request: Request<pb::NodeConfigRequest>,
    ) -> Result<Response<pb::NodeConfigReply>, Status> {
        admitted(&request, Did::Admin)?;
        Ok(Response::new(pb::NodeConfigReply { toml: self.shared.config.clone() }))
    }

    async fn slow_log(
        &self,
        request: Request<pb::SlowLogRequest>,
    ) -> Result<Response<pb::SlowLogReply>, Status> {
        admitted(&request, Did::Admin)?;
        Ok(Response::new(insight::slow_log(&self.shared).await))
    }

    async fn hot_keys(
        &self,
        request: Request<pb::HotKeysRequest>,
    ) -> Result<Response<pb::HotKeysReply>, Status> {
        admitted(&request, Did::Admin)?;
        reply(insight::hot_keys(&self.shared, request.get_ref()).await)
    }

    async fn big_keys(
        &self,
        request: Request<pb::BigKeysRequest>,
    ) -> Result<Response<pb::BigKeysReply>, Status> {
        admitted(&request, Did::Admin)?;
        reply(insight::big_keys(&self.shared, request.get_ref()).await)
    }

    async fn history(
        &self,
        request: Request<pb::HistoryRequest>,
    ) -> Result<Response<pb::HistoryReply>, Status> {
        admitted(&request, Did::Admin)?;
        Ok(Response::new(insight::history(&self.shared, request.get_ref()).await))
    }
}
