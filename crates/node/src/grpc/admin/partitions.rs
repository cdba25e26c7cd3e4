//! Who holds which partition, and where a key lives.

use std::collections::BTreeMap;

use isogrid_core::limits::check_map_name;
use isogrid_core::slot::slot_of;
use isogrid_core::{Error, ErrorCode, PartitionEntry, PartitionId, Replica};
use isogrid_proto::pb;

use crate::control::ClusterFacts;
use crate::control::view::View;
use crate::node::Shared;
use crate::report::{NodeReport, ReportQuestion};

/// Who holds these partitions; none: all.
pub(super) async fn partitions(
    shared: &Shared,
    request: &pb::PartitionsRequest,
) -> pb::PartitionsReply {
    let wanted = &request.partitions;
    let loads = if request.sizes { loads(shared).await } else { BTreeMap::new() };
    let view = shared.control.now_known();
    if view.cluster.is_none() {
        return pb::PartitionsReply::default();
    }
    let is_wanted = |number: u32| wanted.is_empty() || wanted.contains(&number);
    let listed = view.table.iter().filter(|(partition, _)| is_wanted(partition.0.into()));
    pb::PartitionsReply {
        table_version: view.table.version().0,
        partitions_total: view.table.partitions().get().into(),
        partitions: listed
            .map(|(partition, entry)| pb::PartitionStatus {
                bytes: loads.get(&partition).map(|load| load.bytes),
                operations_per_second: loads.get(&partition).and_then(|load| load.rate),
                ..status(&view, partition, entry)
            })
            .collect(),
    }
}

/// What a partition has, and how often it is asked in a second.
struct Load {
    bytes: u64,
    /// Unknown of one that was taken over just now.
    rate: Option<u64>,
}

/// What each partition has and does, as those say who lead.
async fn loads(shared: &Shared) -> BTreeMap<PartitionId, Load> {
    let question = ReportQuestion { sizes: true, ..ReportQuestion::default() };
    let reports = shared.reports(&question, shared.control.facts().live_members()).await;
    let of_report = |report: NodeReport| {
        let rates: BTreeMap<PartitionId, u64> = report.rates.into_iter().collect();
        let load = move |(partition, bytes)| {
            (partition, Load { bytes, rate: rates.get(&partition).copied() })
        };
        report.sizes.into_iter().map(load)
    };
    reports.into_values().flat_map(of_report).collect()
}

/// Where a key lives.
pub(super) fn trace(shared: &Shared, request: &pb::TraceRequest) -> Result<pb::TraceReply, Error> {
    let map = &request.map;
    if !map.is_empty() {
        check_map_name(map)?;
    }
    let facts = shared.control.facts();
    let view = &facts.view;
    if view.cluster.is_none() {
        return Err(Error::new(ErrorCode::StillJoining, shared.node_id.as_str()));
    }
    let slot = slot_of(&request.key);
    let partition = view.table.partitions().partition_of(slot);
    let entry = view.table.entry(partition).cloned().unwrap_or_default();
    Ok(pb::TraceReply {
        slot: slot.0.into(),
        partition: Some(status(view, partition, &entry)),
        table_version: view.table.version().0,
        answered_by: shared.node_id.to_string(),
        holders: entry.holders().map(|holder| address(&facts, holder)).collect(),
        map_exists: view.map(map).is_some(),
    })
}

fn address(facts: &ClusterFacts, holder: &Replica) -> pb::HolderAddress {
    let news = facts.view.nodes.get(&holder.node);
    pb::HolderAddress {
        node_id: holder.node.to_string(),
        grpc_addr: news.map(|news| news.member.grpc_addr.clone()).unwrap_or_default(),
        zone: news.and_then(|news| news.member.zone.clone()).unwrap_or_default(),
        is_live: facts.view.is_live(holder) && facts.live.contains(&holder.node),
    }
}

fn status(view: &View, partition: PartitionId, entry: &PartitionEntry) -> pb::PartitionStatus {
    let names = |replicas: &[Replica]| replicas.iter().map(|r| r.node.to_string()).collect();
    pb::PartitionStatus {
        partition: partition.0.into(),
        epoch: entry.epoch.0,
        ver: entry.ver,
        loss_generation: entry.loss_generation,
        primary: entry.primary.as_ref().map(ToString::to_string).unwrap_or_default(),
        in_sync: names(&entry.in_sync),
        learners: names(&entry.learners),
        state: state(view, entry).to_owned(),
        bytes: None,
        operations_per_second: None,
    }
}

fn state(view: &View, entry: &PartitionEntry) -> &'static str {
    let live: Vec<&Replica> = entry.in_sync.iter().filter(|member| view.is_live(member)).collect();
    let leads = |member: &&Replica| entry.primary.as_ref() == Some(&member.node);
    if entry.in_sync.is_empty() {
        "unassigned"
    } else if !live.iter().any(leads) {
        "no_primary"
    } else if live.len() < view.copies_possible() {
        "under_replicated"
    } else {
        "ok"
    }
}
