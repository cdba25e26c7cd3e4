//! The lease model's mutants: each breaks one rule of reads and leases, and gives a stale read or loses a value.

use clap::ValueEnum;

/// The rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mutant {
    /// The intact model.
    None,
    /// Section 5: the lease is checked before the value is read, and the epoch not again after
    CheckThenRead,
    /// Section 5: one check of the lease serves a read that began after it
    CheckReused,
    /// Section 5: an uncommitted value is read
    DirtyRead,
    /// R9: a new primary serves the last committed value it knows, before a no-op of its epoch is committed
    NoBarrier,
    /// Section 5, R9: the last committed value is taken before the barrier, which is committed by the time of the reply
    ValueBeforeBarrier,
    /// Section 5: the lease counts from the receipt of the acknowledgement, not from the sending of the message
    ReceiveTime,
    /// Section 5: one member's acknowledgement is enough for the lease
    LeaseFromSome,
    /// R6: a learner proposed for addition does not count for the lease
    AdditionNotLeased,
    /// R6: a member proposed for removal no longer counts for the lease
    RemovalNotLeased,
    /// R6: a proposed addition is forgotten before its outcome is read, as if by a timeout
    ForgetAddition,
    /// Section 5: what a node acknowledges as a learner does not count for the wait of R3
    LearnerNotStamped,
    /// Section 5: a process start does not count as an acknowledgement for the wait of R3
    RestartWithoutWaiting,
    /// R3: a removal is proposed without waiting out the leases
    RemovalWithoutWaiting,
    /// Section 5: a reset does not wait out the lease of an in-sync set of one
    ResetWithoutWaiting,
    /// Section 5: leases are held per node pair, and those who promised a newer epoch are not excluded
    PairLease,
    /// Section 5: the epoch is not pinned over a read
    EpochNotPinned,
    /// R2: the council's handover drops the old primary at once, which has not stopped serving
    HandoverUnguarded,
    /// R2, section 8: the handover drops the old primary at once, which resumes before it reads the outcome
    HandoverResumes,
    /// Section 5, confirmed reads: a read joins a round that was sent before it began
    JoinRound,
    /// Section 8, harmless with R2 and R3: the old primary goes on while its handover is under way
    HandoverWithoutYielding,
    /// Section 5, harmless past the barrier: a read gives the last committed value, and does not wait for the newest
    LastCommittedValue,
    /// Section 5, harmless in one epoch: the lease is checked before the value is read, which can only be newer
    CheckFirstInEpoch,
    /// Section 5, confirmed reads, harmless in one epoch: the value is taken after the round, and can only be newer
    RoundThenValue,
    /// Section 5, harmless as a start counts as an acknowledgement: a lease outlives the incarnation that gave it
    LeaseOutlivesIncarnation,
}
