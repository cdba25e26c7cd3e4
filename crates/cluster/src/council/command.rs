//! What can be proposed to the council.

use isogrid_core::{
    Epoch, Incarnation, LogPosition, MapId, MapSchema, MapSettings, Member, NodeId, PartitionId,
    Replica, SessionId,
};
use serde::{Deserialize, Serialize};

use super::map::MapMode;
use super::node::{Intent, StorageProof};
use super::state::LossPolicy;
use crate::id::ClusterId;

/// What can be proposed to the council. Any command may arrive late or twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The first command of a cluster.
    CreateCluster(CreateCluster),
    /// A node: this is my new life, and what I still have (R4).
    Register {
        /// The node with the life that registers. Its state is the council's to say and is not looked at.
        member: Member,
        /// What it still has.
        storage: StorageProof,
    },
    /// The steward: a node is down. Every partition it leads gets another primary (R2).
    NodeDown {
        /// The node.
        node: NodeId,
        /// The life that is meant.
        incarnation: Incarnation,
    },
    /// Changes of entries, each applied or refused on its own.
    Changes(Vec<Change>),
    /// Nobody sound can lead: the furthest suspect does, and the ledger says what may be gone.
    PromoteSuspect {
        /// The partition.
        partition: PartitionId,
        /// Its epoch as the proposer knows it.
        epoch: Epoch,
        /// Its ver as the proposer knows it.
        ver: u32,
        /// How much was waited for.
        authority: Authority,
    },
    /// Nobody who holds the partition comes back: a node starts it anew, and the ledger says so.
    Reset {
        /// The partition.
        partition: PartitionId,
        /// Its epoch as the proposer knows it.
        epoch: Epoch,
        /// Its ver as the proposer knows it.
        ver: u32,
        /// Who leads it from now on, with whatever it has.
        to: NodeId,
        /// The furthest position that was ever reported, for the ledger.
        known: Option<LogPosition>,
        /// Whether an operator says so; otherwise the loss policy must allow it.
        operator: bool,
    },
    /// A suspect: this is how far my logs reach.
    ReportPositions {
        /// The node.
        node: NodeId,
        /// The life that reports.
        incarnation: Incarnation,
        /// Its last entry per partition.
        positions: Vec<(PartitionId, LogPosition)>,
    },
    /// An operator, or a node that is asked to end: what is wanted of a node.
    SetIntent {
        /// The node.
        node: NodeId,
        /// What is wanted.
        intent: Intent,
    },
    /// A node that is down and holds nothing is forgotten.
    RemoveNode {
        /// The node.
        node: NodeId,
        /// The life that is meant.
        incarnation: Incarnation,
    },
    /// A map is created or gets other settings.
    PutMap {
        /// Its name.
        name: String,
        /// Its settings.
        settings: MapSettings,
        /// How its writes and reads are done.
        mode: MapMode,
        /// What its values are, if that is said.
        #[serde(default)]
        schema: Option<MapSchema>,
    },
    /// A map is dropped. Its number is not used again.
    DropMap {
        /// Its name.
        name: String,
        /// Its number: a late command must not drop the next map of that name.
        id: MapId,
    },
    /// What happens when nobody who holds a partition comes back.
    SetLossPolicy(LossPolicy),
    /// The cluster may use features up to this level from now on. It never goes back.
    RaiseFeatureLevel(u32),
    /// Client sessions are opened.
    OpenSessions {
        /// How many.
        count: u32,
    },
    /// Client sessions end: nothing of them is executed any more.
    EndSessions {
        /// Which.
        numbers: Vec<SessionId>,
    },
    /// A map is needed: it is created if there is none of this name. Another node may have created it meanwhile, and an
    /// operator may have changed its settings: those stay.
    EnsureMap {
        /// Its name.
        name: String,
        /// The settings of a new one.
        settings: MapSettings,
        /// The mode of a new one.
        mode: MapMode,
    },
}

/// The first command of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateCluster {
    /// Its id, drawn at random.
    pub id: ClusterId,
    /// How many partitions it has, for ever: a power of two.
    pub partitions: u16,
    /// How many copies of each partition are wanted: backups and one.
    pub copies: u8,
    /// What happens when nobody who holds a partition comes back.
    pub loss_policy: LossPolicy,
    /// Who is expected to register before the first assignment.
    pub members: Vec<Member>,
}

/// A change of one partition's entry, made for the entry as the proposer knows it: a compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The partition.
    pub partition: PartitionId,
    /// Its epoch as the proposer knows it.
    pub epoch: Epoch,
    /// Its ver as the proposer knows it.
    pub ver: u32,
    /// The change.
    pub kind: ChangeKind,
}

/// A change of one partition's entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// The steward: who holds a partition that nobody ever held. The first of them leads; all are in sync, for there is
    /// nothing yet.
    Assign(Vec<Replica>),
    /// The primary: this learner has caught up (R5). For a suspect: its log was found to match.
    AddMember(Replica),
    /// The primary: do not wait for this backup any more (R3).
    RemoveMember(Replica),
    /// The steward: this node begins to copy.
    AddLearner(Replica),
    /// The steward: this node stops copying.
    DropLearner(Replica),
    /// The primary: this member leads from now on. Everything is sent. When it is refused, the entry gets a new `ver`
    /// all the same: its primary waits for an outcome that it can read.
    Handover {
        /// Who leads.
        to: NodeId,
    },
    /// The steward: the recorded primary cannot lead, this member does (R2).
    Promote {
        /// Who leads.
        to: NodeId,
    },
}

/// How much was waited for before a suspect is promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// Every recorded member is a suspect and has reported.
    AllReported,
    /// The recovery wait has passed: suspects that did not report are given up, and where the loss policy is not `block`,
    /// members that are down.
    WaitPassed,
    /// An operator gives up whoever has not reported.
    Operator,
}
