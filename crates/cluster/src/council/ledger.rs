//! The loss ledger: every loss that was declared, never silent.

use isogrid_core::{Epoch, LogPosition, PartitionId, Replica};
use serde::{Deserialize, Serialize};

/// One declared loss: acknowledged writes of this partition may be gone, including those that a deposed primary
/// acknowledges later in an older epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossRecord {
    /// Its place in the ledger, from one.
    pub number: u64,
    /// The partition.
    pub partition: PartitionId,
    /// The loss generation that it opened.
    pub loss_generation: u32,
    /// The epoch that it opened: what may be gone was acknowledged in earlier ones.
    pub epoch: Epoch,
    /// Everything after this position may be gone; `None` when everything may be.
    pub kept: Option<LogPosition>,
    /// The furthest position that was known of before, if any was: what is gone may reach beyond it.
    pub known: Option<LogPosition>,
    /// The members that were given up.
    pub given_up: Vec<Replica>,
    /// Why.
    pub cause: LossCause,
}

/// Why a loss was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// A power loss below the level `fsync`: the furthest log that was left leads.
    SuspectPromoted,
    /// No in-sync member came back in time, and the loss policy says to go on.
    Policy,
    /// An operator chose to go on.
    Operator,
}
