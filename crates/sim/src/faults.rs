//! What can go wrong. A fault is data with a line of text, so that a schedule can be printed, edited and run again:
//!
//! ```text
//! at 1.250s crash n2 keep-disk for 800ms
//! at 2.000s cut n0,n1|n2,n3,n4 for 1.5s
//! at 2.100s jump-clock n1 -2s
//! ```

mod text;

use std::time::Duration;

pub use text::ParseFaultError;

use crate::network::{Disturbance, LinkEffect, NodeIndex};
use crate::random::Rate;
use crate::time::{ClockJump, SimTime};

/// What a crash leaves of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiskFate {
    /// The process was killed: everything written stays. `keep-disk`
    Kept,
    /// The power failed: what was not synced is gone, and the machine has a new boot id. `lose-unsynced`
    UnsyncedLost,
    /// The disk is gone, or there was none: the node comes back knowing nothing. `lose-disk`
    Lost,
}

/// A lie told by gossip about a node. The table must not follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Forgery {
    /// A former life of the node speaks again. `old-incarnation`
    OldIncarnation,
    /// A life that the council never registered. `unknown-incarnation`
    UnknownIncarnation,
    /// The node claims to know a table that was never made. `table-from-the-future`
    TableFromTheFuture,
    /// The node, though dead, is said to be alive. `dead-is-alive`
    DeadIsAlive,
    /// The node, though alive, is said to be dead. `alive-is-dead`
    AliveIsDead,
    /// The node claims to own what it does not. `wrong-owner`
    WrongOwner,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A process ends and forgets its memory; at the end of its time it starts again. `crash n2 keep-disk`
    Crash {
        /// Which.
        node: NodeIndex,
        /// What it leaves.
        disk: DiskFate,
    },
    /// All processes end at once; at the end they start again. `crash-all lose-unsynced`
    CrashAll {
        /// What they leave.
        disk: DiskFate,
    },
    /// Whoever leads the council at this moment crashes. `crash-council-leader keep-disk`
    CrashCouncilLeader {
        /// What it leaves.
        disk: DiskFate,
    },
    /// A node that is down starts. `restart n2`
    Restart {
        /// Which.
        node: NodeIndex,
    },
    /// A process is stopped (`SIGSTOP`); clocks go on. `pause n2`
    Pause {
        /// Which.
        node: NodeIndex,
    },
    /// A machine stands still, and its clocks with it: more than the leases promise to bear. `freeze n2`
    Freeze {
        /// Which.
        node: NodeIndex,
    },
    /// A wall clock jumps; at the end it is set right again. `jump-clock n1 -2s`
    JumpClock {
        /// Whose.
        node: NodeIndex,
        /// How far.
        by: ClockJump,
    },
    /// Both clocks of a node run fast or slow. `drift-clock n1 -200ppm`
    DriftClock {
        /// Whose.
        node: NodeIndex,
        /// By how many millionths.
        ppm: i32,
    },
    /// Something with the network. `cut n0->n2`, `loss 5% all`
    Network(Disturbance),
    /// A node takes so many times longer for everything. `slow-node n2 x8`
    SlowNode {
        /// Which.
        node: NodeIndex,
        /// How many times.
        factor: u32,
    },
    /// A disk takes so many times longer. `slow-disk n2 x8`
    SlowDisk {
        /// Whose.
        node: NodeIndex,
        /// How many times.
        factor: u32,
    },
    /// A disk fails in most of what is asked of it, but for syncs. `fail-disk n2`
    FailDisk {
        /// Whose.
        node: NodeIndex,
    },
    /// A disk is full. `fill-disk n2`
    FillDisk {
        /// Whose.
        node: NodeIndex,
    },
    /// The next sync fails, and takes with it what was not synced. `fail-sync n2`
    FailSync {
        /// Whose.
        node: NodeIndex,
    },
    /// A bit of a file is not what it was. `flip-bit n2`
    FlipBit {
        /// Whose.
        node: NodeIndex,
    },
    /// A node that is not there joins, empty. `join n5`
    Join {
        /// Which.
        node: NodeIndex,
    },
    /// A node leaves for good, in order: its data moves away first. `leave n2`
    Leave {
        /// Which.
        node: NodeIndex,
    },
    /// A node gives everything away and stays; at the end it takes again. `drain n2`
    Drain {
        /// Which.
        node: NodeIndex,
    },
    /// A node is cut off and back, again and again, each time for so long. `flap n2 300ms`
    Flap {
        /// Which.
        node: NodeIndex,
        /// How long it stays in each of the two states.
        every: Duration,
    },
    /// Gossip says something that is not true. `forge-gossip n3 old-incarnation`
    ForgeGossip {
        /// About whom.
        about: NodeIndex,
        /// What.
        forgery: Forgery,
    },
    /// A record is gone from the data of a backup, and its log does not know. `corrupt-record n1`
    CorruptRecord {
        /// Whose.
        node: NodeIndex,
    },
    /// The memory limit of a node shrinks to this share. `memory-pressure n1 60%`
    MemoryPressure {
        /// Whose.
        node: NodeIndex,
        /// What is left of the limit.
        share: Rate,
    },
}

impl Fault {
    /// The kind, for counting: the words without node and number.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Crash { disk: DiskFate::Kept, .. } => "crash keep-disk",
            Fault::Crash { disk: DiskFate::UnsyncedLost, .. } => "crash lose-unsynced",
            Fault::Crash { disk: DiskFate::Lost, .. } => "crash lose-disk",
            Fault::CrashAll { disk: DiskFate::Kept } => "crash-all keep-disk",
            Fault::CrashAll { disk: DiskFate::UnsyncedLost } => "crash-all lose-unsynced",
            Fault::CrashAll { disk: DiskFate::Lost } => "crash-all lose-disk",
            Fault::CrashCouncilLeader { .. } => "crash-council-leader",
            Fault::Restart { .. } => "restart",
            Fault::Pause { .. } => "pause",
            Fault::Freeze { .. } => "freeze",
            Fault::JumpClock { .. } => "jump-clock",
            Fault::DriftClock { .. } => "drift-clock",
            Fault::Network(disturbance) => disturbance.effect.name(),
            Fault::SlowNode { .. } => "slow-node",
            Fault::SlowDisk { .. } => "slow-disk",
            Fault::FailDisk { .. } => "fail-disk",
            Fault::FillDisk { .. } => "fill-disk",
            Fault::FailSync { .. } => "fail-sync",
            Fault::FlipBit { .. } => "flip-bit",
            Fault::Join { .. } => "join",
            Fault::Leave { .. } => "leave",
            Fault::Drain { .. } => "drain",
            Fault::Flap { .. } => "flap",
            Fault::ForgeGossip { .. } => "forge-gossip",
            Fault::MemoryPressure { .. } => "memory-pressure",
            Fault::CorruptRecord { .. } => "corrupt-record",
        }
    }

    /// Whether it has an end. The others happen at one moment.
    pub fn has_duration(&self) -> bool {
        !matches!(
            self,
            Fault::Restart { .. }
                | Fault::FailSync { .. }
                | Fault::FlipBit { .. }
                | Fault::Join { .. }
                | Fault::Leave { .. }
                | Fault::ForgeGossip { .. }
                | Fault::CorruptRecord { .. }
        )
    }

    /// Whether it can take a memory that no disk gives back.
    pub fn loses_memory_for_good(&self) -> bool {
        matches!(
            self,
            Fault::Crash { disk, .. }
            | Fault::CrashAll { disk }
            | Fault::CrashCouncilLeader { disk } if *disk != DiskFate::Kept
        )
    }

    /// Whether it cuts links.
    pub fn is_cut(&self) -> bool {
        matches!(self, Fault::Network(Disturbance { effect: LinkEffect::Cut, .. }))
    }
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedFault {
    /// When it begins.
    pub at: SimTime,
    /// What it is.
    pub fault: Fault,
    /// For how long. `None`: until the end of the run, or no duration at all.
    pub lasts: Option<Duration>,
}

impl TimedFault {
    /// A fault that ends by itself.
    pub fn lasting(at: SimTime, fault: Fault, lasts: Duration) -> Self {
        TimedFault { at, fault, lasts: Some(lasts) }
    }

    /// A fault of one moment, or without an end.
    pub fn once(at: SimTime, fault: Fault) -> Self {
        TimedFault { at, fault, lasts: None }
    }

    /// When it ends, if it does.
    pub fn ends(&self) -> Option<SimTime> {
        self.lasts.map(|lasts| self.at + lasts)
    }
}
