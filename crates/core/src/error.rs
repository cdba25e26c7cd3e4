//! [`Error`]: every failure of the grid, grouped by what the caller does next, with an outcome that never claims more
//! than is known.

use std::fmt;

use crate::catalog::{self, Explanation};

/// A result with the grid's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whether a failed operation changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Certainly nothing changed.
    NotApplied,
    /// Certainly the change happened; only its reply failed.
    Applied,
    /// It may or may not have happened.
    Unknown,
}

/// What the caller does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NextStep {
    /// Mend the request: sending it again as it is cannot work.
    FixRequest,
    /// Send it to another node, which the error or a newer table names.
    Redirect,
    /// Send it again after a pause.
    RetryLater,
    /// Find out what happened before sending it again.
    CheckOutcome,
    /// Ask the operator: configuration or the machine needs care.
    AskOperator,
    /// Report it: this is a defect of the grid.
    Report,
}

/// The family of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request breaks a rule or a limit.
    InvalidRequest,
    /// Another node owns the partition.
    NotOwner,
    /// The cluster as a whole cannot do it now, or refuses to: too few replicas, no quorum, lost data.
    Cluster,
    /// The node protects itself: memory, connections or queues are full.
    Overloaded,
    /// The node cannot serve now: starting, stopping, or out of reach.
    Unavailable,
    /// Time ran out.
    DeadlineExceeded,
    /// The connection broke while the operation was on its way.
    ConnectionLost,
    /// A value could not be encoded or decoded by the codec.
    Codec,
    /// The configuration or the command line is wrong.
    Configuration,
    /// A defect.
    Internal,
}

/// The number of an error, shown as `IG-nnnn`. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
#[non_exhaustive]
pub enum ErrorCode {
    /// A key is longer than the limit.
    KeyTooLong = 101,
    /// A value is larger than the limit.
    ValueTooLarge = 102,
    /// A batch has more operations than the limit.
    BatchTooLarge = 103,
    /// A frame is larger than the limit.
    FrameTooLarge = 104,
    /// A frame cannot be read.
    FrameMalformed = 105,
    /// A map name is empty, too long or has a forbidden character.
    MapNameInvalid = 106,
    /// There are more maps than the limit.
    TooManyMaps = 107,
    /// The value is not a number in the expected format.
    NotANumber = 108,
    /// The number would leave its range.
    NumberOverflow = 109,
    /// A scan's pattern cannot be read.
    PatternInvalid = 110,
    /// A partition number is out of range.
    PartitionInvalid = 111,
    /// The request speaks a protocol version this node does not know.
    ProtocolUnknown = 112,
    /// A typed request lacks a part.
    RequestIncomplete = 113,
    /// The two keys of an operation lie in different partitions.
    KeysApart = 114,
    /// A statement of SQL cannot be read or planned.
    QueryInvalid = 115,
    /// A statement needs more memory than one may have.
    QueryTooLarge = 116,
    /// A statement takes longer than one may.
    QueryTooLong = 117,
    /// A statement met a value that it cannot work with.
    QueryFailed = 118,
    /// A value does not fit its map's columns.
    ValueMisfit = 119,
    /// A unique index has the value's columns already.
    UniqueViolated = 120,
    /// A filter is none, or too large.
    FilterInvalid = 121,
    /// More matches, or makes more groups, than can be kept.
    TooManyMatches = 122,
    /// An answer has more rows than one may.
    QueryTooManyRows = 124,
    /// A statement walks over more entries than one may.
    QueryTooManyScanned = 125,
    /// A statement would walk over all of a map.
    QueryNotPruned = 126,
    /// A request over HTTP cannot be read.
    HttpRequestInvalid = 127,
    /// There is nothing at this address.
    NothingThere = 128,
    /// The record is not the one that a request over HTTP expects.
    ConditionFailed = 129,
    /// A statement inserts a key that is there.
    KeyPresent = 130,
    /// A record that a statement writes was changed by others again and again.
    RecordChanged = 131,
    /// Another node owns the partition.
    NotOwner = 201,
    /// Too few replicas are in sync for the map's setting.
    NotEnoughReplicas = 202,
    /// Too few replicas were left in sync after the write was applied.
    NotEnoughReplicasLeft = 203,
    /// The primary was replaced before the write was acknowledged.
    Deposed = 204,
    /// The session has ended, or the request was reported as answered.
    SessionEnded = 205,
    /// The session has too many unanswered writes in one partition.
    SessionFull = 206,
    /// The replica is further behind than the read allows.
    TooFarBehind = 207,
    /// The position of a receipt is not in the partition's log any more.
    PositionLost = 208,
    /// The backups must catch up first.
    BackupsLag = 209,
    /// The council has no quorum.
    NoQuorum = 210,
    /// The node has not joined its cluster yet.
    StillJoining = 211,
    /// There is no such map, and one could not be made.
    MapUnknown = 212,
    /// Nobody leads the partition at the moment.
    NoPrimary = 213,
    /// A node could not reach the owner of the partition.
    OwnerUnreachable = 214,
    /// The node belongs to another cluster.
    WrongCluster = 215,
    /// The council refused a change of the cluster.
    ChangeRefused = 216,
    /// Another node has this name.
    NodeNameTaken = 217,
    /// Stopping the node now could lose data.
    NotSafeToStop = 218,
    /// There is no such node.
    NodeUnknown = 219,
    /// The node declared itself cut off from its cluster.
    CutOff = 220,
    /// The clocks of two nodes are too far apart.
    ClocksApart = 221,
    /// What a scan began to read is not kept any more.
    ViewLost = 222,
    /// The node's memory mark is reached.
    MemoryFull = 301,
    /// The node has as many connections as it allows.
    TooManyConnections = 302,
    /// A partition's table cannot grow further.
    TableFull = 303,
    /// Too many operations are in flight on one connection or client.
    InFlightFull = 304,
    /// The node is starting and not ready yet.
    NotReady = 305,
    /// The node is stopping.
    ShuttingDown = 306,
    /// No node could be reached.
    CannotConnect = 307,
    /// The retry budget of the client is used up.
    RetryBudgetSpent = 308,
    /// A map without eviction has reached its own limit.
    MapFull = 309,
    /// The reply of a batch grew beyond a frame.
    ReplyTooLarge = 310,
    /// The client was closed.
    ClientClosed = 311,
    /// The node's disk takes nothing.
    DiskRefuses = 312,
    /// The node runs as many statements of SQL as it does at once.
    TooManyQueries = 313,
    /// The index is not there, or does not have all records yet.
    IndexNotReady = 314,
    /// The node serves as many watches with filters as it does at once.
    TooManyWatches = 316,
    /// The deadline passed before the operation was executed.
    DeadlineBeforeStart = 401,
    /// The deadline passed while the operation was on its way.
    DeadlineInFlight = 402,
    /// The connection broke while the operation was on its way.
    ConnectionLost = 403,
    /// A value could not be encoded.
    EncodeFailed = 501,
    /// A value could not be decoded.
    DecodeFailed = 502,
    /// A configuration key is unknown.
    ConfigKeyUnknown = 601,
    /// A configuration value is not valid.
    ConfigValueInvalid = 602,
    /// A configuration file cannot be read.
    ConfigUnreadable = 603,
    /// An address cannot be bound.
    AddressUnavailable = 604,
    /// The data folder cannot be used.
    DataDirUnusable = 605,
    /// A connection URL or endpoint cannot be read.
    EndpointInvalid = 606,
    /// A command-line argument is not valid.
    ArgumentInvalid = 607,
    /// A backup is damaged, or is not there.
    BackupUnusable = 608,
    /// The place of a backup cannot be read or written.
    BackupPlaceFails = 609,
    /// The name at which others are to reach the node is not known.
    AdvertiseUnknown = 610,
    /// The grid broke a promise of its own.
    Internal = 901,
}

impl ErrorCode {
    /// The code with this number.
    pub fn from_number(number: u16) -> Option<ErrorCode> {
        catalog::EXPLANATIONS.iter().map(|e| e.code).find(|code| *code as u16 == number)
    }

    /// What the code means, why it happens and what to do.
    pub fn explanation(self) -> &'static Explanation {
        catalog::explain(self)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IG-{:04}", *self as u16)
    }
}

/// A failure: its code, its outcome, and what exactly was wrong this time. Eight bytes wide.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    code: ErrorCode,
    outcome: Outcome,
    detail: String,
}

impl Error {
    /// An error with the outcome its code usually has. `detail` says what exactly was wrong: figures and names.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let outcome = code.explanation().outcome;
        Error(Box::new(Inner { code, outcome, detail: detail.into() }))
    }

    /// The same error with another outcome.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// The number of the error.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The family of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.code.explanation().kind
    }

    /// Whether the failed operation changed anything.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// What the caller does about it.
    pub fn next_step(&self) -> NextStep {
        self.0.code.explanation().next_step
    }

    /// What exactly was wrong this time.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let explanation = self.0.code.explanation();
        write!(f, "{} {}", self.0.code, explanation.what)?;
        if !self.0.detail.is_empty() {
            write!(f, ": {}", self.0.detail)?;
        }
        write!(f, "; {}", explanation.next)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} (outcome: {:?})", self.0.outcome)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_next() {
        let error = Error::new(ErrorCode::KeyTooLong, "5000 bytes, at most 4096");
        assert_eq!(
            error.to_string(),
            "IG-0101 key too long: 5000 bytes, at most 4096; shorten the key or raise limits.key_bytes_max"
        );
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert_eq!(error.next_step(), NextStep::FixRequest);
        assert_eq!(std::mem::size_of::<Error>(), 8);
    }

    #[test]
    fn a_lost_connection_leaves_the_outcome_unknown() {
        let error = Error::new(ErrorCode::ConnectionLost, "");
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert_eq!(error.with_outcome(Outcome::NotApplied).outcome(), Outcome::NotApplied);
    }
}
