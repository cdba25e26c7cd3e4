//! What operators want of nodes, and whether one can be stopped.

use isogrid_cluster::council::Intent;
use isogrid_cluster::steward::{BlockedBy, Blocker, CanStop, Proof};
use isogrid_core::{Error, ErrorCode, NodeId};
use isogrid_proto::pb;

use super::status::position;
use crate::node::Shared;

/// How an intent is called.
pub(super) fn intent_name(intent: Intent) -> &'static str {
    match intent {
        Intent::Stay => "stay",
        Intent::Drain => "drain",
        Intent::Leave => "leave",
        Intent::Restart => "restart",
        Intent::Stop => "stop",
    }
}

fn intent_of(name: &str) -> Result<Intent, Error> {
    let all = [Intent::Stay, Intent::Drain, Intent::Leave, Intent::Restart, Intent::Stop];
    let found = all.into_iter().find(|intent| intent_name(*intent) == name);
    let unknown = || format!("intent {name:?}; known are stay, drain, leave, restart and stop");
    found.ok_or_else(|| Error::new(ErrorCode::ArgumentInvalid, unknown()))
}

fn known(shared: &Shared, node: &str) -> Result<NodeId, Error> {
    let name = NodeId::new(node);
    let is_known = shared.control.now_known().nodes.contains_key(&name);
    is_known.then_some(name).ok_or_else(|| Error::new(ErrorCode::NodeUnknown, node))
}

/// Says what is wanted of nodes. When one is unknown, nothing is said of any.
pub(super) async fn set_intent(
    shared: &Shared,
    request: &pb::SetIntentRequest,
) -> Result<pb::SetIntentReply, Error> {
    let intent = intent_of(&request.intent)?;
    let nodes: Vec<NodeId> = match (request.all, request.nodes.as_slice()) {
        (true, []) => shared.control.now_known().nodes.keys().cloned().collect(),
        // Only the council knows who has left for good: it takes their leave once more.
        (false, [node]) if intent == Intent::Leave => vec![NodeId::new(node)],
        (false, nodes) => nodes.iter().map(|node| known(shared, node)).collect::<Result<_, _>>()?,
        (true, _) => {
            let why = "all nodes, and some by name: only one of them";
            return Err(Error::new(ErrorCode::ArgumentInvalid, why));
        }
    };
    let mut changed = Vec::new();
    for node in nodes {
        if shared.control.set_intent(&node, intent).await? {
            changed.push(node.to_string());
        }
    }
    Ok(pb::SetIntentReply { changed })
}

/// Whether a node can be stopped, as the council's leader sees it.
pub(super) async fn can_stop(shared: &Shared, node: &str) -> Result<pb::CanStopReply, Error> {
    let node = known(shared, node)?;
    let mut reply = pb::CanStopReply::default();
    match shared.control.can_stop(&node).await? {
        CanStop::Yes { proof: found } => {
            (reply.yes, reply.proof) = (true, found.iter().map(proof).collect());
        }
        CanStop::No { blockers } => reply.blockers = blockers.iter().map(blocker).collect(),
    }
    Ok(reply)
}

/// Forgets a node that is down and holds nothing.
pub(super) async fn remove(shared: &Shared, node: &str) -> Result<pb::RemoveNodeReply, Error> {
    shared.control.remove_node(&known(shared, node)?).await?;
    Ok(pb::RemoveNodeReply {})
}

fn proof(proof: &Proof) -> pb::StopProof {
    pb::StopProof {
        partition: proof.partition.0.into(),
        held_by: proof.held_by.iter().map(NodeId::to_string).collect(),
        up_to: proof.up_to.map(position),
    }
}

fn blocker(blocker: &Blocker) -> pb::StopBlocker {
    let (why, have, need) = match blocker.why {
        BlockedBy::Leads => ("leads", 0, 0),
        BlockedBy::TooFewCopies { have, need } => ("too_few_copies", have, need),
        BlockedBy::StillMember => ("still_member", 0, 0),
        BlockedBy::NotFlushed => ("not_flushed", 0, 0),
        BlockedBy::Quorum { have, need } => ("quorum", have, need),
    };
    pb::StopBlocker {
        partition: blocker.partition.map(|partition| partition.0.into()),
        why: why.to_owned(),
        have: have as u32,
        need: need as u32,
        estimate_ms: blocker.estimate_ms,
    }
}
