//! What the council knows of a node.

use isogrid_core::{Incarnation, Member, MemberState};
use serde::{Deserialize, Serialize};

use crate::id::{BootId, StorageId};

/// A node as the council knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name, life, addresses, zone, weight and state.
    pub member: Member,
    /// What its present life stores on; `None` before it first registered.
    pub storage: Option<StorageRecord>,
    /// What its operator wants of it.
    pub intent: Intent,
}

impl NodeRecord {
    /// Which of the node's lives is the present one.
    pub fn incarnation(&self) -> Incarnation {
        self.member.incarnation
    }

    /// Whether it may answer for what it holds.
    pub fn is_serving(&self) -> bool {
        self.member.state.is_serving()
    }

    /// The state of a node that is up, by what is wanted of it.
    pub(crate) fn state_when_up(&self) -> MemberState {
        match self.intent {
            Intent::Stay | Intent::Restart | Intent::Stop => MemberState::Active,
            Intent::Drain | Intent::Leave => MemberState::Draining,
        }
    }
}

/// What an operator wants of a node. A new life forgets [`Intent::Restart`] and [`Intent::Stop`]: it has come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// Nothing but its work.
    #[default]
    Stay,
    /// It is to be emptied and stays a member.
    Drain,
    /// Scale-in: it is to be emptied, and is forgotten once it is empty and down.
    Leave,
    /// A rolling restart: its primaries are handed over, its copies stay and catch up when it returns.
    Restart,
    /// A stop of the whole cluster: it writes to disk what is not there yet, and nothing moves.
    Stop,
}

/// What one life of a node stores on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageRecord {
    /// The storage.
    pub storage_id: StorageId,
    /// The boot of the machine.
    pub boot_id: BootId,
    /// Whether it ends with the life: it is memory.
    #[serde(default)]
    pub is_volatile: bool,
}

/// With what a node registers its new life: the proof that it still has what it acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageProof {
    /// The storage. Without a data folder it is drawn anew with every process.
    pub storage_id: StorageId,
    /// Every life that used this storage, the one that registers included.
    pub incarnations: Vec<Incarnation>,
    /// The boot of the machine.
    pub boot_id: BootId,
    /// Whether every acknowledged write was synced first, so that a power loss takes nothing.
    pub survives_power_loss: bool,
    /// Whether the logs were found whole. Torn or unreadable ones make the node a suspect, whatever the boot.
    pub is_intact: bool,
    /// Whether the storage is memory and ends with this life: then nobody waits for it once there is a later life.
    #[serde(default)]
    pub is_volatile: bool,
}

impl StorageProof {
    /// What the council records of it.
    pub fn record(&self) -> StorageRecord {
        StorageRecord {
            storage_id: self.storage_id,
            boot_id: self.boot_id,
            is_volatile: self.is_volatile,
        }
    }

    /// Whether this is the storage on which that life acknowledged (R4).
    pub(crate) fn proves(&self, recorded: StorageRecord, incarnation: Incarnation) -> bool {
        self.storage_id == recorded.storage_id && self.incarnations.contains(&incarnation)
    }

    /// Whether the end of a log on it may be missing.
    pub(crate) fn is_suspect(&self, recorded: StorageRecord) -> bool {
        !self.is_intact || (!self.survives_power_loss && self.boot_id != recorded.boot_id)
    }
}
