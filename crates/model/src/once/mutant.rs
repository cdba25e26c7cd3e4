//! The exactly-once model's mutants: each breaks one rule of section 7.

use clap::ValueEnum;

/// The rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mutant {
    /// The intact model.
    None,
    /// R11: the dedupe table does not travel in the log, and dies with the primary
    VolatileTable,
    /// Section 7: a lookup covers only committed entries, not those still in progress
    CommittedOnly,
    /// Section 7: a retry is answered from an entry that is not committed
    ReplyUncommitted,
    /// Section 7: a record below first_incomplete is forgotten, and its late duplicate is not recognised as stale
    NoWatermark,
    /// Section 7: a record is forgotten once committed, without the client's word that it has the answer
    PruneEarly,
    /// R9: a retry is answered from an earlier epoch's entry before this epoch's no-op is committed
    DoneBeforeBarrier,
    /// Section 7: the end of a session forgets it, and a late request of it counts as one of a new session
    ForgetAtEnd,
    /// R9, harmless here: requests are executed before the barrier (a lookup covers uncommitted entries anyway)
    ExecuteBeforeBarrier,
}
