//! How the cluster and its nodes are.

use std::collections::BTreeMap;

use isogrid_cluster::council::{Intent, LossCause, LossPolicy, LossRecord};
use isogrid_core::{LogPosition, Member, MemberState, NodeId};
use isogrid_proto::pb;

use crate::control::ClusterFacts;
use crate::control::health::Word;
use crate::node::Shared;
use crate::report::{CopyReport, NodeReport, ReportQuestion, Reports, mended};

/// How many losses are told at the most: the newest.
const LOSSES_MAX: usize = 256;

/// How many copies a node holds, by what they are.
#[derive(Clone, Copy, Default)]
struct Held {
    primaries: u32,
    backups: u32,
    learners: u32,
}

/// The state of the cluster; with the figures of all nodes that answer in time, or of this one alone.
pub(super) async fn status(shared: &Shared, all: bool) -> pb::StatusReply {
    let question = ReportQuestion::default();
    let others = if all { shared.control.facts().live_members() } else { Vec::new() };
    let reports = shared.reports(&question, others).await;
    let facts = shared.control.facts();
    let view = &facts.view;
    let health = facts.health_with(&mended(&reports));
    let cluster = view.cluster.as_ref();
    let word = if cluster.is_some() { health.word } else { Word::Unavailable };
    let total = if cluster.is_some() { view.table.partitions().get() } else { 0 };
    let oldest = view.losses.len().saturating_sub(LOSSES_MAX);
    pb::StatusReply {
        health: word.as_str().to_owned(),
        safe: health.is_safe,
        cluster_id: cluster.map(|cluster| format!("{:032x}", cluster.id.0)).unwrap_or_default(),
        table_version: view.table.version().0,
        partitions_total: total.into(),
        partitions_unassigned: if total == 0 { 0 } else { health.unassigned as u32 },
        members: members(shared, &facts, &reports),
        cluster_name: shared.cluster_name.clone(),
        answered_by: shared.node_id.to_string(),
        council: Some(council(&facts)),
        partitions_under_replicated: health.under_replicated as u32,
        partitions_without_primary: health.without_primary as u32,
        copies: view.copies() as u32,
        moves: moves(&reports),
        lags: lags(&reports),
        losses: view.losses[oldest..].iter().map(loss).collect(),
        losses_total: view.losses.last().map_or(0, |loss| loss.number),
        loss_policy: policy(cluster.map(|cluster| cluster.loss_policy).unwrap_or_default()),
        feature_level: cluster.map_or(0, |cluster| cluster.feature_level),
    }
}

fn council(facts: &ClusterFacts) -> pb::CouncilStatus {
    pb::CouncilStatus {
        leader: facts.leader.as_ref().map(|leader| leader.node.to_string()).unwrap_or_default(),
        term: facts.leader.as_ref().map_or(0, |leader| leader.term),
        voters: facts.voters.iter().map(NodeId::to_string).collect(),
        has_quorum: facts.has_quorum,
    }
}

fn members(shared: &Shared, facts: &ClusterFacts, reports: &Reports) -> Vec<pb::MemberStatus> {
    let view = &facts.view;
    let mut held: BTreeMap<&NodeId, Held> = BTreeMap::new();
    for (_, entry) in view.table.iter() {
        for member in &entry.in_sync {
            let held = held.entry(&member.node).or_default();
            if entry.primary.as_ref() == Some(&member.node) {
                held.primaries += 1;
            } else {
                held.backups += 1;
            }
        }
        for learner in &entry.learners {
            held.entry(&learner.node).or_default().learners += 1;
        }
    }
    let known = view.nodes.iter().map(|(name, news)| {
        let held = held.get(name).copied().unwrap_or_default();
        let mut status = member(&news.member, news.intent, held);
        status.is_live = facts.live.contains(name);
        status.is_voter = facts.voters.contains(name);
        if let Some(report) = reports.get(name) {
            fill(&mut status, report);
        }
        status
    });
    let mut members: Vec<pb::MemberStatus> = known.collect();
    if !view.nodes.contains_key(&shared.node_id) {
        // Nobody knows of this node yet; it knows of itself.
        let mut own = Member::new(shared.node_id.as_str());
        own.grpc_addr = shared.grpc_addr.to_string();
        own.gossip_addr = shared.gossip_addr.to_string();
        own.http_addr = shared.http_addr.to_string();
        own.zone.clone_from(&shared.zone);
        own.incarnation = shared.engine.own().incarnation;
        own.state = MemberState::Joining;
        let mut status = member(&own, Intent::Stay, Held::default());
        status.is_live = true;
        if let Some(report) = reports.get(&shared.node_id) {
            fill(&mut status, report);
        }
        members.push(status);
        members.sort_by(|left, right| left.node_id.cmp(&right.node_id));
    }
    members
}

fn member(member: &Member, intent: Intent, held: Held) -> pb::MemberStatus {
    pb::MemberStatus {
        node_id: member.id.to_string(),
        state: state(member.state).to_owned(),
        grpc_addr: member.grpc_addr.clone(),
        gossip_addr: member.gossip_addr.clone(),
        http_addr: member.http_addr.clone(),
        zone: member.zone.clone().unwrap_or_default(),
        incarnation: member.incarnation.0,
        intent: super::nodes::intent_name(intent).to_owned(),
        primaries: held.primaries,
        backups: held.backups,
        learners: held.learners,
        weight: member.weight,
        ..pb::MemberStatus::default()
    }
}

fn state(state: MemberState) -> &'static str {
    match state {
        MemberState::Joining => "joining",
        MemberState::Active => "active",
        MemberState::Draining => "draining",
        MemberState::Down => "down",
    }
}

/// A node's own figures.
fn fill(status: &mut pb::MemberStatus, report: &NodeReport) {
    let worker = |worker: &crate::report::WorkerReport| pb::WorkerStatus {
        name: worker.name.clone(),
        state: worker.state.clone(),
        rounds: worker.rounds,
    };
    status.has_answered = true;
    status.version.clone_from(&report.version);
    status.uptime_ms = report.uptime_ms;
    status.cores = report.cores;
    status.connections = report.connections;
    status.maps = report.maps;
    status.entries = report.entries;
    status.data_bytes = report.data_bytes;
    status.resident_bytes = report.resident_bytes;
    status.memory_limit_bytes = report.memory_limit_bytes;
    status.operations_total = report.operations_total;
    status.log_bytes_received = report.log_bytes_received;
    status.copy_bytes_received = report.copy_bytes_received;
    status.slow_operations_total = report.slow_total;
    status.clock_offset_ms = report.clock_offset_ms;
    status.p99_us = report.p99_us;
    status.workers = report.workers.iter().map(worker).collect();
    status.disk = match &report.disk {
        None => "none",
        Some(disk) if disk.is_refusing => "refuses",
        Some(disk) if disk.is_over_budget => "over_budget",
        Some(_) => "ok",
    }
    .to_owned();
    status.disk_log_bytes = report.disk.as_ref().map_or(0, |disk| disk.log_bytes);
    status.disk_budget_bytes = report.disk.as_ref().and_then(|disk| disk.budget);
    status.disk_snapshot_bytes = report.disk.as_ref().map_or(0, |disk| disk.snapshot_bytes);
}

/// Primaries say which copies are under way, and who takes one says how far it is.
fn moves(reports: &Reports) -> Vec<pb::MoveStatus> {
    let mut moves = Vec::new();
    for (from, report) in reports {
        for (partition, to) in &report.given {
            let taken = reports.get(to).map(|report| report.taken.as_slice()).unwrap_or_default();
            let copy = taken.iter().find(|copy| copy.partition == *partition);
            let mut status = pb::MoveStatus {
                partition: partition.0.into(),
                from: from.to_string(),
                to: to.to_string(),
                ..pb::MoveStatus::default()
            };
            if let Some(copy) = copy {
                (status.entries_done, status.entries_total) = (copy.entries, copy.entries_total);
                (status.bytes_done, status.bytes_total) = (copy.bytes, copy.bytes_total);
                status.elapsed_ms = copy.elapsed_ms;
                status.eta_ms = eta_ms(copy);
            }
            moves.push(status);
        }
    }
    moves.sort_by_key(|status| status.partition);
    moves
}

/// How long a copy goes on at the pace that it has had.
fn eta_ms(copy: &CopyReport) -> Option<u64> {
    let (done, left) = (copy.bytes, copy.bytes_total.saturating_sub(copy.bytes));
    let is_known = done > 0 && copy.bytes_total > 0;
    is_known.then(|| copy.elapsed_ms.saturating_mul(left) / done)
}

fn lags(reports: &Reports) -> Vec<pb::LagStatus> {
    let of = |(from, report): (&NodeId, &NodeReport)| {
        let from = from.to_string();
        let lag = |lag: &crate::report::LagReport| pb::LagStatus {
            from: from.clone(),
            to: lag.to.to_string(),
            partitions: lag.partitions,
            ops: lag.ops,
            bytes: lag.bytes,
            ms: lag.ms,
        };
        report.lags.iter().map(lag).collect::<Vec<_>>()
    };
    reports.iter().flat_map(of).collect()
}

/// A position as it travels.
pub(super) fn position(at: LogPosition) -> pb::LogPosition {
    pb::LogPosition { epoch: at.epoch.0, seq: at.seq }
}

fn loss(loss: &LossRecord) -> pb::LossStatus {
    let cause = match loss.cause {
        LossCause::SuspectPromoted => "suspect_promoted",
        LossCause::Policy => "policy",
        LossCause::Operator => "operator",
    };
    pb::LossStatus {
        number: loss.number,
        partition: loss.partition.0.into(),
        loss_generation: loss.loss_generation,
        epoch: loss.epoch.0,
        kept: loss.kept.map(position),
        known: loss.known.map(position),
        given_up: loss.given_up.iter().map(|replica| replica.node.to_string()).collect(),
        cause: cause.to_owned(),
    }
}

fn policy(policy: LossPolicy) -> String {
    match policy {
        LossPolicy::Block => "block",
        LossPolicy::Reset => "reset",
        LossPolicy::Available => "available",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use isogrid_core::PartitionId;

    use super::*;

    fn copy(partition: u16, bytes: u64, bytes_total: u64) -> CopyReport {
        CopyReport {
            partition: PartitionId(partition),
            entries: 1,
            entries_total: 4,
            bytes,
            bytes_total,
            elapsed_ms: 300,
        }
    }

    #[test]
    fn a_move_is_told_by_its_primary_and_measured_by_who_takes_it() {
        let (a, b) = (NodeId::new("a"), NodeId::new("b"));
        let given = vec![(PartitionId(3), b.clone()), (PartitionId(1), b.clone())];
        let giver = NodeReport { given, ..NodeReport::default() };
        let taker = NodeReport { taken: vec![copy(3, 10, 40)], ..NodeReport::default() };
        let mut reports = Reports::from([(a, giver), (b.clone(), taker)]);
        let told = moves(&reports);
        let numbers: Vec<u32> = told.iter().map(|status| status.partition).collect();
        assert_eq!(numbers, [1, 3]);
        assert_eq!((told[1].bytes_done, told[1].bytes_total), (10, 40));
        assert_eq!((told[1].entries_done, told[1].eta_ms), (1, Some(900)));
        assert_eq!((told[0].bytes_total, told[0].eta_ms), (0, None), "it has not begun");
        reports.remove(&b);
        assert_eq!(moves(&reports)[1].bytes_total, 0, "who takes it has not answered");
        assert_eq!(mended(&reports).len(), 2);
    }

    #[test]
    fn nobody_says_how_long_what_is_not_known() {
        assert_eq!(eta_ms(&copy(0, 0, 40)), None);
        assert_eq!(eta_ms(&copy(0, 10, 0)), None);
        assert_eq!(eta_ms(&copy(0, 40, 40)), Some(0));
    }
}
