//! Codecs, configuration and defects: IG-05nn and above.

use super::{Explanation, configuration};
use crate::error::{ErrorCode, ErrorKind, NextStep, Outcome};

pub(super) const EXPLANATIONS: &[Explanation] = &[
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
    configuration(
        ErrorCode::BackupUnusable,
        "backup cannot be used",
        "There is no such backup, or an object of it or of one that it builds on is missing or damaged.",
        "look with isogrid cluster verify, and take another backup",
    ),
    configuration(
        ErrorCode::BackupPlaceFails,
        "place of backups fails",
        "The folder or the object store could not be read or written.",
        "check the path, its rights, and for s3:// the endpoint and the credentials",
    ),
    configuration(
        ErrorCode::AdvertiseUnknown,
        "advertised name unknown",
        "Others are to reach the node under a name, and this machine finds no address for it.",
        "mend node.advertise or the DNS, or let node.gossip_addr be the address under which others reach it",
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
