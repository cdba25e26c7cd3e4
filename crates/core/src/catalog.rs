//! Every error code with its explanation: the source of `isogrid error IG-nnnn` and of docs/errors.md.

use crate::error::{ErrorCode, ErrorKind, NextStep, Outcome};

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The code.
    pub code: ErrorCode,
    /// The family.
    pub kind: ErrorKind,
    /// The outcome it usually has; an error can carry a more precise one.
    pub outcome: Outcome,
    /// What the caller does about it.
    pub next_step: NextStep,
    /// What happened, in a few words.
    pub what: &'static str,
    /// Why it happens.
    pub why: &'static str,
    /// What to do about it, one imperative phrase.
    pub next: &'static str,
}

/// The explanation of a code.
pub fn explain(code: ErrorCode) -> &'static Explanation {
    EXPLANATIONS
        .iter()
        .find(|explanation| explanation.code == code)
        .expect("every code has an explanation: a test checks it")
}

/// A request that breaks a rule: nothing changed, and the caller must mend it.
const fn invalid(
    code: ErrorCode,
    what: &'static str,
    why: &'static str,
    next: &'static str,
) -> Explanation {
    Explanation {
        code,
        kind: ErrorKind::InvalidRequest,
        outcome: Outcome::NotApplied,
        next_step: NextStep::FixRequest,
        what,
        why,
        next,
    }
}

/// A node that protects itself or cannot serve now: nothing changed, and a later try can work.
const fn later(
    code: ErrorCode,
    kind: ErrorKind,
    what: &'static str,
    why: &'static str,
    next: &'static str,
) -> Explanation {
    Explanation {
        code,
        kind,
        outcome: Outcome::NotApplied,
        next_step: NextStep::RetryLater,
        what,
        why,
        next,
    }
}

/// A wrong configuration or command line.
const fn configuration(
    code: ErrorCode,
    what: &'static str,
    why: &'static str,
    next: &'static str,
) -> Explanation {
    Explanation {
        code,
        kind: ErrorKind::Configuration,
        outcome: Outcome::NotApplied,
        next_step: NextStep::AskOperator,
        what,
        why,
        next,
    }
}

/// All explanations, in the order of the numbers.
pub const EXPLANATIONS: &[Explanation] = &[
    invalid(
        ErrorCode::KeyTooLong,
        "key too long",
        "Keys are kept in memory on every replica and hashed for every operation, so their length is limited.",
        "shorten the key or raise limits.key_bytes_max",
    ),
    invalid(
        ErrorCode::ValueTooLarge,
        "value too large",
        "A value travels in one frame and is copied under its partition's lock, so its size is limited.",
        "split the value or raise limits.value_bytes_max",
    ),
    invalid(
        ErrorCode::BatchTooLarge,
        "batch too large",
        "A frame may carry a limited number of operations, so that no caller keeps a core to itself.",
        "send several smaller batches or raise limits.batch_ops_max",
    ),
    invalid(
        ErrorCode::FrameTooLarge,
        "frame too large",
        "The node reads a frame whole, so its size is limited.",
        "send several smaller frames or raise limits.frame_bytes_max",
    ),
    invalid(
        ErrorCode::FrameMalformed,
        "frame malformed",
        "The bytes do not follow the layout in docs/wire.md. The node closes the session, because it cannot tell where \
         the next operation begins.",
        "check the client library and its version",
    ),
    invalid(
        ErrorCode::MapNameInvalid,
        "map name invalid",
        "Map names become labels of metrics and parts of paths: 1 to 128 of the characters a-z, A-Z, 0-9, '.', '_', \
         '-' and ':'.",
        "rename the map",
    ),
    invalid(
        ErrorCode::TooManyMaps,
        "too many maps",
        "Each map costs a little memory in every partition. Many small maps are better one map with a key prefix.",
        "use fewer maps or raise limits.maps_max",
    ),
    invalid(
        ErrorCode::NotANumber,
        "value is not a number",
        "An increment found a value that is not a number in the format of the caller's codec.",
        "check which codec wrote the value",
    ),
    invalid(
        ErrorCode::NumberOverflow,
        "number out of range",
        "The result of the increment would not fit 64 bits or would not be finite.",
        "use a smaller step or reset the value",
    ),
    invalid(
        ErrorCode::PatternInvalid,
        "pattern invalid",
        "A scan's glob is longer than a key may be or ends inside a bracket or an escape.",
        "mend the pattern",
    ),
    invalid(
        ErrorCode::PartitionInvalid,
        "no such partition",
        "The partition number is not below the cluster's number of partitions.",
        "ask the node for its number of partitions (isogrid status)",
    ),
    invalid(
        ErrorCode::ProtocolUnknown,
        "protocol version unknown",
        "The client speaks a version of the frame, or an operation, that this node does not know.",
        "upgrade the node, or use an older client",
    ),
    invalid(
        ErrorCode::RequestIncomplete,
        "request incomplete",
        "A typed request lacks its operation or names something that does not exist.",
        "fill in what the message names",
    ),
    Explanation {
        code: ErrorCode::NotOwner,
        kind: ErrorKind::NotOwner,
        outcome: Outcome::NotApplied,
        next_step: NextStep::Redirect,
        what: "not the owner",
        why: "The partition is owned by another node, and the client's table was older than the node's.",
        next: "follow the newer table",
    },
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
        "The node is starting.",
        "try again in a moment",
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
    Explanation {
        code: ErrorCode::EncodeFailed,
        kind: ErrorKind::Codec,
        outcome: Outcome::NotApplied,
        next_step: NextStep::FixRequest,
        what: "value cannot be encoded",
        why: "The codec refused the value.",
        next: "check the type against its codec",
    },
    Explanation {
        code: ErrorCode::DecodeFailed,
        kind: ErrorKind::Codec,
        outcome: Outcome::Applied,
        next_step: NextStep::FixRequest,
        what: "value cannot be decoded",
        why: "The stored bytes are not what the codec expects: another type or another codec wrote them.",
        next: "read the map with the type and codec it was written with",
    },
    configuration(
        ErrorCode::ConfigKeyUnknown,
        "unknown configuration key",
        "Unknown keys are errors, because a setting that is silently ignored is worse than none.",
        "mend the key (isogrid config print-default lists all)",
    ),
    configuration(
        ErrorCode::ConfigValueInvalid,
        "configuration value invalid",
        "The value has the wrong type or lies outside its range.",
        "mend the value (isogrid config explain KEY shows where it comes from)",
    ),
    configuration(
        ErrorCode::ConfigUnreadable,
        "configuration file unreadable",
        "The file is missing, may not be read, or is not TOML.",
        "check the path and the syntax (isogrid config validate --config FILE)",
    ),
    configuration(
        ErrorCode::AddressUnavailable,
        "address cannot be bound",
        "Another process listens there, or the address is not one of this machine.",
        "stop the other process or choose another address",
    ),
    configuration(
        ErrorCode::DataDirUnusable,
        "data folder cannot be used",
        "It cannot be created or written, belongs to another node, or another process holds its lock.",
        "check the path, its rights, and whether another node runs on it",
    ),
    configuration(
        ErrorCode::EndpointInvalid,
        "endpoint invalid",
        "An endpoint is HOST:PORT, a URL is isogrid://HOST:PORT[,HOST:PORT…][?option=value].",
        "mend the endpoint",
    ),
    configuration(
        ErrorCode::ArgumentInvalid,
        "argument invalid",
        "An argument of the command line cannot be used as given.",
        "see --help",
    ),
    Explanation {
        code: ErrorCode::Internal,
        kind: ErrorKind::Internal,
        outcome: Outcome::Unknown,
        next_step: NextStep::Report,
        what: "internal error",
        why: "The grid broke a promise of its own. This is a defect.",
        next: "report it with the node's log",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_once_and_in_order() {
        let explained: Vec<u16> = EXPLANATIONS.iter().map(|e| e.code as u16).collect();
        let declared: Vec<u16> = include_str!("error.rs")
            .lines()
            .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = ")?.1.parse().ok())
            .collect();
        assert_eq!(explained, declared);
        assert!(explained.is_sorted(), "numbers grow down the list");
        for explanation in EXPLANATIONS {
            let number = explanation.code as u16;
            assert_eq!(ErrorCode::from_number(number), Some(explanation.code));
            assert_eq!(explain(explanation.code), explanation);
        }
    }
}
