//! The state of the cluster for people.

use std::time::Duration;

use isogrid_client::{ClusterStatus, MemberStatus, MoveStatus, RecoveryStatus};

use crate::output::table_within;
use crate::text::{size, thousands};

/// Columns of members that are left out where a terminal is too narrow, the first of them first.
const LEFT_OUT: [&str; 11] =
    ["cores", "maps", "conns", "limit", "version", "zone", "disk", "grpc", "data", "entries", "up"];

/// Everything: a headline, what is remarkable, the members, copies under way. On a terminal the members have as many columns as
/// there is room for.
pub(crate) fn text(status: &ClusterStatus, width: Option<usize>) -> String {
    let mut text = String::new();
    let recovering = status.members.iter().filter_map(|member| {
        let recovery = member.recovery.as_ref()?;
        Some(format!("recovering: {} {}", member.node_id, progress(recovery)))
    });
    let lines = std::iter::once(headline(status)).chain(recovering).chain(remarks(status));
    for line in lines.flat_map(|line| broken(&line, width.unwrap_or(usize::MAX))) {
        text.push_str(&line);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&members(status, width));
    if !status.moves.is_empty() {
        text.push('\n');
        text.push_str(&moves(&status.moves, width));
    }
    text
}

/// The line that says most.
pub(crate) fn headline(status: &ClusterStatus) -> String {
    let safe = if status.safe { "safe" } else { "not safe" };
    let mut parts = format!("{} partitions", status.partitions_total);
    for (count, what) in [
        (status.partitions_under_replicated, "under-replicated"),
        (status.partitions_without_primary, "without primary"),
        (status.partitions_unassigned, "unassigned"),
    ] {
        if count > 0 {
            parts.push_str(&format!(", {count} {what}"));
        }
    }
    match status.members.iter().filter(|member| member.state == "down").count() {
        0 => {}
        1 => parts.push_str(", 1 node down"),
        count => parts.push_str(&format!(", {count} nodes down")),
    }
    format!(
        "{}, {safe}: cluster {}, {parts}, table version {}",
        status.health, status.cluster_name, status.table_version,
    )
}

/// A line as several that are no wider than this, if they can be broken behind a comma.
pub(crate) fn broken(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for part in line.split_inclusive(", ") {
        let last = lines.last_mut().expect("there is always one");
        if !last.is_empty() && last.chars().count() + part.trim_end().chars().count() > width {
            last.truncate(last.trim_end().len());
            lines.push(format!("  {part}"));
        } else {
            last.push_str(part);
        }
    }
    lines
}

/// How far a node is that reads its data back from disk.
fn progress(recovery: &RecoveryStatus) -> String {
    let done = match recovery.stage.as_str() {
        "loading" => {
            let (done, total) = (recovery.partitions_done, recovery.partitions_total);
            format!("has loaded {done} of {total} partitions")
        }
        _ => {
            let (done, total) = (recovery.bytes_verified, recovery.bytes_total);
            format!("has verified {} of {}", size(done), size(total))
        }
    };
    let eta = recovery.eta.map_or_else(String::new, |eta| format!(", {} to go", short(eta)));
    format!("{done} ({} %{eta}); it takes no operations yet", recovery.percent)
}

/// What else an operator should know, a line each.
fn remarks(status: &ClusterStatus) -> Vec<String> {
    let mut lines = Vec::new();
    let council = &status.council;
    if status.members.iter().any(|member| member.recovery.is_some()) {
        // It has heard of no council yet.
    } else if council.leader.is_empty() || !council.has_quorum {
        lines.push(format!("council: no quorum of {}", council.voters.join(", ")));
    } else if status.members.len() > 1 {
        let voters = council.voters.join(", ");
        lines.push(format!(
            "council: {} leads in term {}; voters {voters}",
            council.leader, council.term
        ));
    }
    let worst = status.worst_lag();
    if worst.partitions > 0 {
        let ops = thousands(worst.ops);
        lines.push(format!("lag: at most {ops} ops, {}, {} ms", size(worst.bytes), worst.ms));
    }
    if let Some(newest) = status.losses.last() {
        lines.push(format!(
            "losses: {}; the last of partition {} in epoch {} ({})",
            status.losses_total, newest.partition, newest.epoch, newest.cause
        ));
    }
    lines
}

/// The members, as wide as they may be.
fn members(status: &ClusterStatus, width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> = status.members.iter().map(cells).collect();
    match table_within(&COLUMNS, &rows, &LEFT_OUT, width) {
        (text, 0) => text,
        (text, count) => format!("{text}\nno room for: {}\n", LEFT_OUT[..count].join(", ")),
    }
}

/// What stands in each column of a member.
const COLUMNS: [&str; 17] = [
    "node",
    "state",
    "grpc",
    "zone",
    "leads",
    "backups",
    "version",
    "up",
    "cores",
    "conns",
    "maps",
    "entries",
    "data",
    "resident",
    "limit",
    "disk",
    "operations",
];

fn cells(member: &MemberStatus) -> Vec<String> {
    let own = |shown: String| if member.has_answered { shown } else { "-".into() };
    vec![
        member.node_id.clone(),
        state(member),
        member.grpc_addr.clone(),
        if member.zone.is_empty() { "-".into() } else { member.zone.clone() },
        thousands(member.primaries.into()),
        thousands(member.backups.into()),
        own(member.version.clone()),
        own(uptime(member.uptime.as_secs())),
        own(member.cores.to_string()),
        own(thousands(member.connections.into())),
        own(thousands(member.maps.into())),
        own(thousands(member.entries)),
        own(size(member.data_bytes)),
        own(size(member.resident_bytes)),
        own(size(member.memory_limit_bytes)),
        own(disk(member)),
        own(thousands(member.operations_total)),
    ]
}

/// What it has on disk, and whether the disk takes more.
fn disk(member: &MemberStatus) -> String {
    let used = size(member.disk_log_bytes + member.disk_snapshot_bytes);
    let bytes = match member.disk_budget_bytes {
        Some(budget) => format!("{used} of {}", size(budget)),
        None => used,
    };
    match member.disk.as_str() {
        "ok" => bytes,
        "over_budget" => format!("{bytes}, OVER BUDGET"),
        "refuses" => format!("{bytes}, REFUSES"),
        _ => "-".into(),
    }
}

/// The state in one word or two: also what is wanted, and whether nothing is heard of it.
pub(crate) fn state(member: &MemberStatus) -> String {
    let mut state = member.state.clone();
    let is_said = matches!(member.intent.as_str(), "" | "stay")
        || (member.intent == "drain" && member.state == "draining");
    if !is_said {
        state.push_str(&format!(" ({})", member.intent));
    }
    if !member.is_live && member.state != "down" {
        state.push_str(", silent");
    }
    state
}

/// Columns of copies, and those that are left out where a terminal is too narrow.
const MOVE_COLUMNS: [&str; 8] =
    ["partition", "from", "to", "entries", "bytes", "done", "since", "eta"];
const MOVE_LEFT_OUT: [&str; 3] = ["entries", "since", "bytes"];

fn moves(moves: &[MoveStatus], width: Option<usize>) -> String {
    let cells = |copy: &MoveStatus| {
        vec![
            copy.partition.to_string(),
            copy.from.clone(),
            copy.to.clone(),
            of(copy.entries_done, copy.entries_total, thousands),
            of(copy.bytes_done, copy.bytes_total, size),
            share(copy).map_or_else(|| "-".into(), |share| format!("{share} %")),
            short(copy.elapsed),
            copy.eta.map_or_else(|| "-".into(), short),
        ]
    };
    let rows: Vec<Vec<String>> = moves.iter().map(cells).collect();
    table_within(&MOVE_COLUMNS, &rows, &MOVE_LEFT_OUT, width).0
}

/// How much of a copy is done, in hundredths; unknown while its size is.
pub(crate) fn share(copy: &MoveStatus) -> Option<u64> {
    copy.bytes_done.saturating_mul(100).checked_div(copy.bytes_total).map(|share| share.min(100))
}

fn of(done: u64, total: u64, show: impl Fn(u64) -> String) -> String {
    match total {
        0 => show(done),
        total => format!("{} of {}", show(done), show(total)),
    }
}

/// A duration for people: seconds with a digit behind the point below a minute.
pub(crate) fn short(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        seconds => uptime(seconds),
    }
}

/// How long it runs, in its two largest units.
pub(crate) fn uptime(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_has_its_two_largest_units() {
        for (seconds, shown) in [(5, "5s"), (65, "1m5s"), (3_660, "1h1m"), (90_000, "1d1h")] {
            assert_eq!(uptime(seconds), shown);
        }
        assert_eq!(short(Duration::from_millis(1_250)), "1.2s");
    }

    fn member(state: &str, intent: &str, is_live: bool) -> MemberStatus {
        let mut member = MemberStatus::default();
        (member.state, member.intent, member.is_live) = (state.into(), intent.into(), is_live);
        member
    }

    #[test]
    fn a_state_says_what_is_wanted_and_what_is_heard() {
        for (of, shown) in [
            (member("active", "stay", true), "active"),
            (member("draining", "drain", true), "draining"),
            (member("draining", "leave", true), "draining (leave)"),
            (member("active", "restart", false), "active (restart), silent"),
            (member("down", "stay", false), "down"),
        ] {
            assert_eq!(state(&of), shown);
        }
    }

    #[test]
    fn a_narrow_terminal_has_fewer_columns_and_says_which_are_missing() {
        let mut status = ClusterStatus::default();
        for number in 0..3 {
            let mut one = member("active", "stay", true);
            (one.node_id, one.has_answered) = (format!("node-{number}"), true);
            one.grpc_addr = format!("127.0.0.1:770{number}");
            (one.version, one.operations_total) = ("0.1.0".into(), 1_234_567);
            status.members.push(one);
        }
        let whole = members(&status, None);
        assert!(whole.contains("CORES") && !whole.contains("no room"), "{whole}");
        assert_eq!(members(&status, Some(400)), whole);
        let narrow = members(&status, Some(80));
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        assert!(narrow.contains("OPERATIONS") && narrow.contains("no room for: cores"), "{narrow}");
    }

    #[test]
    fn the_share_of_a_copy_is_unknown_while_its_size_is() {
        let mut copy = MoveStatus::default();
        copy.bytes_done = 512;
        assert_eq!(share(&copy), None);
        copy.bytes_total = 1_024;
        assert_eq!(share(&copy), Some(50));
        assert_eq!(of(copy.bytes_done, copy.bytes_total, size), "512 B of 1.0 KiB");
    }

    #[test]
    fn a_node_that_recovers_says_how_far_it_is() {
        let mut recovery = RecoveryStatus::default();
        (recovery.stage, recovery.bytes_total) = ("verifying".into(), 2_048);
        (recovery.bytes_verified, recovery.percent) = (1_024, 10);
        assert_eq!(
            progress(&recovery),
            "has verified 1.0 KiB of 2.0 KiB (10 %); it takes no operations yet"
        );
        recovery.stage = "loading".into();
        (recovery.partitions_done, recovery.partitions_total) = (3, 16);
        (recovery.percent, recovery.eta) = (35, Some(Duration::from_millis(1_500)));
        let mut status = ClusterStatus::default();
        let mut recovering = member("recovering", "stay", true);
        (recovering.node_id, recovering.recovery) = ("anna".into(), Some(recovery));
        status.members.push(recovering);
        let text = text(&status, None);
        let line = "recovering: anna has loaded 3 of 16 partitions (35 %, 1.5s to go); it takes no operations yet";
        assert_eq!(text.lines().nth(1), Some(line), "{text}");
        assert!(!text.contains("quorum"), "it has heard of none yet: {text}");
    }

    #[test]
    fn a_line_is_broken_behind_its_commas() {
        assert_eq!(broken("one, two, three", 80), ["one, two, three"]);
        assert_eq!(broken("one, two, three", 10), ["one, two,", "  three"]);
        assert_eq!(broken("a-long-word, b", 4), ["a-long-word,", "  b"]);
    }

    #[test]
    fn a_headline_names_what_is_missing() {
        let mut status = ClusterStatus::default();
        (status.health, status.cluster_name) = ("degraded".into(), "blue".into());
        (status.partitions_total, status.partitions_under_replicated) = (256, 12);
        assert_eq!(
            headline(&status),
            "degraded, not safe: cluster blue, 256 partitions, 12 under-replicated, table version 0"
        );
        status.partitions_under_replicated = 0;
        status.members = vec![member("active", "stay", true), member("down", "stay", false)];
        assert_eq!(
            headline(&status),
            "degraded, not safe: cluster blue, 256 partitions, 1 node down, table version 0"
        );
    }
}
