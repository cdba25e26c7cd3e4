//! Follows the raft: who leads, whether this voter was removed, and whether the raft has failed.

use std::sync::Arc;

use isogrid_cluster::VoterId;
use isogrid_core::NodeId;
use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::network::Caller;
use crate::types::{Raft, Types};

/// Who leads the council. A term alone says nothing: two voters may lead in the same one, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CouncilLeader {
    /// The term.
    pub term: u64,
    /// Its node.
    pub node: NodeId,
    /// Its voter.
    pub voter: VoterId,
    /// Whether it is this one.
    pub is_me: bool,
}

/// The task, and what it finds out.
type Following =
    (JoinHandle<()>, watch::Receiver<Option<CouncilLeader>>, watch::Receiver<Option<String>>);

/// Starts to follow.
pub(super) fn start(raft: &Raft, caller: Arc<Caller>) -> Following {
    let (leader_sender, leader) = watch::channel(None);
    let (failed_sender, failed) = watch::channel(None);
    let raft = raft.clone();
    let task = tokio::spawn(async move {
        let mut metrics = raft.metrics();
        let mut may_stand = true;
        loop {
            let (found, ended, is_out) = {
                let now = metrics.borrow_watched();
                let is_out = is_left_out(&now, &caller);
                (leader_of(&now).filter(|_| !is_out), ended(&now), is_out)
            };
            leader_sender.send_if_modified(|known| {
                let is_new = *known != found;
                *known = found;
                is_new
            });
            if let Some(why) = ended {
                tracing::error!(%why, "the council has failed");
                failed_sender.send_replace(Some(why));
                return;
            }
            // A removed voter asks the others for votes for ever, unless it is told not to.
            if may_stand == is_out {
                may_stand = !is_out;
                raft.runtime_config().elect(may_stand);
            }
            if metrics.changed().await.is_err() {
                failed_sender.send_replace(Some("the raft has ended".to_owned()));
                return;
            }
        }
    });
    (task, leader, failed)
}

/// Whether the others have committed, after all that this voter knows, that it votes no more.
pub(super) fn is_left_out(metrics: &RaftMetrics<Types>, caller: &Caller) -> bool {
    let known = metrics.membership_config.log_id().map(|id| id.index());
    caller.left_out.lock().is_some_and(|at| Some(at.index) > known)
}

fn leader_of(metrics: &RaftMetrics<Types>) -> Option<CouncilLeader> {
    let voter = metrics.current_leader?;
    let node = metrics.membership_config.get_node(&voter)?.node_id();
    let term = metrics.vote.leader_id().term;
    Some(CouncilLeader { term, node, voter: VoterId(voter), is_me: voter == metrics.id })
}

fn ended(metrics: &RaftMetrics<Types>) -> Option<String> {
    match &metrics.running_state {
        Ok(()) | Err(Fatal::Stopped) => None,
        Err(fatal) => Some(fatal.to_string()),
    }
}
