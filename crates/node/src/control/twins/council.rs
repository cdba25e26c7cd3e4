//! The one council that there is, as a correct consensus would keep it.

use std::collections::BTreeMap;
use std::sync::Arc;

use isogrid_cluster::council::CreateCluster;
use isogrid_cluster::{Command, Council, Outcome, VoterId};
use isogrid_core::{NodeId, Result};
use tokio::sync::watch;

use super::World;
use crate::control::faces::CouncilFace;
use isogrid_council::{CouncilLeader, ProposeFailed};

pub(in crate::control) struct CouncilTwin {
    pub(in crate::control) world: Arc<World>,
    pub(in crate::control) node: NodeId,
    pub(in crate::control) voter: VoterId,
    pub(in crate::control) state: watch::Sender<Arc<Council>>,
    pub(in crate::control) leader: watch::Sender<Option<CouncilLeader>>,
}

impl CouncilTwin {
    fn not_leader(&self) -> ProposeFailed {
        ProposeFailed::NotLeader(self.world.group.lock().leader.clone())
    }
}

#[tonic::async_trait]
impl CouncilFace for CouncilTwin {
    fn voter(&self) -> VoterId {
        self.voter
    }

    fn is_initialized(&self) -> bool {
        self.world.group.lock().voters.contains_key(&self.voter)
    }

    async fn form(&self, create: CreateCluster) -> Result<()> {
        {
            let mut group = self.world.group.lock();
            assert!(group.voters.is_empty(), "a second cluster is formed");
            group.voters = BTreeMap::from([(self.voter, self.node.clone())]);
            (group.term, group.leader) = (1, Some(self.node.clone()));
        }
        self.world.apply(&Command::CreateCluster(create));
        Ok(())
    }

    async fn propose(&self, command: Command) -> Result<Outcome, ProposeFailed> {
        if !self.has_quorum() {
            return Err(self.not_leader());
        }
        Ok(self.world.apply(&command))
    }

    async fn confirm(&self) -> Result<(), ProposeFailed> {
        if self.has_quorum() { Ok(()) } else { Err(self.not_leader()) }
    }

    fn state(&self) -> watch::Receiver<Arc<Council>> {
        self.state.subscribe()
    }

    fn leader(&self) -> watch::Receiver<Option<CouncilLeader>> {
        self.leader.subscribe()
    }

    fn has_quorum(&self) -> bool {
        let group = self.world.group.lock();
        let leads = group.leader.as_ref() == Some(&self.node);
        leads && group.voters.contains_key(&self.voter) && self.world.is_majority(&group)
    }

    fn voters(&self) -> BTreeMap<VoterId, NodeId> {
        let group = self.world.group.lock();
        if group.voters.contains_key(&self.voter) { group.voters.clone() } else { BTreeMap::new() }
    }

    async fn change_voters(&self, voters: BTreeMap<VoterId, NodeId>) -> Result<()> {
        {
            let mut group = self.world.group.lock();
            group.voters = voters;
            let stays = group.voters.contains_key(&self.voter);
            if !stays {
                group.leader = group.voters.values().next().cloned();
                group.term += 1;
            }
        }
        self.world.show();
        Ok(())
    }
}
