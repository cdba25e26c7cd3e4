//! What a replica tells its operators: each is a counter, a line of a trace, and a path that tests can ask for.

use isogrid_core::{Epoch, NodeId};

/// Something worth counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This replica is primary now, and had so many entries that were not committed yet.
    Promoted {
        /// In this epoch.
        epoch: Epoch,
        /// Entries that were not committed.
        uncommitted: u64,
    },
    /// The first entry of the epoch is committed: reads and writes begin.
    Opened {
        /// The epoch.
        epoch: Epoch,
    },
    /// This replica is not primary any more, and took back so many entries.
    Demoted {
        /// The epoch it promised now.
        promised: Epoch,
        /// Entries taken back.
        undone: u64,
    },
    /// A message of an earlier epoch was refused.
    Fenced {
        /// Its epoch.
        epoch: Epoch,
    },
    /// A message for another life of this node was dropped.
    OtherLife,
    /// Entries of a lost epoch were cut off.
    Truncated {
        /// How many.
        entries: u64,
    },
    /// A backup's removal was proposed.
    RemovalProposed {
        /// Which.
        node: NodeId,
    },
    /// A removal had to wait for the leases given to an earlier primary.
    RemovalWaits,
    /// A learner's addition was proposed.
    AdditionProposed {
        /// Which.
        node: NodeId,
    },
    /// An answered request came again.
    AnsweredAgain,
    /// A request came again while it was in flight.
    InFlightAgain,
    /// A request came again that its client had called answered, or whose session has ended.
    StaleRequest,
    /// A read waited for the commit of what it shows.
    ReadParked,
    /// A read asked the in-sync set.
    ReadConfirming,
    /// A backup answered a read.
    BackupRead,
    /// A handover began.
    HandoverStarted {
        /// To whom.
        to: NodeId,
    },
    /// A handover was given up before it was proposed.
    HandoverAborted,
    /// A handover was decided against.
    HandoverLost,
    /// A learner began to copy.
    CopyStarted(CopyKind),
    /// A copy goes on with another primary.
    CopyContinues,
    /// A copy is complete.
    CopyFinished(CopyKind),
    /// A copied record was older than what is known here.
    StaleRecordSkipped,
    /// Data differ at equal positions.
    DigestMismatch,
    /// Digests were compared and agree.
    DigestAgrees,
}

/// What is being copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CopyKind {
    /// Everything.
    All,
    /// The buckets that differ.
    Repair,
    /// The keys of a divergent tail.
    Tail,
}
