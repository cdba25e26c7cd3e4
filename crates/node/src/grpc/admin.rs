//! The operators' door: the state of the node and its maps.

use std::sync::Arc;

use isogrid_core::Eviction;
use isogrid_proto::pb;
use tonic::{Request, Response, Status};

use super::admitted;
use crate::engine::MapInfo;
use crate::node::Shared;
use crate::{VERSION, clock};

pub(super) struct AdminService {
    shared: Arc<Shared>,
}

impl AdminService {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn member(&self) -> pb::MemberStatus {
        let shared = &*self.shared;
        let engine = &shared.engine;
        let memory = engine.memory();
        let workers = shared.workers.all().into_iter().map(|worker| pb::WorkerStatus {
            name: worker.name().to_owned(),
            state: worker.state().to_owned(),
            rounds: worker.rounds(),
        });
        pb::MemberStatus {
            node_id: shared.node_id.to_string(),
            state: "active".to_owned(),
            grpc_addr: shared.grpc_addr.to_string(),
            gossip_addr: shared.gossip_addr.clone(),
            http_addr: shared.http_addr.to_string(),
            zone: shared.zone.clone().unwrap_or_default(),
            version: VERSION.to_owned(),
            uptime_ms: clock::now().ms_since(shared.started_at),
            cores: shared.cores as u32,
            connections: shared.connections() as u32,
            maps: engine.maps().len() as u32,
            entries: engine.entries(),
            data_bytes: memory.data_bytes(),
            resident_bytes: memory.resident_bytes(),
            memory_limit_bytes: memory.limit_bytes(),
            operations_total: engine.operations_total(),
            workers: workers.collect(),
        }
    }

    fn map(&self, map: &MapInfo) -> pb::MapStatus {
        let (entries, bytes) = self.shared.engine.map_size(map.id);
        let eviction = match map.settings.eviction {
            Eviction::None => "none",
            Eviction::Lru => "lru",
            Eviction::Lfu => "lfu",
        };
        pb::MapStatus {
            name: map.name.to_string(),
            entries,
            bytes,
            eviction: eviction.to_owned(),
            entries_max: map.settings.entries_max,
            bytes_max: map.settings.bytes_max,
        }
    }
}

#[tonic::async_trait]
impl pb::admin_server::Admin for AdminService {
    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusReply>, Status> {
        admitted(&request)?;
        let engine = &self.shared.engine;
        Ok(Response::new(pb::StatusReply {
            health: "healthy".to_owned(),
            // A cluster of one: losing the node loses the data, so it is never safe.
            safe: false,
            cluster_id: self.shared.cluster_name.clone(),
            table_version: engine.table_version().0,
            partitions_total: engine.partitions().map_or(0, |count| u32::from(count.get())),
            partitions_unassigned: 0,
            members: vec![self.member()],
        }))
    }

    async fn list_maps(
        &self,
        request: Request<pb::ListMapsRequest>,
    ) -> Result<Response<pb::ListMapsReply>, Status> {
        admitted(&request)?;
        let wanted = &request.get_ref().map;
        let maps = self.shared.engine.maps();
        let listed = maps.iter().filter(|map| wanted.is_empty() || *map.name == **wanted);
        Ok(Response::new(pb::ListMapsReply { maps: listed.map(|map| self.map(map)).collect() }))
    }
}
