//! Which kinds of faults a drawn schedule has.

use std::fmt;
use std::str::FromStr;

/// Which kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// None.
    Calm,
    /// Cuts, loss, delay, clogs.
    Network,
    /// Processes and machines that end, stop and slow down.
    Crashes,
    /// Clocks that jump and drift, and pauses.
    Clocks,
    /// Nodes that join, leave, drain and flap, and gossip that lies.
    Membership,
    /// All of these together.
    All,
}

impl Profile {
    /// Every profile.
    pub const EVERY: [Profile; 6] = [
        Profile::Calm,
        Profile::Network,
        Profile::Crashes,
        Profile::Clocks,
        Profile::Membership,
        Profile::All,
    ];

    /// Its name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Calm => "calm",
            Profile::Network => "network",
            Profile::Crashes => "crashes",
            Profile::Clocks => "clocks",
            Profile::Membership => "membership",
            Profile::All => "all",
        }
    }

    /// The kinds it draws from, with their weights.
    pub(super) fn kinds(self) -> Vec<(u32, Kind)> {
        match self {
            Profile::Calm => Vec::new(),
            Profile::Network => vec![
                (4, Kind::Halves),
                (3, Kind::Isolate),
                (1, Kind::Ring),
                (4, Kind::OneWay),
                (3, Kind::Clog),
                (3, Kind::Loss),
                (2, Kind::Duplicate),
                (2, Kind::Reorder),
                (2, Kind::Delay),
                (1, Kind::Bandwidth),
            ],
            Profile::Crashes => vec![
                (8, Kind::CrashKeepingDisk),
                (3, Kind::PowerLoss),
                (2, Kind::LoseDisk),
                (2, Kind::CrashAll),
                (3, Kind::CouncilLeader),
                (3, Kind::Pause),
                (2, Kind::SlowNode),
                (2, Kind::SlowDisk),
                (2, Kind::FailDisk),
                (2, Kind::FillDisk),
                (1, Kind::FailSync),
                (2, Kind::FlipBit),
                (1, Kind::MemoryPressure),
                (1, Kind::CorruptRecord),
            ],
            Profile::Clocks => vec![
                (4, Kind::JumpClock),
                (4, Kind::DriftClock),
                (3, Kind::Pause),
                (1, Kind::Delay),
            ],
            Profile::Membership => {
                vec![
                    (3, Kind::Join),
                    (2, Kind::Leave),
                    (2, Kind::Drain),
                    (3, Kind::Flap),
                    (3, Kind::ForgeGossip),
                    (1, Kind::CrashKeepingDisk),
                ]
            }
            Profile::All => {
                [Profile::Network, Profile::Crashes, Profile::Clocks, Profile::Membership]
                    .into_iter()
                    .flat_map(Profile::kinds)
                    .collect()
            }
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Profile::EVERY.into_iter().find(|profile| profile.name() == text);
        found.ok_or_else(|| {
            let names = Profile::EVERY.map(Profile::name).join(", ");
            format!("{text:?} is not a profile: one of {names}")
        })
    }
}

/// A kind of fault, before its node and its numbers are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Halves,
    Isolate,
    Ring,
    OneWay,
    Clog,
    Loss,
    Duplicate,
    Reorder,
    Delay,
    Bandwidth,
    CrashKeepingDisk,
    PowerLoss,
    LoseDisk,
    CrashAll,
    CouncilLeader,
    Pause,
    SlowNode,
    SlowDisk,
    FailDisk,
    FillDisk,
    FailSync,
    FlipBit,
    MemoryPressure,
    CorruptRecord,
    JumpClock,
    DriftClock,
    Join,
    Leave,
    Drain,
    Flap,
    ForgeGossip,
}
