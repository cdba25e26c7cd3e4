//! Other voters: they learn first, then vote, and the old ones go.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use isogrid_cluster::VoterId;
use isogrid_core::{Error, ErrorCode, NodeId, Result};
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{
    ChangeMembershipError, ClientWriteError, ForwardReason, ForwardToLeader, RaftError,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::message::{Ask, Reply};
use crate::service::{CouncilService, WHO_TIMEOUT};
use crate::settings::{CHANGE_TIMEOUT, PAUSE};
use crate::types::{Types, VoterNode};

/// What openraft answers to a change.
type Changed<T> = Result<T, RaftError<Types, ClientWriteError<Types>>>;

impl CouncilService {
    /// Makes these the voters, where this node leads. New ones learn the log first, so that the quorum never waits for
    /// them. Can be done again when it failed half-way.
    pub(crate) async fn set_voters(&self, wanted: BTreeMap<VoterId, NodeId>) -> Result<()> {
        let deadline = Instant::now() + CHANGE_TIMEOUT;
        let changing = timeout_at(deadline, self.changing.lock());
        let _changing = changing.await.map_err(|_| late("another change is under way"))?;
        if wanted.is_empty() {
            return Err(late("nobody would be left to vote"));
        }
        let wanted: BTreeMap<u64, NodeId> =
            wanted.into_iter().map(|(v, node)| (v.0, node)).collect();
        let ids: BTreeSet<u64> = wanted.keys().copied().collect();
        let (known, stale, is_done) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let now = &metrics.membership_config;
            let known: BTreeMap<u64, VoterNode> =
                now.nodes().map(|(voter, node)| (*voter, node.clone())).collect();
            let stale = now.membership().learner_ids().filter(|v| !ids.contains(v)).collect();
            (known, stale, *now.get_joint_config() == [ids.clone()])
        };
        self.drop_learners(stale, deadline).await?;
        if is_done {
            return Ok(());
        }
        for (voter, node) in &wanted {
            match known.get(voter) {
                Some(known) if known.node != node.as_str() => {
                    return Err(late(&format!("voter {voter} runs on {}, not {node}", known.node)));
                }
                Some(_) => {}
                None => {
                    let node = self.who(*voter, node).await?;
                    self.repeat(deadline, || self.raft.add_learner(*voter, node.clone(), false))
                        .await?;
                }
            }
        }
        self.wait_learned(&ids, deadline).await?;
        self.repeat(deadline, || self.raft.change_membership(ids.clone(), false)).await?;
        Ok(())
    }

    /// Those who were to vote in a change that was given up.
    async fn drop_learners(&self, stale: BTreeSet<u64>, deadline: Instant) -> Result<()> {
        if stale.is_empty() {
            return Ok(());
        }
        let change = || {
            let change = ChangeMembers::RemoveNodes(stale.clone());
            self.raft.change_membership(change, false)
        };
        self.repeat(deadline, change).await.map(|_| ())
    }

    /// Asks a node for the log of its voter.
    async fn who(&self, voter: u64, node: &NodeId) -> Result<VoterNode> {
        let mut found = VoterNode { node: node.as_str().to_owned(), log: 0 };
        if voter == self.identity.voter {
            found.log = self.identity.log;
            return Ok(found);
        }
        match self.caller.ask((voter, &found), Ask::Who, WHO_TIMEOUT).await {
            Ok(Reply::Me { voter: there, log }) if there == voter => {
                found.log = log;
                Ok(found)
            }
            Ok(_) => Err(late(&format!("{node} has another voter than {voter}"))),
            Err(error) => Err(late(&format!("voter {voter} on {node}: {error:?}"))),
        }
    }

    /// Waits until all have the log as it is now.
    async fn wait_learned(&self, ids: &BTreeSet<u64>, deadline: Instant) -> Result<()> {
        let mut metrics = self.raft.metrics();
        let aim = metrics.borrow_watched().last_log_index;
        loop {
            let behind: Option<u64> = {
                let now = metrics.borrow_watched();
                let Some(progress) = &now.replication else {
                    return Err(late("this node does not lead the council"));
                };
                let has_all = |voter: &&u64| {
                    let at = progress.get(*voter).and_then(|at| at.map(|at| at.index()));
                    **voter == self.identity.voter || at >= aim
                };
                // Those who vote already may lag: the quorum is not theirs to hold up.
                let votes = |voter: &&u64| now.membership_config.voter_ids().any(|v| v == **voter);
                ids.iter().find(|voter| !votes(voter) && !has_all(voter)).copied()
            };
            let Some(voter) = behind else { return Ok(()) };
            match timeout_at(deadline, metrics.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(late("the council has ended")),
                Err(_) => return Err(late(&format!("voter {voter} does not catch up"))),
            }
        }
    }

    /// Does a change, again while another one is under way.
    async fn repeat<T, F: Future<Output = Changed<T>>>(
        &self,
        deadline: Instant,
        change: impl Fn() -> F,
    ) -> Result<T> {
        loop {
            let Ok(changed) = timeout_at(deadline, change()).await else {
                return Err(late("the change of voters was not committed in time"));
            };
            let error = match changed {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let is_passing = match &error {
                RaftError::APIError(ClientWriteError::ChangeMembershipError(change)) => matches!(
                    change,
                    ChangeMembershipError::InProgress(_)
                        | ChangeMembershipError::UncommittedLeaderLog(_)
                ),
                RaftError::APIError(ClientWriteError::ForwardToLeader(ForwardToLeader {
                    reason,
                    ..
                })) => *reason == ForwardReason::LeaseExpired,
                _ => false,
            };
            if !is_passing || Instant::now() >= deadline {
                return Err(late(&error.to_string()));
            }
            sleep(PAUSE).await;
        }
    }
}

/// A change that was not made, or not wholly: it can be done again.
fn late(why: &str) -> Error {
    Error::new(ErrorCode::NotReady, format!("the voters of the council: {why}"))
}
