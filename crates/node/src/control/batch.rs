//! Proposals of primaries: those that come together go to the council as one command. A lost one is made again by its
//! primary, so each is tried once.

use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::Command;
use isogrid_cluster::council::{Change, ChangeKind};
use isogrid_replica::{Proposal, ProposedChange};
use tokio::sync::mpsc;
use tracing::debug;

use super::shared::Control;

/// The most changes of one command.
const CHANGES_MAX: usize = 1_024;

/// How long the leader is looked for: a primary proposes again after about as long.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) async fn run(control: Arc<Control>, mut proposals: mpsc::Receiver<Proposal>) {
    let mut batch = Vec::new();
    while proposals.recv_many(&mut batch, CHANGES_MAX).await > 0 {
        let changes: Vec<Change> = batch.drain(..).map(change).collect();
        let count = changes.len();
        if let Err(error) = control.propose(&Command::Changes(changes), PATIENCE).await {
            debug!(count, %error, "proposals of primaries were not decided");
        }
    }
}

/// The proposal as the council knows it.
fn change(proposal: Proposal) -> Change {
    let kind = match proposal.change {
        ProposedChange::Add(replica) => ChangeKind::AddMember(replica),
        ProposedChange::Remove(replica) => ChangeKind::RemoveMember(replica),
        ProposedChange::HandOver(to) => ChangeKind::Handover { to },
    };
    Change { partition: proposal.partition, epoch: proposal.epoch, ver: proposal.ver, kind }
}
