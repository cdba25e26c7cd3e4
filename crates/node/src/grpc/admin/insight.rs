//! What stands out: slow operations, keys that are asked for most, records that are large; and how it was. Of all nodes that answer in time.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use isogrid_core::limits::check_map_name;
use isogrid_core::{Error, ErrorCode, MapId, NodeId};
use isogrid_proto::pb;

use crate::clock;
use crate::control::ClusterFacts;
use crate::engine::SAMPLED_ONE_OF;
use crate::history::NAMES;
use crate::node::Shared;
use crate::report::{
    BigKeyReport, BigQuestion, HotQuestion, PointReport, ReportQuestion, Reports, SlowReport,
};

/// How many keys are told if nobody says.
const KEYS_DEFAULT: u32 = 10;

/// The most keys that are told.
const KEYS_MAX: u32 = 1_000;

/// How many records each node looks at for the largest if nobody says.
const ENTRIES_DEFAULT: u64 = 1_000_000;

/// The slow operations.
pub(super) async fn slow_log(shared: &Shared) -> pb::SlowLogReply {
    let question = ReportQuestion { slow: true, ..ReportQuestion::default() };
    let (facts, reports) = ask_all(shared, &question).await;
    let missing = missing(&facts, &reports);
    let nodes = reports.into_iter().map(|(node, report)| pb::NodeSlowLog {
        incarnation: facts.view.nodes.get(&node).map_or(0, |news| news.member.incarnation.0),
        node_id: node.to_string(),
        threshold_ms: report.slow_threshold_ms,
        total: report.slow_total,
        operations: report.slow.into_iter().map(slow).collect(),
    });
    pb::SlowLogReply { nodes: nodes.collect(), missing }
}

fn slow(report: SlowReport) -> pb::SlowOperation {
    pb::SlowOperation {
        number: report.number,
        at_ms: report.at_ms,
        operation: report.operation,
        map: report.map,
        key: report.key.into(),
        key_bytes: report.key_bytes,
        partition: report.partition.into(),
        took_us: report.took_us,
        beside: report.beside,
        client: report.client,
        statement: report.statement,
        rows: report.rows,
        entries_scanned: report.entries_scanned,
        partitions_scanned: report.partitions_scanned,
    }
}

/// The key figures as they were.
pub(super) async fn history(shared: &Shared, request: &pb::HistoryRequest) -> pb::HistoryReply {
    let since_s = match request.seconds {
        0 => 0,
        seconds => (clock::now().0 / 1_000).saturating_sub(seconds),
    };
    let question = ReportQuestion { history_since_s: Some(since_s), ..ReportQuestion::default() };
    let (facts, reports) = ask_all(shared, &question).await;
    let missing = missing(&facts, &reports);
    let point = |point: PointReport| pb::HistoryPoint { at_s: point.at_s, figures: point.figures };
    let nodes = reports.into_iter().map(|(node, report)| pb::NodeHistory {
        node_id: node.to_string(),
        points: report.history.into_iter().map(point).collect(),
    });
    let names = NAMES.iter().map(|name| (*name).to_owned()).collect();
    pb::HistoryReply { names, nodes: nodes.collect(), missing }
}

/// The keys that are asked for most.
pub(super) async fn hot_keys(
    shared: &Shared,
    request: &pb::HotKeysRequest,
) -> Result<pb::HotKeysReply, Error> {
    let map = match request.map.as_str() {
        "" => None,
        name => Some(find(shared, name).await?),
    };
    let keys_max = keys_max(request.keys_max);
    let hot = Some(HotQuestion { map, keys_max });
    let question = ReportQuestion { hot, ..ReportQuestion::default() };
    let (facts, reports) = ask_all(shared, &question).await;
    Ok(pb::HotKeysReply {
        maps: hot_maps(&facts, &reports, keys_max as usize),
        sampled_one_of: SAMPLED_ONE_OF,
        missing: missing(&facts, &reports),
    })
}

/// The hot keys of each map, of all nodes together: a key may be read at more than one.
fn hot_maps(facts: &ClusterFacts, reports: &Reports, keys_max: usize) -> Vec<pb::HotMap> {
    let mut maps = Vec::new();
    for (name, record) in facts.view.maps.iter() {
        let mut told = pb::HotMap { map: name.clone(), ..pb::HotMap::default() };
        let mut keys: BTreeMap<(&[u8], u32), (u64, pb::HotKey)> = BTreeMap::new();
        for (node, report) in reports {
            for hot in report.hot.iter().filter(|hot| hot.map == record.id) {
                told.samples += hot.samples;
                for key in &hot.keys {
                    let of_node = pb::HotKey {
                        key: key.key.clone().into(),
                        key_bytes: key.key_bytes,
                        samples: key.samples,
                        node_id: node.to_string(),
                    };
                    match keys.entry((&key.key, key.key_bytes)) {
                        Entry::Vacant(place) => drop(place.insert((key.samples, of_node))),
                        Entry::Occupied(mut place) => {
                            let (most, sum) = place.get_mut();
                            if key.samples > *most {
                                (*most, sum.node_id) = (key.samples, of_node.node_id);
                            }
                            sum.samples += key.samples;
                        }
                    }
                }
            }
        }
        told.keys = keys.into_values().map(|(_, key)| key).collect();
        told.keys.sort_by_key(|key| std::cmp::Reverse(key.samples));
        told.keys.truncate(keys_max);
        if told.samples > 0 {
            maps.push(told);
        }
    }
    maps
}

/// The largest records of a map.
pub(super) async fn big_keys(
    shared: &Shared,
    request: &pb::BigKeysRequest,
) -> Result<pb::BigKeysReply, Error> {
    let map = find(shared, &request.map).await?;
    let keys_max = keys_max(request.keys_max);
    let entries_max = match request.entries_max {
        0 => ENTRIES_DEFAULT,
        wanted => wanted,
    };
    let big = Some(BigQuestion { map, keys_max, entries_max });
    let question = ReportQuestion { big, ..ReportQuestion::default() };
    let (facts, reports) = ask_all(shared, &question).await;
    let mut told =
        pb::BigKeysReply { missing: missing(&facts, &reports), ..pb::BigKeysReply::default() };
    for (node, report) in &reports {
        let Some(big) = &report.big else {
            // A node of another version knows no such question.
            told.missing.push(node.to_string());
            continue;
        };
        told.entries_looked_at += big.looked_at;
        told.entries_total += big.entries;
        told.keys.extend(big.keys.iter().map(|key| big_key(node, key)));
    }
    told.keys.sort_by_key(|key| std::cmp::Reverse(u64::from(key.key_bytes) + key.value_bytes));
    told.keys.truncate(keys_max as usize);
    Ok(told)
}

fn big_key(node: &NodeId, key: &BigKeyReport) -> pb::BigKey {
    pb::BigKey {
        key: key.key.clone().into(),
        key_bytes: key.key_bytes,
        value_bytes: key.value_bytes,
        partition: key.partition.into(),
        node_id: node.to_string(),
    }
}

fn keys_max(wanted: u32) -> u32 {
    match wanted {
        0 => KEYS_DEFAULT,
        wanted => wanted.min(KEYS_MAX),
    }
}

async fn find(shared: &Shared, name: &str) -> Result<MapId, Error> {
    check_map_name(name)?;
    let found = shared.control.find_map(name).await?;
    found.map(|map| map.id).ok_or_else(|| Error::new(ErrorCode::MapUnknown, name))
}

async fn ask_all(shared: &Shared, question: &ReportQuestion) -> (ClusterFacts, Reports) {
    let reports = shared.reports(question, shared.control.facts().live_members()).await;
    (shared.control.facts(), reports)
}

/// The members that did not answer.
fn missing(facts: &ClusterFacts, reports: &Reports) -> Vec<String> {
    let nodes = facts.view.nodes.keys();
    nodes.filter(|node| !reports.contains_key(*node)).map(NodeId::to_string).collect()
}
