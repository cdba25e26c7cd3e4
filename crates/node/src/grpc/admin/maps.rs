//! The maps of the cluster, with their sizes and settings.

use std::collections::BTreeMap;

use isogrid_cluster::council::MapRecord;
use isogrid_core::limits::check_map_name;
use isogrid_core::{Error, ErrorCode, MapId, NodeId};
use isogrid_proto::pb;

use super::change::{changed, described, fresh};
use crate::node::Shared;
use crate::report::{ReportQuestion, Reports};

/// Creates a map or changes it.
pub(crate) async fn put(
    shared: &Shared,
    request: &pb::PutMapRequest,
) -> Result<pb::PutMapReply, Error> {
    let name = &request.name;
    check_map_name(name)?;
    let control = &shared.control;
    let before = control.find_map(name).await?;
    match (request.expect.as_str(), &before) {
        ("" | "any", _) | ("new", None) | ("existing", Some(_)) => {}
        ("new", Some(_)) => {
            return Err(Error::new(ErrorCode::ChangeRefused, format!("map {name} exists")));
        }
        ("existing", None) => return Err(Error::new(ErrorCode::MapUnknown, name)),
        (other, _) => {
            let why = format!("expect {other:?}; known are any, new and existing");
            return Err(Error::new(ErrorCode::ArgumentInvalid, why));
        }
    }
    let view = control.now_known();
    let copies = view.cluster.as_ref().map_or(1, |cluster| usize::from(cluster.copies));
    let change = request.change.clone().unwrap_or_default();
    let durability = control.durability_unset();
    let new = || fresh(control.default_settings(name), durability);
    let base = before.clone().unwrap_or_else(new);
    let after = changed(base, &change, (copies, durability))?;
    let by = |map: &MapRecord| map.schema.as_ref().and_then(|schema| schema.partition_by.clone());
    if let Some(before) = before.as_ref().filter(|before| by(before) != by(&after)) {
        let now = by(before).unwrap_or_else(|| "no column".to_owned());
        let why = format!("map {name} is partitioned by {now}, which cannot change: drop it first");
        return Err(Error::new(ErrorCode::ChangeRefused, why));
    }
    let after = match &before {
        _ if request.dry_run => after,
        Some(known) if *known == after => after,
        _ => control.put_map(name, after).await?,
    };
    Ok(pb::PutMapReply {
        before: before.map(|map| described(name, &map, copies)),
        after: Some(described(name, &after, copies)),
    })
}

/// The maps, with their sizes.
pub(crate) async fn list(
    shared: &Shared,
    request: &pb::ListMapsRequest,
) -> Result<pb::ListMapsReply, Error> {
    let control = &shared.control;
    if !request.map.is_empty() {
        check_map_name(&request.map)?;
        control.find_map(&request.map).await?;
    }
    let facts = control.facts();
    let view = &facts.view;
    let is_wanted = |name: &&String| request.map.is_empty() || **name == request.map;
    let maps: BTreeMap<&String, &MapRecord> =
        view.maps.iter().filter(|(name, _)| is_wanted(name)).collect();
    let question = ReportQuestion {
        maps: maps.values().map(|map| map.id).collect(),
        ..ReportQuestion::default()
    };
    let others = if request.all { facts.live_members() } else { Vec::new() };
    let reports = shared.reports(&question, others).await;
    let copies = view.cluster.as_ref().map_or(1, |cluster| usize::from(cluster.copies));
    let sizes = sizes(&reports);
    let describe = |(name, map): (&&String, &&MapRecord)| {
        let mut status = described(name, map, copies);
        (status.entries, status.bytes) = sizes.get(&map.id).copied().unwrap_or_default();
        status.indexes.iter_mut().for_each(|index| add_states(index, map.id, &reports));
        status
    };
    let leads = |node: &NodeId| view.table.owned_by(node).next().is_some();
    let is_missing = |node: &&NodeId| !reports.contains_key(*node) && leads(node);
    let missing = view.nodes.keys().filter(|_| request.all).filter(is_missing);
    Ok(pb::ListMapsReply {
        maps: maps.iter().map(describe).collect(),
        missing: missing.map(NodeId::to_string).collect(),
    })
}

/// How an index stands on all nodes together.
fn add_states(index: &mut pb::MapIndexStatus, map: MapId, reports: &Reports) {
    let name = index.index.as_ref().map_or("", |index| &index.name);
    let states = reports.values().flat_map(|report| &report.indexes);
    let states = states.filter(|(id, state)| *id == map && state.name == name);
    for (_, state) in states {
        index.entries += state.entries;
        index.bytes += state.bytes;
        index.built += state.built;
        index.records += state.records;
    }
}

/// The entries and bytes of each map on all nodes together.
fn sizes(reports: &Reports) -> BTreeMap<MapId, (u64, u64)> {
    let mut sizes: BTreeMap<MapId, (u64, u64)> = BTreeMap::new();
    for (map, entries, bytes) in reports.values().flat_map(|report| &report.map_sizes) {
        let sum = sizes.entry(*map).or_default();
        *sum = (sum.0 + entries, sum.1 + bytes);
    }
    sizes
}
