//! A schedule of faults that somebody wrote or edited: read, and looked at before it is run.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use isogrid_sim::network::{Disturbance, LinkEffect, Links, NodeIndex};
use isogrid_sim::time::NodeClock;
use isogrid_sim::{Fault, Schedule};

use super::args::DURATION_MAX;
use crate::exit::{Failure, wrong_argument};
use crate::output::tell;

/// Nodes have lower numbers: those above are clients.
const NODE_MAX: u16 = 100;

/// Links keep their order, so what is on its way when a disturbance ends holds up all that follows. With more than this it
/// would for longer than the cluster has to become whole.
const DELAY_MAX: Duration = Duration::from_secs(10);
const BANDWIDTH_MIN: u64 = 10_000;
const SLOW_MAX: u32 = 10_000;

/// The schedule in a file, or on standard input for `-`.
pub(super) fn read(path: &Path, nodes: u16) -> Result<Schedule, Failure> {
    let name =
        if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() };
    let text = match path {
        path if path == Path::new("-") => io::read_to_string(io::stdin()),
        path => std::fs::read_to_string(path),
    };
    let failed = |what: String| wrong_argument(format!("--schedule {name}: {what}"));
    let text = text.map_err(|error| failed(error.to_string()))?;
    let schedule: Schedule = text.parse().map_err(|error| failed(format!("{error}")))?;
    for strange in look_at(&schedule, nodes).map_err(failed)? {
        tell(format!("--schedule {name}: {strange}"));
    }
    Ok(schedule)
}

/// One line per fault.
pub(super) fn lines(schedule: &Schedule) -> Vec<String> {
    schedule.faults().iter().map(ToString::to_string).collect()
}

/// Refuses what cannot be run; what can be run and does nothing is only told.
fn look_at(schedule: &Schedule, nodes: u16) -> Result<Vec<String>, String> {
    if schedule.end().elapsed() > DURATION_MAX {
        return Err("the last fault ends after more than an hour: a run is shorter".into());
    }
    let mut present: BTreeSet<NodeIndex> = (0..nodes).map(NodeIndex).collect();
    let mut strange = Vec::new();
    for timed in schedule.faults() {
        match timed.fault {
            Fault::Join { node } if present.contains(&node) => {
                return Err(format!(
                    "`{timed}`: {node} is there already, take n{} or above",
                    nodes
                ));
            }
            Fault::Join { node } if node.0 >= NODE_MAX => {
                return Err(format!("`{timed}`: a node's number is below {NODE_MAX}"));
            }
            Fault::Join { node } => {
                present.insert(node);
            }
            Fault::SlowNode { factor, .. } if factor > SLOW_MAX => {
                return Err(format!("`{timed}`: a node is slower by x{SLOW_MAX} at most"));
            }
            Fault::Network(Disturbance { effect: LinkEffect::Delay(by), .. }) if by > DELAY_MAX => {
                let most = DELAY_MAX.as_secs();
                return Err(format!("`{timed}`: a delay is {most}s at most"));
            }
            Fault::Network(Disturbance { effect: LinkEffect::Bandwidth(bytes), .. })
                if bytes < BANDWIDTH_MIN =>
            {
                let what = "a link carries at least";
                return Err(format!("`{timed}`: {what} {BANDWIDTH_MIN} bytes per second"));
            }
            Fault::DriftClock { ppm, .. } if ppm.abs() > NodeClock::DRIFT_PPM_MAX => {
                let most = NodeClock::DRIFT_PPM_MAX;
                return Err(format!("`{timed}`: a clock drifts by {most}ppm at most"));
            }
            _ => {}
        }
        for node in nodes_of(&timed.fault) {
            if !present.contains(&node) {
                strange.push(format!("`{timed}`: there is no {node}, so nothing happens to it"));
            }
        }
    }
    Ok(strange)
}

/// The nodes that a fault names.
fn nodes_of(fault: &Fault) -> Vec<NodeIndex> {
    match fault {
        Fault::CrashAll { .. } | Fault::CrashCouncilLeader { .. } => Vec::new(),
        Fault::Crash { node, .. }
        | Fault::Restart { node }
        | Fault::Pause { node }
        | Fault::Freeze { node }
        | Fault::JumpClock { node, .. }
        | Fault::DriftClock { node, .. }
        | Fault::SlowNode { node, .. }
        | Fault::SlowDisk { node, .. }
        | Fault::FailDisk { node }
        | Fault::FillDisk { node }
        | Fault::FailSync { node }
        | Fault::FlipBit { node }
        | Fault::Join { node }
        | Fault::Leave { node }
        | Fault::Drain { node }
        | Fault::Flap { node, .. }
        | Fault::ForgeGossip { about: node, .. }
        | Fault::CorruptRecord { node }
        | Fault::MemoryPressure { node, .. } => vec![*node],
        Fault::Network(Disturbance { links, .. }) => match links {
            Links::All => Vec::new(),
            Links::OneWay(one, other) | Links::Both(one, other) => vec![*one, *other],
            Links::From(node) | Links::To(node) | Links::Of(node) => vec![*node],
            Links::Across(groups) => groups.concat(),
            Links::BeyondRing(ring) => ring.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_at(text: &str) -> Result<Vec<String>, String> {
        look_at(&text.parse().expect("a schedule"), 3)
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for (line, why) in [
            ("at 1s join n2", "n2 is there already, take n3 or above"),
            ("at 1s join n100", "below 100"),
            ("at 1s drift-clock n0 +100001ppm for 1s", "100000ppm at most"),
            ("at 1s slow-node n0 x10001 for 1s", "x10000 at most"),
            ("at 1s delay 11s all for 1s", "10s at most"),
            ("at 1s bandwidth 9999 all for 1s", "at least 10000 bytes per second"),
            ("at 3600s pause n0 for 1s", "more than an hour"),
        ] {
            let told = looked_at(line).expect_err(line);
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn what_does_nothing_is_told() {
        let good = "at 1s crash n2 keep-disk for 1s\nat 2s join n3\nat 3s cut n0|n3 for 1s\nat 4s loss 5% all for 1s";
        assert_eq!(looked_at(good), Ok(vec![]));
        let strange =
            looked_at("at 1s cut n0,n1|n2,n3 for 1s\nat 2s join n3").expect("it can be run");
        assert_eq!(strange.len(), 1, "{strange:?}");
        assert!(strange[0].contains("there is no n3"), "{strange:?}");
    }
}
