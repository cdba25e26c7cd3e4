//! What operators are told, as JSON: for those who ask over HTTP. The names are those that `isogrid -o json` prints.

use isogrid_core::Error;
use isogrid_proto::pb;
use serde_json::{Map, Value, json};

use super::{maps as of_maps, partitions as of_partitions, status};
use crate::node::Shared;

/// The state of the cluster, with the figures of all nodes that answer.
pub(crate) async fn cluster(shared: &Shared) -> Value {
    let status = status::status(shared, true).await;
    let council = status.council.unwrap_or_default();
    json!({
        "health": status.health,
        "safe": status.safe,
        "cluster": status.cluster_name,
        "cluster_id": status.cluster_id,
        "answered_by": status.answered_by,
        "council": {
            "leader": known(&council.leader),
            "term": council.term,
            "voters": council.voters,
            "has_quorum": council.has_quorum,
        },
        "table_version": status.table_version,
        "feature_level": status.feature_level,
        "partitions": status.partitions_total,
        "partitions_under_replicated": status.partitions_under_replicated,
        "partitions_without_primary": status.partitions_without_primary,
        "partitions_unassigned": status.partitions_unassigned,
        "copies": status.copies,
        "members": each(&status.members, member),
        "moves": each(&status.moves, copy),
        "lag": lag(&status.lags),
        "loss_policy": status.loss_policy,
        "losses_total": status.losses_total,
        "losses": each(&status.losses, loss),
    })
}

/// The members, with the figures of those that answer.
pub(crate) async fn members(shared: &Shared) -> Vec<Value> {
    each(&status::status(shared, true).await.members, member)
}

/// Who holds which partition.
pub(crate) async fn partitions(shared: &Shared) -> Value {
    let list = of_partitions::partitions(shared, &pb::PartitionsRequest::default()).await;
    json!({
        "table_version": list.table_version,
        "partitions_total": list.partitions_total,
        "partitions": each(&list.partitions, partition),
    })
}

/// This map, or all for an empty name; and the nodes whose entries are not counted.
pub(crate) async fn maps(shared: &Shared, name: &str) -> Result<(Vec<Value>, Vec<String>), Error> {
    let request = pb::ListMapsRequest { map: name.to_owned(), all: true };
    let list = of_maps::list(shared, &request).await?;
    Ok((each(&list.maps, map), list.missing))
}

fn each<T>(items: &[T], object: impl Fn(&T) -> Value) -> Vec<Value> {
    items.iter().map(object).collect()
}

/// A name, or null where there is none.
fn known(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}

/// A member. The figures that are its own are null where it has not answered.
fn member(member: &pb::MemberStatus) -> Value {
    let mut object = json!({
        "node": member.node_id,
        "state": member.state,
        "intent": member.intent,
        "is_live": member.is_live,
        "incarnation": member.incarnation,
        "grpc": member.grpc_addr,
        "gossip": member.gossip_addr,
        "http": member.http_addr,
        "zone": known(&member.zone),
        "weight": member.weight,
        "is_voter": member.is_voter,
        "primaries": member.primaries,
        "backups": member.backups,
        "learners": member.learners,
        "has_answered": member.has_answered,
    });
    let own = json!({
        "version": member.version,
        "uptime_ms": member.uptime_ms,
        "cores": member.cores,
        "connections": member.connections,
        "maps": member.maps,
        "entries": member.entries,
        "data_bytes": member.data_bytes,
        "resident_bytes": member.resident_bytes,
        "memory_limit_bytes": member.memory_limit_bytes,
        "operations_total": member.operations_total,
        "disk": member.disk,
        "disk_log_bytes": member.disk_log_bytes,
        "disk_snapshot_bytes": member.disk_snapshot_bytes,
        "disk_budget_bytes": member.disk_budget_bytes,
        "log_bytes_received": member.log_bytes_received,
        "copy_bytes_received": member.copy_bytes_received,
        "workers": each(&member.workers, worker),
    });
    if let (Value::Object(object), Value::Object(own)) = (&mut object, own) {
        let figure = |value| if member.has_answered { value } else { Value::Null };
        object.extend(own.into_iter().map(|(name, value)| (name, figure(value))));
    }
    object
}

fn worker(worker: &pb::WorkerStatus) -> Value {
    json!({ "name": worker.name, "state": worker.state, "rounds": worker.rounds })
}

fn copy(copy: &pb::MoveStatus) -> Value {
    json!({
        "partition": copy.partition,
        "from": copy.from,
        "to": copy.to,
        "entries_done": copy.entries_done,
        "entries_total": copy.entries_total,
        "bytes_done": copy.bytes_done,
        "bytes_total": copy.bytes_total,
        "elapsed_ms": copy.elapsed_ms,
        "eta_ms": copy.eta_ms,
    })
}

/// How far backups are behind: by pair of nodes, and the worst of each figure.
fn lag(lags: &[pb::LagStatus]) -> Value {
    let pair = |lag: &pb::LagStatus| {
        json!({
            "from": lag.from,
            "to": lag.to,
            "partitions": lag.partitions,
            "ops": lag.ops,
            "bytes": lag.bytes,
            "ms": lag.ms,
        })
    };
    let worst = |figure: fn(&pb::LagStatus) -> u64| lags.iter().map(figure).max().unwrap_or(0);
    json!({
        "worst": {
            "ops": worst(|lag| lag.ops),
            "bytes": worst(|lag| lag.bytes),
            "ms": worst(|lag| lag.ms),
        },
        "pairs": each(lags, pair),
    })
}

fn loss(loss: &pb::LossStatus) -> Value {
    let place = |at: &Option<pb::LogPosition>| {
        at.as_ref().map(|at| json!({ "epoch": at.epoch, "seq": at.seq }))
    };
    json!({
        "number": loss.number,
        "partition": loss.partition,
        "loss_generation": loss.loss_generation,
        "epoch": loss.epoch,
        "kept": place(&loss.kept),
        "known": place(&loss.known),
        "given_up": loss.given_up,
        "cause": loss.cause,
    })
}

fn partition(partition: &pb::PartitionStatus) -> Value {
    json!({
        "partition": partition.partition,
        "state": partition.state,
        "epoch": partition.epoch,
        "ver": partition.ver,
        "loss_generation": partition.loss_generation,
        "primary": known(&partition.primary),
        "in_sync": partition.in_sync,
        "learners": partition.learners,
    })
}

fn map(map: &pb::MapStatus) -> Value {
    let object = json!({
        "name": map.name,
        "id": map.id,
        "entries": map.entries,
        "bytes": map.bytes,
        "backups": map.backups,
        "acknowledge": map.acknowledge,
        "min_in_sync": map.min_in_sync,
        "read": map.read,
        "read_lag_ms_max": map.read_lag_ms_max,
        "durability": map.durability,
        "eviction": map.eviction,
        "entries_max": map.entries_max,
        "bytes_max": map.bytes_max,
        "require_pruned": map.require_pruned,
    });
    let mut object = match object {
        Value::Object(object) => object,
        _ => Map::new(),
    };
    if let Some(schema) = &map.schema {
        let column = |one: &pb::MapColumn| json!({ "name": one.name, "type": one.r#type });
        object.insert("columns".into(), each(&schema.columns, column).into());
        object.insert("partition_by".into(), json!(known(&schema.partition_by)));
    }
    if !map.indexes.is_empty() {
        let name = |one: &pb::MapIndexStatus| json!(one.index.as_ref().map(|index| &index.name));
        object.insert("indexes".into(), each(&map.indexes, name).into());
    }
    Value::Object(object)
}
