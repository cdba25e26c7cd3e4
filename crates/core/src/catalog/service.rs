//! A node cannot take an operation now, or its answer did not come: IG-03nn and IG-04nn.

use super::{Explanation, later};
use crate::error::{ErrorCode, ErrorKind, NextStep, Outcome};

pub(super) const EXPLANATIONS: &[Explanation] = &[
    later(
        ErrorCode::MemoryFull,
        ErrorKind::Overloaded,
        "memory mark reached",
        "The data, or all that the process takes, has reached memory.limit. The node refuses writes that need memory before \
         the operating system would kill it. Reads, deletes and expiry go on.",
        "delete data, set an eviction policy, raise memory.limit or add nodes",
    ),
    later(
        ErrorCode::TooManyConnections,
        ErrorKind::Overloaded,
        "too many connections",
        "The node has as many connections as it allows.",
        "close idle clients, share one Grid per process, or raise limits.connections_max",
    ),
    later(
        ErrorCode::TableFull,
        ErrorKind::Overloaded,
        "partition table full",
        "The keys of one partition collide so strongly that its table cannot grow: almost certainly keys chosen to do \
         so.",
        "check who writes such keys",
    ),
    later(
        ErrorCode::InFlightFull,
        ErrorKind::Overloaded,
        "too many operations in flight",
        "The client already waits for as many replies as it allows, which bounds its memory.",
        "await some replies first, or raise the client's in_flight_ops_max",
    ),
    later(
        ErrorCode::NotReady,
        ErrorKind::Unavailable,
        "node not ready",
        "The node is starting, or still reads its data back from disk.",
        "try again in a moment (isogrid status of that node shows how far it is)",
    ),
    later(
        ErrorCode::ShuttingDown,
        ErrorKind::Unavailable,
        "node stopping",
        "The node was asked to stop and takes no new operations.",
        "use another node, or try again after its restart",
    ),
    later(
        ErrorCode::CannotConnect,
        ErrorKind::Unavailable,
        "cannot connect",
        "No node answered at the given addresses.",
        "check that a node runs there (isogrid status --endpoint HOST:PORT)",
    ),
    later(
        ErrorCode::RetryBudgetSpent,
        ErrorKind::Unavailable,
        "retry budget spent",
        "So many operations failed lately that more retries would only add load.",
        "look at the error beneath it, and back off",
    ),
    Explanation {
        code: ErrorCode::MapFull,
        kind: ErrorKind::Overloaded,
        outcome: Outcome::NotApplied,
        next_step: NextStep::AskOperator,
        what: "map full",
        why: "The map has reached its entries_max or bytes_max and has no eviction policy, so nothing may make room.",
        next: "delete entries, raise the map's limit, or set its eviction to lru or lfu",
    },
    later(
        ErrorCode::ReplyTooLarge,
        ErrorKind::Overloaded,
        "reply too large",
        "The replies to one batch filled a frame (limits.frame_bytes_max), so this operation was left out. Those before it \
         were executed.",
        "ask for it again in a batch of its own",
    ),
    Explanation {
        code: ErrorCode::ClientClosed,
        kind: ErrorKind::Unavailable,
        outcome: Outcome::NotApplied,
        next_step: NextStep::FixRequest,
        what: "client closed",
        why: "The program closed this client, or the runtime it was made on has ended.",
        next: "make a new client, and keep it as long as it is used",
    },
    later(
        ErrorCode::DiskRefuses,
        ErrorKind::Unavailable,
        "disk takes nothing",
        "The disk of the node that leads the partition is full or fails, or what the node keeps there has reached its \
         disk.budget, so writes cannot be kept. Nothing was changed. Reads go on, with a budget deletes too, and writes as soon as \
         there is room again.",
        "free space on the node's disk (isogrid status shows which, and its log what the disk answered), or delete data or raise \
         the budget",
    ),
    later(
        ErrorCode::TooManyQueries,
        ErrorKind::Overloaded,
        "too many statements",
        "The node runs as many statements of SQL as it does at once, so that they leave memory and time to operations.",
        "try again, ask another node, or raise limits.sql_statements_max",
    ),
    later(
        ErrorCode::IndexNotReady,
        ErrorKind::Unavailable,
        "index not ready",
        "The index of the map was dropped, or the node that leads the partition is still building it. Statements do without one then; only what \
         has begun to read it is told.",
        "send it again (SHOW INDEXES says how far each index is)",
    ),
    later(
        ErrorCode::TooManyWatches,
        ErrorKind::Overloaded,
        "too many watches with filters",
        "The node serves as many watches with filters as it does at once: each of them looks into every write of its map.",
        "end some, or watch what several of them need once",
    ),
    Explanation {
        code: ErrorCode::DeadlineBeforeStart,
        kind: ErrorKind::DeadlineExceeded,
        outcome: Outcome::NotApplied,
        next_step: NextStep::RetryLater,
        what: "deadline passed before the operation began",
        why: "The operation waited longer than the caller allowed, and was dropped unexecuted.",
        next: "try again with a longer deadline or less load",
    },
    Explanation {
        code: ErrorCode::DeadlineInFlight,
        kind: ErrorKind::DeadlineExceeded,
        outcome: Outcome::Unknown,
        next_step: NextStep::CheckOutcome,
        what: "deadline passed while waiting for the reply",
        why: "The operation was sent, but its reply did not come in time. It may have been applied.",
        next: "read the key before writing again",
    },
    Explanation {
        code: ErrorCode::ConnectionLost,
        kind: ErrorKind::ConnectionLost,
        outcome: Outcome::Unknown,
        next_step: NextStep::CheckOutcome,
        what: "connection lost",
        why: "The connection broke after the operation was sent and before its reply came.",
        next: "read the key before writing again",
    },
];
