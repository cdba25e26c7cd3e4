//! The write model's mutants: each breaks one rule, and loses an acknowledged write.

use clap::ValueEnum;

/// The rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mutant {
    /// The intact model.
    None,
    /// R3: the primary stops waiting for a backup when it proposes the removal, not when it is committed
    ShrinkEarly,
    /// R4: a restarted node, its memory gone, goes by its old incarnation
    NoIncarnation,
    /// R5: the council takes in a learner without comparing its incarnation
    AddWithoutIncarnationCheck,
    /// R7: on a new epoch a replica cuts its log to the commit index it was told
    TruncateToCommit,
    /// R7: entries of the same seq pass for the same, whatever their epoch
    TrustSeqOnly,
    /// R6: a learner proposed for addition does not count for acknowledgements
    AdditionNotCounted,
    /// R6: a proposed addition is forgotten before its outcome is read, as if by a timeout
    ForgetAddition,
    /// R2: any registered node may be promoted, also one outside the in-sync set
    PromoteAny,
    /// R1: a replica accepts entries of a deposed primary
    NoFence,
    /// Section 1: a node that suspects the primary elects itself over gossip, without the council
    GossipElects,
}
