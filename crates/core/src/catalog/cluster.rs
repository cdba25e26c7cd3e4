//! The cluster stands in the way: IG-02nn.

use super::{Explanation, cluster, in_doubt, later};
use crate::error::{ErrorCode, ErrorKind, NextStep, Outcome};

pub(super) const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: ErrorCode::NotOwner,
        kind: ErrorKind::NotOwner,
        outcome: Outcome::NotApplied,
        next_step: NextStep::Redirect,
        what: "not the owner",
        why: "The partition is owned by another node, and the client's table was older than the node's.",
        next: "follow the newer table",
    },
    cluster(
        ErrorCode::NotEnoughReplicas,
        NextStep::RetryLater,
        "not enough replicas",
        "Fewer replicas of the partition are in sync than the map's min_in_sync asks for, so the write was refused \
         before it was made.",
        "wait until the missing nodes are back (isogrid status), or lower the map's min_in_sync",
    ),
    in_doubt(
        ErrorCode::NotEnoughReplicasLeft,
        "not enough replicas left",
        "The write was made, and then replicas fell out of sync before enough of them had it. It stays unless all that \
         have it are lost.",
        "read the key once the missing nodes are back",
    ),
    in_doubt(
        ErrorCode::Deposed,
        "primary replaced",
        "The partition got another primary before the write was acknowledged. The client asks the new one under the same \
         request number; this error means that it ran out of time or retries.",
        "read the key before writing again",
    ),
    in_doubt(
        ErrorCode::SessionEnded,
        "session ended",
        "The client's session ended because nothing was heard of it for a minute, or the client itself had said that it \
         waits for this request no more. Whether it was executed is not kept.",
        "read the key before writing again",
    ),
    later(
        ErrorCode::SessionFull,
        ErrorKind::Overloaded,
        "session full",
        "A session may have 64 unanswered writes in one partition, which bounds what replicas remember for retries.",
        "await some writes first, or open more sessions",
    ),
    cluster(
        ErrorCode::TooFarBehind,
        NextStep::RetryLater,
        "replica too far behind",
        "The replica cannot answer: it is further behind than max_staleness allows, or does not have the write of the \
         receipt yet.",
        "read from the primary, or allow more staleness",
    ),
    cluster(
        ErrorCode::PositionLost,
        NextStep::CheckOutcome,
        "position lost",
        "The write of the receipt is not in the partition's log: an operator or the map's loss policy gave up data after all \
         replicas that held them were lost.",
        "read without the receipt and check what is there",
    ),
    later(
        ErrorCode::BackupsLag,
        ErrorKind::Overloaded,
        "backups lag behind",
        "The map acknowledges writes before its backups have them, and the backups are as far behind as is allowed.",
        "write more slowly, or look why the backups are slow (isogrid status)",
    ),
    cluster(
        ErrorCode::NoQuorum,
        NextStep::RetryLater,
        "no quorum",
        "The council that decides about the cluster cannot reach most of its members. Reads and writes go on where replicas \
         are in sync; nothing about the cluster can change.",
        "bring back the missing nodes",
    ),
    later(
        ErrorCode::StillJoining,
        ErrorKind::Unavailable,
        "node still joining",
        "The node has not joined its cluster yet, so it does not know who owns what.",
        "use another node, or try again in a moment",
    ),
    cluster(
        ErrorCode::MapUnknown,
        NextStep::RetryLater,
        "no such map",
        "No map of this name exists, and this node could not ask the council to make one.",
        "create the map, or try again once the council answers",
    ),
    cluster(
        ErrorCode::NoPrimary,
        NextStep::AskOperator,
        "partition without a primary",
        "Every replica of the partition that has all writes is down, so nobody may answer for it.",
        "bring back its nodes (isogrid status shows which), or declare the data lost",
    ),
    cluster(
        ErrorCode::OwnerUnreachable,
        NextStep::RetryLater,
        "owner out of reach",
        "The partition's owner did not answer: it is stopping or has failed, and its successor is not known yet.",
        "try again in a moment",
    ),
    cluster(
        ErrorCode::WrongCluster,
        NextStep::AskOperator,
        "another cluster",
        "The node at this address belongs to another cluster than the one that the client or node was connected to.",
        "check the addresses",
    ),
    cluster(
        ErrorCode::ChangeRefused,
        NextStep::AskOperator,
        "change refused",
        "The council refused the change: it was made for a state of the cluster that is no more, or would break a rule.",
        "look at the state (isogrid status) and decide again",
    ),
    cluster(
        ErrorCode::NodeNameTaken,
        NextStep::AskOperator,
        "node name taken",
        "A running node of the cluster has this name. Two nodes with one name would overwrite each other's place.",
        "give the node a name of its own (node.name), or stop the other one",
    ),
    cluster(
        ErrorCode::NotSafeToStop,
        NextStep::RetryLater,
        "not safe to stop",
        "The node holds the last up-to-date copy of some data, or too few copies would be left.",
        "wait until the copies are back (isogrid status), or drain the node",
    ),
    cluster(
        ErrorCode::NodeUnknown,
        NextStep::FixRequest,
        "no such node",
        "The cluster has no node of this name.",
        "check the name (isogrid status lists all)",
    ),
    later(
        ErrorCode::CutOff,
        ErrorKind::Unavailable,
        "node cut off",
        "The node cannot reach the rest of its cluster, so it cannot know whether others took over.",
        "use another node",
    ),
    cluster(
        ErrorCode::ClocksApart,
        NextStep::AskOperator,
        "clocks too far apart",
        "A backup cuts along the time of all nodes, and a node takes no time from others that is far ahead of its own clock.",
        "set the clocks of the machines right (NTP) and try again",
    ),
    cluster(
        ErrorCode::ViewLost,
        NextStep::RetryLater,
        "state not kept",
        "What is read in several pages is kept as it was at the first. The partition got another primary or was cleared meanwhile, \
         too much of it was written over, or nobody asked for the next page for a minute.",
        "read again from the beginning",
    ),
];
