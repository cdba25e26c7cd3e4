//! The cluster as this node knows it, and the part that the node has in it.

use std::collections::BTreeMap;

use isogrid_cluster::heartbeat::Lead;
use isogrid_core::MemberState;

use super::page::{Labels, Page};
use crate::control::health::Word;
use crate::engine::Led;
use crate::node::Shared;

pub(super) fn show(page: &mut Page, shared: &Shared, led: &[Led]) {
    let facts = shared.control.facts();
    let leads: Vec<Lead> = led.iter().cloned().map(Lead::from).collect();
    let health = facts.health_with(&leads);
    let is_member = facts.view.cluster.is_some();
    let word = if is_member { health.word } else { Word::Unavailable };
    let words = [Word::Healthy, Word::Degraded, Word::Unavailable];
    page.gauges(
        "isogrid_cluster_health",
        "1 for the word that says how the cluster is, as this node knows it, else 0.",
        words.map(|one| (Labels::of(&[("state", one.as_str())]), f64::from(u8::from(one == word)))),
    );
    page.flag(
        "isogrid_cluster_safe",
        "1 while the loss of any one node would lose no data and leave a council, else 0.",
        is_member && health.is_safe,
    );
    for (name, help, value) in [
        ("isogrid_partitions_unassigned", "Partitions that nobody ever held.", health.unassigned),
        (
            "isogrid_partitions_without_primary",
            "Partitions that nobody leads, or whose primary is down.",
            health.without_primary,
        ),
        (
            "isogrid_partitions_underreplicated",
            "Partitions with fewer copies in sync than there should be.",
            health.under_replicated,
        ),
        ("isogrid_members_missing", "Nodes that are down and were not asked to go.", health.down),
    ] {
        page.gauge(name, help, if is_member { value as f64 } else { 0.0 });
    }
    show_members(page, shared);
    let table = facts.view.table.version().0 as f64;
    page.gauge(
        "isogrid_partition_table_version",
        "The version of the partition table that this node knows.",
        table,
    );
    let losses = facts.view.losses.last().map_or(0, |loss| loss.number);
    let help = "Losses of data that were declared since the cluster was formed.";
    page.gauge("isogrid_losses", help, losses as f64);
    show_council(page, shared, facts.has_quorum, (facts.voters.len(), facts.voters_present.len()));
    let followers = led.iter().flat_map(|led| &led.followers);
    let given = followers.filter(|follower| !follower.is_complete).count();
    show_partitions(page, shared, given);
}

fn show_members(page: &mut Page, shared: &Shared) {
    let view = shared.control.now_known();
    let states = [
        (MemberState::Joining, "joining"),
        (MemberState::Active, "active"),
        (MemberState::Draining, "draining"),
        (MemberState::Down, "down"),
    ];
    let count = |state| view.nodes.values().filter(|news| news.member.state == state).count();
    page.gauges(
        "isogrid_members",
        "Nodes of the cluster, by what the council says of them.",
        states.map(|(state, label)| (Labels::of(&[("state", label)]), count(state) as f64)),
    );
    let offsets = shared.gossip.clock_offsets().into_iter();
    let others = offsets.filter(|(node, _)| *node != shared.node_id);
    page.gauges(
        "isogrid_clock_offset_seconds",
        "How far the clock of another node is ahead of this node's.",
        others.map(|(node, ms)| (Labels::of(&[("peer", node.as_str())]), ms as f64 / 1e3)),
    );
}

fn show_council(page: &mut Page, shared: &Shared, has_quorum: bool, voters: (usize, usize)) {
    let council = shared.council.figures();
    page.flag("isogrid_council_leader", "1 on the node that leads the council.", council.is_leader);
    page.flag(
        "isogrid_council_has_quorum",
        "1 while the council's leader is followed by a majority, as far as this node knows.",
        has_quorum,
    );
    for (name, help, value) in [
        ("isogrid_council_term", "The council's term; each election begins one.", council.term),
        (
            "isogrid_council_applied_index",
            "How far the council's log was applied here; only voters go on.",
            council.applied,
        ),
        ("isogrid_council_voters", "Voters of the council.", voters.0 as u64),
        (
            "isogrid_council_voters_present",
            "Voters that live with the log that votes.",
            voters.1 as u64,
        ),
    ] {
        page.gauge(name, help, value as f64);
    }
    page.histogram(
        "isogrid_council_sync_seconds",
        "How long a sync of the council's log took.",
        shared.council.sync_times(),
    );
}

fn show_partitions(page: &mut Page, shared: &Shared, given: usize) {
    let roles = shared.engine.roles();
    let of_role =
        [("primary", roles.primaries), ("backup", roles.backups), ("learner", roles.learners)];
    page.gauges(
        "isogrid_partitions",
        "Partitions of which this node has a copy, by what the copy is.",
        of_role.map(|(role, count)| (Labels::of(&[("role", role)]), f64::from(count))),
    );
    page.gauge(
        "isogrid_partitions_serving",
        "Partitions that this node leads and answers for.",
        f64::from(roles.open_primaries),
    );
    let balance = shared.history.balance();
    page.gauges(
        "isogrid_partition_imbalance_ratio",
        "The largest partition that this node leads, by the mean of them.",
        [("bytes", balance.bytes), ("entries", balance.entries)]
            .map(|(by, ratio)| (Labels::of(&[("by", by)]), ratio)),
    );
    page.gauge(
        "isogrid_hot_partition_ops_ratio",
        "The operations of the busiest partition here by the mean of all here, in the last ten seconds; 0 with few operations.",
        balance.operations,
    );
    show_moves(page, shared, (given, balance.moves_pending));
}

fn show_moves(page: &mut Page, shared: &Shared, (given, pending): (usize, Option<u64>)) {
    let engine = &shared.engine;
    let taken = engine.copying();
    page.gauges(
        "isogrid_moves_active",
        "Copies of partitions that are being made, to this node and by it.",
        [("in", taken.len()), ("out", given)]
            .map(|(way, count)| (Labels::of(&[("direction", way)]), count as f64)),
    );
    page.gauges(
        "isogrid_moves_pending",
        "Steps that are left from the partition table as it is to the one that is wanted; only where the council's leader is.",
        pending.map(|steps| (Labels::default(), steps as f64)),
    );
    let left = taken.iter().map(|copying| &copying.progress);
    let (bytes, entries) = left.fold((0, 0), |sum, left| {
        let bytes = left.bytes_total.saturating_sub(left.bytes);
        (sum.0 + bytes, sum.1 + left.entries_total.saturating_sub(left.entries))
    });
    page.gauge(
        "isogrid_moves_remaining_bytes",
        "Bytes that the copies under way to this node lack.",
        bytes as f64,
    );
    page.gauge(
        "isogrid_moves_remaining_entries",
        "Entries that the copies under way to this node lack.",
        entries as f64,
    );
    let longest = taken.iter().map(|copying| copying.elapsed_ms).max().unwrap_or(0);
    page.gauge(
        "isogrid_moves_longest_seconds",
        "For how long the oldest copy under way to this node has been going on.",
        longest as f64 / 1e3,
    );
    let received = engine.received_bytes();
    page.counter(
        "isogrid_moves_received_bytes_total",
        "Bytes of records that came in copies of partitions.",
        received.copies,
    );
    page.counter(
        "isogrid_moves_received_entries_total",
        "Records that came in copies of partitions.",
        received.copied_entries,
    );
    let noticed = engine.noticed();
    page.counter(
        "isogrid_moves_finished_total",
        "Copies of partitions that this node has finished.",
        noticed.get("copy_finished").copied().unwrap_or(0),
    );
    show_resyncs(page, &noticed);
}

fn show_resyncs(page: &mut Page, noticed: &BTreeMap<&'static str, u64>) {
    let count = |name: &str| noticed.get(name).copied().unwrap_or(0);
    let kinds =
        [("full", "copy_started"), ("repair", "repair_started"), ("tail", "tail_reload_started")];
    page.counters(
        "isogrid_replication_resync_total",
        "Copies that replicas here began because a log was not enough.",
        kinds.map(|(kind, notice)| (Labels::of(&[("type", kind)]), count(notice))),
    );
    page.counter(
        "isogrid_antientropy_mismatch_total",
        "Times that the data of two replicas differed and were repaired.",
        count("digest_mismatch"),
    );
    page.counters(
        "isogrid_replica_events_total",
        "What replicas here went through, by what it was.",
        noticed.iter().map(|(event, count)| (Labels::of(&[("event", event)]), *count)),
    );
}
