//! The disk model's mutants: each breaks one rule of recovery.

use clap::ValueEnum;

/// The rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mutant {
    /// The intact model.
    None,
    /// R8: a backup acknowledges entries before they are persisted
    AckUnpersisted,
    /// R8: the primary counts its own copy before it is persisted
    SelfUnpersisted,
    /// R4, R8: a restarted primary is rebound without a new epoch, and goes on in the old one
    ResumeSameEpoch,
    /// R1, R4: a restarted node goes by its old incarnation, its promise forgotten
    SameIncarnation,
    /// R4: an entry is rebound although the node lost its disk
    RebindLost,
    /// R4: every restarted node is removed from the set, also one that kept its disk
    ExpelRestarted,
    /// Section 12: a node removed earlier may be promoted because its disk is intact
    AnyDisk,
    /// R7: entries of the same seq pass for the same, whatever their epoch
    TrustSeqOnly,
    /// R7: a piece that is contiguous is taken, whatever the epoch of the entry before it
    TrustContiguous,
    /// R7: the log is cut after every piece, also when the primary has more
    TruncateAfterChunk,
    /// R7: a replica acknowledges the length of its log, not the matched prefix
    AckLength,
    /// R9: a new primary proposes additions before the no-op of its epoch is committed
    AddBeforeBarrier,
    /// Section 12: after a power loss the entry is rebound as if the log were whole
    RebindSuspectAsSound,
    /// Section 12: a suspect member does not count for acknowledgements
    SuspectNotRequired,
    /// Section 12: of suspects, any one is promoted, not the one with the highest position
    PickAny,
    /// Section 12: suspects are compared by the last epoch they heard of, not by the epoch of their last entry
    PickByHeardEpoch,
    /// Section 12: a suspect is promoted before all have reported
    PickWithoutWaiting,
    /// R9, harmless here: entries of earlier epochs are acknowledged before the no-op of this one is (every member has them)
    AckBeforeBarrier,
}
