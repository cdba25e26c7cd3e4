//! Faults as lines of text, both ways.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::{DiskFate, Fault, Forgery, TimedFault};
use crate::network::Disturbance;
use crate::time::{format_duration, parse_duration};

/// A line that is not a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseFaultError {
    /// The line, from one; zero when there is only one.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for ParseFaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.what),
            line => write!(f, "line {line}: {}", self.what),
        }
    }
}

impl Error for ParseFaultError {}

impl DiskFate {
    /// All of them.
    pub const ALL: [DiskFate; 3] = [DiskFate::Kept, DiskFate::UnsyncedLost, DiskFate::Lost];

    /// Its word in a schedule.
    pub fn word(self) -> &'static str {
        match self {
            DiskFate::Kept => "keep-disk",
            DiskFate::UnsyncedLost => "lose-unsynced",
            DiskFate::Lost => "lose-disk",
        }
    }

    fn from_word(word: &str) -> Result<Self, String> {
        let found = DiskFate::ALL.into_iter().find(|fate| fate.word() == word);
        found.ok_or_else(|| format!("{word:?} is not keep-disk, lose-unsynced or lose-disk"))
    }
}

impl Forgery {
    /// All of them.
    pub const ALL: [Forgery; 6] = [
        Forgery::OldIncarnation,
        Forgery::UnknownIncarnation,
        Forgery::TableFromTheFuture,
        Forgery::DeadIsAlive,
        Forgery::AliveIsDead,
        Forgery::WrongOwner,
    ];

    /// Its word in a schedule.
    pub fn word(self) -> &'static str {
        match self {
            Forgery::OldIncarnation => "old-incarnation",
            Forgery::UnknownIncarnation => "unknown-incarnation",
            Forgery::TableFromTheFuture => "table-from-the-future",
            Forgery::DeadIsAlive => "dead-is-alive",
            Forgery::AliveIsDead => "alive-is-dead",
            Forgery::WrongOwner => "wrong-owner",
        }
    }

    fn from_word(word: &str) -> Result<Self, String> {
        let found = Forgery::ALL.into_iter().find(|forgery| forgery.word() == word);
        found.ok_or_else(|| {
            let words: Vec<&str> = Forgery::ALL.into_iter().map(Forgery::word).collect();
            format!("{word:?} is not one of {}", words.join(", "))
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Crash { node, disk } => write!(f, "crash {node} {}", disk.word()),
            Fault::CrashAll { disk } => write!(f, "crash-all {}", disk.word()),
            Fault::CrashCouncilLeader { disk } => {
                write!(f, "crash-council-leader {}", disk.word())
            }
            Fault::Restart { node } => write!(f, "restart {node}"),
            Fault::Pause { node } => write!(f, "pause {node}"),
            Fault::Freeze { node } => write!(f, "freeze {node}"),
            Fault::JumpClock { node, by } => write!(f, "jump-clock {node} {by}"),
            Fault::DriftClock { node, ppm } => write!(f, "drift-clock {node} {ppm:+}ppm"),
            Fault::Network(disturbance) => disturbance.fmt(f),
            Fault::SlowNode { node, factor } => write!(f, "slow-node {node} x{factor}"),
            Fault::SlowDisk { node, factor } => write!(f, "slow-disk {node} x{factor}"),
            Fault::FailDisk { node } => write!(f, "fail-disk {node}"),
            Fault::FillDisk { node } => write!(f, "fill-disk {node}"),
            Fault::FailSync { node } => write!(f, "fail-sync {node}"),
            Fault::FlipBit { node } => write!(f, "flip-bit {node}"),
            Fault::Join { node } => write!(f, "join {node}"),
            Fault::Leave { node } => write!(f, "leave {node}"),
            Fault::Drain { node } => write!(f, "drain {node}"),
            Fault::Flap { node, every } => write!(f, "flap {node} {}", format_duration(*every)),
            Fault::ForgeGossip { about, forgery } => {
                write!(f, "forge-gossip {about} {}", forgery.word())
            }
            Fault::CorruptRecord { node } => write!(f, "corrupt-record {node}"),
            Fault::MemoryPressure { node, share } => write!(f, "memory-pressure {node} {share}"),
        }
    }
}

fn parse_factor(word: &str) -> Result<u32, String> {
    let factor = word.strip_prefix('x').and_then(|digits| digits.parse().ok());
    factor.filter(|factor| *factor > 0).ok_or_else(|| format!("{word:?} is not a factor, like x8"))
}

fn parse_ppm(word: &str) -> Result<i32, String> {
    let ppm = word.strip_suffix("ppm").and_then(|number| number.parse().ok());
    ppm.ok_or_else(|| format!("{word:?} is not a drift, like +200ppm"))
}

fn fault_from_words(words: &[&str]) -> Result<Fault, String> {
    if let Some(disturbance) = Disturbance::from_words(words) {
        return disturbance.map(Fault::Network);
    }
    Ok(match *words {
        ["crash", node, disk] => {
            Fault::Crash { node: node.parse()?, disk: DiskFate::from_word(disk)? }
        }
        ["crash-all", disk] => Fault::CrashAll { disk: DiskFate::from_word(disk)? },
        ["crash-council-leader", disk] => {
            Fault::CrashCouncilLeader { disk: DiskFate::from_word(disk)? }
        }
        ["corrupt-record", node] => Fault::CorruptRecord { node: node.parse()? },
        ["restart", node] => Fault::Restart { node: node.parse()? },
        ["pause", node] => Fault::Pause { node: node.parse()? },
        ["freeze", node] => Fault::Freeze { node: node.parse()? },
        ["jump-clock", node, by] => Fault::JumpClock { node: node.parse()?, by: by.parse()? },
        ["drift-clock", node, ppm] => {
            Fault::DriftClock { node: node.parse()?, ppm: parse_ppm(ppm)? }
        }
        ["slow-node", node, factor] => {
            Fault::SlowNode { node: node.parse()?, factor: parse_factor(factor)? }
        }
        ["slow-disk", node, factor] => {
            Fault::SlowDisk { node: node.parse()?, factor: parse_factor(factor)? }
        }
        ["fail-disk", node] => Fault::FailDisk { node: node.parse()? },
        ["fill-disk", node] => Fault::FillDisk { node: node.parse()? },
        ["fail-sync", node] => Fault::FailSync { node: node.parse()? },
        ["flip-bit", node] => Fault::FlipBit { node: node.parse()? },
        ["join", node] => Fault::Join { node: node.parse()? },
        ["leave", node] => Fault::Leave { node: node.parse()? },
        ["drain", node] => Fault::Drain { node: node.parse()? },
        ["flap", node, every] => Fault::Flap { node: node.parse()?, every: parse_duration(every)? },
        ["forge-gossip", about, forgery] => {
            Fault::ForgeGossip { about: about.parse()?, forgery: Forgery::from_word(forgery)? }
        }
        ["memory-pressure", node, share] => {
            Fault::MemoryPressure { node: node.parse()?, share: share.parse()? }
        }
        _ => return Err(format!("{:?} is not a fault", words.join(" "))),
    })
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        fault_from_words(&words).map_err(|what| ParseFaultError { line: 0, what })
    }
}

impl fmt::Display for TimedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} {}", self.at, self.fault)?;
        match self.lasts {
            Some(lasts) => write!(f, " for {}", format_duration(lasts)),
            None => Ok(()),
        }
    }
}

fn timed_from_words(words: &[&str]) -> Result<TimedFault, String> {
    let ["at", at, rest @ ..] = words else {
        return Err("a fault begins with its time, like: at 1.250s crash n2 keep-disk".to_owned());
    };
    let (words, lasts) = match rest {
        [words @ .., "for", lasts] => (words, Some(parse_duration(lasts)?)),
        words => (words, None),
    };
    let fault = fault_from_words(words)?;
    if lasts.is_some() && !fault.has_duration() {
        return Err(format!("{:?} happens at one moment: leave out the duration", fault.kind()));
    }
    Ok(TimedFault { at: at.parse()?, fault, lasts })
}

impl FromStr for TimedFault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        timed_from_words(&words).map_err(|what| ParseFaultError { line: 0, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_as_it_is_written() {
        let lines = [
            "at 1.250s crash n2 keep-disk for 800ms",
            "at 1.250s crash n2 lose-unsynced",
            "at 1.250s crash n2 lose-disk for 2s",
            "at 0.000s crash-all lose-unsynced for 1s",
            "at 0.000s crash-council-leader keep-disk for 1s",
            "at 0.500s restart n2",
            "at 0.500s pause n2 for 5s",
            "at 0.500s freeze n2 for 5s",
            "at 0.500s jump-clock n1 -2s for 3s",
            "at 0.500s drift-clock n1 -200ppm for 3s",
            "at 0.500s cut n0,n1|n2,n3 for 3s",
            "at 0.500s cut n0->n1 for 3s",
            "at 0.500s clog n0 for 3s",
            "at 0.500s loss 2.5% all for 3s",
            "at 0.500s duplicate 5% all for 3s",
            "at 0.500s reorder 5% ring:n0,n1,n2,n3 for 3s",
            "at 0.500s delay 20ms n1->all for 3s",
            "at 0.500s bandwidth 100000 all->n1 for 3s",
            "at 0.500s slow-node n2 x8 for 3s",
            "at 0.500s slow-disk n2 x100 for 3s",
            "at 0.500s fail-disk n2 for 3s",
            "at 0.500s fill-disk n2 for 3s",
            "at 0.500s fail-sync n2",
            "at 0.500s flip-bit n2",
            "at 0.500s join n5",
            "at 0.500s leave n2",
            "at 0.500s drain n2 for 3s",
            "at 0.500s flap n2 300ms for 3s",
            "at 0.500s memory-pressure n1 60% for 3s",
        ];
        let forgeries = Forgery::ALL.map(|f| format!("at 0.500s forge-gossip n3 {}", f.word()));
        for line in lines.into_iter().map(str::to_owned).chain(forgeries) {
            assert_eq!(line.parse::<TimedFault>().map(|fault| fault.to_string()), Ok(line));
        }
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong() {
        let what = |line: &str| line.parse::<TimedFault>().unwrap_err().to_string();
        assert!(what("crash n2 keep-disk").contains("begins with its time"));
        assert_eq!(what("at 1s explode n2"), r#""explode n2" is not a fault"#);
        assert_eq!(what("at 1s crash two keep-disk"), r#""two" is not a node, like n2"#);
        assert!(what("at 1s crash n2 burn").contains("lose-unsynced"));
        assert!(what("at soon crash n2 keep-disk").contains("is not a duration"));
        assert!(what("at 1s restart n2 for 3s").contains("one moment"));
        assert!(what("at 1s loss 200% all").contains("is not a percentage"));
        assert!(what("at 1s cut n0,n1").contains("names no links"));
        assert!(what("at 1s slow-node n0 x0").contains("factor"));
        assert!(what("at 1s drift-clock n0 5").contains("drift"));
        assert!(what("at 1s forge-gossip n0 nonsense").contains("wrong-owner"));
        assert!(what("").contains("begins with its time"));
    }
}
