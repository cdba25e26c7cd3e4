//! What the cluster would still move, or would move if some nodes were gone.

use std::collections::BTreeMap;

use isogrid_cluster::council::Intent;
use isogrid_cluster::steward::{Planned, outlook};
use isogrid_core::{Error, ErrorCode, Member, MemberState, Members, NodeId, PartitionId};
use isogrid_proto::pb;

use crate::control::view::View;
use crate::node::Shared;
use crate::report::ReportQuestion;

/// The way from the table as it is to the one that is wanted without these nodes.
pub(super) async fn plan(shared: &Shared, without: &[String]) -> Result<pb::PlanReply, Error> {
    let question = ReportQuestion { sizes: true, ..ReportQuestion::default() };
    let reports = shared.reports(&question, shared.control.facts().live_members()).await;
    let view = shared.control.now_known();
    if view.cluster.is_none() {
        return Err(Error::new(ErrorCode::StillJoining, shared.node_id.as_str()));
    }
    if let Some(unknown) = without.iter().find(|node| !view.nodes.contains_key(&NodeId::new(node)))
    {
        return Err(Error::new(ErrorCode::NodeUnknown, unknown));
    }
    let sizes: BTreeMap<PartitionId, u64> =
        reports.into_values().flat_map(|report| report.sizes).collect();
    let planned = outlook(&view.table, &placed(&view, without), view.copies());
    let step = |(partition, step): &(PartitionId, Planned)| {
        let name = |node: &NodeId| node.to_string();
        let nobody = |node: &Option<NodeId>| node.as_ref().map(name).unwrap_or_default();
        let (kind, from, to, bytes) = match step {
            Planned::Copy { from, to } => {
                let bytes = sizes.get(partition).copied().unwrap_or(0);
                ("copy", nobody(from), name(to), bytes)
            }
            Planned::Primary { from, to } => ("primary", nobody(from), name(to), 0),
            Planned::Retire { from } => ("retire", name(from), String::new(), 0),
        };
        pb::PlannedMove { partition: partition.0.into(), kind: kind.to_owned(), from, to, bytes }
    };
    let moves: Vec<pb::PlannedMove> = planned.steps.iter().map(step).collect();
    Ok(pb::PlanReply {
        bytes_total: moves.iter().map(|step| step.bytes).sum(),
        moves,
        partitions_short: planned.short as u32,
    })
}

impl Shared {
    /// How many steps are left to the table that is wanted; only the council's leader looks.
    pub(crate) fn moves_pending(&self) -> Option<u64> {
        let view = self.control.now_known();
        let leads = self.council.figures().is_leader && view.cluster.is_some();
        let steps = || outlook(&view.table, &placed(&view, &[]), view.copies()).steps.len() as u64;
        leads.then(steps)
    }
}

/// The nodes that would have a place: those that serve and stay, and those that will be back in a moment.
fn placed(view: &View, without: &[String]) -> Members {
    let nodes = view.nodes.values().filter(|news| {
        let member = &news.member;
        let stays = !matches!(news.intent, Intent::Drain | Intent::Leave);
        let returns = news.intent == Intent::Restart && member.state == MemberState::Down;
        let is_gone = without.iter().any(|node| *node == *member.id.as_str());
        stays && (member.state.is_serving() || returns) && !is_gone && member.weight > 0
    });
    let members = nodes.map(|news| Member {
        zone: news.member.zone.clone(),
        weight: news.member.weight,
        ..Member::new(news.member.id.as_str())
    });
    members.collect()
}
