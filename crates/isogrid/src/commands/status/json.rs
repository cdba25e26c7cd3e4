//! The state of the cluster as one JSON object.

use std::time::Duration;

use isogrid_client::{
    ClusterStatus, LagStatus, LogPoint, LossStatus, MemberStatus, MoveStatus, RecoveryStatus,
    WorkerStatus,
};
use serde_json::{Value, json};

/// Everything there is.
pub(crate) fn object(status: &ClusterStatus) -> Value {
    let worst = status.worst_lag();
    json!({
        "health": status.health,
        "safe": status.safe,
        "cluster": status.cluster_name,
        "cluster_id": status.cluster_id,
        "answered_by": status.answered_by,
        "council": {
            "leader": known(&status.council.leader),
            "term": status.council.term,
            "voters": status.council.voters,
            "has_quorum": status.council.has_quorum,
        },
        "table_version": status.table_version,
        "feature_level": status.feature_level,
        "partitions": status.partitions_total,
        "partitions_under_replicated": status.partitions_under_replicated,
        "partitions_without_primary": status.partitions_without_primary,
        "partitions_unassigned": status.partitions_unassigned,
        "copies": status.copies,
        "members": all(&status.members, member),
        "moves": all(&status.moves, copy),
        "lag": {
            "worst": { "ops": worst.ops, "bytes": worst.bytes, "ms": worst.ms },
            "pairs": all(&status.lags, lag),
        },
        "loss_policy": status.loss_policy,
        "losses_total": status.losses_total,
        "losses": all(&status.losses, loss),
    })
}

fn all<T>(items: &[T], object: impl Fn(&T) -> Value) -> Vec<Value> {
    items.iter().map(object).collect()
}

/// A name, or null where there is none.
fn known(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}

fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// A member. The figures that are its own are null where it has not answered.
pub(crate) fn member(member: &MemberStatus) -> Value {
    let mut object = json!({
        "node": member.node_id,
        "state": member.state,
        "intent": member.intent,
        "is_live": member.is_live,
        "incarnation": member.incarnation,
        "grpc": member.grpc_addr,
        "gossip": member.gossip_addr,
        "http": member.http_addr,
        "zone": member.zone,
        "weight": member.weight,
        "is_voter": member.is_voter,
        "primaries": member.primaries,
        "backups": member.backups,
        "learners": member.learners,
        "has_answered": member.has_answered,
    });
    let own = json!({
        "version": member.version,
        "uptime_ms": ms(member.uptime),
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
        "slow_operations_total": member.slow_operations_total,
        "clock_offset_ms": member.clock_offset_ms,
        "p99_us": member.p99.map(|p99| p99.as_micros() as u64),
        "recovery": member.recovery.as_ref().map(recovery),
        "workers": all(&member.workers, worker),
    });
    if let (Value::Object(object), Value::Object(own)) = (&mut object, own) {
        let figure = |value| if member.has_answered { value } else { Value::Null };
        object.extend(own.into_iter().map(|(name, value)| (name, figure(value))));
    }
    object
}

fn worker(worker: &WorkerStatus) -> Value {
    json!({ "name": worker.name, "state": worker.state, "rounds": worker.rounds })
}

fn recovery(recovery: &RecoveryStatus) -> Value {
    json!({
        "stage": recovery.stage,
        "partitions_done": recovery.partitions_done,
        "partitions_total": recovery.partitions_total,
        "bytes_verified": recovery.bytes_verified,
        "bytes_total": recovery.bytes_total,
        "percent": recovery.percent,
        "elapsed_ms": ms(recovery.elapsed),
        "eta_ms": recovery.eta.map(ms),
    })
}

fn copy(copy: &MoveStatus) -> Value {
    json!({
        "partition": copy.partition,
        "from": copy.from,
        "to": copy.to,
        "entries_done": copy.entries_done,
        "entries_total": copy.entries_total,
        "bytes_done": copy.bytes_done,
        "bytes_total": copy.bytes_total,
        "elapsed_ms": ms(copy.elapsed),
        "eta_ms": copy.eta.map(ms),
    })
}

fn lag(lag: &LagStatus) -> Value {
    json!({
        "from": lag.from,
        "to": lag.to,
        "partitions": lag.partitions,
        "ops": lag.ops,
        "bytes": lag.bytes,
        "ms": lag.ms,
    })
}

fn loss(loss: &LossStatus) -> Value {
    json!({
        "number": loss.number,
        "partition": loss.partition,
        "loss_generation": loss.loss_generation,
        "epoch": loss.epoch,
        "kept": position(loss.kept),
        "known": position(loss.known),
        "given_up": loss.given_up,
        "cause": loss.cause,
    })
}

/// A place in a log, or null.
pub(crate) fn position(position: Option<LogPoint>) -> Value {
    position.map_or(Value::Null, |at| json!({ "epoch": at.epoch, "seq": at.seq }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_silent_member_are_null_not_nought() {
        let mut silent = MemberStatus::default();
        silent.node_id = "node-1".into();
        let object = member(&silent);
        assert_eq!(object["node"], "node-1");
        assert!(object["entries"].is_null() && object["workers"].is_null());
        silent.has_answered = true;
        assert_eq!(member(&silent)["entries"], 0);
    }

    #[test]
    fn the_worst_lag_is_the_worst_of_each_figure() {
        let mut status = ClusterStatus::default();
        let pair = |ops, bytes, ms| {
            let mut pair = LagStatus::default();
            (pair.ops, pair.bytes, pair.ms) = (ops, bytes, ms);
            pair
        };
        status.lags = vec![pair(5, 10, 1), pair(1, 20, 3)];
        let object = object(&status);
        assert_eq!(object["lag"]["worst"], json!({ "ops": 5, "bytes": 20, "ms": 3 }));
        assert_eq!(object["lag"]["pairs"].as_array().map(Vec::len), Some(2));
        assert!(object["council"]["leader"].is_null());
    }
}
