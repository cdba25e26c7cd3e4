//! What is asked of a [`CouncilService`] and takes a while. Boxed, so that openraft is compiled in this crate and not again where it is
//! awaited.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use isogrid_cluster::VoterId;
use isogrid_cluster::council::{Command, CreateCluster, Outcome};
use isogrid_core::{NodeId, Result};

use crate::network::RaftTransport;
use crate::service::{CouncilService, ProposeFailed};
use crate::settings::CouncilSettings;

impl CouncilService {
    /// Opens the voter's file, or makes one, and takes part in whatever council it belongs to.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn start(
        settings: CouncilSettings,
        transport: Arc<dyn RaftTransport>,
    ) -> BoxFuture<'static, Result<Arc<CouncilService>>> {
        Box::pin(Self::open(settings, transport))
    }

    /// Forms the council of a new cluster with this voter as its only one. Can be done again when it was interrupted.
    ///
    /// # Errors
    /// This voter has another cluster's council, or does not become its leader in time.
    pub fn form(&self, create: CreateCluster) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.found(create))
    }

    /// Proposes a command, where this node leads. Dropping the future does not take the command back.
    ///
    /// # Errors
    /// This node does not lead, or no outcome came in time.
    pub fn propose(&self, command: Command) -> BoxFuture<'_, Result<Outcome, ProposeFailed>> {
        Box::pin(self.write(command))
    }

    /// Makes sure that this node leads and [`state`](Self::state) holds all that was acknowledged before the call.
    ///
    /// # Errors
    /// This node does not lead, or does not know.
    pub fn confirm(&self) -> BoxFuture<'_, Result<(), ProposeFailed>> {
        Box::pin(self.make_sure())
    }

    /// Makes these the voters, where this node leads.
    ///
    /// # Errors
    /// This node does not lead, or they did not all learn what is agreed on in time.
    pub fn change_voters(&self, wanted: BTreeMap<VoterId, NodeId>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.set_voters(wanted))
    }

    /// Answers what another voter says.
    ///
    /// # Errors
    /// It is nothing that a voter says, or not meant for this one.
    pub fn handle<'a>(&'a self, from: &'a NodeId, body: Bytes) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(self.receive(from, body))
    }

    /// Ends the part that this node takes; what was acknowledged is written.
    pub fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.end())
    }
}
