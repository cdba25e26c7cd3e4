//! Partitions, the place of a key, plans of what moves, and whether a node can be stopped.

use std::fmt;
use std::time::Duration;

use isogrid_proto::pb;

/// What an operator wants of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Intent {
    /// Nothing but its work.
    Stay,
    /// It is to be emptied and stays a member.
    Drain,
    /// It is to be emptied, and is forgotten once it is empty and down.
    Leave,
    /// Its primaries are handed over, its copies stay.
    Restart,
    /// The whole cluster stops: it writes to disk what is not there yet, and nothing moves.
    Stop,
}

impl Intent {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Intent::Stay => "stay",
            Intent::Drain => "drain",
            Intent::Leave => "leave",
            Intent::Restart => "restart",
            Intent::Stop => "stop",
        }
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a partition's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogPoint {
    /// The epoch.
    pub epoch: u64,
    /// The number of the entry.
    pub seq: u64,
}

impl fmt::Display for LogPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

/// Who holds which partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionList {
    /// The version of the table it is from.
    pub table_version: u64,
    /// How many partitions there are.
    pub partitions_total: u32,
    /// Those that were asked for.
    pub partitions: Vec<PartitionStatus>,
}

/// Who holds one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionStatus {
    /// The partition.
    pub partition: u32,
    /// Grows with every change of the primary.
    pub epoch: u64,
    /// Grows with every change of the entry.
    pub ver: u32,
    /// Grows when data may have been lost.
    pub loss_generation: u32,
    /// Who takes the writes; empty for nobody.
    pub primary: String,
    /// Who must hold a write before it is acknowledged, the primary included.
    pub in_sync: Vec<String>,
    /// Who is catching up.
    pub learners: Vec<String>,
    /// ok, under_replicated, no_primary or unassigned.
    pub state: String,
    /// How large the primary is, if that was asked for and known.
    pub bytes: Option<u64>,
    /// How many operations it had in a second lately, if sizes were asked for and that is known.
    pub operations_per_second: Option<u64>,
}

impl PartitionStatus {
    /// The in-sync members beside the primary.
    pub fn backups(&self) -> impl Iterator<Item = &str> {
        self.in_sync.iter().map(String::as_str).filter(|node| *node != self.primary)
    }
}

/// Where a key lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyPlace {
    /// Its slot.
    pub slot: u32,
    /// Its partition.
    pub partition: PartitionStatus,
    /// The version of the table it is from.
    pub table_version: u64,
    /// Which node answered.
    pub answered_by: String,
    /// Where the holders are reached.
    pub holders: Vec<Holder>,
    /// Whether there is a map of the name that was asked for.
    pub map_exists: bool,
}

/// A node that holds a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its name.
    pub node_id: String,
    /// `host:port` for clients.
    pub grpc_addr: String,
    /// What fails together with it; empty for none.
    pub zone: String,
    /// Whether the node that answered hears from it.
    pub is_live: bool,
}

/// What the cluster would move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The steps, in the order of their partitions.
    pub moves: Vec<PlannedMove>,
    /// What all copies together would send.
    pub bytes_total: u64,
    /// How many partitions would have fewer copies than wanted: there are too few nodes.
    pub partitions_short: u32,
}

/// One step of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedMove {
    /// The partition.
    pub partition: u32,
    /// copy, primary or retire.
    pub kind: String,
    /// Who gives; empty for nobody.
    pub from: String,
    /// Who takes; empty for nobody.
    pub to: String,
    /// How much a copy would send.
    pub bytes: u64,
}

/// Whether a node can be stopped now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopVerdict {
    /// Yes: who else has everything, per partition of which it holds a copy.
    Yes(Vec<StopProof>),
    /// No: what stands in the way.
    No(Vec<StopBlocker>),
}

/// Who else has everything of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopProof {
    /// The partition.
    pub partition: u32,
    /// The others that have everything.
    pub held_by: Vec<String>,
    /// At least up to here, if the primary has reported.
    pub up_to: Option<LogPoint>,
}

/// What stands in the way of a stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopBlocker {
    /// The partition; `None` for the node as a whole.
    pub partition: Option<u32>,
    /// leads, too_few_copies, still_member or not_flushed.
    pub why: String,
    /// Of too_few_copies: how many others have everything.
    pub have: u32,
    /// Of too_few_copies: how many must.
    pub need: u32,
    /// How long it may take, if nothing else happens.
    pub estimate: Duration,
}

impl From<pb::LogPosition> for LogPoint {
    fn from(position: pb::LogPosition) -> Self {
        LogPoint { epoch: position.epoch, seq: position.seq }
    }
}

impl From<pb::PartitionsReply> for PartitionList {
    fn from(reply: pb::PartitionsReply) -> Self {
        PartitionList {
            table_version: reply.table_version,
            partitions_total: reply.partitions_total,
            partitions: reply.partitions.into_iter().map(PartitionStatus::from).collect(),
        }
    }
}

impl From<pb::PartitionStatus> for PartitionStatus {
    fn from(partition: pb::PartitionStatus) -> Self {
        PartitionStatus {
            partition: partition.partition,
            epoch: partition.epoch,
            ver: partition.ver,
            loss_generation: partition.loss_generation,
            primary: partition.primary,
            in_sync: partition.in_sync,
            learners: partition.learners,
            state: partition.state,
            bytes: partition.bytes,
            operations_per_second: partition.operations_per_second,
        }
    }
}

impl From<pb::TraceReply> for KeyPlace {
    fn from(reply: pb::TraceReply) -> Self {
        let holder = |holder: pb::HolderAddress| Holder {
            node_id: holder.node_id,
            grpc_addr: holder.grpc_addr,
            zone: holder.zone,
            is_live: holder.is_live,
        };
        KeyPlace {
            slot: reply.slot,
            partition: reply.partition.unwrap_or_default().into(),
            table_version: reply.table_version,
            answered_by: reply.answered_by,
            holders: reply.holders.into_iter().map(holder).collect(),
            map_exists: reply.map_exists,
        }
    }
}

impl From<pb::PlanReply> for Plan {
    fn from(reply: pb::PlanReply) -> Self {
        let step = |step: pb::PlannedMove| PlannedMove {
            partition: step.partition,
            kind: step.kind,
            from: step.from,
            to: step.to,
            bytes: step.bytes,
        };
        Plan {
            moves: reply.moves.into_iter().map(step).collect(),
            bytes_total: reply.bytes_total,
            partitions_short: reply.partitions_short,
        }
    }
}

impl From<pb::CanStopReply> for StopVerdict {
    fn from(reply: pb::CanStopReply) -> Self {
        let proof = |proof: pb::StopProof| StopProof {
            partition: proof.partition,
            held_by: proof.held_by,
            up_to: proof.up_to.map(LogPoint::from),
        };
        let blocker = |blocker: pb::StopBlocker| StopBlocker {
            partition: blocker.partition,
            why: blocker.why,
            have: blocker.have,
            need: blocker.need,
            estimate: Duration::from_millis(blocker.estimate_ms),
        };
        if reply.yes {
            StopVerdict::Yes(reply.proof.into_iter().map(proof).collect())
        } else {
            StopVerdict::No(reply.blockers.into_iter().map(blocker).collect())
        }
    }
}
