//! The operators' door: the state of the node and its maps. A cluster of one: what concerns several nodes is refused.

use std::sync::Arc;

use isogrid_core::Eviction;
use isogrid_core::slot::slot_of;
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
            gossip_addr: shared.gossip_addr.to_string(),
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
            is_live: true,
            incarnation: 1,
            intent: "stay".to_owned(),
            is_voter: true,
            primaries: engine.roles().open_primaries,
            weight: 100,
            has_answered: true,
            ..pb::MemberStatus::default()
        }
    }

    /// One node owns everything, from the first table to the last.
    fn partition(&self, partition: u32) -> pb::PartitionStatus {
        let node = &self.shared.node_id.to_string();
        pb::PartitionStatus {
            partition,
            epoch: 1,
            ver: 1,
            primary: node.clone(),
            in_sync: vec![node.clone()],
            state: "ok".to_owned(),
            ..pb::PartitionStatus::default()
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
            id: map.id.0,
            backups: 0,
            acknowledge: "sync".to_owned(),
            min_in_sync: 1,
            read: "lease".to_owned(),
            read_lag_ms_max: 0,
            durability: "memory".to_owned(),
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
            cluster_name: self.shared.cluster_name.clone(),
            answered_by: self.shared.node_id.to_string(),
            council: Some(pb::CouncilStatus {
                leader: self.shared.node_id.to_string(),
                term: 1,
                voters: vec![self.shared.node_id.to_string()],
                has_quorum: true,
            }),
            copies: 1,
            loss_policy: "block".to_owned(),
            ..pb::StatusReply::default()
        }))
    }

    async fn partitions(
        &self,
        request: Request<pb::PartitionsRequest>,
    ) -> Result<Response<pb::PartitionsReply>, Status> {
        admitted(&request)?;
        let engine = &self.shared.engine;
        let total = u32::from(engine.partitions().unwrap_or_default().get());
        let wanted = &request.get_ref().partitions;
        let is_wanted = |partition: &u32| wanted.is_empty() || wanted.contains(partition);
        let listed = (0..total).filter(is_wanted).map(|partition| self.partition(partition));
        Ok(Response::new(pb::PartitionsReply {
            table_version: engine.table_version().0,
            partitions_total: total,
            partitions: listed.collect(),
        }))
    }

    async fn trace(
        &self,
        request: Request<pb::TraceRequest>,
    ) -> Result<Response<pb::TraceReply>, Status> {
        admitted(&request)?;
        let pb::TraceRequest { map, key } = request.get_ref();
        let engine = &self.shared.engine;
        let slot = slot_of(key);
        let partition = engine.partitions().unwrap_or_default().partition_of(slot);
        let member = self.member();
        Ok(Response::new(pb::TraceReply {
            slot: u32::from(slot.0),
            partition: Some(self.partition(u32::from(partition.0))),
            table_version: engine.table_version().0,
            answered_by: member.node_id.clone(),
            holders: vec![pb::HolderAddress {
                node_id: member.node_id,
                grpc_addr: member.grpc_addr,
                zone: member.zone,
                is_live: true,
            }],
            map_exists: engine.map_id(map).is_some(),
        }))
    }

    async fn plan(
        &self,
        request: Request<pb::PlanRequest>,
    ) -> Result<Response<pb::PlanReply>, Status> {
        admitted(&request)?;
        Err(alone())
    }

    async fn set_intent(
        &self,
        request: Request<pb::SetIntentRequest>,
    ) -> Result<Response<pb::SetIntentReply>, Status> {
        admitted(&request)?;
        Err(alone())
    }

    async fn can_stop(
        &self,
        request: Request<pb::CanStopRequest>,
    ) -> Result<Response<pb::CanStopReply>, Status> {
        admitted(&request)?;
        Err(alone())
    }

    async fn remove_node(
        &self,
        request: Request<pb::RemoveNodeRequest>,
    ) -> Result<Response<pb::RemoveNodeReply>, Status> {
        admitted(&request)?;
        Err(alone())
    }

    async fn put_map(
        &self,
        request: Request<pb::PutMapRequest>,
    ) -> Result<Response<pb::PutMapReply>, Status> {
        admitted(&request)?;
        let request = request.into_inner();
        if !request.dry_run {
            return Err(alone());
        }
        let maps = self.shared.engine.maps();
        let before = maps.iter().find(|map| *map.name == *request.name).map(|map| self.map(map));
        let kept = before.clone().unwrap_or_else(|| pb::MapStatus {
            name: request.name,
            eviction: "none".to_owned(),
            acknowledge: "sync".to_owned(),
            min_in_sync: 1,
            read: "lease".to_owned(),
            durability: "memory".to_owned(),
            ..pb::MapStatus::default()
        });
        let after = changed(kept, request.change.unwrap_or_default());
        Ok(Response::new(pb::PutMapReply { before, after: Some(after) }))
    }

    async fn drop_map(
        &self,
        request: Request<pb::DropMapRequest>,
    ) -> Result<Response<pb::DropMapReply>, Status> {
        admitted(&request)?;
        Err(alone())
    }

    async fn list_maps(
        &self,
        request: Request<pb::ListMapsRequest>,
    ) -> Result<Response<pb::ListMapsReply>, Status> {
        admitted(&request)?;
        let wanted = &request.get_ref().map;
        let maps = self.shared.engine.maps();
        let listed = maps.iter().filter(|map| wanted.is_empty() || *map.name == **wanted);
        Ok(Response::new(pb::ListMapsReply {
            maps: listed.map(|map| self.map(map)).collect(),
            ..pb::ListMapsReply::default()
        }))
    }
}

/// What only a cluster can do.
fn alone() -> Status {
    Status::unimplemented("this node is alone; it has no council to ask")
}

/// A map after a change: what the change does not say stays.
fn changed(map: pb::MapStatus, change: pb::MapChange) -> pb::MapStatus {
    pb::MapStatus {
        eviction: change.eviction.unwrap_or(map.eviction),
        entries_max: change.entries_max.unwrap_or(map.entries_max),
        bytes_max: change.bytes_max.unwrap_or(map.bytes_max),
        backups: change.backups.unwrap_or(map.backups),
        acknowledge: change.acknowledge.unwrap_or(map.acknowledge),
        min_in_sync: change.min_in_sync.unwrap_or(map.min_in_sync),
        read: change.read.unwrap_or(map.read),
        read_lag_ms_max: change.read_lag_ms_max.unwrap_or(map.read_lag_ms_max),
        durability: change.durability.unwrap_or(map.durability),
        ..map
    }
}
