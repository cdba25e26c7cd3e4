//! The state of the cluster, as plain values.

use std::time::Duration;

use isogrid_proto::pb;

use super::cluster::LogPoint;

/// The state of the cluster as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterStatus {
    /// One word: healthy, degraded or unavailable.
    pub health: String,
    /// Whether the loss of any one node would lose nothing beyond what each map's settings accept.
    pub safe: bool,
    /// The id of the cluster; empty before the node belongs to one.
    pub cluster_id: String,
    /// The configured name of the cluster.
    pub cluster_name: String,
    /// Which node answered.
    pub answered_by: String,
    /// Who decides.
    pub council: CouncilStatus,
    /// The version of the partition table.
    pub table_version: u64,
    /// How many partitions there are.
    pub partitions_total: u32,
    /// How many of them nobody ever held.
    pub partitions_unassigned: u32,
    /// How many have fewer in-sync copies than wanted.
    pub partitions_under_replicated: u32,
    /// How many are led by nobody, or by a node that is not live.
    pub partitions_without_primary: u32,
    /// How many copies of each partition are wanted, the primary's included.
    pub copies: u32,
    /// The members, in the order of their names.
    pub members: Vec<MemberStatus>,
    /// Copies under way.
    pub moves: Vec<MoveStatus>,
    /// How far backups are behind, by pair of nodes.
    pub lags: Vec<LagStatus>,
    /// The newest declared losses.
    pub losses: Vec<LossStatus>,
    /// How many losses were ever declared.
    pub losses_total: u64,
    /// What happens when nobody who holds a partition comes back: block, reset or available.
    pub loss_policy: String,
    /// The features that the cluster may use.
    pub feature_level: u32,
}

impl ClusterStatus {
    /// The worst of all lags, each figure on its own.
    pub fn worst_lag(&self) -> LagStatus {
        self.lags.iter().fold(LagStatus::default(), |worst, lag| LagStatus {
            partitions: worst.partitions + lag.partitions,
            ops: worst.ops.max(lag.ops),
            bytes: worst.bytes.max(lag.bytes),
            ms: worst.ms.max(lag.ms),
            ..worst
        })
    }
}

/// Who decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CouncilStatus {
    /// The node that leads; empty when it is not known.
    pub leader: String,
    /// In which term.
    pub term: u64,
    /// The nodes that vote.
    pub voters: Vec<String>,
    /// Whether a majority follows the leader.
    pub has_quorum: bool,
}

/// The state of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberStatus {
    /// The member's name.
    pub node_id: String,
    /// Where it stands in its life: joining, active, draining or down; or recovering, if it is the one that was asked and reads
    /// its data back from disk.
    pub state: String,
    /// What its operator wants of it: stay, drain, leave, restart or stop.
    pub intent: String,
    /// Whether the node that answered hears from it.
    pub is_live: bool,
    /// Which of its lives this is.
    pub incarnation: u64,
    /// `host:port` for clients and peers.
    pub grpc_addr: String,
    /// `host:port` for gossip.
    pub gossip_addr: String,
    /// `host:port` for metrics and health.
    pub http_addr: String,
    /// What fails together with it; empty for none.
    pub zone: String,
    /// Its share of the data, relative to the others.
    pub weight: u32,
    /// Whether it votes in the council.
    pub is_voter: bool,
    /// How many partitions it leads.
    pub primaries: u32,
    /// How many other copies it has in sync.
    pub backups: u32,
    /// How many copies it is taking.
    pub learners: u32,
    /// Whether it has answered: the figures below are its own, and nought where it has not.
    pub has_answered: bool,
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
    /// How many entries it holds, of all copies.
    pub entries: u64,
    /// Bytes of records, tables and indexes.
    pub data_bytes: u64,
    /// The resident memory of the process.
    pub resident_bytes: u64,
    /// The memory mark: above it, writes that need memory are refused.
    pub memory_limit_bytes: u64,
    /// How many operations of clients it has served.
    pub operations_total: u64,
    /// `none`: its data are in memory alone; `ok`; `refuses`: the disk is full or fails, and so writes are refused; or
    /// `over_budget`: log and snapshots have as much as they may, and so writes are refused but for deletes.
    pub disk: String,
    /// Bytes of its log on disk.
    pub disk_log_bytes: u64,
    /// Bytes of its snapshots on disk.
    pub disk_snapshot_bytes: u64,
    /// How many bytes both may have together, if that is bounded.
    pub disk_budget_bytes: Option<u64>,
    /// Bytes of log entries that other nodes have sent it since it started.
    pub log_bytes_received: u64,
    /// Bytes of records that other nodes have sent it in copies since it started.
    pub copy_bytes_received: u64,
    /// How many operations were slow since it started.
    pub slow_operations_total: u64,
    /// How many milliseconds its clock is ahead of that of the node that answered, beyond what the way may have taken.
    pub clock_offset_ms: i64,
    /// In what time it answered 99 of 100 operations lately; `None` if there were none.
    pub p99: Option<Duration>,
    /// How far it is with that; `None` unless it is recovering.
    pub recovery: Option<RecoveryStatus>,
    /// Its background workers.
    pub workers: Vec<WorkerStatus>,
}

/// How far a node is that reads its data back from disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryStatus {
    /// `verifying`: it looks for damage; `loading`: it makes its partitions.
    pub stage: String,
    /// How many partitions are back.
    pub partitions_done: u32,
    /// Of how many; nought while it is not known.
    pub partitions_total: u32,
    /// How many bytes are verified.
    pub bytes_verified: u64,
    /// Of how many.
    pub bytes_total: u64,
    /// How much of the work is done, in hundredths.
    pub percent: u32,
    /// How long it has been going on.
    pub elapsed: Duration,
    /// How long it will go on at the present pace, if that can be told.
    pub eta: Option<Duration>,
}

/// The state of a background worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// The worker's name.
    pub name: String,
    /// What it does now, in a few words.
    pub state: String,
    /// How often it has run.
    pub rounds: u64,
}

/// A copy under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MoveStatus {
    /// The partition.
    pub partition: u32,
    /// Who gives.
    pub from: String,
    /// Who takes.
    pub to: String,
    /// How many entries are copied.
    pub entries_done: u64,
    /// Of how many; nought while it is not known.
    pub entries_total: u64,
    /// How many bytes are copied.
    pub bytes_done: u64,
    /// Of how many; nought while it is not known.
    pub bytes_total: u64,
    /// How long it has been going on.
    pub elapsed: Duration,
    /// How long it will go on at the present pace, if anybody can say.
    pub eta: Option<Duration>,
}

/// How far one node's copies are behind another's primaries: the worst of the pair's partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LagStatus {
    /// Who leads.
    pub from: String,
    /// Who follows.
    pub to: String,
    /// How many partitions it is about.
    pub partitions: u32,
    /// How many operations behind.
    pub ops: u64,
    /// How many bytes behind.
    pub bytes: u64,
    /// How many milliseconds behind.
    pub ms: u64,
}

/// A declared loss: what was acknowledged in earlier epochs, after `kept`, may be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LossStatus {
    /// Its place in the ledger, from one.
    pub number: u64,
    /// The partition.
    pub partition: u32,
    /// The loss generation that it opened.
    pub loss_generation: u32,
    /// The epoch that it opened.
    pub epoch: u64,
    /// Everything after this may be gone; `None` when everything may be.
    pub kept: Option<LogPoint>,
    /// The furthest position that was known of, if any was.
    pub known: Option<LogPoint>,
    /// The members that were given up.
    pub given_up: Vec<String>,
    /// suspect_promoted, policy or operator.
    pub cause: String,
}

impl From<pb::StatusReply> for ClusterStatus {
    fn from(reply: pb::StatusReply) -> Self {
        let council = reply.council.unwrap_or_default();
        ClusterStatus {
            health: reply.health,
            safe: reply.safe,
            cluster_id: reply.cluster_id,
            cluster_name: reply.cluster_name,
            answered_by: reply.answered_by,
            council: CouncilStatus {
                leader: council.leader,
                term: council.term,
                voters: council.voters,
                has_quorum: council.has_quorum,
            },
            table_version: reply.table_version,
            partitions_total: reply.partitions_total,
            partitions_unassigned: reply.partitions_unassigned,
            partitions_under_replicated: reply.partitions_under_replicated,
            partitions_without_primary: reply.partitions_without_primary,
            copies: reply.copies,
            members: reply.members.into_iter().map(MemberStatus::from).collect(),
            moves: reply.moves.into_iter().map(MoveStatus::from).collect(),
            lags: reply.lags.into_iter().map(LagStatus::from).collect(),
            losses: reply.losses.into_iter().map(LossStatus::from).collect(),
            losses_total: reply.losses_total,
            loss_policy: reply.loss_policy,
            feature_level: reply.feature_level,
        }
    }
}

impl From<pb::MemberStatus> for MemberStatus {
    fn from(member: pb::MemberStatus) -> Self {
        let worker =
            |w: pb::WorkerStatus| WorkerStatus { name: w.name, state: w.state, rounds: w.rounds };
        MemberStatus {
            node_id: member.node_id,
            state: member.state,
            intent: member.intent,
            is_live: member.is_live,
            incarnation: member.incarnation,
            grpc_addr: member.grpc_addr,
            gossip_addr: member.gossip_addr,
            http_addr: member.http_addr,
            zone: member.zone,
            weight: member.weight,
            is_voter: member.is_voter,
            primaries: member.primaries,
            backups: member.backups,
            learners: member.learners,
            has_answered: member.has_answered,
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
            disk: member.disk,
            disk_log_bytes: member.disk_log_bytes,
            disk_snapshot_bytes: member.disk_snapshot_bytes,
            disk_budget_bytes: member.disk_budget_bytes,
            log_bytes_received: member.log_bytes_received,
            copy_bytes_received: member.copy_bytes_received,
            slow_operations_total: member.slow_operations_total,
            clock_offset_ms: member.clock_offset_ms,
            p99: (member.p99_us > 0).then(|| Duration::from_micros(member.p99_us)),
            recovery: member.recovery.map(RecoveryStatus::from),
            workers: member.workers.into_iter().map(worker).collect(),
        }
    }
}

impl From<pb::RecoveryStatus> for RecoveryStatus {
    fn from(recovery: pb::RecoveryStatus) -> Self {
        RecoveryStatus {
            stage: recovery.stage,
            partitions_done: recovery.partitions_done,
            partitions_total: recovery.partitions_total,
            bytes_verified: recovery.bytes_verified,
            bytes_total: recovery.bytes_total,
            percent: recovery.percent,
            elapsed: Duration::from_millis(recovery.elapsed_ms),
            eta: recovery.eta_ms.map(Duration::from_millis),
        }
    }
}

impl From<pb::MoveStatus> for MoveStatus {
    fn from(copy: pb::MoveStatus) -> Self {
        MoveStatus {
            partition: copy.partition,
            from: copy.from,
            to: copy.to,
            entries_done: copy.entries_done,
            entries_total: copy.entries_total,
            bytes_done: copy.bytes_done,
            bytes_total: copy.bytes_total,
            elapsed: Duration::from_millis(copy.elapsed_ms),
            eta: copy.eta_ms.map(Duration::from_millis),
        }
    }
}

impl From<pb::LagStatus> for LagStatus {
    fn from(lag: pb::LagStatus) -> Self {
        let pb::LagStatus { from, to, partitions, ops, bytes, ms } = lag;
        LagStatus { from, to, partitions, ops, bytes, ms }
    }
}

impl From<pb::LossStatus> for LossStatus {
    fn from(loss: pb::LossStatus) -> Self {
        LossStatus {
            number: loss.number,
            partition: loss.partition,
            loss_generation: loss.loss_generation,
            epoch: loss.epoch,
            kept: loss.kept.map(LogPoint::from),
            known: loss.known.map(LogPoint::from),
            given_up: loss.given_up,
            cause: loss.cause,
        }
    }
}
